//! `tagcast status`: how things stand.

use serde_json::json;

use crate::cli::args::OutputFormat;
use crate::cli::output::{Context, print_json, print_out};
use crate::engine::ledger_status::{PROMISE, Status};
use crate::engine::{Failure, ProjectOptions};
use crate::msg;

pub fn run(cx: &Context) -> Result<u8, Failure> {
    let format = cx.format(&[OutputFormat::Human, OutputFormat::Json])?;
    // A program with mistakes is no reason not to say how things stand.
    let project = cx.project(&[], ProjectOptions::default()).ok();
    let now = project
        .as_ref()
        .map_or_else(|| cx.world().now(), |p| cx.now(p));
    let lang = project.as_ref().map_or(cx.lang(), |p| cx.lang_of(p));
    let Some(status) = Status::read(&cx.ledger()?, project.as_ref(), now)? else {
        match format {
            OutputFormat::Json => print_json(
                &json!({"campaigns": [], "runs": [], "unknown": [], "promise": PROMISE}),
            )?,
            _ => cx.say(&msg!(
                "nothing was ever planned with this store",
                "此数据仓从未计划过任何活动"
            )),
        }
        return Ok(0);
    };
    match format {
        OutputFormat::Json => print_json(&status.json())?,
        _ => print_out(&status.show(lang))?,
    }
    Ok(u8::from(status.needs_a_person()))
}

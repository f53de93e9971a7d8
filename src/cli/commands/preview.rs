//! `tagcast preview`: a campaign's messages as phone bubbles.

use crate::cli::args::{OutputFormat, PreviewArgs};
use crate::cli::output::{Context, print_json, print_out};
use crate::engine::eval_data::EvalData;
use crate::engine::{Failure, message_preview};
use crate::msg;

pub fn run(cx: &Context, args: &PreviewArgs) -> Result<u8, Failure> {
    let format = cx.format(&[OutputFormat::Human, OutputFormat::Json])?;
    super::sync::fill_if_empty(cx)?;
    let store = cx.store_dir();
    let (project, snapshot) = cx.load_data(&[])?;
    cx.require_sound(&project)?;
    let campaign = super::why::campaign_named(&project, &args.campaign)?;
    let user = args
        .user
        .as_deref()
        .map(|id| super::why::user_with_id(&snapshot, id))
        .transpose()?;
    let data = EvalData::gather(&project, snapshot, &store, cx.now(&project), &cx.world())?;
    let preview = message_preview::preview(&project, &data, campaign, user)?;
    let lang = cx.lang_of(&project);
    if let Some(file) = &args.html {
        super::fmt::replace_file(file, &preview.html(lang))?;
        let shown = file.display();
        cx.say(&msg!("wrote `{shown}`", "已写出 `{shown}`"));
        return Ok(0);
    }
    match format {
        OutputFormat::Json => print_json(&preview.json())?,
        _ => print_out(&preview.show(lang))?,
    }
    Ok(0)
}

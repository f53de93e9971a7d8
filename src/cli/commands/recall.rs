//! `tagcast recall`: takes a run back.

use std::sync::Arc;

use super::hold::{console, who};
use crate::base::world::{ClockWorld, World};
use crate::cli::args::{OutputFormat, RecallArgs};
use crate::cli::output::{Context, print_json, print_out};
use crate::deliver::channels::Channels;
use crate::engine::{Failure, binding, recall_run};
use crate::ledger::RunId;
use crate::msg;

pub fn run(cx: &Context, args: &RecallArgs) -> Result<u8, Failure> {
    let format = cx.format(&[OutputFormat::Human, OutputFormat::Json])?;
    let mut console = console(cx)?;
    let (project, snapshot) = cx.load_data(&[])?;
    let world: Arc<dyn World> = Arc::new(ClockWorld::new(cx.world(), cx.now(&project)));
    let store = cx.store_dir();
    // On a simulated clock the sandbox alone was used, and is asked.
    let channels = match project.now {
        Some(_) => Channels::sandbox(&project.outbox(&store), world.clone())?,
        None => binding::channels(&project, &store, &cx.world())?,
    };
    let number = args.run;
    let Some(report) = recall_run::recall(
        RunId(number),
        &mut console.operator(),
        &channels,
        &who(args.by.as_deref()),
        &world,
    )?
    else {
        return Err(Failure::refused(msg!(
            "there is no run {number}",
            "没有编号为 {number} 的运行"
        ))
        .help(msg!(
            "`tagcast status` shows the numbers of runs",
            "`tagcast status` 会显示运行的编号"
        )));
    };
    match format {
        OutputFormat::Json => print_json(&report.json(
            snapshot.users(),
            project.program.policy.zone,
            world.as_ref(),
        ))?,
        _ => print_out(&report.show(cx.lang_of(&project)))?,
    }
    Ok(u8::from(!report.is_complete()))
}

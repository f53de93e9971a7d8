//! `tagcast plan`: the funnel of every campaign, before anything happens.

use crate::cli::args::{OutputFormat, PlanArgs};
use crate::cli::output::{Context, print_json, print_out};
use crate::engine::eval_data::EvalData;
use crate::engine::saved_plan::SavedPlan;
use crate::engine::{Failure, planning};
use crate::msg;

pub fn run(cx: &Context, args: &PlanArgs) -> Result<u8, Failure> {
    let format = cx.format(&[OutputFormat::Human, OutputFormat::Json])?;
    let cx = cx.for_path(args.path.as_deref())?;
    super::sync::fill_if_empty(&cx)?;
    let store = cx.store_dir();
    let (project, snapshot) = cx.load_data(&[])?;
    cx.require_sound(&project)?;
    let data = EvalData::gather(&project, snapshot, &store, cx.now(&project), &cx.world())?;
    let plan = planning::plan(&project, &data, &store, None, &cx.world())?;
    match format {
        OutputFormat::Json => print_json(&plan.json(&project))?,
        _ => print_out(&plan.show(&project, cx.lang_of(&project)))?,
    }
    if let Some(file) = &args.out {
        let saved = SavedPlan::of(
            &plan,
            &project,
            &cx.global.program,
            &data.snapshot,
            cx.world().as_ref(),
        );
        let text = serde_json::to_string_pretty(&saved).map_err(|e| {
            Failure::new(msg!("the plan cannot be written: {e}", "无法写出计划：{e}"))
        })?;
        super::fmt::replace_file(file, &format!("{text}\n"))?;
        let shown = file.display();
        cx.say(&msg!(
            "wrote `{shown}`; `tagcast apply {shown}` makes it live",
            "已写出 `{shown}`；运行 `tagcast apply {shown}` 使其生效"
        ));
    }
    Ok(0)
}

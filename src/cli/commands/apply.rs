//! `tagcast apply`: makes exactly a saved plan live.

use crate::cli::args::{ApplyArgs, OutputFormat};
use crate::cli::output::Context;
use crate::engine::eval_data::EvalData;
use crate::engine::saved_plan::SavedPlan;
use crate::engine::{Failure, planning};
use crate::msg;

pub fn run(cx: &Context, args: &ApplyArgs) -> Result<u8, Failure> {
    cx.format(&[OutputFormat::Human])?;
    let saved = SavedPlan::read(&args.file)?;
    let cx = cx.for_path(Some(&saved.path))?;
    let store = cx.store_dir();
    let (project, snapshot) = cx.load_data(&[])?;
    cx.require_sound(&project)?;
    let now = cx.now(&project);
    let data = EvalData::gather(&project, snapshot, &store, now, &cx.world())?;
    let plan = planning::plan(&project, &data, &store, None, &cx.world())?;
    let ids = saved.apply(&plan, &project, &store, args.max_drift, now, &cx.world())?;
    let names: Vec<&str> = ids
        .iter()
        .map(|id| project.program.campaign(*id).declared.name.as_str())
        .collect();
    let names = names.join(", ");
    cx.say(&msg!(
        "live: {names}; `tagcast run` runs what is due",
        "已生效：{names}；运行 `tagcast run` 执行到期的活动"
    ));
    Ok(0)
}

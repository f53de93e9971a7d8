//! `tagcast why`: the condition with this user's values, and the gate that decided.

use crate::cli::args::{Format, WhyArgs};
use crate::cli::output::{Context, print_json, print_out};
use crate::engine::data::Data;
use crate::engine::{Failure, why};
use crate::msg;

pub fn run(cx: &Context, args: &WhyArgs) -> Result<u8, Failure> {
    let format = cx.format(&[Format::Human, Format::Json])?;
    let store = cx.store_dir();
    let (project, snapshot) = cx.load_data(&[])?;
    cx.require_sound(&project)?;
    let name = &args.campaign;
    let Some(campaign) = project.program.campaign_named(name) else {
        let near = project.program.campaigns.iter().map(|c| c.declared.name.as_str()).min_by_key(|n| strsim::damerau_levenshtein(n, name));
        let failure = Failure::refused(msg!("no campaign is named `{name}`", "没有名为 `{name}` 的活动"));
        return Err(match near {
            Some(near) => failure.help(msg!("did you mean `{near}`?", "是否想要 `{near}`?")),
            None => failure,
        });
    };
    // The id is what the user typed; it is shown to nobody else.
    let Some(user) = snapshot.user_no(&args.user) else {
        return Err(Failure::refused(msg!("the store has no user with this id", "数据中没有此编号的用户")));
    };
    let data = Data::gather(&project, snapshot, &store, cx.now(&project), &cx.world())?;
    let why = why::why(&project, &data, &store, campaign, user, &cx.world())?;
    match format {
        Format::Json => print_json(&why.json(&project))?,
        _ => print_out(&why.show(&project, cx.lang_of(&project)))?,
    }
    Ok(0)
}

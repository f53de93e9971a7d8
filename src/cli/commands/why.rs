//! `tagcast why`: the condition with this user's values, and the gate that decided.

use crate::base::{CampaignId, UserNo};
use crate::cli::args::{OutputFormat, WhyArgs};
use crate::cli::output::{Context, print_json, print_out};
use crate::engine::eval_data::EvalData;
use crate::engine::{Failure, Project, explain_user};
use crate::msg;
use crate::store::Snapshot;

pub fn run(cx: &Context, args: &WhyArgs) -> Result<u8, Failure> {
    let format = cx.format(&[OutputFormat::Human, OutputFormat::Json])?;
    let store = cx.store_dir();
    let (project, snapshot) = cx.load_data(&[])?;
    cx.require_sound(&project)?;
    let campaign = campaign_named(&project, &args.campaign)?;
    let user = user_with_id(&snapshot, &args.user)?;
    let data = EvalData::gather(&project, snapshot, &store, cx.now(&project), &cx.world())?;
    let why = explain_user::why(&project, &data, &store, campaign, user, &cx.world())?;
    match format {
        OutputFormat::Json => print_json(&why.json(&project))?,
        _ => print_out(&why.show(&project, cx.lang_of(&project)))?,
    }
    Ok(0)
}

/// The campaign that a person names.
pub fn campaign_named(project: &Project, name: &str) -> Result<CampaignId, Failure> {
    if let Some(campaign) = project.program.campaign_named(name) {
        return Ok(campaign);
    }
    let near = project
        .program
        .campaigns
        .iter()
        .map(|c| c.declared.name.as_str())
        .min_by_key(|n| strsim::damerau_levenshtein(n, name));
    let failure = Failure::refused(msg!(
        "no campaign is named `{name}`",
        "没有名为 `{name}` 的活动"
    ));
    Err(match near {
        Some(near) => failure.help(msg!("did you mean `{near}`?", "是否想要 `{near}`？")),
        None => failure,
    })
}

/// The user that a person names. The id is what was typed; it is shown to nobody else.
pub fn user_with_id(snapshot: &Snapshot, id: &str) -> Result<UserNo, Failure> {
    snapshot.user_no(id).ok_or_else(|| {
        Failure::refused(msg!(
            "the store has no user with this id",
            "数据中没有此编号的用户"
        ))
    })
}

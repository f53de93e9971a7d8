//! One real message to a named person: to see it on a phone before many get it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant as Monotonic};

use super::eval_data::EvalData;
use super::message_preview::sends;
use super::{Failure, Project, binding};
use crate::base::Msg;
use crate::base::world::World;
use crate::base::{Bitmap, CampaignId, UserNo};
use crate::decide::decision::Rendered;
use crate::decide::history::History;
use crate::decide::render::{address_of, render, render_one};
use crate::deliver::channel::NextAction;
use crate::ledger::{Batch, BatchOutcome, Console, Ledger, Message, RunId, State, Verdict};
use crate::msg;
use crate::program::typed::{ChannelName, Send};

/// A request begins so soon after its claim or not at all.
const BEGIN_WITHIN: Duration = Duration::from_secs(5);

/// Which of a campaign's messages, and to whom.
pub struct TestSendRequest<'a> {
    pub campaign: CampaignId,
    /// A user's id, or an address of the channel.
    pub to: &'a str,
    /// `ACCOUNT.ENDPOINT`; the first that reaches the user, unless said.
    pub via: Option<&'a str>,
    pub arm: Option<&'a str>,
    pub step: Option<&'a str>,
    pub who: &'a str,
}

pub struct TestSendReport {
    pub channel: ChannelName,
    /// Its account is not bound: it became a line of the sandbox's file.
    pub sandbox: bool,
    pub state: State,
    pub reason: Option<String>,
    /// What a person has to do first.
    pub why: Option<Msg>,
}

/// Sends it, recorded in the ledger as a test: outside runs and caps.
///
/// # Errors
/// A campaign, channel or user that is not there, a value that is missing, a ledger that cannot be
/// written.
pub fn send_test(
    project: &Project,
    data: &EvalData,
    store: &Path,
    wanted: &TestSendRequest,
    world: &Arc<dyn World>,
) -> Result<TestSendReport, Failure> {
    let program = &project.program;
    let campaign = program.campaign(wanted.campaign);
    let name = &campaign.declared.name;
    let all = sends(campaign);
    let chosen = all.iter().find(|(step, arm, _)| {
        step.as_deref() == wanted.step
            && wanted
                .arm
                .is_none_or(|wanted| arm.as_deref() == Some(wanted))
    });
    let Some((step, arm, send)) = chosen else {
        let there: Vec<String> = all
            .iter()
            .map(|(step, arm, _)| {
                format!(
                    "{}{}",
                    step.as_deref().unwrap_or(name),
                    arm.as_ref().map_or(String::new(), |a| format!(" / {a}"))
                )
            })
            .collect();
        let there = there.join(", ");
        return Err(Failure::refused(msg!(
            "`{name}` sends nothing in this step and arm; there are: {there}",
            "`{name}` 在此步骤和分组中不发送消息；可选：{there}"
        )));
    };
    let via = send.via.as_ref().unwrap_or(&campaign.via);
    let user = data.snapshot.user_no(wanted.to);
    let scope = data.scope(program);
    let mut reached = None;
    for route in via.routes.iter().filter(|r| {
        wanted
            .via
            .is_none_or(|wanted| r.channel.to_string() == wanted)
    }) {
        let address = match user {
            Some(user) => address_of(&scope, route.address, user).map_err(Failure::from)?,
            None => Some(wanted.to.into()),
        };
        if let Some(address) = address {
            reached = Some((route.channel.clone(), address));
            break;
        }
    }
    let Some((channel, address)) = reached else {
        return Err(Failure::refused(msg!(
            "no channel of `{name}` reaches this user (or none is named so)",
            "`{name}` 的渠道无法触达该用户（或没有此渠道）"
        )));
    };
    let content = content(data, project, send, user)?;
    let mut console = console(project, store, world)?;
    if let Some(user) = user
        && console
            .reader()
            .opted_out(data.snapshot.user_count())?
            .contains(user)
    {
        return Err(Failure::refused(msg!(
            "this user wants no messages",
            "该用户已退订"
        )));
    }
    let channels = binding::channels(project, store, world)?;
    let now = world.now();
    let template = &program.template(send.template).declared.name;
    let begin_by = Monotonic::now() + BEGIN_WITHIN;
    let trial = console
        .operator()
        .claim_trial(name, template, &channel, user, wanted.who, now)?;
    let batch = Batch {
        key: trial.key.clone(),
        run: RunId(0),
        campaign: name.clone(),
        step: step.clone().unwrap_or_else(|| name.clone()),
        arm: arm.clone(),
        template: template.clone(),
        channel: channel.clone(),
        zone: program.policy.zone,
        at: now,
        begin_by: Some(begin_by),
        messages: vec![Message {
            key: trial.key.clone(),
            user: user.unwrap_or(UserNo(u32::MAX)),
            user_id: wanted.to.into(),
            address,
            content,
        }],
    };
    let reply = channels.of(&channel).send_test(&batch);
    let verdict = match reply.answer {
        BatchOutcome::Taken(mut verdicts) => verdicts.pop().unwrap_or_else(|| Verdict::Unknown {
            reason: "no answer".into(),
        }),
        BatchOutcome::Refused { reason } => Verdict::Refused {
            reason,
            because: crate::ledger::Refusal::Message,
        },
        BatchOutcome::Unknown { reason } => Verdict::Unknown { reason },
        BatchOutcome::NotSent { reason } => Verdict::NotSent { reason },
    };
    let state = console
        .operator()
        .answer_trial(trial, &verdict, world.now())?;
    let why = match reply.then {
        NextAction::GoOn => None,
        NextAction::Wait { why, .. } | NextAction::Stop { why } => Some(why),
    };
    let sandbox = !project.config.accounts.contains_key(&channel.account);
    Ok(TestSendReport {
        channel,
        sandbox,
        state,
        reason: verdict.reason().map(str::to_string),
        why,
    })
}

/// The user's message; of an address that is no user's, the longest.
fn content(
    data: &EvalData,
    project: &Project,
    send: &Send,
    user: Option<UserNo>,
) -> Result<Arc<Rendered>, Failure> {
    let scope = data.scope(&project.program);
    let found = match user {
        Some(user) => render_one(&scope, send.template, user).map_err(Failure::from)?,
        None => {
            let users = Bitmap::all(data.snapshot.user_count());
            let texts = render(&scope, send.template, &users)
                .map_err(Failure::from)?
                .all;
            let length = |m: &Rendered| {
                m.parts
                    .iter()
                    .map(|(_, text)| text.chars().count())
                    .sum::<usize>()
            };
            texts.into_iter().max_by(|a, b| {
                length(a)
                    .cmp(&length(b))
                    .then_with(|| b.parts.cmp(&a.parts))
            })
        }
    };
    found.ok_or_else(|| {
        Failure::refused(msg!(
            "a value in the message is missing, so it cannot be sent",
            "消息中有值缺失，无法发送"
        ))
        .help(msg!(
            "`tagcast preview` shows which",
            "`tagcast preview` 会显示是哪一个"
        ))
    })
}

/// The ledger beside whoever is at work with it; made where there is none.
fn console(project: &Project, store: &Path, world: &Arc<dyn World>) -> Result<Console, Failure> {
    let path = project.config.ledger(store)?;
    if let Some(console) = Console::open(&path, world.clone())? {
        return Ok(console);
    }
    drop(Ledger::open(&path, world.clone())?);
    Console::open(&path, world.clone())?.ok_or_else(|| {
        Failure::new(msg!(
            "the ledger that was just made is not there",
            "刚创建的账本不存在"
        ))
    })
}

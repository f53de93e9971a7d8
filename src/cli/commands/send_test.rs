//! `tagcast send-test`: one real message to a named person.

use serde_json::json;

use crate::cli::args::{OutputFormat, SendTestArgs};
use crate::cli::output::{Context, print_json};
use crate::engine::Failure;
use crate::engine::eval_data::EvalData;
use crate::engine::test_message::{TestSendRequest, send_test};
use crate::ledger::State;
use crate::msg;

pub fn run(cx: &Context, args: &SendTestArgs) -> Result<u8, Failure> {
    let format = cx.format(&[OutputFormat::Human, OutputFormat::Json])?;
    if cx.global.now.is_some() {
        return Err(Failure::new(msg!(
            "send-test sends at once, for real: leave out --now",
            "send-test 会立即真实发送：请去掉 --now"
        )));
    }
    super::sync::fill_if_empty(cx)?;
    let store = cx.store_dir();
    std::fs::create_dir_all(&store).map_err(|e| Failure::io(&store, &e))?;
    let (project, snapshot) = cx.load_data(&[])?;
    cx.require_sound(&project)?;
    let campaign = super::why::campaign_named(&project, &args.campaign)?;
    let data = EvalData::gather(&project, snapshot, &store, cx.now(&project), &cx.world())?;
    let who = super::hold::who(args.by.as_deref());
    let wanted = TestSendRequest {
        campaign,
        to: &args.to,
        via: args.via.as_deref(),
        arm: args.arm.as_deref(),
        step: args.step.as_deref(),
        who: &who,
    };
    let sent = send_test(&project, &data, &store, &wanted, &cx.world())?;
    let (channel, state) = (&sent.channel, sent.state.name());
    if format == OutputFormat::Json {
        let why = sent.why.as_ref().map(|m| m.en.clone());
        print_json(&json!({
            "channel": channel.to_string(), "sandbox": sent.sandbox, "state": state, "reason": sent.reason, "why": why,
        }))?;
    } else {
        if sent.sandbox {
            cx.say(&msg!(
                "`{channel}` is not bound in `tagcast.toml`: the message became a line of the sandbox's file",
                "`{channel}` 未在 tagcast.toml 中绑定：消息写入沙箱文件"
            ));
        }
        let reason = sent
            .reason
            .as_ref()
            .map_or(String::new(), |r| format!(" ({r})"));
        cx.say(&msg!(
            "{state} by `{channel}`{reason}",
            "`{channel}`：{state}{reason}"
        ));
        if let Some(why) = &sent.why {
            cx.say(why);
        }
    }
    Ok(u8::from(!matches!(
        sent.state,
        State::Accepted | State::Waiting
    )))
}

//! The state of a ledger: what is held back, what is left to send and until when, what is unknown,
//! and what tagcast promises.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::agenda::{self, SchedulePosition};
use super::planning::schedule_record;
use super::{Failure, Project};
use crate::base::Lang;
use crate::base::value::{count_of, group_digits};
use crate::base::{Elapsed, Instant, Zone};
use crate::decide::load::{AccountLoad, about};
use crate::deliver::quota;
use crate::ledger::{
    Backlog, Hold, HoldScope, LedgerLocation, LedgerReader, MailboxState, MissedInstant, RateLimit,
    RunReport, State, Trouble, UnknownBatch,
};
use crate::program::platform;
use crate::program::typed::{ChannelName, Schedule};

/// What tagcast answers for, word for word as the README says it.
pub const PROMISE: &str = "Nothing is sent without a durable claim. Tagcast never repeats a send unless the platform itself refuses the duplicate, or there is proof that the first did not arrive. Every planned message ends with an outcome or is listed as unknown. Lost means neither sent nor listed: 0 on every channel. Doubled means accepted twice: 0 on every channel, as far as the platform keeps the key rule its platform file states. Unknown cannot be 0 where there is no key: after a crash at most the calls in flight (default 64 an account), plus each call whose answer was cut off. A person who resends an unknown takes the risk knowingly. \"Accepted\" is not \"delivered\". This holds if the disk honours fsync and the ledger is not rolled back; a rolled-back ledger opens fenced.";

const PROMISE_ZH: &str = "没有持久化的认领就不发送。除非平台自己拒绝重复，或有证据表明第一次没有到达，tagcast 绝不重复发送。每条计划的消息都有结局，或列为未知。丢失（既未发送也未列出）：所有渠道为 0。重复（被接受两次）：所有渠道为 0，以平台遵守其说明所述的去重规则为前提。没有去重键的渠道，未知不可能为 0：崩溃后最多为在途的调用（每个账号默认 64 个），加上答复中断的每次调用。由人重发未知消息，即知情承担风险。“已接受”不等于“已送达”。前提是磁盘遵守 fsync 且账本未被回滚；被回滚的账本会被拦住。";

/// The state of a ledger, as of an instant.
pub struct Status {
    pub now: Instant,
    pub zone: Zone,
    /// A process runs campaigns at this moment.
    pub at_work: bool,
    /// The ledger is older than the messages sent with it.
    pub fenced: bool,
    pub holds: Vec<Hold>,
    pub campaigns: Vec<CampaignStatus>,
    /// Those that are not finished, and the latest of each campaign.
    pub runs: Vec<RunReport>,
    pub unknown: Vec<UnknownBatch>,
    /// Channels whose platform is asked what became of messages: of how many lists, and when the
    /// next time.
    pub asks: BTreeMap<String, (usize, Instant)>,
    /// What platforms keep until it is fetched, and how far it has been.
    pub mailboxes: Vec<MailboxState>,
    pub channels: Vec<PendingWork>,
    pub missed: Vec<MissedInstant>,
}

/// A campaign that is live or was.
pub struct CampaignStatus {
    pub name: String,
    pub live: bool,
    /// `None` also where the program at hand does not have it.
    pub next: Option<Instant>,
    pub waits: i64,
    pub held_up: Vec<BlockedMessages>,
}

/// Planned messages of a campaign that cannot be sent, as the process says that found it
/// out.
pub struct BlockedMessages {
    pub trouble: Trouble,
    pub since: Instant,
    pub messages: i64,
}

/// What is left to do on a channel.
pub struct PendingWork {
    pub backlog: Backlog,
    pub load: AccountLoad,
    /// The account's windows, and how much of each is used up.
    pub quotas: Vec<(RateLimit, i64)>,
}

impl Status {
    /// `None` when nothing was ever planned. The project, where it loads, says when campaigns are
    /// due next.
    ///
    /// # Errors
    /// A ledger that cannot be read.
    pub fn read(
        ledger: &LedgerLocation,
        project: Option<&Project>,
        now: Instant,
    ) -> Result<Option<Status>, Failure> {
        let Some(ledger) = LedgerReader::open(ledger)? else {
            return Ok(None);
        };
        let troubles = ledger.troubles()?;
        let planned = if troubles.is_empty() {
            Vec::new()
        } else {
            ledger.planned()?
        };
        let mut campaigns = Vec::new();
        for name in ledger.campaigns()? {
            let place = schedule_record(&ledger, &name)?;
            let known = project.and_then(|p| Some((p, p.program.campaign_named(&name)?)));
            let next = known.and_then(|(p, id)| {
                match agenda::schedule_position(&p.program, p.program.campaign(id), place, now) {
                    // It may be any minute: that depends on the users.
                    SchedulePosition::Next(_)
                        if matches!(p.program.campaign(id).schedule, Schedule::OwnTime(_)) =>
                    {
                        None
                    }
                    SchedulePosition::Next(at) => Some(at),
                    SchedulePosition::Over | SchedulePosition::Triggered => None,
                }
            });
            let (waits, ends) = ledger.waits(&name)?;
            let held_up = held_up(&name, &troubles, &planned);
            campaigns.push(CampaignStatus {
                live: place.live_since.is_some(),
                next: next.or(ends),
                waits,
                held_up,
                name,
            });
        }
        let mut runs = Vec::new();
        for run in ledger.latest_runs()? {
            runs.extend(ledger.report(run)?);
        }
        let mut channels = Vec::new();
        for backlog in ledger.backlog()? {
            let endpoint = platform::endpoint(&backlog.channel.platform, &backlog.channel.endpoint);
            let mut quotas = Vec::new();
            for limit in endpoint
                .map(|e| quota::limits(e, &backlog.channel, now))
                .unwrap_or_default()
            {
                let used = ledger.used(&limit)?;
                quotas.push((limit, used));
            }
            channels.push(PendingWork {
                load: AccountLoad::of(&backlog.channel, &backlog.segments, None),
                quotas,
                backlog,
            });
        }
        let at_work = ledger.is_at_work()?;
        let mut unknown = ledger.stuck()?;
        unknown.retain(|stuck| !(at_work && stuck.in_flight));
        Ok(Some(Status {
            now,
            zone: project.map_or(Zone::SHANGHAI, |p| p.program.policy.zone),
            at_work,
            fenced: ledger.is_fenced()?,
            holds: ledger.holds()?,
            campaigns,
            runs,
            unknown,
            channels,
            asks: asks(&ledger)?,
            mailboxes: ledger.mailboxes()?,
            missed: ledger.missed()?,
        }))
    }

    /// Whether a person has something to do: settle what nobody knows, put an account right, or see
    /// to an old copy.
    pub fn needs_a_person(&self) -> bool {
        let held_up = self.campaigns.iter().flat_map(|campaign| &campaign.held_up);
        self.fenced
            || !self.unknown.is_empty()
            || held_up
                .into_iter()
                .any(|held_up| held_up.trouble.needs_a_person)
    }

    pub fn json(&self) -> Value {
        let at = |at: Instant| self.zone.show_rfc3339(at);
        json!({
            "now": at(self.now),
            "at_work": self.at_work,
            "fenced": self.fenced,
            "holds": self.holds.iter().map(|h| {
                json!({"of": h.scope, "cancelled": h.cancelled, "at": at(h.at), "by": h.who})
            }).collect::<Vec<_>>(),
            "campaigns": self.campaigns.iter().map(|c| {
                json!({"campaign": c.name, "live": c.live, "next": c.next.map(at), "waits": c.waits, "held_up": c.held_up.iter().map(|h| json!({
                    "account": h.trouble.account, "endpoint": h.trouble.endpoint, "messages": h.messages, "since": at(h.since),
                    "until": h.trouble.until.map(at), "needs_a_person": h.trouble.needs_a_person,
                    "why": {"en": h.trouble.why.en, "zh": h.trouble.why.zh},
                })).collect::<Vec<_>>()})
            }).collect::<Vec<_>>(),
            "runs": self.runs,
            "unknown": self.unknown.iter().map(|s| unknown_json(s, self.zone)).collect::<Vec<_>>(),
            "channels": self.channels.iter().map(|w| json!({
                "channel": w.backlog.channel.to_string(),
                "messages": w.backlog.messages(),
                "calls": w.load.calls,
                "seconds": w.load.takes.0 / Elapsed::seconds(1).0,
                "quotas": w.quotas.iter().map(|(limit, used)| json!({
                    "of": limit.holder, "most": limit.most, "used": used, "left": (limit.most - used).max(0), "until": at(limit.ends),
                })).collect::<Vec<_>>(),
            })).collect::<Vec<_>>(),
            "asks": self.asks.iter().map(|(channel, (lists, next))| {
                json!({"channel": channel, "lists": lists, "next": at(*next)})
            }).collect::<Vec<_>>(),
            "mailboxes": self.mailboxes.iter().map(|m| {
                json!({"account": m.account, "mailbox": m.name, "read_at": m.read_at.map(at)})
            }).collect::<Vec<_>>(),
            "missed": self.missed.iter().map(|m| json!({"campaign": m.campaign, "due": at(m.due)})).collect::<Vec<_>>(),
            "promise": PROMISE,
        })
    }

    pub fn show(&self, lang: Lang) -> String {
        let zh = lang == Lang::Zh;
        let word = |en: &'static str, cn: &'static str| if zh { cn } else { en };
        let mut out = String::new();
        if self.fenced {
            let _ = writeln!(
                out,
                "{}",
                word(
                    "FENCED: this ledger is older than the messages sent with it, nothing is sent: `tagcast resolve --after-restore`",
                    "已拦住：账本比用它完成的发送更旧，不会发送任何消息：`tagcast resolve --after-restore`"
                )
            );
        }
        let _ = writeln!(
            out,
            "{}",
            if self.at_work {
                word("a process is carrying campaigns out", "有进程正在执行活动")
            } else {
                word("no process is carrying campaigns out", "没有进程在执行活动")
            }
        );
        for hold in &self.holds {
            let (what, by, at) = (
                scope_text(&hold.scope, zh),
                &hold.who,
                self.zone.show(hold.at),
            );
            let _ = writeln!(
                out,
                "{}",
                match (hold.cancelled, zh) {
                    (false, false) => format!("paused: {what}, by {by} at {at}"),
                    (true, false) => format!("cancelled: {what}, by {by} at {at}"),
                    (false, true) => format!("已暂停：{what}（{by}，{at}）"),
                    (true, true) => format!("已取消：{what}（{by}，{at}）"),
                }
            );
        }
        self.show_campaigns(&mut out, zh);
        self.show_channels(&mut out, zh);
        for (channel, (lists, next)) in &self.asks {
            let next = self.zone.show(*next);
            let _ = writeln!(
                out,
                "\n{}",
                if zh {
                    format!("将向 {channel} 查询 {lists} 次发送的结果，下次查询：{next}")
                } else {
                    format!(
                        "{channel} is asked what became of {}, next at {next}",
                        count_of(*lists, "list")
                    )
                }
            );
        }
        for MailboxState {
            account, read_at, ..
        } in &self.mailboxes
        {
            let until = read_at.map(|at| self.zone.show(at));
            let _ = writeln!(
                out,
                "\n{}",
                match (until, zh) {
                    (Some(until), false) =>
                        format!("what users of {account} write is known up to {until}"),
                    (Some(until), true) => format!("{account} 用户的来信已读取至 {until}"),
                    (None, false) =>
                        format!("what users of {account} write is being read for the first time"),
                    (None, true) => format!("正在首次读取 {account} 用户的来信"),
                }
            );
        }
        if !self.unknown.is_empty() {
            let _ = writeln!(
                out,
                "\n{}",
                word("unknown: sent or not", "未知：是否已发送无人知晓")
            );
            for stuck in &self.unknown {
                let _ = writeln!(out, "{}", unknown_line(stuck, self.zone, zh));
            }
            let _ = writeln!(
                out,
                "  {}",
                word(
                    "the next run looks them up where the channel can; `tagcast resolve NUMBER --sent|--not-sent --by NAME` settles one",
                    "渠道支持时下次运行会核实；`tagcast resolve 编号 --sent|--not-sent --by 姓名` 由人认定"
                )
            );
        }
        let _ = writeln!(out, "\n{}", wrap(if zh { PROMISE_ZH } else { PROMISE }));
        out
    }

    fn show_campaigns(&self, out: &mut String, zh: bool) {
        for campaign in &self.campaigns {
            let _ = writeln!(out, "\n{}", campaign.name);
            if let Some(at) = campaign.next {
                let at = self.zone.show(at);
                let _ = writeln!(
                    out,
                    "  {}",
                    if zh {
                        format!("下次到期：{at}")
                    } else {
                        format!("due next: {at}")
                    }
                );
            }
            if campaign.waits > 0 {
                let n = group_digits(campaign.waits.unsigned_abs());
                let _ = writeln!(
                    out,
                    "  {}",
                    if zh {
                        format!("等待中的用户：{n}")
                    } else {
                        format!("users it waits for: {n}")
                    }
                );
            }
            for held_up in &campaign.held_up {
                let _ = writeln!(out, "  {}", self.held_up_line(held_up, zh));
            }
            for run in self.runs.iter().filter(|r| r.campaign == campaign.name) {
                let (number, due) = (run.run.0, self.zone.show(run.due_at));
                let step = if run.step == 0 {
                    String::new()
                } else {
                    format!(" {}", run.name)
                };
                let open = match (run.finished_at.is_some(), zh) {
                    (true, false) => "finished",
                    (false, false) => "open",
                    (true, true) => "已完成",
                    (false, true) => "进行中",
                };
                let planned = group_digits(run.planned.unsigned_abs());
                let states = State::ALL
                    .into_iter()
                    .filter_map(|state| Some((state, run.in_state(state))).filter(|(_, n)| *n > 0))
                    .map(|(state, n)| {
                        format!("{} {}", group_digits(n.unsigned_abs()), state.name())
                    });
                let states = states.collect::<Vec<_>>().join(", ");
                let _ = writeln!(
                    out,
                    "  {}",
                    if zh {
                        format!(
                            "运行 {number}{step}，{due} 到期：{open}；{planned} 条消息：{states}"
                        )
                    } else {
                        format!(
                            "run {number}{step}, due {due}: {open}; {}: {states}",
                            count_of(run.planned, "message")
                        )
                    }
                );
            }
            for missed in self.missed.iter().filter(|m| m.campaign == campaign.name) {
                let due = self.zone.show(missed.due);
                let _ = writeln!(
                    out,
                    "  {}",
                    if zh {
                        format!("错过了 {due}")
                    } else {
                        format!("missed {due}")
                    }
                );
            }
        }
    }

    fn held_up_line(&self, held_up: &BlockedMessages, zh: bool) -> String {
        let BlockedMessages {
            trouble,
            since,
            messages,
        } = held_up;
        let (n, since) = (
            group_digits(messages.unsigned_abs()),
            self.zone.show(*since),
        );
        let again = match trouble
            .until
            .filter(|_| trouble.needs_a_person)
            .map(|until| self.zone.show(until))
        {
            None => String::new(),
            Some(_) if !self.at_work && zh => "；改正后请重新运行".into(),
            Some(_) if !self.at_work => "; run again when it is put right".into(),
            Some(until) if zh => format!("；改正后由服务自动继续，最迟 {until} 重试"),
            Some(until) => {
                format!(
                    "; a service continues when the settings change, and tries again at {until}"
                )
            }
        };
        match (zh, messages) {
            (true, _) => format!("{n} 条消息自 {since} 起等待：{}{again}", trouble.why.zh),
            (false, 1) => format!(
                "1 message has been waiting since {since}: {}{again}",
                trouble.why.en
            ),
            (false, _) => format!(
                "{n} messages have been waiting since {since}: {}{again}",
                trouble.why.en
            ),
        }
    }

    fn show_channels(&self, out: &mut String, zh: bool) {
        for work in &self.channels {
            let PendingWork {
                backlog,
                load,
                quotas,
            } = work;
            let (channel, n, calls) = (
                &backlog.channel,
                group_digits(backlog.messages() as u64),
                group_digits(load.calls),
            );
            let takes = about(load.takes, zh);
            let _ = writeln!(
                out,
                "\n{}",
                if zh {
                    format!("{channel}：还有 {n} 条消息，{calls} 次调用，按其限额约需 {takes}")
                } else {
                    let (messages, calls) = (
                        count_of(backlog.messages(), "message"),
                        count_of(load.calls, "call"),
                    );
                    format!("{channel}: {messages} left, {calls}, about {takes} under its limits")
                }
            );
            for (limit, used) in quotas {
                let (holder, most, left, ends) = (
                    &limit.holder,
                    limit.most,
                    (limit.most - used).max(0),
                    self.zone.show(limit.ends),
                );
                let _ = writeln!(
                    out,
                    "  {}",
                    if zh {
                        format!("{holder}：剩余 {left}/{most}，至 {ends}")
                    } else {
                        format!("{holder}: {left} of {most} left until {ends}")
                    }
                );
            }
        }
    }
}

fn scope_text(scope: &HoldScope, zh: bool) -> String {
    match (scope, zh) {
        (HoldScope::All, false) => "everything".into(),
        (HoldScope::All, true) => "全部".into(),
        (HoldScope::Campaign(name), false) => format!("campaign `{name}`"),
        (HoldScope::Campaign(name), true) => format!("活动 `{name}`"),
        (HoldScope::Account(name), false) => format!("account `{name}`"),
        (HoldScope::Account(name), true) => format!("账号 `{name}`"),
    }
}

/// What keeps messages of a campaign, and how many.
fn held_up(
    campaign: &str,
    troubles: &[(Trouble, Instant)],
    planned: &[(String, ChannelName, i64)],
) -> Vec<BlockedMessages> {
    let held_up = troubles.iter().map(|(trouble, since)| {
        let kept = planned
            .iter()
            .filter(|(of, channel, _)| of == campaign && trouble.concerns(campaign, channel));
        BlockedMessages {
            trouble: trouble.clone(),
            since: *since,
            messages: kept.map(|(_, _, n)| n).sum(),
        }
    });
    held_up.filter(|held_up| held_up.messages > 0).collect()
}

/// The next question of each channel, and how many there are.
fn asks(ledger: &LedgerReader) -> Result<BTreeMap<String, (usize, Instant)>, Failure> {
    let mut asks = BTreeMap::new();
    for ask in ledger.asks()? {
        asks.entry(ask.channel.to_string())
            .or_insert((0, ask.due))
            .0 += 1;
    }
    Ok(asks)
}

/// A message whose outcome is unknown, on one line.
pub fn unknown_line(stuck: &UnknownBatch, zone: Zone, zh: bool) -> String {
    let UnknownBatch {
        batch,
        run,
        campaign,
        channel,
        messages,
        claimed_at,
        in_flight: _,
        reason,
    } = stuck;
    let (run, at) = (run.0, zone.show(*claimed_at));
    let reason = reason.as_ref().map_or(String::new(), |r| format!(" ({r})"));
    if zh {
        format!(
            "  编号 {batch}：{campaign}（运行 {run}）经 {channel} 的 {messages} 条消息，{at} 交出{reason}"
        )
    } else {
        let messages = count_of(*messages, "message");
        format!(
            "  number {batch}: {messages} of {campaign} (run {run}) by {channel}, sent at {at}{reason}"
        )
    }
}

pub fn unknown_json(stuck: &UnknownBatch, zone: Zone) -> Value {
    json!({
        "number": stuck.batch, "run": stuck.run, "campaign": stuck.campaign, "channel": stuck.channel.to_string(),
        "messages": stuck.messages, "at": zone.show_rfc3339(stuck.claimed_at), "reason": stuck.reason,
    })
}

/// Lines of at most 100 columns, broken between words; Chinese is left as it is.
fn wrap(text: &str) -> String {
    const WIDTH: usize = 100;
    let mut out = String::new();
    let mut line = 0;
    for word in text.split(' ') {
        if line > 0 && line + 1 + word.len() > WIDTH {
            out.push('\n');
            line = 0;
        } else if line > 0 {
            out.push(' ');
            line += 1;
        }
        out.push_str(word);
        line += word.len();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The promise stands in the README in the same words.
    #[test]
    fn the_readme_says_the_same() {
        let readme = include_str!("../../README.md").replace('*', "");
        let plain = readme.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(plain.contains(PROMISE), "README.md and `status` differ");
    }
}

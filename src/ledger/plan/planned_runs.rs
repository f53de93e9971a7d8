//! Planning: what was decided is frozen, in one transaction, before anything of it is sent.
//!
//! Runs that are due together are planned together. A run is one campaign and one occasion;
//! planning it again is answered with the run that is there, whatever the program says by then.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::ledger::access::core::LedgerReader;
use crate::ledger::access::views::Planner;
use crate::ledger::sql::{Connection, OptionalExtension, params};

use crate::base::world::World;
use crate::base::{Bitmap, Date, Instant, UserNo, Zone};
use crate::decide::decision::{Contents, Decision, Gate, MessageGroup, Rendered, SlotTransfer};
use crate::ledger::error::LedgerError;
use crate::ledger::ids::RunId;
use crate::ledger::rows::blob::Blob;
use crate::ledger::rows::encode::{self, NO_SALT, salt};
use crate::ledger::rows::record::{
    ArmMembers, PlanRecord, Record, ReplanRecord, Segment, StoppedRecord, purpose_name,
};
use crate::ledger::rows::send_limits::SendLimits;
use crate::ledger::sql::ledger_tables;
use crate::msg;
use crate::program::platform::{self, HandOver};
use crate::program::run_outcome::RunOutcome;
use crate::program::typed::Program;

/// Most members of a segment whose messages are sent one by one.
const MOST_SINGLE: usize = 4_096;
/// Most members of a segment that is sent as a list.
const MOST_LIST: usize = 10_000;

/// What a run is for, besides its campaign: the same occasion is never planned twice.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Occasion {
    /// The due instant of a schedule; of a follow-up, that of the first message.
    Due(Instant),
    /// The day of a schedule that counts from dates of users: whatever its time of day, a day is
    /// planned once.
    Day(Date),
    /// A trigger event, with the value that `again per` looks at.
    Event { id: String, value: Option<String> },
    /// A part of a follow-up in a run that is there: the members of one segment, whose timer sees
    /// to it that they are planned once.
    Part(RunId),
}

impl Occasion {
    /// The calendar's, so that it moves the campaign on.
    pub fn is_scheduled(&self) -> bool {
        matches!(self, Occasion::Due(_) | Occasion::Day(_))
    }

    fn text(&self) -> String {
        match self {
            Occasion::Due(at) => Zone::UTC.show_rfc3339(*at),
            Occasion::Day(day) => format!("day {day}"),
            Occasion::Event { id, .. } => event_occasion(id),
            Occasion::Part(run) => format!("run {}", run.0),
        }
    }
}

pub(in crate::ledger) fn event_occasion(id: &str) -> String {
    format!("event {id}")
}

/// What a plan was made from.
#[derive(Clone, Debug)]
pub struct RunInfo<'a> {
    pub program: &'a Program,
    pub program_digest: &'a str,
    pub snapshot_digest: &'a str,
    pub seed: u64,
    pub occasion: Occasion,
    /// When it is planned.
    pub now: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PlannedRun {
    pub run: RunId,
    /// It was there already; what was decided now is not used.
    pub before: bool,
}

impl LedgerReader {
    /// The run of a campaign and an occasion, with whether this step of it is planned.
    fn run_of(
        &self,
        campaign: &str,
        occasion: &str,
        step: i64,
    ) -> Result<Option<(i64, bool)>, LedgerError> {
        let sql = "SELECT run, EXISTS (SELECT 1 FROM step WHERE step.run = run.run AND step.step = ?) FROM run
            WHERE campaign = ? AND occasion = ?";
        let mut select = self.db.prepare_cached(sql)?;
        Ok(select
            .query_row(params![step, campaign, occasion], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?)
    }

    /// The number of a follow-up in a run: what it is called decides, for a changed program may
    /// count otherwise.
    fn number_of_step(&self, run: i64, name: &str, wanted: i64) -> Result<i64, LedgerError> {
        let sql = "SELECT step FROM step WHERE run = ? AND step > 0 AND name = ?";
        if let Some(known) = self
            .db
            .prepare_cached(sql)?
            .query_row(params![run, name], |row| row.get(0))
            .optional()?
        {
            return Ok(known);
        }
        let taken = self
            .db
            .prepare_cached("SELECT 1 FROM step WHERE run = ? AND step = ?")?
            .exists(params![run, wanted])?;
        let last: i64 = self
            .db
            .prepare_cached("SELECT max(step) FROM step WHERE run = ?")?
            .query_row([run], |row| row.get(0))?;
        Ok(if taken { last + 1 } else { wanted })
    }
}

impl Planner<'_> {
    /// Plans one run. See [`Self::plan_runs`].
    ///
    /// # Errors
    /// As there.
    pub fn plan_run(
        &mut self,
        decision: &Decision,
        info: &RunInfo,
    ) -> Result<PlannedRun, LedgerError> {
        let planned = self.plan_runs(&[(decision, info.clone())])?;
        planned
            .first()
            .copied()
            .ok_or(LedgerError::Overtaken("run planned"))
    }

    /// Plans runs that are due together: all of them or none. Those that are planned already stay
    /// as they are.
    ///
    /// # Errors
    /// When a decision does not fit together, a follow-up has no run, or the ledger cannot be
    /// written.
    pub fn plan_runs(
        &mut self,
        decisions: &[(&Decision, RunInfo)],
    ) -> Result<Vec<PlannedRun>, LedgerError> {
        let now = decisions
            .iter()
            .map(|(_, info)| info.now)
            .max()
            .unwrap_or_else(|| self.writer.world.now());
        self.plan_with(decisions, Vec::new(), Vec::new(), now)
    }

    /// Plans runs along with other changes of the decider, which come before them.
    pub(in crate::ledger) fn plan_with(
        &mut self,
        decisions: &[(&Decision, RunInfo)],
        blobs: Vec<Blob>,
        records: Vec<Record>,
        now: Instant,
    ) -> Result<Vec<PlannedRun>, LedgerError> {
        let mut next_run = self.writer.next_id("run")?;
        let mut segments = SegmentNumbers::new(&self.reader().db);
        let mut runs = Vec::new();
        let mut frozen = Frozen { records, blobs };
        // Of one occasion that is in the list twice, the first counts.
        let mut new: HashMap<(&str, String), i64> = HashMap::new();
        for (decision, info) in decisions {
            let name = &info.program.campaign(decision.campaign).declared.name;
            let step = i64::try_from(decision.step).map_err(|_| unfit("steps"))?;
            let occasion = info.occasion.text();
            let step = match &info.occasion {
                Occasion::Part(run) => {
                    self.reader()
                        .number_of_step(run.0, &step_name(decision, info)?, step)?
                }
                Occasion::Due(_) | Occasion::Day(_) | Occasion::Event { .. } => step,
            };
            let found = match (&info.occasion, new.get(&(name.as_str(), occasion.clone()))) {
                (Occasion::Part(run), _) => Some((run.0, false)),
                (Occasion::Due(_) | Occasion::Day(_) | Occasion::Event { .. }, Some(run)) => {
                    Some((*run, true))
                }
                (Occasion::Due(_) | Occasion::Day(_) | Occasion::Event { .. }, None) => {
                    self.reader().run_of(name, &occasion, step)?
                }
            };
            let run = match found {
                Some((run, true)) => {
                    runs.push(PlannedRun {
                        run: RunId(run),
                        before: true,
                    });
                    continue;
                }
                Some((run, false)) => run,
                None if step > 0 => {
                    return Err(LedgerError::Plan(msg!(
                        "a follow-up of `{name}` has no run",
                        "`{name}` 的后续步骤没有对应的执行"
                    )));
                }
                None => {
                    next_run += 1;
                    next_run - 1
                }
            };
            if step == 0 {
                new.insert((name, occasion), run);
            }
            frozen.freeze(
                decision,
                info,
                (run, step),
                &mut segments,
                self.writer.world.as_ref(),
            )?;
            runs.push(PlannedRun {
                run: RunId(run),
                before: false,
            });
        }
        if !frozen.records.is_empty() {
            self.writer
                .commit("plan", now, &frozen.blobs, &frozen.records)?;
        }
        Ok(runs)
    }
}

/// The campaign's name for its first message, else the follow-up's.
fn step_name(decision: &Decision, info: &RunInfo) -> Result<String, LedgerError> {
    let campaign = info.program.campaign(decision.campaign);
    match decision.step.checked_sub(1) {
        None => Ok(campaign.declared.name.clone()),
        Some(i) => Ok(campaign
            .steps
            .get(i)
            .ok_or_else(|| unfit("steps"))?
            .name
            .clone()),
    }
}

fn unfit(what: &str) -> LedgerError {
    LedgerError::Plan(msg!(
        "the {what} of a decision do not fit together",
        "决定中的 {what} 不一致"
    ))
}

/// As the ledger stores counts.
fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Numbers of new segments. In a database other processes make some, too; in a file one follows the
/// other.
pub(in crate::ledger) struct SegmentNumbers<'a> {
    db: &'a Connection,
    next: Option<i64>,
}

impl<'a> SegmentNumbers<'a> {
    pub fn new(db: &'a Connection) -> Self {
        SegmentNumbers { db, next: None }
    }

    pub fn take(&mut self) -> Result<i64, LedgerError> {
        let number = match (self.db, self.next) {
            (Connection::Sqlite(_), Some(next)) => next,
            _ => ledger_tables::next_id(self.db, "segment")?,
        };
        self.next = Some(number + 1);
        Ok(number)
    }
}

/// What the records of a plan are made of.
#[derive(Default)]
struct Frozen {
    records: Vec<Record>,
    blobs: Vec<Blob>,
}

/// What all segments of a step share.
struct Of<'a> {
    program: &'a Program,
    run: i64,
    step: i64,
    follows: bool,
}

impl Frozen {
    fn keep(&mut self, data: Vec<u8>) -> String {
        let blobs = Blob::new(data);
        let digest = blobs.digest.clone();
        self.blobs.push(blobs);
        digest
    }

    fn freeze(
        &mut self,
        decision: &Decision,
        info: &RunInfo,
        (run, step): (i64, i64),
        segments: &mut SegmentNumbers,
        world: &dyn World,
    ) -> Result<(), LedgerError> {
        check(decision)?;
        let program = info.program;
        let campaign = program.campaign(decision.campaign);
        let limits = SendLimits::of(campaign);
        let name = step_name(decision, info)?;
        let mut stopped = Vec::new();
        let unselected = decision.unselected().into_iter();
        for (outcome, users) in unselected.filter(|(_, users)| !users.is_empty()) {
            // Who is not matched is counted, not listed.
            if outcome != RunOutcome::NotMatched {
                stopped.push(self.stopped(outcome.name(), None, users));
            }
        }
        for (gate, users) in decision
            .stopped
            .iter()
            .filter(|(_, users)| !users.is_empty())
        {
            let detail = gate.by().map(str::to_owned);
            stopped.push(self.stopped(gate.name(), detail, users));
        }
        let arms = decision
            .arms
            .iter()
            .map(|(arm, users)| ArmMembers {
                arm: arm.clone(),
                users: count(users.count()),
                members: self.keep(encode::bitmap(users)),
            })
            .collect();
        let scheduled = info.occasion.is_scheduled() && decision.step == 0;
        self.records.push(Record::Planned(Box::new(PlanRecord {
            run,
            campaign: campaign.declared.name.clone(),
            occasion: info.occasion.text(),
            value: if let Occasion::Event { value, .. } = &info.occasion {
                value.clone()
            } else {
                None
            },
            scheduled,
            step,
            name,
            due: decision.due.0,
            zone: program.policy.zone.name().into(),
            program: info.program_digest.into(),
            snapshot: info.snapshot_digest.into(),
            seed: info.seed,
            purpose: purpose_name(campaign.purpose).into(),
            users: count(decision.users),
            not_matched: count(decision.not_matched.count()),
            choose_unknown: count(decision.choose_unknown),
            limits: limits.clone(),
            rising: campaign.priority.rising_per_hour,
            quiet: program.rules(campaign).quiet.map(|q| (q.from.0, q.to.0)),
            unknown_because: decision
                .unknown_because
                .iter()
                .map(|(tag, n)| {
                    (
                        program
                            .schema
                            .tags
                            .get(tag.index())
                            .map_or_else(String::new, |t| t.name.clone()),
                        count(*n),
                    )
                })
                .collect(),
            stopped,
            arms,
        })));
        self.transfers(&decision.takes, &campaign.declared.name, decision.users);
        let follows = campaign.steps.iter().any(|s| s.from == decision.step);
        let most = if follows {
            limits.segment_size()
        } else {
            usize::MAX
        };
        for group in &decision.messages {
            for places in cut(group, most) {
                let of = Of {
                    program,
                    run,
                    step,
                    follows: follows && group.leads,
                };
                let number = segments.take()?;
                self.segment(&of, group, &places, number, world)?;
            }
        }
        if decision.messages.iter().all(|g| g.users.is_empty()) {
            self.records.push(Record::Finished { run, step });
        }
        Ok(())
    }

    /// What loses its slots to this decision.
    fn transfers(&mut self, takes: &[SlotTransfer], by: &str, users: usize) {
        let mut segments: BTreeMap<i64, BTreeMap<i64, UserNo>> = BTreeMap::new();
        for take in takes {
            segments
                .entry(take.from.standing.segment)
                .or_default()
                .insert(i64::from(take.from.place), take.user);
        }
        let gate = Gate::Capped(Some(by.into()));
        for (segment, members) in segments {
            let (places, users_of): (Vec<i64>, Vec<UserNo>) = members.into_iter().unzip();
            let members = Blob::new(encode::bitmap(&Bitmap::from_users(users, users_of)));
            self.records
                .push(ReplanRecord::withdrawn(segment, places, &gate, &members));
            self.blobs.push(members);
        }
    }

    fn stopped(&mut self, reason: &str, detail: Option<String>, users: &Bitmap) -> StoppedRecord {
        StoppedRecord {
            reason: reason.into(),
            detail,
            users: count(users.count()),
            members: self.keep(encode::bitmap(users)),
        }
    }

    /// Freezes the messages of a group at some places, in that order.
    fn segment(
        &mut self,
        of: &Of,
        group: &MessageGroup,
        places: &[usize],
        segment: i64,
        world: &dyn World,
    ) -> Result<(), LedgerError> {
        let users: Vec<UserNo> = places
            .iter()
            .filter_map(|p| group.users.get(*p).copied())
            .collect();
        let addresses: Vec<&Arc<str>> = places
            .iter()
            .filter_map(|p| group.addresses.get(*p))
            .collect();
        let priority = places
            .iter()
            .filter_map(|p| group.priorities.get(*p))
            .max()
            .copied()
            .ok_or_else(|| unfit("priorities"))?;
        let contents = match &group.contents {
            Contents::Same(one) => encode::contents(std::slice::from_ref(one), NO_SALT),
            Contents::Each(all) => {
                let each: Vec<Arc<Rendered>> =
                    places.iter().filter_map(|p| all.get(*p).cloned()).collect();
                encode::contents(&each, salt(world))
            }
        };
        let record = Segment {
            segment,
            run: of.run,
            step: of.step,
            fanout_index: i64::from(group.leg),
            attempt: 0,
            arm: group.arm.clone(),
            template: of.program.template(group.template).declared.name.clone(),
            account: group.channel.account.clone(),
            platform: group.channel.platform.clone(),
            endpoint: group.channel.endpoint.clone(),
            priority: i64::from(priority),
            not_before: group.not_before.0,
            expires: group.expires.0,
            day: of.program.policy.zone.date(group.not_before).0,
            size: count(users.len()),
            users: self.keep(encode::users(&users)),
            addresses: self.keep(encode::strings(&addresses, salt(world))),
            contents: self.keep(contents),
            follows: of.follows,
        };
        self.records.push(Record::Segment(Box::new(record)));
        Ok(())
    }
}

/// Columns of a group are of one length, and nobody gets two messages of one fanout index.
fn check(decision: &Decision) -> Result<(), LedgerError> {
    let mut legs: BTreeMap<u16, Bitmap> = BTreeMap::new();
    for group in &decision.messages {
        let seen = legs
            .entry(group.leg)
            .or_insert_with(|| Bitmap::none(decision.users));
        let n = group.users.len();
        let contents = match &group.contents {
            Contents::Same(_) => n,
            Contents::Each(all) => all.len(),
        };
        if [group.addresses.len(), group.priorities.len(), contents]
            .iter()
            .any(|other| *other != n)
        {
            return Err(unfit("messages"));
        }
        for user in &group.users {
            if user.index() >= decision.users || seen.contains(*user) {
                return Err(LedgerError::Plan(msg!(
                    "user number {user} is planned twice in one run",
                    "同一次执行中用户编号 {user} 被计划了两次"
                )));
            }
            seen.insert(*user);
        }
    }
    Ok(())
}

/// Cuts a group into segments, as places in its columns: what is sent one by one every 4,096; what
/// is sent as a list by text, and each text in equal shares. No segment has more than `most`.
fn cut(group: &MessageGroup, most: usize) -> Vec<Vec<usize>> {
    let endpoint = platform::endpoint(&group.channel.platform, &group.channel.endpoint);
    let all: Vec<usize> = (0..group.users.len()).collect();
    match endpoint.map(|e| e.hand_over) {
        Some(HandOver::List { max, .. }) => {
            let share = max
                .and_then(|m| usize::try_from(m).ok())
                .unwrap_or(MOST_LIST)
                .clamp(1, MOST_LIST.min(most));
            by_text(group, all)
                .iter()
                .flat_map(|places| equal_shares(places, share))
                .collect()
        }
        Some(HandOver::Single { .. }) | None => all
            .chunks(MOST_SINGLE.min(most))
            .map(<[usize]>::to_vec)
            .collect(),
    }
}

/// The places of each text, in order of its first place.
fn by_text(group: &MessageGroup, all: Vec<usize>) -> Vec<Vec<usize>> {
    let Contents::Each(texts) = &group.contents else {
        return vec![all];
    };
    let mut number: HashMap<&Rendered, usize> = HashMap::new();
    let mut lists: Vec<Vec<usize>> = Vec::new();
    for (place, text) in texts.iter().enumerate() {
        let n = *number.entry(text).or_insert(lists.len());
        match lists.get_mut(n) {
            Some(list) => list.push(place),
            None => lists.push(vec![place]),
        }
    }
    lists
}

/// As few parts as possible of at most `most`, no two of which differ by more than one.
fn equal_shares(places: &[usize], most: usize) -> Vec<Vec<usize>> {
    let parts = places.len().div_ceil(most);
    let mut rest = places;
    (0..parts)
        .map(|i| {
            let (share, after) = rest.split_at(rest.len().div_ceil(parts - i));
            rest = after;
            share.to_vec()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Case 19 of the delivery design.
    #[test]
    fn lists_are_cut_in_equal_shares() {
        let sizes = |n: usize| {
            equal_shares(&(0..n).collect::<Vec<_>>(), 10_000)
                .iter()
                .map(Vec::len)
                .collect::<Vec<_>>()
        };
        assert!(sizes(0).is_empty());
        assert_eq!(sizes(1), [1]);
        assert_eq!(sizes(2), [2]);
        assert_eq!(sizes(9_999), [9_999]);
        assert_eq!(sizes(10_000), [10_000]);
        assert_eq!(sizes(10_001), [5_001, 5_000]);
        assert_eq!(sizes(20_001), [6_667, 6_667, 6_667]);
    }
}

//! The order of a run: audience, top, sample, then the gates one by one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::assign::{Leaf, Reached, Way, as_number, positions, reach, ways};
use super::caps::{Contender, Slots};
use super::decision::{Contents, Decision, Gate, MessageGroup, Rendered};
use super::hash::{Lottery, within};
use super::history::History;
use super::render::render;
use super::{DecideError, DecideInput};
use crate::base::{Bitmap, Instant, TemplateId, UserNo, Value};
use crate::eval::value::order;
use crate::eval::{self, EvalError};
use crate::plan;
use crate::program::expr::{Expr, ExprKind};
use crate::program::pack::{self, HandOver, LimitOf, Part};
use crate::program::typed::{Again, Campaign, Channel, PartKind, Piece, Program, Purpose, Rules, Template};
use crate::schedule::quiet::end_of_quiet;

/// Decides everything that is due at one instant, in the order given. Campaigns compete for slots by priority, then name, so the order of
/// the inputs changes nothing.
///
/// # Errors
/// Those of evaluation and of the history.
pub fn decide_all<H: History>(inputs: &[DecideInput], history: &H) -> Result<Vec<Decision>, DecideError> {
    let asked = |e: H::Error| DecideError::History(Box::new(e));
    let mut drafts = Vec::with_capacity(inputs.len());
    for input in inputs {
        drafts.push(Draft::before_caps(input, history)?);
    }
    // Everyone who wants a slot, those first who win it.
    let mut wanting: Vec<(UserNo, i64, usize, usize)> = Vec::new();
    for (d, draft) in drafts.iter().enumerate() {
        wanting.extend(draft.candidates.iter().enumerate().map(|(i, c)| (c.user, c.priority, d, i)));
    }
    let name = |d: usize| drafts[d].campaign.declared.name.as_str();
    wanting.sort_by(|a, b| (a.0, std::cmp::Reverse(a.1), name(a.2), a.2).cmp(&(b.0, std::cmp::Reverse(b.1), name(b.2), b.2)));
    let mut slots = Slots::new(history);
    let mut capped: Vec<(usize, usize, Option<String>)> = Vec::new();
    for (user, priority, d, i) in wanting {
        let draft = &drafts[d];
        if draft.rules.policy_caps.is_empty() && draft.rules.campaign_caps.is_empty() {
            continue;
        }
        let candidate = &draft.candidates[i];
        let contender = Contender {
            user,
            priority,
            campaign: &draft.campaign.declared.name,
            channel: candidate.channel,
            day: draft.input.scope.program.policy.zone.date(draft.not_before),
            policy_caps: &draft.rules.policy_caps,
            purpose: purpose_of_caps(draft.input.scope.program, draft.campaign),
            campaign_caps: &draft.rules.campaign_caps,
        };
        // A message that its content stops takes no slot from anyone.
        if let Err(winner) = slots.take(&contender, candidate.problem.is_none()).map_err(asked)? {
            capped.push((d, i, winner));
        }
    }
    for (d, i, winner) in capped {
        drafts[d].candidates[i].capped = Some(winner);
    }
    Ok(drafts.into_iter().map(Draft::finish).collect())
}

/// A message on its way through the last gates.
struct Candidate<'a> {
    user: UserNo,
    arm: Option<&'a str>,
    template: TemplateId,
    channel: &'a Channel,
    address: Arc<str>,
    priority: i64,
    content: Option<Arc<Rendered>>,
    /// What is wrong with its content.
    problem: Option<Gate>,
    capped: Option<Option<String>>,
}

struct Draft<'a> {
    input: DecideInput<'a>,
    campaign: &'a Campaign,
    rules: Rules,
    not_before: Instant,
    expires: Instant,
    decision: Decision,
    candidates: Vec<Candidate<'a>>,
}

impl<'a> Draft<'a> {
    fn before_caps<H: History>(input: &DecideInput<'a>, history: &H) -> Result<Self, DecideError> {
        let asked = |e: H::Error| DecideError::History(Box::new(e));
        let scope = input.scope;
        let program = scope.program;
        let campaign = program.campaign(input.campaign);
        let rules = program.rules(campaign);
        let zone = program.policy.zone;
        let users = scope.snapshot.user_count();
        let step = input.step.checked_sub(1).and_then(|i| campaign.steps.get(i));
        let everyone = Expr { ty: crate::base::Type::Bool, span: campaign.declared.span, optional: false, kind: ExprKind::Everyone };
        let condition = match step {
            Some(step) => step.when.as_ref().unwrap_or(&everyone),
            None => &campaign.when,
        };

        // 1. Who.
        let audience = eval::audience(scope, condition)?;
        let only = input.only.cloned().unwrap_or_else(|| Bitmap::all(users));
        let unknown = only.minus(&audience.known);
        let mut matched = only.and(&audience.yes);
        // The `else` of a follow-up takes those for whom its condition is false.
        let otherwise = step.and_then(|s| s.otherwise.as_ref().map(|action| (action, only.and(&audience.known).minus(&audience.yes))));
        let not_matched =
            Bitmap::all(users).minus(&matched).minus(&unknown).minus(&otherwise.as_ref().map_or(Bitmap::none(users), |o| o.1.clone()));
        let unknown_because =
            eval::unknown_because(scope, condition, &eval::Audience { yes: audience.yes.clone(), known: unknown.complement() })?;
        let (mut below_top, mut not_sampled) = (Bitmap::none(users), Bitmap::none(users));
        if step.is_none() {
            if let Some(top) = &campaign.top {
                let kept = top_users(input, &top.by, top.n, &matched)?;
                below_top = matched.minus(&kept);
                matched = kept;
            }
            if let Some(share) = campaign.sample {
                let name = &campaign.declared.name;
                let kept = lottery(input, Lottery::Sample, name, share, &matched);
                not_sampled = matched.minus(&kept);
                matched = kept;
            }
        }

        // What each would get, whatever the gates say.
        let action = step.map_or(&campaign.action, |s| &s.action);
        let (mut paths, choose_unknown) = ways(input, campaign, action, &matched)?;
        if let Some((action, users)) = otherwise {
            let (more, _) = ways(input, campaign, action, &users)?;
            paths.extend(more);
            matched = matched.or(&users);
        }
        let mut arms: Vec<(String, Bitmap)> = Vec::new();
        for way in &paths {
            let Some(arm) = way.arm else { continue };
            match arms.iter_mut().find(|(name, _)| name == arm) {
                Some((_, users)) => *users = users.or(&way.users),
                None => arms.push((arm.to_string(), way.users.clone())),
            }
        }

        // 2. The gates that do not depend on the message.
        let mut gates = Gates { stopped: Vec::new(), open: matched };
        gates.stop(Gate::OptedOut, &history.opted_out(users).map_err(asked)?);
        gates.keep(Gate::NoConsent, &consenting(input, campaign, &paths)?);
        for exclude in &program.policy.excludes {
            gates.stop(Gate::Excluded(exclude.reason.clone()), &eval::audience(scope, &exclude.when)?.yes);
        }
        let mut reached: Vec<(usize, Vec<Reached<'a>>)> = Vec::new();
        for (i, way) in paths.iter().enumerate() {
            if let Leaf::Send { via, .. } = &way.leaf {
                reached.push((i, reach(input, via, &way.users)?));
            }
        }
        gates.stop(Gate::DuplicateAddress, &duplicates(&paths, &reached, &gates.open, users));
        if step.is_none() {
            let tired = again(input, campaign, history).map_err(asked)?;
            gates.stop(Gate::Again, &tired);
        }
        if let Some(holdout) = &rules.holdout {
            let key = holdout.key.as_deref().unwrap_or(&campaign.declared.name);
            let held = lottery(input, Lottery::Holdout, key, holdout.share, &gates.open);
            gates.stop(Gate::Holdout, &held);
        }
        for way in &paths {
            match way.leaf {
                Leaf::Control => gates.stop(Gate::Control, &way.users),
                Leaf::Nothing => gates.stop(Gate::Nothing, &way.users),
                Leaf::Send { .. } => {}
            }
        }

        // 3. The message: where it goes, what it says.
        let waits = rules.quiet.and_then(|quiet| end_of_quiet(quiet, zone, input.due));
        let not_before = waits.unwrap_or(input.due);
        let expires = campaign.deadline().after(not_before, zone);
        let priorities = priorities(input, campaign, &gates.open)?;
        let mut candidates = Vec::new();
        for (i, reached) in reached {
            let way = &paths[i];
            let Leaf::Send { template, .. } = way.leaf else { continue };
            let mut sending = Bitmap::none(users);
            let mut found: BTreeMap<UserNo, (&'a Channel, Arc<str>)> = BTreeMap::new();
            for ((_, user), place) in positions(&way.users).zip(reached) {
                if !gates.open.contains(user) {
                    continue;
                }
                match place {
                    None => gates.stop_one(Gate::Unreachable, user),
                    Some(place) => {
                        sending.insert(user);
                        found.insert(user, place);
                    }
                }
            }
            let contents = render(scope, program.template(template), &sending)?;
            let mut judged: HashMap<(*const Rendered, *const Channel), Option<Gate>> = HashMap::new();
            for ((user, (channel, address)), content) in found.into_iter().zip(contents) {
                let problem = match &content {
                    None => Some(Gate::MissingContent),
                    Some(content) => judged
                        .entry((Arc::as_ptr(content), std::ptr::from_ref(channel)))
                        .or_insert_with(|| judge(input, program.template(template), channel, content))
                        .clone(),
                };
                let priority = priorities.get(&user).copied().unwrap_or(0);
                candidates.push(Candidate { user, arm: way.arm, template, channel, address, priority, content, problem, capped: None });
            }
        }
        let decision = Decision {
            campaign: input.campaign,
            step: input.step,
            due: input.due,
            users,
            not_matched,
            unknown,
            unknown_because,
            below_top,
            not_sampled,
            stopped: gates.stopped,
            arms,
            choose_unknown,
            messages: Vec::new(),
        };
        Ok(Draft { input: *input, campaign, rules, not_before, expires, decision, candidates })
    }

    /// The last gates, then what is left as groups in hand-over order.
    fn finish(mut self) -> Decision {
        let users = self.decision.users;
        let mut gates = Gates { stopped: std::mem::take(&mut self.decision.stopped), open: Bitmap::none(users) };
        let mut groups: BTreeMap<(Option<&str>, TemplateId, &Channel), Vec<Candidate>> = BTreeMap::new();
        for mut candidate in self.candidates {
            gates.open.insert(candidate.user);
            let gate = match (candidate.capped.take(), candidate.problem.take()) {
                (Some(winner), _) => Some(Gate::Capped(winner)),
                (None, problem) => problem,
            };
            match gate {
                Some(gate) => gates.stop_one(gate, candidate.user),
                None => groups.entry((candidate.arm, candidate.template, candidate.channel)).or_default().push(candidate),
            }
        }
        for ((arm, template, channel), mut members) in groups {
            if self.input.bound
                && let Some(HandOver::List { min, .. }) = pack::endpoint(&channel.platform, &channel.endpoint).map(|e| e.hand_over)
                && (members.len() as u64) < u64::from(min)
            {
                members.iter().for_each(|m| gates.stop_one(Gate::TooFewForList, m.user));
                continue;
            }
            members.sort_by_key(|m| (std::cmp::Reverse(m.priority), m.user));
            let clamp = |p: i64| p.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32;
            let contents: Vec<Arc<Rendered>> = members.iter().filter_map(|m| m.content.clone()).collect();
            let contents = match contents.first() {
                Some(first) if contents.iter().all(|c| Arc::ptr_eq(c, first)) => Contents::Same(first.clone()),
                _ => Contents::Each(contents),
            };
            self.decision.messages.push(MessageGroup {
                arm: arm.map(str::to_string),
                template,
                channel: channel.clone(),
                not_before: self.not_before,
                expires: self.expires,
                users: members.iter().map(|m| m.user).collect(),
                addresses: members.iter().map(|m| m.address.clone()).collect(),
                priorities: members.iter().map(|m| clamp(m.priority)).collect(),
                contents,
                defaulted: None,
            });
        }
        gates.stopped.sort_by(|a, b| a.0.cmp(&b.0));
        self.decision.stopped = gates.stopped;
        self.decision
    }
}

/// Who is still in, and who was stopped where.
struct Gates {
    stopped: Vec<(Gate, Bitmap)>,
    open: Bitmap,
}

impl Gates {
    /// Stops those of the set who are still in.
    fn stop(&mut self, gate: Gate, users: &Bitmap) {
        let caught = self.open.and(users);
        if caught.is_empty() {
            return;
        }
        self.open = self.open.minus(&caught);
        match self.stopped.iter_mut().find(|(g, _)| *g == gate) {
            Some((_, all)) => *all = all.or(&caught),
            None => self.stopped.push((gate, caught)),
        }
    }

    /// Stops those who are still in and not in the set.
    fn keep(&mut self, gate: Gate, users: &Bitmap) {
        let out = self.open.minus(users);
        self.stop(gate, &out);
    }

    fn stop_one(&mut self, gate: Gate, user: UserNo) {
        self.open.remove(user);
        match self.stopped.iter_mut().find(|(g, _)| *g == gate) {
            Some((_, all)) => all.insert(user),
            None => {
                let mut users = Bitmap::none(self.open.len());
                users.insert(user);
                self.stopped.push((gate, users));
            }
        }
    }
}

fn lottery(input: &DecideInput, lottery: Lottery, key: &str, share: crate::program::typed::Share, users: &Bitmap) -> Bitmap {
    let ids = input.scope.snapshot.users();
    let chosen = users.iter().filter(|u| within(input.seed, lottery, key, ids.id(*u).unwrap_or(""), share));
    Bitmap::from_users(users.len(), chosen)
}

/// The `n` users with the largest values; missing values come last, ties go by user id.
fn top_users(input: &DecideInput, by: &Expr, n: u64, users: &Bitmap) -> Result<Bitmap, EvalError> {
    let n = usize::try_from(n).unwrap_or(usize::MAX);
    let values = eval::values(input.scope, by, users)?;
    let ids = input.scope.snapshot.users();
    let mut ranked: Vec<(Option<Value>, UserNo)> = values.into_iter().zip(users.iter()).collect();
    let by_rank = |a: &(Option<Value>, UserNo), b: &(Option<Value>, UserNo)| {
        let values = match (&a.0, &b.0) {
            (Some(x), Some(y)) => order(y, x).unwrap_or(std::cmp::Ordering::Equal),
            (x, y) => y.is_some().cmp(&x.is_some()),
        };
        values.then_with(|| ids.id(a.1).cmp(&ids.id(b.1)))
    };
    if n < ranked.len() {
        ranked.select_nth_unstable_by(n, by_rank);
        ranked.truncate(n);
    }
    Ok(Bitmap::from_users(users.len(), ranked.into_iter().map(|(_, user)| user)))
}

/// Those who have given every consent that the message needs: policy's, and that of each sensitive tag it reads.
fn consenting(input: &DecideInput, campaign: &Campaign, paths: &[Way]) -> Result<Bitmap, EvalError> {
    let scope = input.scope;
    let program = scope.program;
    let mut needed: BTreeSet<crate::base::TagId> = program.policy.consent.into_iter().collect();
    let mut read = plan::tags_of(program, &campaign.when);
    for way in paths {
        if let Leaf::Send { template, .. } = &way.leaf {
            let pieces = program.template(*template).parts.iter().flat_map(|p| &p.text.pieces);
            for piece in pieces {
                if let Piece::Hole(expr) = piece {
                    read.extend(plan::tags_of(program, expr));
                }
            }
        }
    }
    needed.extend(read.into_iter().filter_map(|tag| program.schema.tag(tag).sensitive_by));
    let mut all = Bitmap::all(scope.snapshot.user_count());
    for tag in needed {
        let expr = Expr { ty: crate::base::Type::Bool, span: campaign.declared.span, optional: true, kind: ExprKind::Tag(tag) };
        all = all.and(&eval::audience(scope, &expr)?.yes);
    }
    Ok(all)
}

/// Of users with one address on one channel all but the first.
fn duplicates(paths: &[Way], reached: &[(usize, Vec<Reached>)], open: &Bitmap, users: usize) -> Bitmap {
    let mut first: HashMap<(&Channel, &str), UserNo> = HashMap::new();
    for (i, places) in reached {
        for ((_, user), place) in positions(&paths[*i].users).zip(places) {
            if let (Some((channel, address)), true) = (place, open.contains(user)) {
                first.entry((channel, address)).and_modify(|u| *u = (*u).min(user)).or_insert(user);
            }
        }
    }
    let mut out = Bitmap::none(users);
    for (i, places) in reached {
        for ((_, user), place) in positions(&paths[*i].users).zip(places) {
            if let (Some((channel, address)), true) = (place, open.contains(user))
                && first.get(&(*channel, &**address)) != Some(&user)
            {
                out.insert(user);
            }
        }
    }
    out
}

/// Those whom `again` spares.
fn again<H: History>(input: &DecideInput, campaign: &Campaign, history: &H) -> Result<Bitmap, H::Error> {
    let users = input.scope.snapshot.user_count();
    let name = &campaign.declared.name;
    let zone = input.scope.program.policy.zone;
    let spared: Vec<UserNo> = match &campaign.again {
        None | Some(Again::Always) => Vec::new(),
        Some(Again::Never) => history.last_planned(name)?.into_keys().collect(),
        Some(Again::After(length)) => history
            .last_planned(name)?
            .into_iter()
            .filter(|(_, last)| length.after(*last, zone) > input.due)
            .map(|(user, _)| user)
            .collect(),
        Some(Again::Per { .. }) => {
            let value = input.again_value.unwrap_or("");
            history
                .reached_values(name)?
                .into_iter()
                .filter(|(_, values)| values.iter().any(|v| v == value))
                .map(|(user, _)| user)
                .collect()
        }
    };
    Ok(Bitmap::from_users(users, spared))
}

/// The purpose that policy's caps are for; `None` when they are for all.
fn purpose_of_caps(program: &Program, campaign: &Campaign) -> Option<Purpose> {
    program.policy.purposes.get(&campaign.purpose).filter(|p| !p.caps.is_empty()).map(|_| campaign.purpose)
}

fn priorities(input: &DecideInput, campaign: &Campaign, users: &Bitmap) -> Result<HashMap<UserNo, i64>, EvalError> {
    let Some(expr) = &campaign.priority.value else { return Ok(HashMap::new()) };
    let values = eval::values(input.scope, expr, users)?;
    Ok(users.iter().zip(values).map(|(user, v)| (user, v.as_ref().map_or(0.0, as_number).round() as i64)).collect())
}

/// What is wrong with a rendered message on a channel.
fn judge(input: &DecideInput, template: &Template, channel: &Channel, content: &Rendered) -> Option<Gate> {
    if input.words.blocks(content) {
        return Some(Gate::BlockedWords);
    }
    let pack = pack::platform(&channel.platform)?;
    let endpoint = pack.endpoint(&channel.endpoint)?;
    let parts: Vec<Part> = template.parts.iter().map(|p| Part::of(&p.kind)).collect();
    let shape = endpoint.shape_for(&parts)?;
    let text_of = |want: Part| content.parts.iter().zip(&parts).filter(move |(_, p)| **p == want).map(|((_, text), _)| text.as_str());
    for limit in shape.limits.iter().filter(|l| !l.unverified) {
        let length: u64 = match limit.of {
            LimitOf::Title => text_of(Part::Title).map(|t| limit.unit.of(t)).sum(),
            LimitOf::Fields => text_of(Part::Field).map(|t| limit.unit.of(t)).sum(),
            LimitOf::Text => {
                let lines: Vec<&str> = shape.joined.iter().flat_map(|p| text_of(*p)).collect();
                limit.unit.of(&lines.join("\n"))
            }
        };
        if length > u64::from(limit.max) {
            return Some(Gate::TooLong);
        }
    }
    for ((_, text), part) in content.parts.iter().zip(&template.parts) {
        if let PartKind::Field(name) = &part.kind
            && let Some(max) = pack.field_type(shape, name).and_then(|t| t.max)
            && text.chars().count() as u64 > u64::from(max)
        {
            return Some(Gate::TooLong);
        }
    }
    None
}

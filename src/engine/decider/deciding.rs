//! What is due at one instant, decided together: campaigns by the calendar, events whose wait is
//! over, follow-ups.

use super::due_decision::{DecisionBatch, DueDecision, FollowUp};
use super::incoming::{IncomingEvent, trigger};
use super::{CycleOutcome, Decider};
use crate::base::{Bitmap, CampaignId, Instant};
use crate::decide::decision::{Decision, Gate};
use crate::decide::{DecideInput, again_value, decide_all};
use crate::engine::{Failure, agenda, follow_ups, triggers};
use crate::eval::EvalScope;
use crate::ledger::{
    DeciderChanges, EndReason, LedgerReader, Occasion, Planner, State, Timer, Wait,
};
use crate::schedule::hand_over;

impl Decider {
    /// A wait whose time has come; ended in `later` when its campaign waits for no events any more.
    pub(super) fn wait_over(
        &self,
        Wait { number, wait }: Wait,
        later: &mut DeciderChanges,
    ) -> Option<DueDecision> {
        let found = self
            .live_campaign(&wait.campaign)
            .and_then(|id| Some((id, trigger(self.program().campaign(id))?.1)));
        match found {
            Some((campaign, event)) => {
                let values = wait.values.values(self.program().schema.event(event));
                Some(DueDecision::Event {
                    campaign,
                    number: Some(number),
                    event: IncomingEvent {
                        id: wait.event,
                        event,
                        user: wait.user,
                        at: wait.armed,
                        values,
                    },
                })
            }
            None => {
                later.waits_over.push((number, EndReason::Withdrawn));
                None
            }
        }
    }

    /// A follow-up whose time has come, with what is known of the messages before it.
    pub(super) fn follow_up(
        &self,
        timer: Timer,
        later: &mut DeciderChanges,
        ledger: &LedgerReader,
    ) -> Result<Option<DueDecision>, Failure> {
        let program = self.program();
        let found = self.live_campaign(&timer.campaign).and_then(|id| {
            let at = program
                .campaign(id)
                .steps
                .iter()
                .position(|s| s.name == timer.step)?;
            Some((id, at))
        });
        let Some((campaign, index)) = found else {
            later.timers_over.push((timer, EndReason::Withdrawn));
            return Ok(None);
        };
        let all = ledger.reached(timer.segment)?;
        let users = self.data.snapshot.user_count();
        let of = |which: fn(State) -> bool| {
            Bitmap::from_users(users, all.iter().filter(|r| which(r.state)).map(|r| r.user))
        };
        let reached = of(|state| state.sent() == Some(true));
        let unknown = of(|state| state.sent().is_none());
        if reached.is_empty() && unknown.is_empty() {
            later.timers_over.push((timer, EndReason::NotMatched));
            return Ok(None);
        }
        let scope = EvalScope {
            now: timer.due,
            ..self.data.scope(program)
        };
        let receipts: Vec<_> = all
            .iter()
            .filter(|r| reached.contains(r.user))
            .map(|r| (r.user, r.receipts))
            .collect();
        let typed = program.campaign(campaign);
        let from = typed.steps.get(index).map_or(0, |s| s.from);
        let outcomes = follow_ups::outcomes(&scope, campaign, from, timer.handed_over, &receipts)?;
        Ok(Some(DueDecision::FollowUp(Box::new(FollowUp {
            campaign,
            step: index + 1,
            timer,
            reached,
            outcomes,
            unknown,
        }))))
    }

    /// Decides what is due at one instant together.
    pub(super) fn decide(
        &mut self,
        due: Instant,
        asked: Vec<DueDecision>,
        now: Instant,
        batch: &mut DecisionBatch,
        ledger: &mut Planner,
        done: &mut CycleOutcome,
    ) -> Result<(), Failure> {
        let project = self.project.clone();
        let program = &project.program;
        let users = self.data.snapshot.user_count();
        let missed = |id: CampaignId| hand_over(program, program.campaign(id), due).missed(now);
        let base = EvalScope {
            now: due,
            ..self.data.scope(program)
        };
        // What is asked, with the users it is about, its scope, and how its decision comes into the
        // ledger.
        let mut open: Vec<(
            CampaignId,
            usize,
            Option<Bitmap>,
            EvalScope,
            Occasion,
            Option<Bitmap>,
        )> = Vec::new();
        let mut decided: Vec<(Decision, Occasion)> = Vec::new();
        let mut later = DeciderChanges::default();
        for one in &asked {
            match one {
                DueDecision::Scheduled(id) => open.push((
                    *id,
                    0,
                    None,
                    base,
                    agenda::occasion(program.campaign(*id), program.policy.zone, due),
                    None,
                )),
                DueDecision::Event {
                    campaign: id,
                    number,
                    event,
                } => {
                    let campaign = program.campaign(*id);
                    let scope = EvalScope {
                        trigger: Some(&event.values),
                        ..base
                    };
                    let late = missed(*id);
                    let over = if event.user.index() >= users
                        || scope.campaign(*id).when.holds(&scope, event.user)? == Some(false)
                    {
                        EndReason::NotMatched
                    } else if !late && triggers::came_meanwhile(&scope, *id, event.at, event.user)?
                    {
                        EndReason::Unless
                    } else {
                        EndReason::Decided
                    };
                    later.waits_over.extend(number.map(|number| (number, over)));
                    if over != EndReason::Decided {
                        continue;
                    }
                    let occasion = Occasion::Event {
                        id: event.id.clone(),
                        value: again_value(&scope, campaign),
                    };
                    let only = Bitmap::from_users(users, [event.user]);
                    if late {
                        decided.push((stopped(*id, 0, due, users, Gate::Missed, &only), occasion));
                    } else {
                        open.push((*id, 0, Some(only), scope, occasion, None));
                    }
                }
                DueDecision::FollowUp(f) => {
                    later
                        .timers_over
                        .push((f.timer.clone(), EndReason::Decided));
                    let occasion = Occasion::Part(f.timer.run);
                    if missed(f.campaign) {
                        let all = f.reached.or(&f.unknown);
                        decided.push((
                            stopped(f.campaign, f.step, due, users, Gate::Missed, &all),
                            occasion,
                        ));
                    } else {
                        let scope = EvalScope {
                            outcomes: Some(&f.outcomes),
                            ..base
                        };
                        open.push((
                            f.campaign,
                            f.step,
                            Some(f.reached.clone()),
                            scope,
                            occasion,
                            Some(f.unknown.clone()),
                        ));
                    }
                }
            }
        }
        let foreign = project.config.foreign();
        let inputs: Vec<DecideInput> = open
            .iter()
            .map(|(id, step, only, scope, _, _)| {
                let input =
                    DecideInput::scheduled(*id, due, scope, project.config.seed, &self.words);
                let input = DecideInput {
                    bound: project.is_bound(),
                    foreign: &foreign,
                    ..input
                };
                only.as_ref()
                    .map_or(input, |only| input.for_only(*step, only))
            })
            .collect();
        let about: Option<Bitmap> = open
            .iter()
            .map(|o| o.2.clone())
            .reduce(|a, b| Some(a?.or(&b?)))
            .flatten();
        let mut decisions = decide_all(&inputs, &self.past.view(ledger.reader(), about.as_ref()))?;
        if self.past.asked_too_early() {
            // What is decided already may lose its slots to this, and has to be in the ledger
            // first.
            self.plan(batch, now, ledger, done)?;
            decisions = decide_all(&inputs, &self.past.view(ledger.reader(), about.as_ref()))?;
        }
        drop(inputs);
        batch.later.waits_over.extend(later.waits_over);
        batch.later.timers_over.extend(later.timers_over);
        self.data.snapshot.sound()?;
        for (mut decision, (_, _, _, _, occasion, unknown)) in decisions.into_iter().zip(open) {
            if let Some(unknown) = unknown.filter(|u| !u.is_empty()) {
                decision.not_matched = decision.not_matched.minus(&unknown);
                decision.stopped.push((Gate::OutcomeUnknown, unknown));
            }
            decided.push((decision, occasion));
        }
        for (decision, occasion) in decided {
            if occasion.is_scheduled() {
                self.handled(decision.campaign, decision.due);
            }
            let value = if let Occasion::Event { value, .. } = &occasion {
                value.as_deref()
            } else {
                None
            };
            self.past
                .add(program, program.policy.zone, &decision, value);
            batch.messages += decision.planned();
            batch.decisions.push((decision, occasion));
        }
        Ok(())
    }
}

/// Users stopped before anything was asked; the others are not concerned.
fn stopped(
    campaign: CampaignId,
    step: usize,
    due: Instant,
    users: usize,
    gate: Gate,
    who: &Bitmap,
) -> Decision {
    let none = Bitmap::none(users);
    Decision {
        campaign,
        step,
        due,
        users,
        not_matched: Bitmap::all(users).minus(who),
        unknown: none.clone(),
        unknown_because: Vec::new(),
        below_top: none.clone(),
        not_sampled: none,
        stopped: vec![(gate, who.clone())],
        arms: Vec::new(),
        choose_unknown: 0,
        messages: Vec::new(),
        takes: Vec::new(),
    }
}

//! Campaigns whose users have times of day of their own: every minute is an occasion, and most
//! minutes are nobody's. Those are passed over without a trace; only a run, or a time that was
//! missed, comes into the ledger.

use super::{CycleOutcome, Decider};
use crate::base::{CampaignId, Instant};
use crate::decide::meant;
use crate::engine::Failure;
use crate::engine::agenda;
use crate::eval::{self, EvalScope};
use crate::ledger::Planner;
use crate::program::typed::{Program, Schedule, UserTime};
use crate::program::typed_expr::{Expr, ExprKind};
use crate::schedule::user_time;

/// Occasions that are looked at in one go: those of a day.
const MOST_OCCASIONS: usize = 24 * 60;

impl Decider {
    /// Brings these campaigns to the first occasion up to `at` that means somebody, or beyond `at`.
    pub(super) fn pass_over_nobody(
        &mut self,
        at: Instant,
        now: Instant,
        ledger: &mut Planner,
        done: &mut CycleOutcome,
    ) -> Result<(), Failure> {
        let project = self.project.clone();
        for id in self.campaigns.keys().copied().collect::<Vec<_>>() {
            let Schedule::OwnTime(own) = &project.program.campaign(id).schedule else {
                continue;
            };
            self.record_missed_times(id, own, now, ledger, done)?;
            loop {
                let Some(due) = self.next_on_calendar(id, now).filter(|due| *due <= at) else {
                    // Whatever becomes of the data, what is past is past.
                    self.handled(id, at);
                    break;
                };
                let steady = is_steady(&project.program, &own.at);
                if !steady {
                    self.refresh_own(ledger.reader())?;
                }
                let scope = EvalScope {
                    now: due,
                    ..self.data.scope(&project.program)
                };
                if !meant(&scope, project.program.campaign(id), due)?.is_empty() {
                    break;
                }
                self.handled(id, due);
                if steady && let Some(until) = self.nobody_until(id, own, due)? {
                    self.nobody_until.insert(id, until);
                }
            }
        }
        Ok(())
    }

    /// Occasions that are too late for their deadline by now, whether anybody's: the last of them
    /// is recorded for all.
    fn record_missed_times(
        &mut self,
        id: CampaignId,
        own: &UserTime,
        now: Instant,
        ledger: &mut Planner,
        done: &mut CycleOutcome,
    ) -> Result<(), Failure> {
        let project = self.project.clone();
        let (program, campaign) = (&project.program, project.program.campaign(id));
        loop {
            let Some(position) = self.campaigns.get(&id).copied() else {
                return Ok(());
            };
            let Some((times, after)) = agenda::own_times(program, campaign, position, now) else {
                return Ok(());
            };
            let open = agenda::first_open(program, campaign, after, now);
            let missed = occasions(times, after, Some(open));
            let Some(last) = missed.last().copied() else {
                return Ok(());
            };
            let scope = EvalScope {
                now: last,
                ..self.data.scope(program)
            };
            if eval::counts(&scope, &user_time::condition(&own.at, times.zone, &missed))?.yes > 0 {
                ledger.record_missed(&campaign.declared.name, last, self.world.now())?;
                done.missed.push((id, last));
                done.dealt += 1;
            }
            self.handled(id, last);
        }
    }

    /// The first occasion after one that means somebody as the data are now; that of a day later at
    /// most.
    fn nobody_until(
        &self,
        id: CampaignId,
        own: &UserTime,
        after: Instant,
    ) -> Result<Option<Instant>, Failure> {
        let program = &self.project.program;
        let Some(position) = self.campaigns.get(&id) else {
            return Ok(None);
        };
        let Some((times, _)) = agenda::own_times(program, program.campaign(id), *position, after)
        else {
            return Ok(None);
        };
        let scope = EvalScope {
            now: after,
            ..self.data.scope(program)
        };
        let ahead = occasions(times, after, None);
        let anyone = |some: &[Instant]| -> Result<bool, Failure> {
            Ok(eval::counts(&scope, &user_time::condition(&own.at, times.zone, some))?.yes > 0)
        };
        let mut rest = &ahead[..];
        if !anyone(rest)? {
            return Ok(rest.last().copied());
        }
        while rest.len() > 1 {
            let (a, b) = rest.split_at(rest.len() / 2);
            rest = if anyone(a)? { a } else { b };
        }
        Ok(rest.first().copied())
    }
}

/// The occasions after an instant and before another, as many as are looked at together.
fn occasions(times: user_time::UserTimes, after: Instant, before: Option<Instant>) -> Vec<Instant> {
    let all = std::iter::successors(times.next(after), |at| times.next(*at));
    all.take_while(|at| before.is_none_or(|before| *at < before))
        .take(MOST_OCCASIONS)
        .collect()
}

/// Whether an expression has the same value for a user as long as no data change, so that one can
/// look ahead.
fn is_steady(program: &Program, expr: &Expr) -> bool {
    let mut steady = true;
    expr.each(&mut |e| {
        steady &= match &e.kind {
            ExprKind::Tag(tag) => {
                let tag = program.schema.tag(*tag);
                !tag.derived && tag.fresh.is_none()
            }
            ExprKind::Const(_)
            | ExprKind::Coalesce(..)
            | ExprKind::If { .. }
            | ExprKind::Not(_)
            | ExprKind::And(..)
            | ExprKind::Or(..)
            | ExprKind::Compare { .. }
            | ExprKind::InRange { .. }
            | ExprKind::InList { .. }
            | ExprKind::IsMissing(_)
            | ExprKind::IsKnown(_) => true,
            _ => false,
        }
    });
    steady
}

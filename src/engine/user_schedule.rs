//! Schedules that are per user: when and why one user is due, and how many users are due on which
//! day or at which hour.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::agenda::{self, ScheduleRecord};
use super::eval_data::EvalData;
use super::{Failure, Project};
use crate::base::Lang;
use crate::base::value::{count_of, group_digits};
use crate::base::{Bitmap, Calendar, CampaignId, Date, Instant, TimeOfDay, UserNo, Zone, value};
use crate::decide::decision::Decision;
use crate::eval::{self, EvalScope};
use crate::program::typed::{DateOffset, Schedule, UserTime};
use crate::schedule::{date_offset, user_time};

/// How far a plan looks ahead for the days of users.
const DAYS_AHEAD: usize = 31;
/// So many of them are shown to people.
const DAYS_SHOWN: usize = 7;

/// When one user is due.
pub struct UserSchedule {
    /// What the schedule asks of each user, as it is written.
    of: String,
    answer: Answer,
}

enum Answer {
    /// This user has no date or time, and is never due.
    None,
    /// The days that follow from the user's date, early ones first.
    Days { date: Date, days: Vec<Day> },
    /// The user's time of day, and its next occasion.
    Time {
        own: TimeOfDay,
        next: Option<Instant>,
    },
}

/// A day on which the user is due.
struct Day {
    due: Instant,
    offset: Calendar,
}

impl UserSchedule {
    /// `None` where the schedule is the same for everyone.
    ///
    /// # Errors
    /// Data that does not fit the program.
    pub fn of(
        project: &Project,
        data: &EvalData,
        id: CampaignId,
        position: ScheduleRecord,
        user: UserNo,
    ) -> Result<Option<UserSchedule>, Failure> {
        let zone = project.program.policy.zone;
        let scope = data.scope(&project.program);
        let value = match &scope.campaign(id).of_user {
            Some(of) => of.value(&scope, user)?,
            None => None,
        };
        let campaign = project.program.campaign(id);
        let (expr, answer) = match &campaign.schedule {
            Schedule::Dated(schedule) => {
                let answer = value
                    .and_then(|value| date_offset::date_of(&value, zone))
                    .map_or(Answer::None, |date| {
                        let days = date_offset::days_of_date(schedule, date).into_iter();
                        let days = days
                            .map(|(day, offset)| Day {
                                due: zone.instant(day, schedule.at),
                                offset,
                            })
                            .collect();
                        Answer::Days { date, days }
                    });
                (&schedule.of, answer)
            }
            Schedule::OwnTime(schedule) => {
                let answer = match value {
                    Some(value::Value::Time(own)) => {
                        let times =
                            agenda::own_times(&project.program, campaign, position, data.now);
                        let before = Instant(data.now.0.saturating_sub(1));
                        Answer::Time {
                            own,
                            next: times
                                .and_then(|(times, after)| times.next_of(own, after.max(before))),
                        }
                    }
                    Some(_) | None => Answer::None,
                };
                (&schedule.at, answer)
            }
            Schedule::Once(_) | Schedule::Every(_) | Schedule::Trigger(_) => return Ok(None),
        };
        Ok(Some(UserSchedule {
            of: project.sources.slice(expr.span).to_string(),
            answer,
        }))
    }

    /// The first instant at which the user is due, from the campaign's next one on.
    pub fn ahead(&self, next: Instant) -> Option<Instant> {
        match &self.answer {
            Answer::None => None,
            Answer::Days { days, .. } => days.iter().map(|day| day.due).find(|due| *due >= next),
            Answer::Time { next, .. } => *next,
        }
    }

    /// Whether this user was due at a run; at most of them others are.
    pub fn is_at(&self, due: Instant, zone: Zone) -> bool {
        match &self.answer {
            Answer::None => false,
            Answer::Days { days, .. } => days.iter().any(|day| day.due == due),
            Answer::Time { own, .. } => zone.time(due).0 / 60 == own.0 / 60,
        }
    }

    pub fn show(&self, zone: Zone, lang: Lang) -> String {
        let (of, zh) = (&self.of, lang == Lang::Zh);
        match &self.answer {
            Answer::None if zh => format!("不会到期：`{of}` 没有值\n"),
            Answer::None => format!("never due: `{of}` has no value\n"),
            Answer::Days { date, days } => {
                let mut out = if zh {
                    format!("`{of}` 是 {date}，到期：\n")
                } else {
                    format!("`{of}` is {date}; due:\n")
                };
                for day in days {
                    let _ = writeln!(out, "  {}  {}", zone.show(day.due), day.offset_text(lang));
                }
                out
            }
            Answer::Time { own, next } => match (next.map(|next| zone.show(next)), zh) {
                (Some(next), false) => format!("`{of}` is {own}; due next: {next}\n"),
                (Some(next), true) => format!("`{of}` 是 {own}，下次到期：{next}\n"),
                (None, false) => format!("`{of}` is {own}; not due any more\n"),
                (None, true) => format!("`{of}` 是 {own}，不再到期\n"),
            },
        }
    }

    pub fn json(&self, zone: Zone) -> Value {
        let of = &self.of;
        match &self.answer {
            Answer::None => json!({"of": of, "value": null}),
            Answer::Days { date, days } => {
                let days = days.iter().map(|day| json!({"due": zone.show_rfc3339(day.due), "offset": day.offset_text(Lang::En)}));
                json!({"of": of, "value": date.to_string(), "days": days.collect::<Vec<_>>()})
            }
            Answer::Time { own, next } => {
                json!({"of": of, "value": own.to_string(), "next": next.map(|next| zone.show_rfc3339(next))})
            }
        }
    }
}

impl Day {
    /// `7 days before`
    fn offset_text(&self, lang: Lang) -> String {
        let before = self.offset.days < 0 || self.offset.months < 0;
        let length = if before {
            self.offset.negated()
        } else {
            self.offset
        };
        match (lang, before) {
            (Lang::En, true) => format!("{length} before"),
            (Lang::En, false) => format!("{length} after"),
            (Lang::Zh, true) => format!("{length} 之前"),
            (Lang::Zh, false) => format!("{length} 之后"),
        }
    }
}

/// How many users are due when, in a plan.
#[derive(Default)]
pub struct UserScheduleCounts {
    /// Days of the next month on which users are due, whatever the condition says.
    days: Option<Vec<(Instant, usize)>>,
    /// Hours of the day, with the messages that fall into them.
    hours: Option<Vec<(u32, usize)>>,
}

impl UserScheduleCounts {
    /// How many users are due on each of the next days, from the first occasion on.
    ///
    /// # Errors
    /// Data that does not fit the program.
    pub fn by_day(
        project: &Project,
        data: &EvalData,
        schedule: &DateOffset,
        first: Instant,
    ) -> Result<UserScheduleCounts, Failure> {
        let zone = project.program.policy.zone;
        let mut days = Vec::new();
        for due in std::iter::successors(Some(first), |due| {
            date_offset::next_due(schedule.at, zone, Some(*due), first)
        })
        .take(DAYS_AHEAD)
        {
            let scope = EvalScope {
                now: due,
                ..data.scope(&project.program)
            };
            let users = eval::counts(&scope, &date_offset::condition(schedule, zone, due))?.yes;
            days.extend((users > 0).then_some((due, users)));
        }
        Ok(UserScheduleCounts {
            days: Some(days),
            hours: None,
        })
    }

    /// Into which hours the messages of a decision fall that is about the users of all hours.
    ///
    /// # Errors
    /// As [`UserScheduleCounts::by_day`].
    pub fn by_hour(
        project: &Project,
        data: &EvalData,
        schedule: &UserTime,
        decision: &Decision,
    ) -> Result<UserScheduleCounts, Failure> {
        let scope = EvalScope {
            now: decision.due,
            ..data.scope(&project.program)
        };
        let users = Bitmap::from_users(
            decision.users,
            decision
                .messages
                .iter()
                .flat_map(|group| group.users.iter().copied()),
        );
        let mut hours = Vec::new();
        for hour in 0..24 {
            let within = user_time::within(&schedule.at, hour * 60, hour * 60 + 59);
            let messages = eval::audience(&scope, &within)?.yes.and(&users).count();
            hours.extend((messages > 0).then_some((hour, messages)));
        }
        Ok(UserScheduleCounts {
            days: None,
            hours: Some(hours),
        })
    }

    /// `2027-11-11 10:00: the day of 3,000 users`, `20:00..20:59: 3,000 messages`, a line each.
    pub fn show(&self, zone: Zone, lang: Lang) -> String {
        let zh = lang == Lang::Zh;
        let mut out = String::new();
        let mut day = |text: String, users: usize| {
            let _ = if zh {
                writeln!(
                    out,
                    "    {text}：{} 个用户的日子",
                    group_digits(users as u64)
                )
            } else {
                writeln!(out, "    {text}: the day of {}", count_of(users, "user"))
            };
        };
        let days = self.days.as_deref().unwrap_or_default();
        let (shown, rest) = days.split_at(days.len().min(DAYS_SHOWN));
        shown
            .iter()
            .for_each(|(due, users)| day(zone.show(*due), *users));
        if !rest.is_empty() {
            let n = rest.len();
            let text = if zh {
                format!("之后 {n} 天")
            } else {
                format!("{} after these", count_of(n, "day"))
            };
            day(text, rest.iter().map(|(_, users)| users).sum());
        }
        for (hour, messages) in self.hours.iter().flatten() {
            let n = group_digits(*messages as u64);
            let messages = if zh {
                format!("：{n} 条消息")
            } else {
                format!(": {}", count_of(*messages, "message"))
            };
            let _ = writeln!(out, "    {hour:02}:00..{hour:02}:59{messages}");
        }
        out
    }

    /// The fields that it adds to a campaign of a plan.
    pub fn json(&self, zone: Zone) -> Vec<(&'static str, Value)> {
        let days = self.days.iter().map(|days| {
            let days = days
                .iter()
                .map(|(due, users)| json!({"due": zone.show_rfc3339(*due), "users": users}));
            ("days", days.collect())
        });
        let hours = self.hours.iter().map(|hours| {
            let hours = hours
                .iter()
                .map(|(hour, messages)| json!({"hour": hour, "messages": messages}));
            ("hours", hours.collect())
        });
        days.chain(hours).collect()
    }
}

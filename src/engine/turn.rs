//! When it is one user's turn, where a schedule is per user: what their date is, and the days that follow from it.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::data::Data;
use super::{Failure, Project};
use crate::base::{Calendar, Date, Instant, UserNo, Zone};
use crate::diag::Lang;
use crate::eval;
use crate::program::typed::{Campaign, Schedule};
use crate::schedule::dated;

pub struct Turn {
    /// What the schedule counts from, as it is written.
    of: String,
    /// `None`: this user has none, and is never due.
    date: Option<Date>,
    /// Early ones first.
    pub days: Vec<Day>,
}

/// A day on which the user is due.
pub struct Day {
    pub due: Instant,
    offset: Calendar,
}

impl Turn {
    /// `None` where the schedule is the same for everyone.
    ///
    /// # Errors
    /// Data that does not fit the program.
    pub fn of(project: &Project, data: &Data, campaign: &Campaign, user: UserNo) -> Result<Option<Turn>, Failure> {
        let Schedule::Dated(schedule) = &campaign.schedule else { return Ok(None) };
        let zone = project.program.policy.zone;
        let value = eval::value(&data.scope(&project.program), &schedule.of, user)?;
        let date = value.and_then(|value| dated::date_of(&value, zone));
        let days = date.map(|date| dated::days_of_date(schedule, date)).unwrap_or_default();
        let days = days.into_iter().map(|(day, offset)| Day { due: zone.instant(day, schedule.at), offset });
        Ok(Some(Turn { of: project.sources.slice(schedule.of.span).to_string(), date, days: days.collect() }))
    }

    pub fn show(&self, zone: Zone, lang: Lang) -> String {
        let (of, zh) = (&self.of, lang == Lang::Zh);
        let Some(date) = self.date else {
            return if zh { format!("不会到期:`{of}` 没有值\n") } else { format!("never due: `{of}` has no value\n") };
        };
        let mut out = if zh { format!("`{of}` 是 {date},到期:\n") } else { format!("`{of}` is {date}; due:\n") };
        for day in &self.days {
            let _ = writeln!(out, "  {}  {}", zone.show(day.due), day.offset_text(lang));
        }
        out
    }

    pub fn json(&self, zone: Zone) -> Value {
        let days = self.days.iter().map(|day| json!({"due": zone.show_rfc3339(day.due), "offset": day.offset_text(Lang::En)}));
        json!({"of": self.of, "date": self.date.map(|date| date.to_string()), "days": days.collect::<Vec<_>>()})
    }
}

impl Day {
    /// `7 days before`
    fn offset_text(&self, lang: Lang) -> String {
        let before = self.offset.days < 0 || self.offset.months < 0;
        let length = if before { self.offset.negated() } else { self.offset };
        match (lang, before) {
            (Lang::En, true) => format!("{length} before"),
            (Lang::En, false) => format!("{length} after"),
            (Lang::Zh, true) => format!("{length} 之前"),
            (Lang::Zh, false) => format!("{length} 之后"),
        }
    }
}

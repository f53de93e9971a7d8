//! Instants, dates, times of day, lengths of time and zones. Each is its own type; chrono stays
//! behind this file.
//!
//! A local time that a clock change skips is the first instant after the gap; one that happens
//! twice is the first. Calendar arithmetic clamps: 31 January + 1 month is the last of February.

use std::fmt;
use std::str::FromStr;

use chrono::{
    Datelike, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Timelike,
};

const MICROS: i64 = 1_000_000;
const SECONDS_A_DAY: i64 = 86_400;

/// A point in time: microseconds since 1970-01-01 00:00 UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Instant(pub i64);

/// A calendar day: days since 1970-01-01.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Date(pub i32);

/// A time of day: seconds since midnight, 0 to 86,399.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TimeOfDay(pub u32);

/// A length of time in microseconds, the same on every day (`90s`, `30min`, `72h`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Elapsed(pub i64);

/// A length on the calendar (`3 days`, `2 weeks`, `1 month`): whole months, then whole days.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Calendar {
    pub months: i32,
    pub days: i32,
}

/// A time zone of the IANA database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Zone(chrono_tz::Tz);

impl Instant {
    pub fn from_seconds(seconds: i64) -> Self {
        Instant(seconds.saturating_mul(MICROS))
    }

    pub fn checked_add(self, by: Elapsed) -> Option<Self> {
        self.0.checked_add(by.0).map(Instant)
    }

    pub fn checked_sub(self, by: Elapsed) -> Option<Self> {
        self.0.checked_sub(by.0).map(Instant)
    }

    /// Saturating, for deadlines and windows where the end of time will do.
    pub fn plus(self, by: Elapsed) -> Self {
        Instant(self.0.saturating_add(by.0))
    }

    pub fn minus(self, by: Elapsed) -> Self {
        Instant(self.0.saturating_sub(by.0))
    }

    /// How long after `earlier`.
    pub fn since(self, earlier: Instant) -> Elapsed {
        Elapsed(self.0.saturating_sub(earlier.0))
    }
}

impl Elapsed {
    pub const fn seconds(n: i64) -> Self {
        Elapsed(n.saturating_mul(MICROS))
    }
    pub const fn minutes(n: i64) -> Self {
        Self::seconds(n.saturating_mul(60))
    }
    pub const fn hours(n: i64) -> Self {
        Self::seconds(n.saturating_mul(3600))
    }
}

/// In the largest unit that divides it: `72h`, `30min`, `90s`.
impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = self.0 / MICROS;
        match s {
            _ if self.0 % MICROS != 0 => write!(f, "{}s", self.0 as f64 / MICROS as f64),
            _ if s % 3600 == 0 => write!(f, "{}h", s / 3600),
            _ if s % 60 == 0 => write!(f, "{}min", s / 60),
            _ => write!(f, "{s}s"),
        }
    }
}

impl Calendar {
    pub const fn days(days: i32) -> Self {
        Calendar { months: 0, days }
    }
    pub const fn months(months: i32) -> Self {
        Calendar { months, days: 0 }
    }
    pub fn negated(self) -> Self {
        Calendar {
            months: self.months.saturating_neg(),
            days: self.days.saturating_neg(),
        }
    }
}

impl fmt::Display for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |n: i32, unit: &str| format!("{n} {unit}{}", if n == 1 { "" } else { "s" });
        match (self.months, self.days) {
            (0, d) => f.write_str(&part(d, "day")),
            (m, 0) => f.write_str(&part(m, "month")),
            (m, d) => write!(f, "{} {}", part(m, "month"), part(d, "day")),
        }
    }
}

impl Date {
    /// A day of the Gregorian calendar, if it exists.
    pub fn ymd(year: i32, month: u32, day: u32) -> Option<Self> {
        NaiveDate::from_ymd_opt(year, month, day).map(Self::from_naive)
    }

    fn from_naive(day: NaiveDate) -> Self {
        Date(day.to_epoch_days())
    }

    fn naive(self) -> NaiveDate {
        NaiveDate::from_epoch_days(self.0).unwrap_or(if self.0 < 0 {
            NaiveDate::MIN
        } else {
            NaiveDate::MAX
        })
    }

    pub fn year(self) -> i32 {
        self.naive().year()
    }
    /// 1 to 12.
    pub fn month(self) -> u32 {
        self.naive().month()
    }
    /// 1 to 31.
    pub fn day(self) -> u32 {
        self.naive().day()
    }
    /// 1 (Monday) to 7 (Sunday).
    pub fn weekday(self) -> u32 {
        self.naive().weekday().number_from_monday()
    }

    pub fn plus_days(self, days: i32) -> Self {
        Date(self.0.saturating_add(days))
    }

    /// Months first, clamped to the month's last day, then days; `None` outside the calendar.
    pub fn checked_add(self, by: Calendar) -> Option<Self> {
        let day = self.naive();
        let months = Months::new(by.months.unsigned_abs());
        let day = if by.months < 0 {
            day.checked_sub_months(months)
        } else {
            day.checked_add_months(months)
        }?;
        day.checked_add_signed(TimeDelta::days(i64::from(by.days)))
            .map(Self::from_naive)
    }

    /// The Monday of this day's week.
    pub fn week_start(self) -> Self {
        self.plus_days(1 - self.weekday() as i32)
    }
    pub fn month_start(self) -> Self {
        self.plus_days(1 - self.day() as i32)
    }
    pub fn year_start(self) -> Self {
        self.plus_days(1 - self.naive().ordinal() as i32)
    }
    /// The last day of this day's month.
    pub fn month_end(self) -> Self {
        self.month_start()
            .checked_add(Calendar::months(1))
            .map_or(self, |d| d.plus_days(-1))
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.naive().format("%Y-%m-%d"))
    }
}

impl FromStr for Date {
    type Err = ();
    /// `2026-11-01`, four, two and two digits.
    fn from_str(text: &str) -> Result<Self, ()> {
        if text.len() != 10 {
            return Err(());
        }
        NaiveDate::parse_from_str(text, "%Y-%m-%d")
            .map(Self::from_naive)
            .map_err(|_| ())
    }
}

impl TimeOfDay {
    pub const MIDNIGHT: TimeOfDay = TimeOfDay(0);

    pub fn hms(hour: u32, minute: u32, second: u32) -> Option<Self> {
        (hour < 24 && minute < 60 && second < 60)
            .then_some(TimeOfDay(hour * 3600 + minute * 60 + second))
    }

    fn naive(self) -> NaiveTime {
        NaiveTime::from_num_seconds_from_midnight_opt(self.0, 0).unwrap_or(NaiveTime::MIN)
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (h, m, s) = (self.0 / 3600, self.0 / 60 % 60, self.0 % 60);
        write!(f, "{h:02}:{m:02}")?;
        if s != 0 { write!(f, ":{s:02}") } else { Ok(()) }
    }
}

impl FromStr for TimeOfDay {
    type Err = ();
    /// `9:00`, `09:00`, `09:00:30`.
    fn from_str(text: &str) -> Result<Self, ()> {
        let parts: Vec<u32> = text
            .split(':')
            .map(|p| p.parse().map_err(|_| ()))
            .collect::<Result<_, _>>()?;
        match parts[..] {
            [h, m] => Self::hms(h, m, 0),
            [h, m, s] => Self::hms(h, m, s),
            _ => None,
        }
        .ok_or(())
    }
}

impl Zone {
    pub const UTC: Zone = Zone(chrono_tz::UTC);
    /// The zone when policy names none.
    pub const SHANGHAI: Zone = Zone(chrono_tz::Asia::Shanghai);

    /// A zone by its IANA name, for instance `Asia/Shanghai`.
    pub fn named(name: &str) -> Option<Self> {
        name.parse().ok().map(Zone)
    }

    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// All names, for near-miss suggestions.
    pub fn names() -> impl Iterator<Item = &'static str> {
        chrono_tz::TZ_VARIANTS.iter().map(|z| z.name())
    }

    /// The instant of a local date and time.
    pub fn instant(self, date: Date, time: TimeOfDay) -> Instant {
        let local = date.naive().and_time(time.naive());
        match self.0.from_local_datetime(&local) {
            chrono::LocalResult::Single(t) | chrono::LocalResult::Ambiguous(t, _) => {
                Instant(t.timestamp_micros())
            }
            chrono::LocalResult::None => self.after_gap(local),
        }
    }

    /// The first instant after the gap that swallows `local`: found by halving between the day
    /// before and the day after.
    fn after_gap(self, local: NaiveDateTime) -> Instant {
        let utc = local.and_utc().timestamp();
        let (mut low, mut high) = (utc - SECONDS_A_DAY, utc + SECONDS_A_DAY);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.local(Instant::from_seconds(middle)) < local {
                low = middle
            } else {
                high = middle
            }
        }
        Instant::from_seconds(high)
    }

    fn local(self, at: Instant) -> NaiveDateTime {
        let utc = chrono::DateTime::from_timestamp_micros(at.0).unwrap_or(if at.0 < 0 {
            chrono::DateTime::<chrono::Utc>::MIN_UTC
        } else {
            chrono::DateTime::<chrono::Utc>::MAX_UTC
        });
        // Years at the very ends of the calendar have no room for the offset: stay in UTC there.
        self.0
            .from_utc_datetime(&utc.naive_utc())
            .naive_utc()
            .checked_add_offset(self.offset(&utc.naive_utc()))
            .unwrap_or(utc.naive_utc())
    }

    fn offset(self, utc: &NaiveDateTime) -> chrono::FixedOffset {
        use chrono::Offset;
        self.0.offset_from_utc_datetime(utc).fix()
    }

    pub fn date(self, at: Instant) -> Date {
        Date::from_naive(self.local(at).date())
    }

    pub fn time(self, at: Instant) -> TimeOfDay {
        TimeOfDay(self.local(at).num_seconds_from_midnight())
    }

    /// Local midnight that begins `date`.
    pub fn start_of(self, date: Date) -> Instant {
        self.instant(date, TimeOfDay::MIDNIGHT)
    }

    /// `at` moved on the calendar in this zone, keeping the local time of day.
    pub fn add_calendar(self, at: Instant, by: Calendar) -> Option<Instant> {
        let local = self.local(at);
        let date = Date::from_naive(local.date()).checked_add(by)?;
        let part = i64::from(local.nanosecond() / 1000);
        self.instant(date, TimeOfDay(local.num_seconds_from_midnight()))
            .0
            .checked_add(part)
            .map(Instant)
    }

    /// `2026-11-11 10:00` or `2026-11-11 10:00:30` in this zone.
    pub fn show(self, at: Instant) -> String {
        let local = self.local(at);
        local
            .format(if local.second() == 0 {
                "%Y-%m-%d %H:%M"
            } else {
                "%Y-%m-%d %H:%M:%S"
            })
            .to_string()
    }

    /// RFC 3339 with this zone's offset, for machine formats.
    pub fn show_rfc3339(self, at: Instant) -> String {
        chrono::DateTime::from_timestamp_micros(at.0).map_or_else(
            || at.0.to_string(),
            |t| {
                t.with_timezone(&self.0)
                    .to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
            },
        )
    }

    /// Reads what a person or a file gives for an instant: `2026-11-11`, `2026-11-11
    /// 10:00[:30[.5]]` (also with `T`), or RFC 3339 with its own offset.
    pub fn parse_instant(self, text: &str) -> Option<Instant> {
        let text = text.trim();
        if let Ok(date) = text.parse::<Date>() {
            return Some(self.start_of(date));
        }
        if let Ok(t) = chrono::DateTime::parse_from_rfc3339(text) {
            return Some(Instant(t.timestamp_micros()));
        }
        let (date, time) = text.split_once(['T', ' '])?;
        let date: Date = date.parse().ok()?;
        let (time, part) = match time.split_once('.') {
            Some((t, p))
                if !p.is_empty() && p.len() <= 9 && p.bytes().all(|b| b.is_ascii_digit()) =>
            {
                (t, format!("{p:0<6}")[..6].parse().ok()?)
            }
            Some(_) => return None,
            None => (time, 0i64),
        };
        self.instant(date, time.parse().ok()?)
            .0
            .checked_add(part)
            .map(Instant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Date {
        text.parse().unwrap()
    }

    #[test]
    fn months_clamp() {
        assert_eq!(
            day("2027-01-31").checked_add(Calendar::months(1)),
            Some(day("2027-02-28"))
        );
        assert_eq!(
            day("2028-03-31").checked_add(Calendar::months(-1)),
            Some(day("2028-02-29"))
        );
        assert_eq!(day("2027-02-10").month_end(), day("2027-02-28"));
        assert_eq!(day("2026-11-11").week_start(), day("2026-11-09"));
    }

    #[test]
    fn clock_changes_happen_once() {
        let berlin = Zone::named("Europe/Berlin").unwrap();
        let skipped = berlin.instant(day("2027-03-28"), "02:30".parse().unwrap());
        assert_eq!(berlin.show(skipped), "2027-03-28 03:00");
        let twice = berlin.instant(day("2027-10-31"), "02:30".parse().unwrap());
        assert_eq!(berlin.show_rfc3339(twice), "2027-10-31T02:30:00+02:00");
    }

    #[test]
    fn instants_read_back() {
        let z = Zone::SHANGHAI;
        for text in [
            "2026-11-11 10:00",
            "2026-11-11T10:00",
            "2026-11-11T02:00:00Z",
            "2026-11-11T10:00:00+08:00",
        ] {
            assert_eq!(
                z.parse_instant(text).map(|i| z.show(i)).as_deref(),
                Some("2026-11-11 10:00"),
                "{text}"
            );
        }
        assert_eq!(
            z.parse_instant("2026-11-11 10:00:00.25")
                .map(|i| i.0 % 1_000_000),
            Some(250_000)
        );
        assert_eq!(z.parse_instant("2026-1-1"), None);
        assert_eq!(z.parse_instant("2026-11-11 25:00"), None);
    }
}

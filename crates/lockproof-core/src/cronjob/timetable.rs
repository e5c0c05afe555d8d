//! When a CronJob is due, on a clock that begins on a Monday at midnight.
//!
//! Owns what Kubernetes takes as a schedule (five fields, or a nickname such as `@hourly`; UTC), and
//! how a time of that clock is written. The `croner` crate reads the fields.

use std::fmt;
use std::time::Duration;

use chrono::{Datelike, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

/// A CronJob's schedule.
#[derive(Debug, Clone)]
pub struct Timetable {
    text: String,
    cron: Cron,
}

/// A text that is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotATimetable {
    /// Kubernetes has minutes as the smallest unit, and no years.
    #[error("{0:?} is no schedule: it has five fields (minute, hour, day, month, weekday)")]
    Fields(String),
    /// Something that Kubernetes does not know.
    #[error("{0:?} is no schedule: {1:?} in it is not known")]
    Unknown(String, String),
    /// A number that there is not, and the like.
    #[error("{0:?} is no schedule: {1}")]
    Field(String, String),
    /// There is no such day.
    #[error("{0:?} is never due")]
    Never(String),
}

/// The nicknames that Kubernetes knows (robfig/cron, `ParseStandard`), times of no calendar left out.
const NICKNAMES: [&str; 7] = [
    "@yearly",
    "@annually",
    "@monthly",
    "@weekly",
    "@daily",
    "@midnight",
    "@hourly",
];

/// Names of months and weekdays.
const NAMES: [&str; 19] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec", "sun",
    "mon", "tue", "wed", "thu", "fri", "sat",
];

impl Timetable {
    /// The schedule that this text stands for.
    ///
    /// # Errors
    /// When Kubernetes would not take it, or it is never due.
    pub fn new(text: &str) -> Result<Self, NotATimetable> {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if !NICKNAMES.contains(&text.as_str()) {
            well_formed(&text)?;
        }
        let cron = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            // `5/15`, which Kubernetes takes, too.
            .sloppy_ranges(true)
            .build()
            .parse(&text)
            .map_err(|error| NotATimetable::Field(text.clone(), error.to_string()))?;
        let timetable = Self { text, cron };
        match timetable.next_after(Duration::ZERO) {
            Some(_) => Ok(timetable),
            None => Err(NotATimetable::Never(timetable.text)),
        }
    }

    /// The next time after this one.
    #[must_use]
    pub fn next_after(&self, time: Duration) -> Option<Duration> {
        let next = self.cron.find_next_occurrence(&at(time), false).ok()?;
        (next - begin()).to_std().ok()
    }

    /// The text, as in a scenario file.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Whether the text has five fields of what Kubernetes knows: croner knows more.
fn well_formed(text: &str) -> Result<(), NotATimetable> {
    let fields: Vec<&str> = text.split(' ').collect();
    if fields.len() != 5 {
        return Err(NotATimetable::Fields(text.to_owned()));
    }
    let unknown = |word: &str| NotATimetable::Unknown(text.to_owned(), word.to_owned());
    for (place, field) in fields.iter().enumerate() {
        for word in field.split([',', '-', '/']) {
            let name = NAMES.contains(&word.to_lowercase().as_str());
            let number = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
            if !(number || (name && place >= 3) || word == "*" || word == "?") {
                return Err(unknown(if word.is_empty() { field } else { word }));
            }
        }
        // Sunday is 0 there, and nothing else.
        let sunday = |word: &str| word.split('/').next() == Some("7");
        if place == 4 && field.split([',', '-']).any(sunday) {
            return Err(unknown(field));
        }
    }
    Ok(())
}

impl PartialEq for Timetable {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Timetable {}

impl fmt::Display for Timetable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// When the clock begins: a Monday, the first of a month and of a year.
fn begin() -> NaiveDateTime {
    NaiveDate::from_ymd_opt(2024, 1, 1)
        .unwrap_or_default()
        .and_time(NaiveTime::MIN)
}

fn at(time: Duration) -> NaiveDateTime {
    TimeDelta::from_std(time)
        .ok()
        .and_then(|delta| begin().checked_add_signed(delta))
        .unwrap_or(NaiveDateTime::MAX)
}

/// A time of the controller's clock: `01:00`, `01:00:30`, after the first day `2024-01-02 01:00`.
#[must_use]
pub fn clock(time: Duration) -> String {
    let at = at(time);
    let mut text = String::new();
    if at.date() != begin().date() {
        text = format!("{:04}-{:02}-{:02} ", at.year(), at.month(), at.day());
    }
    text += &format!("{:02}:{:02}", at.hour(), at.minute());
    let millis = at.nanosecond() / 1_000_000;
    match (at.second(), millis) {
        (0, 0) => {}
        (second, 0) => text += &format!(":{second:02}"),
        (second, millis) => text += &format!(":{second:02}.{millis:03}"),
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn times(text: &str, count: usize) -> Vec<String> {
        let timetable = Timetable::new(text).expect(text);
        let mut now = Duration::ZERO;
        (0..count)
            .map(|_| {
                now = timetable.next_after(now).expect("a next time");
                clock(now)
            })
            .collect()
    }

    #[test]
    fn the_next_times_are_those_that_cron_would_have() {
        for (text, expected) in [
            ("*/10 * * * *", ["00:10", "00:20"]),
            ("0 * * * *", ["01:00", "02:00"]),
            ("@hourly", ["01:00", "02:00"]),
            ("5/30 * * * *", ["00:05", "00:35"]),
            ("30 22-23 * * mon", ["22:30", "23:30"]),
            ("0 3 * * *", ["03:00", "2024-01-02 03:00"]),
            ("0 0 1 JAN,feb ?", ["2024-02-01 00:00", "2025-01-01 00:00"]),
            // A day of the month or a weekday: either is enough.
            ("0 12 2 * 3", ["2024-01-02 12:00", "2024-01-03 12:00"]),
            ("0 0 29 2 *", ["2024-02-29 00:00", "2028-02-29 00:00"]),
        ] {
            assert_eq!(times(text, 2), expected, "{text}");
        }
    }

    #[test]
    fn what_kubernetes_does_not_take_is_refused() {
        for text in [
            "",
            "0 * * *",
            "0 0 * * * *",
            "@every 1h",
            "@reboot",
            "TZ=UTC 0 * * * *",
        ] {
            assert!(
                matches!(
                    Timetable::new(text),
                    Err(NotATimetable::Fields(_) | NotATimetable::Unknown(..))
                ),
                "{text}"
            );
        }
        for text in [
            "0 0 L * *",
            "0 0 15W * *",
            "0 0 * * 5#2",
            "0 0 * * 7",
            "mon * * * *",
            "1--2 * * * *",
            "0 0 +1 * *",
        ] {
            assert!(
                matches!(Timetable::new(text), Err(NotATimetable::Unknown(..))),
                "{text}"
            );
        }
        for text in [
            "60 * * * *",
            "0 24 * * *",
            "0 0 0 * *",
            "0 0 * 13 *",
            "*/0 * * * *",
            "30-10 * * * *",
        ] {
            assert!(
                matches!(Timetable::new(text), Err(NotATimetable::Field(..))),
                "{text}: {:?}",
                Timetable::new(text)
            );
        }
        assert!(matches!(
            Timetable::new("0 0 31 2 *"),
            Err(NotATimetable::Never(_))
        ));
    }

    #[test]
    fn the_clock_says_no_more_than_it_must() {
        assert_eq!(clock(Duration::ZERO), "00:00");
        assert_eq!(clock(61 * MINUTE + Duration::from_secs(30)), "01:01:30");
        assert_eq!(clock(Duration::from_millis(1_500)), "00:00:01.500");
        assert_eq!(clock(24 * 60 * MINUTE), "2024-01-02 00:00");
    }
}

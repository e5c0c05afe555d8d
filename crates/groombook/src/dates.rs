//! Days and times of appointments.
//!
//! Owns the day that everything is counted from and the form of a timestamp. Never reads a clock.

use chrono::{Days, NaiveDate, NaiveDateTime, TimeDelta};

use super::draw::Draw;

/// The day that a run counts from unless told otherwise: 2026-06-04, when the fix was merged.
pub(super) const DEFAULT_TODAY: NaiveDate = match NaiveDate::from_ymd_opt(2026, 6, 4) {
    Some(date) => date,
    None => NaiveDate::MIN,
};

/// Opening hours, 8 to 16 h, in quarters of an hour: appointments start at one of these 33.
const QUARTERS: u32 = (16 - 8) * 4;

/// A start within the `days` before `today`.
pub(super) fn past(today: NaiveDate, days: u32, draw: &mut Draw) -> NaiveDateTime {
    let back = draw.between(1, days);
    let date = today.checked_sub_days(Days::new(u64::from(back)));
    at_a_quarter(date.unwrap_or(today), draw)
}

/// A start within the `days` after `today`.
pub(super) fn ahead(today: NaiveDate, days: u32, draw: &mut Draw) -> NaiveDateTime {
    let ahead = draw.between(1, days);
    let date = today.checked_add_days(Days::new(u64::from(ahead)));
    at_a_quarter(date.unwrap_or(today), draw)
}

/// So many minutes later.
pub(super) fn later(time: NaiveDateTime, minutes: u32) -> NaiveDateTime {
    time.checked_add_signed(TimeDelta::minutes(i64::from(minutes)))
        .unwrap_or(time)
}

/// As SQL reads it.
pub(super) fn sql(time: NaiveDateTime) -> String {
    time.format("'%Y-%m-%d %H:%M:%S'").to_string()
}

fn at_a_quarter(date: NaiveDate, draw: &mut Draw) -> NaiveDateTime {
    let opening = date.and_time(chrono::NaiveTime::MIN);
    later(opening, 8 * 60 + draw.between(0, QUARTERS) * 15)
}

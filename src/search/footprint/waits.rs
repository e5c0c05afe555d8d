//! What ends a session's waits for locks: the time limits that it has.
//!
//! Owns how they come and go: from a session's beginning, by SET, `set_config` and RESET, for a transaction by SET
//! LOCAL, back by ROLLBACK and by errors; and which of two limits comes first. What is not known is no limit: an
//! error that no server would give must not be made. Knows nothing of locks.

use crate::history::{Answer, Delivery, Request, Setting};
use crate::schedule::PREPARE;
use crate::sql::{Lasts, SettingChange, SettingChanges, SettingValue, setting_changes};

/// The settings that end a wait for a lock.
const LIMITS: [&str; 2] = ["lock_timeout", "statement_timeout"];
const LOCK: usize = 0;
const STATEMENT: usize = 1;

/// How a wait for a lock ends if it is not granted before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitEnd {
    /// Not at all.
    Never,
    /// By a time limit, with this SQLSTATE.
    By(&'static str),
    /// There may be a limit whose value is not known.
    Unknown,
}

/// What a limit is known to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Limit {
    #[default]
    None,
    /// In milliseconds.
    Of(u64),
    /// There may be one.
    Unknown,
}

/// Of each of `LIMITS`.
type Limits = [Limit; LIMITS.len()];

/// The limits of a session at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Values {
    /// Those that it has.
    now: Limits,
    /// Those that it has when its transaction has committed.
    session: Limits,
}

impl Values {
    fn put(&mut self, place: usize, to: Limit, lasts: Lasts) {
        self.now[place] = to;
        match lasts {
            Lasts::Session => self.session[place] = to,
            Lasts::Transaction => {}
            Lasts::Unknown if self.session[place] == to => {}
            Lasts::Unknown => self.session[place] = Limit::Unknown,
        }
    }

    /// Where these differ from the others it is not known which are so.
    fn blur(&mut self, other: &Self) {
        for place in 0..LIMITS.len() {
            if self.session[place] != other.session[place] {
                self.session[place] = Limit::Unknown;
            }
            if self.now[place] != other.now[place] {
                self.now[place] = Limit::Unknown;
            }
        }
    }
}

/// What a request was sent upon.
#[derive(Debug, Clone, Default)]
struct Sent {
    /// The limits that there were before, and those that a rollback gave back.
    before: Values,
    rolled_back: Values,
    /// Whether a transaction ends before the last of its statements.
    ends_within: bool,
    delivery: Option<Delivery>,
}

/// The limits of a session.
#[derive(Debug, Clone, Default)]
pub(super) struct WaitLimits {
    /// Those with which it began.
    began: Limits,
    values: Values,
    /// Those that there were when its transaction began, if that has changed any.
    saved: Option<Values>,
    /// Those that there were at each savepoint.
    savepoints: Vec<(String, Values)>,
    /// Whether an error has aborted its transaction.
    failed: bool,
    sent: Sent,
}

impl WaitLimits {
    /// Of a session that begins with these settings; the last of a name counts.
    pub(super) fn of(settings: &[&Setting], unknown: &Unknown) -> Self {
        let began = [LOCK, STATEMENT].map(|place| {
            let last = settings.iter().rev().find(|one| one.name == LIMITS[place]);
            match last {
                _ if unknown.0[place] => Limit::Unknown,
                Some(setting) => limit(&setting.value),
                None => Limit::None,
            }
        });
        Self {
            began,
            values: Values {
                now: began,
                session: began,
            },
            ..Self::default()
        }
    }

    /// What another session has left in this one may be in force.
    pub(super) fn may_be(&mut self, unknown: &Unknown) {
        for place in 0..LIMITS.len() {
            if unknown.0[place] {
                self.values.put(place, Limit::Unknown, Lasts::Session);
            }
        }
    }

    /// Which limits of the session are not those with which it began.
    pub(super) fn changed(&self) -> Unknown {
        Unknown([LOCK, STATEMENT].map(|place| self.values.session[place] != self.began[place]))
    }

    /// A request is sent. How its first wait for a lock ends by its session's limits.
    pub(super) fn sent(&mut self, request: &Request, delivery: Delivery) -> WaitEnd {
        self.sent = Sent {
            before: self.values,
            rolled_back: self.saved.unwrap_or(self.values),
            ends_within: false,
            delivery: Some(delivery),
        };
        let statements = changes_of(request);
        let count = statements.len();
        let mut found = None;
        let as_it_was = self.clone();
        for (index, statement) in statements.iter().enumerate() {
            // The timer of a statement began with it.
            let whole = self.values.now[STATEMENT];
            let mut ends = wait_end(self.values.now[LOCK], whole);
            for (place, change) in statement.all.iter().enumerate() {
                let is_end = matches!(change, SettingChange::Ends { .. });
                self.sent.ends_within |= is_end && index + 1 < count;
                self.change(change);
                if statement.before_lock.is_some_and(|before| place < before) {
                    ends = wait_end(self.values.now[LOCK], whole);
                }
            }
            if statement.before_lock.is_some() {
                found.get_or_insert(ends);
            }
        }
        let found =
            found.unwrap_or_else(|| wait_end(self.values.now[LOCK], self.values.now[STATEMENT]));
        if delivery == Delivery::Replaced {
            let sent = std::mem::take(&mut self.sent);
            *self = as_it_was;
            self.sent = Sent {
                ends_within: false,
                ..sent
            };
        }
        found
    }

    /// It is answered.
    pub(super) fn answered(&mut self, answer: &Answer) {
        let sent = std::mem::take(&mut self.sent);
        let kept_back = matches!(
            sent.delivery,
            Some(Delivery::AnswerReplaced | Delivery::AnswerDropped)
        );
        match answer.transaction {
            // What the server itself said is not known.
            _ if kept_back => {
                if answer.transaction == Some('I') {
                    self.end(true);
                }
                self.values.blur(&sent.before);
            }
            Some('E') => self.failed = true,
            Some('T') => self.failed = false,
            Some('I') => {
                if answer.error.is_none() {
                    self.end(!self.failed);
                } else if sent.ends_within {
                    self.end(true);
                    self.values.blur(&sent.before);
                } else {
                    self.saved = Some(sent.rolled_back);
                    self.end(false);
                }
            }
            _ => {}
        }
    }

    fn change(&mut self, change: &SettingChange) {
        match change {
            SettingChange::Ends { commits } => return self.end(*commits && !self.failed),
            SettingChange::Savepoint(name) => {
                self.saved.get_or_insert(self.values);
                return self.savepoints.push((name.clone(), self.values));
            }
            SettingChange::Release(name) => {
                if let Some(place) = self.savepoint(name) {
                    self.savepoints.truncate(place);
                }
                return;
            }
            SettingChange::BackTo(name) => {
                if let Some(place) = self.savepoint(name) {
                    self.values = self.savepoints[place].1;
                    self.savepoints.truncate(place + 1);
                }
                return;
            }
            // For `Unknown::note`.
            SettingChange::LaterSessions(_) => return,
            SettingChange::Set { .. } | SettingChange::ResetAll | SettingChange::MayChange(_) => {}
        }
        self.saved.get_or_insert(self.values);
        for (place, limit_name) in LIMITS.iter().enumerate() {
            match change {
                SettingChange::Set { name, to, lasts } if name == limit_name => {
                    let to = match to {
                        SettingValue::Is(value) => limit(value),
                        SettingValue::Default => self.began[place],
                        SettingValue::Unknown => Limit::Unknown,
                    };
                    self.values.put(place, to, *lasts);
                }
                SettingChange::ResetAll => {
                    self.values.put(place, self.began[place], Lasts::Session);
                }
                SettingChange::MayChange(name)
                    if name.as_ref().is_none_or(|name| name == limit_name) =>
                {
                    self.values.put(place, Limit::Unknown, Lasts::Session);
                }
                _ => {}
            }
        }
    }

    /// Of several savepoints of a name the last one is meant.
    fn savepoint(&self, name: &str) -> Option<usize> {
        self.savepoints.iter().rposition(|(own, _)| own == name)
    }

    /// No transaction is open any more.
    fn end(&mut self, commits: bool) {
        let saved = self.saved.take();
        if let Some(saved) = saved.filter(|_| !commits) {
            self.values = saved;
        }
        self.values.now = self.values.session;
        self.savepoints.clear();
        self.failed = false;
    }
}

/// Of which limits it is not known with what sessions begin.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Unknown([bool; LIMITS.len()]);

impl Unknown {
    /// A request is sent that may say with what later sessions begin.
    pub(super) fn note(&mut self, request: &Request) {
        for change in changes_of(request).iter().flat_map(|one| &one.all) {
            let SettingChange::LaterSessions(name) = change else {
                continue;
            };
            for (place, limit) in LIMITS.iter().enumerate() {
                self.0[place] |= name.as_ref().is_none_or(|name| name == limit);
            }
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        for place in 0..LIMITS.len() {
            self.0[place] |= other.0[place];
        }
    }
}

/// What each of the statements changes that the request executes. Of a long text the history has only the normal forms
/// of the last ones, without their values.
fn changes_of(request: &Request) -> Vec<SettingChanges> {
    let executed = |text: &&String| !text.starts_with(PREPARE);
    let of_text = |text: &String| setting_changes(text, &LIMITS);
    let mut found: Vec<_> = request
        .sql
        .iter()
        .filter(executed)
        .flat_map(of_text)
        .collect();
    let told = found.len();
    let left = request.normal.iter().filter(executed).skip(told);
    found.extend(left.flat_map(of_text));
    found
}

/// With what a wait for a lock ends under these limits. The timer of the statement began first, so that it is the first
/// to go off where both are the same (PostgreSQL's documentation of `lock_timeout`).
fn wait_end(lock: Limit, statement: Limit) -> WaitEnd {
    match (lock, statement) {
        (Limit::None, Limit::None) => WaitEnd::Never,
        (Limit::Unknown, _) | (_, Limit::Unknown) => WaitEnd::Unknown,
        (Limit::Of(_), Limit::None) => WaitEnd::By("55P03"),
        (Limit::None, Limit::Of(_)) => WaitEnd::By("57014"),
        (Limit::Of(lock), Limit::Of(statement)) if lock < statement => WaitEnd::By("55P03"),
        (Limit::Of(_), Limit::Of(_)) => WaitEnd::By("57014"),
    }
}

/// A limit as the server reads it (`parse_int` in guc.c): of no unit in milliseconds, rounded to whole ones; 0 is none.
fn limit(value: &str) -> Limit {
    const UNITS: [(&str, f64); 6] = [
        ("us", 0.001),
        ("ms", 1.0),
        ("s", 1_000.0),
        ("min", 60_000.0),
        ("h", 3_600_000.0),
        ("d", 86_400_000.0),
    ];
    let value = value.trim();
    let (number, digits_end) = match value.get(..2) {
        Some("0x" | "0X") => {
            let digits = &value[2..];
            let end = digits
                .find(|one: char| !one.is_ascii_hexdigit())
                .unwrap_or(digits.len());
            let read = u32::from_str_radix(&digits[..end], 16);
            (read.ok().map(f64::from), end + 2)
        }
        _ => {
            let end = value
                .find(|one: char| !(one.is_ascii_digit() || one == '.'))
                .unwrap_or(value.len());
            let octal = end > 1 && value.starts_with('0') && !value[..end].contains('.');
            let read = match octal {
                true => u32::from_str_radix(&value[1..end], 8).ok().map(f64::from),
                false => value[..end].parse().ok(),
            };
            (read, end)
        }
    };
    let unit = value[digits_end..].trim_start();
    let factor = match unit {
        "" => Some(1.0),
        _ => UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .map(|(_, factor)| *factor),
    };
    let (Some(number), Some(factor)) = (number, factor) else {
        return Limit::Unknown;
    };
    // No limit is longer than 2,147,483,647 ms.
    match (number * factor).round_ties_even() {
        0.0 => Limit::None,
        millis if millis <= f64::from(i32::MAX) => Limit::Of(millis as u64),
        _ => Limit::Unknown,
    }
}

//! What ends a session's waits for locks: the time limits that it has.
//!
//! Owns how they come and go: from a session's beginning, by SET, `set_config` and RESET, for a transaction by SET
//! LOCAL. Knows nothing of locks.

use std::sync::LazyLock;

use regex::Regex;

use crate::history::Setting;

/// The settings that end a wait for a lock, with the SQLSTATE of the error; one that ends waits for locks alone first.
const LIMITS: [(&str, &str); 2] = [("lock_timeout", "55P03"), ("statement_timeout", "57014")];

/// For each of `LIMITS` whether it is set.
type Set = [bool; LIMITS.len()];

/// The limits of a session.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct WaitLimits {
    /// Those with which it began.
    began: Set,
    /// Those that it has.
    session: Set,
    /// Those that its transaction has.
    now: Set,
}

impl WaitLimits {
    /// Of a session that begins with these settings; the last of a name counts.
    pub(super) fn of(settings: &[&Setting]) -> Self {
        let began = LIMITS.map(|(name, _)| {
            let last = settings.iter().rev().find(|one| one.name == name);
            last.is_some_and(|one| is_some(&one.value))
        });
        Self {
            began,
            session: began,
            now: began,
        }
    }

    /// With what a wait for a lock ends by a limit; `None`: by none.
    pub(super) fn sqlstate(&self) -> Option<&'static str> {
        let mut both = LIMITS.iter().zip(self.now);
        both.find(|(_, set)| *set).map(|((_, state), _)| *state)
    }

    /// A text is sent.
    pub(super) fn sent(&mut self, sql: &str) {
        for set in CHANGES.iter().flat_map(|change| change.captures_iter(sql)) {
            let text = |name: &str| set.name(name).map_or("", |found| found.as_str());
            let (name, value) = (text("name").to_ascii_lowercase(), text("value"));
            let local = ["local", "true", "t"].contains(&text("local").to_lowercase().as_str());
            for (place, (limit, _)) in LIMITS.iter().enumerate() {
                if name != *limit && name != "all" {
                    continue;
                }
                let default = value.is_empty() || value.eq_ignore_ascii_case("default");
                let to = if default {
                    self.began[place]
                } else {
                    is_some(value)
                };
                self.now[place] = to;
                if !local {
                    self.session[place] = to;
                }
            }
        }
    }

    /// No transaction is open any more.
    pub(super) fn transaction_ended(&mut self) {
        self.now = self.session;
    }
}

/// Whether a value is a limit: 0 is none.
fn is_some(value: &str) -> bool {
    let value = value.trim_matches(['\'', ' ']).trim_start_matches('0');
    value.starts_with(|first: char| first.is_ascii_digit() || first == '.')
}

/// What changes a limit: SET, a call of `set_config`, RESET and DISCARD.
static CHANGES: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let names = LIMITS.map(|(name, _)| name).join("|");
    let all = [
        format!(
            r"(?i)\bset\s+(?:(?<local>local|session)\s+)?(?<name>{names})\s*(?:=|\bto\b)\s*'?(?<value>[\w.]+)"
        ),
        format!(
            r"(?i)\bset_config\s*\(\s*'(?<name>{names})'\s*,\s*'(?<value>[\w. ]+)'\s*,\s*'?(?<local>\w+)"
        ),
        format!(r"(?i)\b(?:reset|discard)\s+(?<name>all|{names})\b"),
    ];
    all.iter()
        .filter_map(|text| Regex::new(text).ok())
        .collect()
});

#[cfg(test)]
mod tests {
    use super::*;

    fn after(began: &[(&str, &str)], texts: &[&str]) -> WaitLimits {
        let began = began.iter().filter_map(|one| Setting::known(one.0, one.1));
        let began: Vec<Setting> = began.collect();
        let mut limits = WaitLimits::of(&began.iter().collect::<Vec<_>>());
        texts.iter().for_each(|text| limits.sent(text));
        limits
    }

    #[test]
    fn a_limit_of_waits_is_read_and_none_is_none() {
        for (sql, limited) in [
            ("set lock_timeout = '200ms'", Some("55P03")),
            ("SET LOCAL lock_timeout TO 5000", Some("55P03")),
            ("set session lock_timeout='0.5s'", Some("55P03")),
            (
                "select set_config('lock_timeout', '2s', false)",
                Some("55P03"),
            ),
            ("set lock_timeout = 0", None),
            ("set lock_timeout = '0'", None),
            ("set lock_timeout = default", None),
            ("set statement_timeout = '5s'", Some("57014")),
            (
                "set statement_timeout = 5; set lock_timeout = 2",
                Some("55P03"),
            ),
            ("set work_mem = 5", None),
        ] {
            assert_eq!(after(&[], &[sql]).sqlstate(), limited, "{sql}");
        }
    }

    #[test]
    fn a_session_may_begin_with_a_limit_and_come_back_to_it() {
        let began = [("lock_timeout", "3s")];
        assert_eq!(after(&began, &[]).sqlstate(), Some("55P03"));
        assert_eq!(after(&began, &["set lock_timeout = 0"]).sqlstate(), None);
        for back in [
            "reset lock_timeout",
            "discard all",
            "set lock_timeout to default",
        ] {
            let texts = ["set lock_timeout = 0", back];
            assert_eq!(after(&began, &texts).sqlstate(), Some("55P03"), "{back}");
        }
        // The last of a name counts.
        let lifted = [("lock_timeout", "3s"), ("lock_timeout", "0")];
        assert_eq!(after(&lifted, &[]).sqlstate(), None);
    }

    #[test]
    fn what_is_set_for_a_transaction_ends_with_it() {
        for local in [
            "set local lock_timeout = 5",
            "select set_config('lock_timeout', '5', true)",
        ] {
            let mut limits = after(&[], &[local]);
            assert_eq!(limits.sqlstate(), Some("55P03"));
            limits.transaction_ended();
            assert_eq!(limits.sqlstate(), None, "{local}");
        }
        let mut kept = after(&[], &["set lock_timeout = 5"]);
        kept.transaction_ended();
        assert_eq!(kept.sqlstate(), Some("55P03"));
    }
}

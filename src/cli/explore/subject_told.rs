//! What a search says of its subject before it begins.
//!
//! Owns the sentences about the clean run, the lock that it shows, and what is wrong with it for a search.

use super::work::Work;
use crate::cli::common::Failure;
use crate::cli::exit::Exit;
use crate::history::{LockRule, OneLock, private};
use crate::name::{LockKey, TableName};
use crate::report::{count, three_lines, wrap};
use crate::scenario::{LockName, ProtectingLock, Scenario, write_lock};
use crate::search::{Beside, Trial};

impl Work<'_> {
    /// Whether the job guards itself with anything that is known.
    pub(super) fn guards_itself(&self, trial: &Trial<'_>) -> bool {
        !trial.measured().locks.is_empty()
            || self.scenario.subject.lock.is_some()
            || trial.rules().lock != LockRule::None
    }

    /// What the clean run showed, and what is wrong with it for a search.
    pub fn tell_subject(&self, trial: &Trial<'_>) -> Result<(), Failure> {
        let measured = trial.measured();
        let baseline = &measured.baseline;
        for note in trial.notes() {
            self.talk.say(&wrap("note", note));
        }
        if trial.rules().protect.is_empty() {
            return Err(Failure::new(
                Exit::Inconclusive,
                "the clean run wrote no table: there is nothing that a lock could guard. Does the \
                 subject find work to do in a fresh database? (--schema, --prepare)",
            ));
        }
        let written: Vec<String> = baseline.written.iter().map(|table| short(table)).collect();
        self.talk.say(&wrap(
            "clean run",
            &format!(
                "{}, writes {}; {}",
                count(u64::from(baseline.steps), "step"),
                written.join(", "),
                lock_words(self.scenario, trial)
            ),
        ));
        self.tell_other_locks(trial);
        if !baseline.unstable_steps.is_empty() {
            let file = self.out.join("differs.txt");
            let all = baseline.unstable_steps.join("\n") + "\n";
            let kept = private::make_directory(self.out).and_then(|()| private::write(&file, &all));
            let text = format!(
                "the subject does not do the same in every serial run, so a replay may differ, too; what differs: {}",
                baseline.unstable_steps.join("; ")
            );
            let more = kept.map(|()| file.display().to_string()).ok();
            for line in three_lines("note", &text, more.as_deref()) {
                self.talk.say(&line);
            }
        }
        Ok(())
    }

    /// What looks like a lock and is not judged.
    fn tell_other_locks(&self, trial: &Trial<'_>) {
        for one in trial.locks_beside() {
            let Beside { words, name } = &one;
            let Some(name) = name else {
                let text = format!(
                    "it uses {words}, but not so that all is covered that it writes of any table: not judged"
                );
                self.talk.say(&wrap("note", &text));
                continue;
            };
            let tables: Vec<String> = name.protect.iter().map(|table| short(table)).collect();
            let text = format!(
                "it uses {words}, too, around all that it writes of {}: not judged",
                tables.join(", ")
            );
            let Some(lock) = trial.suggested_with(name) else {
                self.talk.say(&wrap("note", &text));
                continue;
            };
            self.talk.say(&wrap(
                "note",
                &format!("{text}, but if it is named, under [subject] or by the option:"),
            ));
            self.paste(&lock);
        }
        if self.scenario.subject.lock.is_some() {
            return;
        }
        let measured = trial.measured();
        let Some(row) = &measured.likely_row else {
            if !self.guards_itself(trial) {
                self.talk.say(&wrap(
                    "note",
                    "without a lock, whether it is kept cannot be judged (same-session, work-under-lock, \
                     mutual-exclusion); what goes wrong without it can",
                ));
            }
            return;
        };
        let (looks, page) = match row.queue {
            Some(_) => (
                "is claimed by status and looks like a queue, though not all that is written lies between claim and end",
                "queues",
            ),
            None if row.claim.is_some() => (
                "gets one row, whose key nobody else can insert then, and looks like a claim",
                "claims",
            ),
            None => ("is written first and last and looks like a lock", "leases"),
        };
        let judged = match row.claim {
            Some(_) => "It is judged",
            None => "It is judged, and its time can pass,",
        };
        let table = &row.table;
        self.talk.say(&wrap(
            "note",
            &format!(
                "{table} {looks}. {judged} if it is named (docs/{page}.md), under [subject] or by the option:"
            ),
        ));
        if let Some(lock) = trial.suggested_lock(Some(row)) {
            self.paste(&lock);
        }
    }

    /// A lock to be pasted: each way as one line.
    fn paste(&self, lock: &LockName) {
        self.talk
            .say(&format!("                lock = {}", write_lock(lock)));
        let several = match lock {
            LockName::Several(all) => all.as_slice(),
            _ => &[],
        };
        let alone = |one: &ProtectingLock| write_lock(&LockName::Several(vec![one.clone()]));
        let texts: Vec<String> = match several {
            [] => vec![write_lock(lock)],
            several => several.iter().map(alone).collect(),
        };
        let options: Vec<String> = texts
            .iter()
            .map(|text| format!("--lock '{}'", text.replace('\'', r"'\''")))
            .collect();
        self.talk
            .say(&format!("                {}", options.join(" ")));
    }
}

fn short(table: &str) -> String {
    TableName::new(table).to_string()
}

/// With what the job guards itself.
fn lock_words(scenario: &Scenario, trial: &Trial<'_>) -> String {
    let locks: Vec<String> = trial
        .measured()
        .locks
        .iter()
        .map(LockKey::in_full)
        .collect();
    match &trial.rules().lock {
        LockRule::Several(all) if scenario.subject.lock.is_none() => {
            let words: Vec<String> = all.iter().map(part_words).collect();
            format!("guards itself with {}", words.join(", and with "))
        }
        several @ LockRule::Several(_) => format!("is to guard itself with {}", several.words()),
        _ if !locks.is_empty() => format!("takes {}", locks.join(", ")),
        LockRule::Rows(rows) => format!("guards itself with {}", rows.in_full()),
        LockRule::Row(row) => format!("guards itself with {}", row.in_full()),
        LockRule::Serializable => "guards itself with SERIALIZABLE transactions".to_owned(),
        _ => "takes no advisory lock".to_owned(),
    }
}

/// One of several locks that were seen, and what it covers.
fn part_words(part: &OneLock) -> String {
    let lock = match &part.lock {
        LockRule::FromCleanRun(keys) => {
            let keys: Vec<String> = keys.iter().map(LockKey::in_full).collect();
            keys.join(", ")
        }
        LockRule::Rows(rows) => rows.in_full(),
        LockRule::Row(row) => row.in_full(),
        other => other.words(),
    };
    let tables: Vec<String> = part.protect.iter().map(|table| short(table)).collect();
    format!("{lock} where it writes {}", tables.join(", "))
}

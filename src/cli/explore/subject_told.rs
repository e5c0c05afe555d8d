//! What a search says of its subject before it begins.
//!
//! Owns the sentences about the clean run, the lock that it shows, and what is wrong with it for a search.

use super::work::Work;
use crate::cli::common::Failure;
use crate::cli::exit::Exit;
use crate::history::{LockRule, private};
use crate::name::LockKey;
use crate::report::{count, three_lines, wrap};
use crate::scenario::{LockName, write_lock};
use crate::search::Trial;

impl Work<'_> {
    /// Whether the job guards itself with anything that is known.
    pub(super) fn guards_itself(&self, trial: &Trial<'_>) -> bool {
        let rule = &trial.rules().lock;
        !trial.measured().locks.is_empty()
            || self.scenario.subject.lock.is_some()
            || matches!(
                rule,
                LockRule::Row(_) | LockRule::Rows(_) | LockRule::Serializable
            )
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
        let written: Vec<&str> = baseline
            .written
            .iter()
            .map(|table| table.strip_prefix("public.").unwrap_or(table))
            .collect();
        self.talk.say(&wrap(
            "clean run",
            &format!(
                "{}, writes {}; {}",
                count(u64::from(baseline.steps), "step"),
                written.join(", "),
                lock_words(trial)
            ),
        ));
        let unnamed = !self.guards_itself(trial);
        if let Some(row) = measured.likely_row.clone().filter(|_| unnamed) {
            let table = row.table.clone();
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
            let lock = write_lock(&LockName::Row(Box::new(row)));
            self.talk.say(&wrap(
                "note",
                &format!(
                    "{table} {looks}. {judged} if it is named (docs/{page}.md), under [subject] or by the option:"
                ),
            ));
            // To be pasted: each as one line.
            self.talk.say(&format!("                lock = {lock}"));
            let word = lock.replace('\'', r"'\''");
            self.talk.say(&format!("                --lock '{word}'"));
        } else if unnamed {
            self.talk.say(&wrap(
                "note",
                "without a lock, whether it is kept cannot be judged (same-session, work-under-lock, \
                 mutual-exclusion); what goes wrong without it can",
            ));
        }
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
}

/// With what the job guards itself.
fn lock_words(trial: &Trial<'_>) -> String {
    let locks: Vec<String> = trial
        .measured()
        .locks
        .iter()
        .map(LockKey::in_full)
        .collect();
    match &trial.rules().lock {
        several @ LockRule::Several(_) => format!("is to guard itself with {}", several.words()),
        _ if !locks.is_empty() => format!("takes {}", locks.join(", ")),
        LockRule::Rows(rows) => format!("guards itself with {}", rows.in_full()),
        LockRule::Row(row) => format!("guards itself with {}", row.in_full()),
        LockRule::Serializable => "guards itself with SERIALIZABLE transactions".to_owned(),
        _ => "takes no advisory lock".to_owned(),
    }
}

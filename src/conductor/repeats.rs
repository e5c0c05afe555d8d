//! Whether a pod only repeats itself.
//!
//! Owns when two steps of a pod are the same: exactly (request and answer with all their parameters and
//! rows: a pod that goes round so makes way), and in kind (the same statements with the same kind of
//! answer: a pod that asks again with another token may be waiting). Knows nothing of other pods.

use crate::history::{Answer, Digest, Request, asks_nothing, wrote_nothing};

/// A step without effect: what it asked and what came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Of request and answer.
    exact: (Digest, Digest),
    /// Normal forms of its statements.
    normal: Vec<String>,
    tags: Vec<String>,
    sqlstate: Option<String>,
    /// Whether its text hides what it does.
    opaque: bool,
}

impl Asked {
    /// This step, if it did nothing: it failed, or only asked, or wrote no row. What its text hides may
    /// have had an effect.
    pub fn of(request: &Request, answer: &Answer) -> Option<Self> {
        let without_effect = answer.error.is_some()
            || request.writes.is_empty()
            || answer.tags.iter().all(|tag| wrote_nothing(tag));
        without_effect.then(|| Self {
            exact: (request.digest.0, answer.digest.0),
            normal: request.normal.clone(),
            tags: answer.tags.clone(),
            sqlstate: answer.error.as_ref().map(|error| error.sqlstate.clone()),
            opaque: request.opaque,
        })
    }

    /// Whether it asks for nothing: it begins or ends a transaction, or sets something.
    pub fn is_formal(&self) -> bool {
        self.tags.iter().all(|tag| asks_nothing(tag)) && self.sqlstate.is_none()
    }

    fn is_in_kind(&self, other: &Self) -> bool {
        fn parts(one: &Asked) -> (&[String], &[String], Option<&str>) {
            (&one.normal, &one.tags, one.sqlstate.as_deref())
        }
        parts(self) == parts(other)
    }
}

/// What a pod did last, as long as it had no effect and no step of another pod came in between.
#[derive(Debug, Clone, Default)]
pub(crate) struct Repeats {
    /// The latest last.
    recent: Vec<Asked>,
    /// The count of all steps at the latest of them.
    at_step: u64,
}

impl Repeats {
    /// The longest pattern that counts as one round of polling, in steps.
    const LONGEST: usize = 8;
    /// A round that came this often in a row, with the same answers, is a yield. Not less: a job that goes
    /// ahead without the lock after a few tries must get to them.
    const ROUNDS: usize = 6;
    /// The same where the text hides what was done: it may have had an effect.
    const HIDDEN_ROUNDS: usize = 12;

    /// Takes in a step; `None`: one that did something.
    pub fn push(&mut self, what: Option<Asked>, at_step: u64) {
        if self.at_step + 1 != at_step {
            self.recent.clear();
        }
        self.at_step = at_step;
        match what {
            Some(what) => self.recent.push(what),
            None => self.recent.clear(),
        }
        if self.recent.len() > Self::LONGEST * Self::HIDDEN_ROUNDS {
            self.recent.remove(0);
        }
    }

    /// Forgets all of it.
    pub fn clear(&mut self) {
        self.recent.clear();
    }

    /// Whether the pod only goes round in a circle.
    pub fn is_polling(&self) -> bool {
        (1..=Self::LONGEST).any(|period| {
            let same = self.in_a_row(period);
            let round = self.recent.iter().rev().take(period);
            let rounds = match round.clone().any(|one| one.opaque) {
                true => Self::HIDDEN_ROUNDS,
                false => Self::ROUNDS,
            };
            same >= period * rounds
        })
    }

    /// How many of the latest steps are each the same as the one so many steps before or after.
    fn in_a_row(&self, period: usize) -> usize {
        let later = self.recent.iter().rev();
        let earlier = self.recent.iter().rev().skip(period);
        let same = later
            .zip(earlier)
            .take_while(|(one, other)| one.exact == other.exact);
        match same.count() {
            0 => 0,
            same => same + period,
        }
    }

    /// The latest step, if it repeats in kind one that came shortly before it.
    pub fn repeated(&self) -> Option<&[String]> {
        let (last, before) = self.recent.split_last()?;
        let near = before.iter().rev().take(Self::LONGEST);
        (!last.is_formal() && near.clone().any(|one| one.is_in_kind(last))).then_some(&*last.normal)
    }

    /// Whether the latest step asks for nothing.
    pub fn ends_formally(&self) -> bool {
        self.recent.last().is_some_and(Asked::is_formal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Beside, ServerError};

    fn request(sql: &str, parameter: &str, writes: bool) -> Request {
        Request {
            normal: vec![sql.to_owned()],
            writes: writes.then(|| "t".to_owned()).into_iter().collect(),
            digest: Beside(Digest::of(&[sql.as_bytes(), parameter.as_bytes()])),
            ..Request::default()
        }
    }

    fn answer(tag: &str, rows: &str) -> Answer {
        Answer {
            tags: vec![tag.to_owned()],
            digest: Beside(Digest::of(&[tag.as_bytes(), rows.as_bytes()])),
            ..Answer::default()
        }
    }

    fn after(steps: &[Option<Asked>]) -> Repeats {
        let mut repeats = Repeats::default();
        for (at, step) in (1..).zip(steps) {
            repeats.push(step.clone(), at);
        }
        repeats
    }

    #[test]
    fn six_equal_rounds_are_polling_and_other_parameters_or_rows_are_not() {
        let ask = |parameter, rows| {
            Asked::of(
                &request("select", parameter, false),
                &answer("SELECT 1", rows),
            )
        };
        let same = vec![ask("1", ""); 6];
        assert!(!after(&same[..5]).is_polling());
        assert!(after(&same).is_polling());
        let parameters = ["1", "2", "3", "4", "5", "6"];
        assert!(!after(&parameters.map(|one| ask(one, ""))).is_polling());
        assert!(!after(&parameters.map(|one| ask("1", one))).is_polling());
        let round = [ask("1", ""), ask("2", "")];
        let six: Vec<_> = round.iter().cycle().take(12).cloned().collect();
        assert!(after(&six).is_polling());
        assert!(!after(&six[..11]).is_polling());
    }

    #[test]
    fn a_write_of_no_row_and_an_error_have_no_effect() {
        let write = |tag| Asked::of(&request("update", "", true), &answer(tag, ""));
        assert!(after(&vec![write("UPDATE 0"); 6]).is_polling());
        assert_eq!(write("UPDATE 1"), None);
        assert_eq!(write("UPDATE 10"), None);
        let mut failed = answer("", "");
        failed.error = Some(ServerError::default());
        let failed = Asked::of(&request("insert", "", true), &failed);
        assert!(after(&vec![failed; 6]).is_polling());
    }

    #[test]
    fn what_the_text_hides_polls_after_more_rounds() {
        let call = Request {
            opaque: true,
            ..request("select f()", "", false)
        };
        let call = Asked::of(&call, &answer("SELECT 1", ""));
        assert!(!after(&vec![call.clone(); 11]).is_polling());
        assert!(after(&vec![call; 12]).is_polling());
    }

    #[test]
    fn the_same_question_with_another_parameter_is_repeated_in_kind() {
        let ask = |parameter| {
            Asked::of(
                &request("select", parameter, false),
                &answer("SELECT 0", ""),
            )
        };
        assert!(after(&[ask("1")]).repeated().is_none());
        assert!(after(&[ask("1"), ask("2")]).repeated().is_some());
        assert!(after(&[ask("1"), None, ask("2")]).repeated().is_none());
        let begin = Asked::of(&request("begin", "", false), &answer("BEGIN", ""));
        assert!(
            after(&[begin.clone(), ask("1"), begin])
                .repeated()
                .is_none()
        );
    }
}

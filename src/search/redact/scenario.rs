//! What a scenario says of the job's data, without it: patterns of stops, and which row the lock is.
//!
//! Owns which parts of a history are the scenario's words. A run that is kept has them as they are (whoever has its
//! scenario file has them, too); a page that goes to others has not.

use super::{Kind, Redactor};
use crate::history::{Begun, Event, Line, LockRule};
use crate::schedule::{Move, SqlPattern, Stop};

impl Redactor {
    /// The same, with what the scenario itself says of the job's data: patterns of stops, and which row the lock is.
    pub(in crate::search) fn lines_and_scenario(&mut self, lines: &[Line]) -> Vec<Line> {
        let mut lines = self.lines(lines);
        let rows = lines
            .first_mut()
            .map_or_else(Vec::new, |line| self.lock_rows(line));
        for line in &mut lines {
            match &mut line.event {
                Event::MoveStarted {
                    begun: Begun::Move(Move::Turn(turn)),
                    ..
                } => self.stop(&mut turn.until),
                Event::Fault(fault) => {
                    for (before, after) in &rows {
                        fault.evidence = fault.evidence.replace(before, after);
                    }
                }
                _ => {}
            }
        }
        lines
    }

    /// Which rows are locks, each in words before and after.
    fn lock_rows(&mut self, first: &mut Line) -> Vec<(String, String)> {
        let Event::Run(facts) = &mut first.event else {
            return Vec::new();
        };
        let mut words = Vec::new();
        for lock in facts.rules.lock.each_mut() {
            let LockRule::Row(rule) = lock else { continue };
            let before = rule.words();
            for value in rule.row.values_mut() {
                // In a statement it stands in quotes: both are the same constant.
                *value = self.placeholder(Kind::Text, &format!("'{value}'"));
            }
            words.push((before, rule.words()));
        }
        words
    }

    fn stop(&mut self, stop: &mut Stop) {
        let (Stop::Before { sql, .. } | Stop::After { sql, .. } | Stop::Inside { sql, .. }) = stop
        else {
            return;
        };
        let text = String::from(sql.clone());
        let placeholder = |redactor: &mut Self| redactor.placeholder(Kind::Text, &text);
        // What is left of a regular expression would match something else.
        let redacted = match text.starts_with('/') {
            true => placeholder(self),
            false => self.sql(&text),
        };
        if let Ok(pattern) = SqlPattern::try_from(redacted) {
            *sql = pattern;
        }
    }
}

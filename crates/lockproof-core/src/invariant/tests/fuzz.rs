//! Fuzz target: stored histories. What is read is judged, whatever it says.

use super::{good, judge};
use crate::edits::{Drawn, edited};
use crate::history::{Line, read};

/// Good histories as files.
fn stored() -> Vec<Vec<u8>> {
    let text = |lines: &[Line]| {
        let lines = lines
            .iter()
            .map(|line| serde_json::to_string(line).unwrap());
        lines
            .map(|line| line + "\n")
            .collect::<String>()
            .into_bytes()
    };
    vec![text(&good())]
}

#[test]
fn a_history_that_is_read_is_judged() {
    let seeds = stored();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.jsonl");
    bolero::check!().with_type::<Drawn>().for_each(|drawn| {
        std::fs::write(&path, edited(&seeds, drawn)).unwrap();
        match read(&path) {
            Ok(lines) => {
                if let Ok(verdict) = judge(&lines) {
                    assert_eq!(verdict, judge(&lines).unwrap());
                }
            }
            Err(error) => assert!(error.to_string().contains("history.jsonl")),
        }
    });
}

/// Lines are left out, doubled and moved, and numbered anew: each is a line that lockproof writes.
#[test]
fn lines_in_any_order_are_judged() {
    let lines = good();
    bolero::check!()
        .with_type::<Vec<(u8, u8)>>()
        .for_each(|moves| {
            let mut lines = lines.clone();
            for (kind, at) in moves {
                // The first line says what the run was.
                let at = 1 + usize::from(*at) % (lines.len() - 1);
                match kind % 3 {
                    0 if lines.len() > 2 => drop(lines.remove(at)),
                    1 => lines.insert(at, lines[at].clone()),
                    _ => lines[1..].rotate_left(at - 1),
                }
            }
            for (number, line) in (1..).zip(&mut lines) {
                line.seq = number;
            }
            let _ = judge(&lines);
        });
}

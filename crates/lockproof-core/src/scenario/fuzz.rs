//! Fuzz target: scenario files. One that is read is written so that it reads back the same.

use std::path::Path;

use super::parse;
use crate::edits::{Drawn, edited_text, files};

#[test]
fn what_is_read_is_written_back_the_same() {
    let seeds = files("scenarios", ".toml");
    let path = Path::new("fuzzed.toml");
    bolero::check!().with_type::<Drawn>().for_each(|drawn| {
        let text = edited_text(&seeds, drawn);
        match parse(&text, path) {
            Ok(scenario) => {
                let written = scenario.to_toml();
                match parse(&written, path) {
                    Ok(again) => assert_eq!(again, scenario, "{written}"),
                    Err(error) => panic!("{error}\n{written}"),
                }
            }
            // An error says something, and what it points at is in the file.
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    });
}

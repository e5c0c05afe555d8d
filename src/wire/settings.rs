//! The settings in a start-up message that a search must know.
//!
//! Owns how a client may say them: `options`, as the command line of a server process (`-c name=value`), and
//! parameters by their name. Knows no socket, and not what a setting does.

use super::admission::pairs;
use crate::history::Setting;

/// Those settings of a start-up message, in the order in which the server takes them: the last of a name counts.
pub(super) fn settings(start: &[u8]) -> Vec<Setting> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let named = |name: &&(&[u8], &[u8])| name.0 == b"options";
    let all: Vec<_> = pairs(start).collect();
    let mut found: Vec<Setting> = Vec::new();
    for (_, options) in all.iter().filter(named) {
        found.extend(switches(&text(options)));
    }
    let by_name = all
        .iter()
        .filter_map(|(name, value)| Setting::known(&text(name), &text(value)));
    found.extend(by_name);
    found
}

/// Those of `-c name=value`, `-cname=value` and `--name=value`.
fn switches(options: &str) -> Vec<Setting> {
    let words = words(options);
    let mut words = words.iter();
    let mut found = Vec::new();
    while let Some(word) = words.next() {
        let assigned = match word.strip_prefix("--") {
            Some(assigned) => Some(assigned),
            None if word == "-c" => words.next().map(String::as_str),
            None => word.strip_prefix("-c"),
        };
        if let Some((name, value)) = assigned.and_then(|assigned| assigned.split_once('=')) {
            found.extend(Setting::known(&name.replace('-', "_"), value));
        }
    }
    found
}

/// Words are apart by white space; a backslash takes the next character as it is.
fn words(options: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut characters = options.chars();
    while let Some(character) = characters.next() {
        if character.is_ascii_whitespace() {
            words.push(std::mem::take(&mut word));
        } else if character == '\\' {
            word.extend(characters.next());
        } else {
            word.push(character);
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(pairs: &[(&str, &str)]) -> Vec<String> {
        let mut message = vec![0; 8];
        for (name, value) in pairs {
            message.extend_from_slice(format!("{name}\0{value}\0").as_bytes());
        }
        message.push(0);
        let told = settings(&message);
        told.iter()
            .map(|one| format!("{}={}", one.name, one.value))
            .collect()
    }

    #[test]
    fn settings_are_read_from_options_and_from_parameters_and_others_left() {
        for (options, settings) in [
            ("-c lock_timeout=300", vec!["lock_timeout=300"]),
            ("-clock_timeout=5s", vec!["lock_timeout=5s"]),
            ("--Lock-Timeout=1", vec!["lock_timeout=1"]),
            (
                "-c work_mem=5MB -c  statement_timeout=2\\ s -c geqo=off",
                vec!["statement_timeout=2 s"],
            ),
            (
                "-c default_transaction_isolation=repeatable\\ read",
                vec!["default_transaction_isolation=repeatable read"],
            ),
            ("-c", vec![]),
            ("-c lock_timeout", vec![]),
            ("lock_timeout=3", vec![]),
        ] {
            let pairs = [("user", "ann"), ("options", options), ("database", "d")];
            assert_eq!(told(&pairs), settings, "{options}");
        }
        assert_eq!(
            told(&[("lock_timeout", "7"), ("options", "-c lock_timeout=3")]),
            ["lock_timeout=3", "lock_timeout=7"]
        );
        assert!(settings(&[0; 3]).is_empty());
    }
}

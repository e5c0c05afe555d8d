//! What runs and what styles the page, and how data stands in it so that nothing in the data runs.
//!
//! Owns the policy of the page: no request leaves it, and only the one script whose digest it names is run.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::report::visible_json;

/// The style sheet.
pub(super) const STYLE: &str = include_str!("assets/page.css");

/// What both pages have: buttons that copy.
const COPY: &str = include_str!("assets/copy.js");

/// The parts of the script, in their order.
const PARTS: [&str; 7] = [
    include_str!("assets/data.js"),
    include_str!("assets/fold.js"),
    include_str!("assets/lanes.js"),
    include_str!("assets/arrows.js"),
    COPY,
    include_str!("assets/panel.js"),
    include_str!("assets/control.js"),
];

/// The script of a run's page.
pub(super) fn script() -> String {
    whole(&PARTS)
}

/// The script of an index.
pub(super) fn index_script() -> String {
    whole(&[COPY, include_str!("assets/index.js")])
}

fn whole(parts: &[&str]) -> String {
    format!("\"use strict\";\n(() => {{\n{}}})();\n", parts.join("\n"))
}

/// The page's Content-Security-Policy.
pub(super) fn policy(script: &str) -> String {
    let digest = STANDARD.encode(Sha256::digest(script.as_bytes()));
    format!(
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    )
}

/// A value as JSON that may stand in a script element: nothing in it ends the element, begins a comment, or changes
/// the order in which it is read.
pub(super) fn embedded(value: &impl Serialize) -> String {
    let text = serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned());
    let text = match visible_json(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(text) => text,
    };
    // In JSON these stand in strings only.
    text.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_cannot_end_its_element_and_means_the_same() {
        let said = "</script><script>alert(1)</script><!-- \u{2028} \u{202e} \u{0} & ]]>";
        let text = embedded(&[said]);
        for evil in ['<', '>', '&', '\u{2028}', '\u{202e}', '\u{0}'] {
            assert!(!text.contains(evil), "{text}");
        }
        let read: [String; 1] = serde_json::from_str(&text).unwrap();
        assert_eq!(read[0], said);
    }

    #[test]
    fn the_policy_lets_nothing_out_and_runs_one_script() {
        let policy = policy("x");
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert!(!policy.contains("script-src 'unsafe-inline'"), "{policy}");
    }
}

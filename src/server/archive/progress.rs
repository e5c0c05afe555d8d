//! What is shown while an archive is fetched: a bar on a terminal, else a line.
//!
//! Owns the bar. Knows nothing of what it measures.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// How a bar looks: what, how much of how much, how fast, how long still.
const LOOK: &str = "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";

/// Says something on standard error, which has what is not the result.
pub(super) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "lockproof: {line}");
}

/// A bar over so many bytes, if that is known.
pub(super) fn bar(what: &str, from: &str, bytes: Option<u64>) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        let size = bytes.map_or_else(String::new, |bytes| format!(" ({} MB)", bytes / 1_000_000));
        say(&format!("fetching {what}{size} from {from}"));
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(bytes.unwrap_or(0)).with_message(what.to_owned());
    if let Ok(style) = ProgressStyle::with_template(LOOK) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

//! What pods printed, as files of a run directory.
//!
//! Owns their names. How long a line may be is decided where it is read.

use std::collections::BTreeMap;

use crate::history::{Event, Line};
use crate::name::PodName;

/// All that each pod printed, both streams together: which of two lines on different streams came
/// first is not known.
#[must_use]
pub fn outputs(lines: &[Line]) -> BTreeMap<PodName, String> {
    let mut all: BTreeMap<PodName, String> = BTreeMap::new();
    for line in lines {
        if let Event::PodOutput { pod, line, .. } = &line.event {
            let text = all.entry(pod.clone()).or_default();
            text.push_str(line);
            text.push('\n');
        }
    }
    all
}

/// The file of a pod's output in a run directory.
#[must_use]
pub fn output_file(pod: &PodName) -> String {
    format!("{pod}.log")
}

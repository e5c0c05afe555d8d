//! Inputs of the fuzz targets: texts that are right, with edits.
//!
//! Owns how an edit is drawn and made. Random bytes alone never get past the first check of a parser;
//! a right text with a few edits does. The targets stand beside what they test, as `fuzz` modules, and
//! run in `cargo test` with a thousand inputs each; `.ci/long` gives them longer.

// Only tests use it, here and in the tool, so it is built always: with a feature of its own for them the core would
// be built twice. A failed unwrap is a failed test.
#![allow(clippy::unwrap_used)]

/// What a target draws: which seed, and the edits, made one after the other.
pub type Drawn = (u16, Vec<(u8, u16, u8, Vec<u8>)>);

/// One of the seeds, edited. Every draw has a result; without an edit it is a seed itself.
pub fn edited(seeds: &[Vec<u8>], drawn: &Drawn) -> Vec<u8> {
    let seed = |number: usize| seeds[number % seeds.len()].as_slice();
    let mut text = seed(drawn.0.into()).to_vec();
    for (kind, at, length, bytes) in &drawn.1 {
        let from = usize::from(*at) % (text.len() + 1);
        let to = text.len().min(from + usize::from(*length));
        match kind % 7 {
            0 => drop(text.drain(from..to)),
            1 => drop(text.splice(from..to, bytes.iter().copied())),
            2 => drop(text.splice(from..from, bytes.iter().copied())),
            3 => {
                let again = text[from..to].to_vec();
                text.splice(to..to, again);
            }
            4 => text.truncate(from),
            5 => {
                let other = seed(usize::from(*length));
                let start = usize::from(*at) % (other.len() + 1);
                let end = other.len().min(start + bytes.len() * 8);
                text.splice(from..from, other[start..end].iter().copied());
            }
            _ => {
                if let (Some(byte), Some(bit)) = (text.get_mut(from), bytes.first()) {
                    *byte ^= 1 << (bit % 8);
                }
            }
        }
    }
    text
}

/// As [`edited`], as text; what is no UTF-8 is replaced.
pub fn edited_text(seeds: &[Vec<u8>], drawn: &Drawn) -> String {
    String::from_utf8_lossy(&edited(seeds, drawn)).into_owned()
}

/// The contents of all files under a folder of the checkout whose names end so.
pub fn files(folder: &str, ends: &str) -> Vec<Vec<u8>> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(folder);
    let mut folders = vec![root];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ends) {
                found.push(path);
            }
        }
    }
    // A seed is found again by its number.
    found.sort();
    found
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

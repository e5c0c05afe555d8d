//! Histories whose sentences are noise.
//!
//! What a history tells in words (titles, reasons, what was seen) may be quoted, never read: whoever
//! improves a sentence must not change a verdict. So a history in which every sentence of ours is
//! replaced by a token has the same verdict and the same play, once the tokens that they quote are
//! replaced by the sentences again.

use std::path::Path;

use lockproof::internals::report::play;
use lockproof::internals::search::weigh;
use lockproof_core::history::{self, Line};
use lockproof_core::invariant::{Verdict, judge};
use serde_json::Value;

/// Where our own sentences stand: the event, and the field.
const SENTENCES: [(&str, &str); 6] = [
    ("run", "title"),
    ("run", "subject"),
    ("run", "description"),
    ("fault", "evidence"),
    ("controller", "why"),
    ("limit-hit", "saw"),
];

/// Where words stand that others wrote: the job, the server, SQL.
const OF_OTHERS: [&str; 13] = [
    "sql",
    "normal",
    "line",
    "message",
    "detail",
    "statement",
    "query",
    "writes",
    "tags",
    "check_lines",
    "later_check_lines",
    "unstable_steps",
    "rows",
];

/// Fails unless the run that is kept in this directory is judged and told alike with noise in the place
/// of every sentence.
///
/// # Errors
/// What is different, or what could not be read.
pub fn sentences_are_never_read(dir: &Path) -> Result<(), String> {
    let mut replaced = Vec::new();
    let main = noisy(&dir.join("history.jsonl"), &mut replaced)?;
    let confirmation = dir.join("confirmation.jsonl");
    let bare = match confirmation.exists() {
        true => Some(noisy(&confirmation, &mut replaced)?),
        false => None,
    };
    let told = |which: fn(&History) -> &[Line]| -> Result<Value, String> {
        let verdict = verdict(which(&main), bare.as_ref().map(which))?;
        let scenes: Vec<String> = play(which(&main)).iter().map(ToString::to_string).collect();
        serde_json::to_value((verdict, scenes)).map_err(|error| error.to_string())
    };
    let plain = told(|history| &history.plain)?;
    let mut noise = told(|history| &history.noise)?;
    strings(&mut noise, &mut |text| {
        for (token, sentence) in replaced.iter().rev() {
            if text.contains(token) {
                *text = text.replace(token, sentence);
            }
        }
    });
    if plain == noise {
        return Ok(());
    }
    Err(format!(
        "a sentence of the history is read, not quoted:\n{plain:#}\nwith noise:\n{noise:#}"
    ))
}

/// A history as it was written, and with noise.
struct History {
    plain: Vec<Line>,
    noise: Vec<Line>,
}

fn verdict(lines: &[Line], bare: Option<&[Line]>) -> Result<Verdict, String> {
    let judged = |lines| judge(lines).map_err(|error| error.to_string());
    let mut verdict = judged(lines)?;
    if let Some(bare) = bare {
        weigh(&mut verdict, &judged(bare)?);
    }
    Ok(verdict)
}

fn noisy(path: &Path, replaced: &mut Vec<(String, String)>) -> Result<History, String> {
    let plain = history::read(path).map_err(|error| error.to_string())?;
    let mut noise = Vec::new();
    for line in &plain {
        let mut value = serde_json::to_value(line).map_err(|error| error.to_string())?;
        let event = value["event"].as_str().unwrap_or_default().to_owned();
        replace(&event, "", &mut value, replaced)?;
        noise.push(serde_json::from_value(value).map_err(|error| error.to_string())?);
    }
    Ok(History { plain, noise })
}

/// Puts a token in the place of each sentence, and refuses a sentence in a field that is none of ours.
fn replace(
    event: &str,
    key: &str,
    value: &mut Value,
    replaced: &mut Vec<(String, String)>,
) -> Result<(), String> {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields
                .iter_mut()
                .filter(|(key, _)| !OF_OTHERS.contains(&key.as_str()))
            {
                replace(event, key, value, replaced)?;
            }
        }
        Value::Array(items) => {
            for item in items {
                replace(event, key, item, replaced)?;
            }
        }
        Value::String(text) if SENTENCES.contains(&(event, key)) => {
            let token = format!("<{}>", replaced.len());
            replaced.push((token.clone(), std::mem::replace(text, token)));
        }
        Value::String(text) if text.split_whitespace().count() > 3 => {
            return Err(format!(
                "{event}.{key} has a sentence that no one replaces: {text:?}"
            ));
        }
        _ => {}
    }
    Ok(())
}

/// Does this with every string.
fn strings(value: &mut Value, change: &mut impl FnMut(&mut String)) {
    match value {
        Value::String(text) => change(text),
        Value::Array(items) => items.iter_mut().for_each(|item| strings(item, change)),
        Value::Object(fields) => fields.values_mut().for_each(|item| strings(item, change)),
        _ => {}
    }
}

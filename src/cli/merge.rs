//! `lockproof merge`: joins the parts of one search into one result.
//!
//! Owns which files are parts of the same search, and how their counts add up. Runs nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::ci::CiArguments;
use super::common::{Failure, Format, Talk};
use super::exit::Exit;
use super::explore::{exit, left_open_lines, not_applicable_lines, sampled_line, unclear_lines};
use super::finding::tell_found;
use crate::report::{Cases, ExploreJson, FoundJson, SpaceJson, count, visible, wrap};
use crate::search::strategy::{Space, Tally, claim};
use crate::search::{self, LeftOpen, Unclear};

/// Options of `merge`.
#[derive(Debug, Clone, clap::Args)]
pub struct MergeArguments {
    /// The --out directory of each part (or the explore.json in it)
    #[arg(required = true, value_name = "DIR")]
    pub parts: Vec<PathBuf>,

    /// What is written for the machine around it
    #[command(flatten)]
    pub ci: CiArguments,

    /// How the result is printed
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,

    /// Print the result only
    #[arg(long)]
    pub quiet: bool,
}

/// Joins; the exit code, as of `explore`.
///
/// # Errors
/// When a part cannot be read, is of another search, or is missing.
pub fn run(arguments: &MergeArguments) -> Result<Exit, Failure> {
    let talk = Talk::of(arguments.format, arguments.quiet);
    let mut parts: Vec<(PathBuf, ExploreJson)> = Vec::new();
    for place in &arguments.parts {
        parts.push(read(place)?);
    }
    parts.sort_by_key(|(_, part)| part.shard.0);
    fits(&parts)?;
    let parts = once(parts, talk);
    let merged = join(&parts)?;
    talk.result(&wrap(
        "search",
        &format!(
            "{} of {}; {}",
            merged.strategy,
            count(merged.pods as u64, "pod"),
            merged.subject
        ),
    ));
    talk.result(&format!(
        "{}, {}: {} failed, {} unclear",
        count(parts.len() as u64, "part"),
        count(merged.schedules, "schedule"),
        merged.violations,
        merged.inconclusive + merged.unconfirmed
    ));
    for line in unclear_lines(&merged.unclear) {
        talk.result(&line);
    }
    for line in not_applicable_lines(&merged.not_applicable) {
        talk.result(&line);
    }
    for found in &merged.found {
        tell_found(talk, found);
    }
    talk.result(&wrap("means", &merged.claim));
    if let Some(promise) = &merged.promise {
        talk.result(&wrap("", promise));
    }
    if let Some(left_out) = &merged.sampled_out {
        talk.result(&sampled_line(left_out));
    }
    for line in left_open_lines(&merged.left_open) {
        talk.result(&line);
    }
    if merged.interrupted {
        talk.result(&wrap(
            "interrupted",
            "at least one part was; this is what was found so far",
        ));
    }
    if let Some(why) = &merged.broken_off {
        let told = format!("{why}; at least one part was, and this is what was found so far");
        talk.result(&wrap("broken off", &told));
    }
    talk.document(&merged);
    let cases = Cases::of_search(&merged);
    arguments.ci.publish(&cases, exit(&merged), talk)
}

/// A part, from its directory: there, or in `explore` below it.
fn read(place: &Path) -> Result<(PathBuf, ExploreJson), Failure> {
    let places = [
        place.to_owned(),
        place.join("explore.json"),
        place.join("explore").join("explore.json"),
    ];
    let Some(file) = places.iter().find(|file| file.is_file()) else {
        return Err(Failure::new(
            Exit::Usage,
            format!(
                "{}: there is no explore.json; give what `lockproof explore --out DIR` wrote",
                place.display()
            ),
        ));
    };
    let wrong = |why: &dyn std::fmt::Display| {
        Failure::new(Exit::Usage, format!("{}: {why}", file.display()))
    };
    let text = std::fs::read_to_string(file).map_err(|error| wrong(&error))?;
    let document: serde_json::Value = serde_json::from_str(&text)
        .map_err(|error| wrong(&format!("not the result of a search: {error}")))?;
    let version = document.get("lockproof").and_then(|text| text.as_str());
    if version != Some(env!("CARGO_PKG_VERSION")) {
        return Err(wrong(&format!(
            "made by {}; this is lockproof {}: join parts with the version that made them",
            version.map_or_else(
                || "another version of lockproof".to_owned(),
                |version| format!("lockproof {version}")
            ),
            env!("CARGO_PKG_VERSION")
        )));
    }
    let part = serde_json::from_value(document)
        .map_err(|error| wrong(&format!("not the result of a search: {error}")))?;
    Ok((file.clone(), part))
}

/// Whether these are all parts of one search, each at least once.
fn fits(parts: &[(PathBuf, ExploreJson)]) -> Result<(), Failure> {
    let wrong = |why: String| Err(Failure::new(Exit::Usage, why));
    let Some((first_file, first)) = parts.first() else {
        return wrong("there is nothing to merge".to_owned());
    };
    let mut seen: BTreeSet<u64> = BTreeSet::new();
    for (file, part) in parts {
        let pods = |part: &ExploreJson| part.pods.to_string();
        for (what, same, one, other) in [
            (
                "strategy",
                first.settings == part.settings
                    && first.sampled_out.is_some() == part.sampled_out.is_some(),
                &first.strategy,
                &part.strategy,
            ),
            (
                "subject",
                first.subject == part.subject,
                &first.subject,
                &part.subject,
            ),
            (
                "number of pods",
                first.pods == part.pods,
                &pods(first),
                &pods(part),
            ),
        ] {
            if !same {
                return wrong(format!(
                    "these are not parts of one search: the {what} of {} is {one}, that of {} is \
                     {other}",
                    first_file.display(),
                    file.display()
                ));
            }
        }
        if part.shard.1 != first.shard.1 {
            return wrong(format!(
                "these are not parts of one search: {} is one of {}, {} is one of {}",
                first_file.display(),
                first.shard.1,
                file.display(),
                part.shard.1
            ));
        }
        seen.insert(part.shard.0);
    }
    let missing: Vec<String> = (0..first.shard.1)
        .filter(|index| !seen.contains(index))
        .map(|index| format!("{index}/{}", first.shard.1))
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        wrong(format!(
            "{} missing: {}; give all {} in one command",
            if missing.len() == 1 {
                "a part is"
            } else {
                "parts are"
            },
            missing.join(", "),
            first.shard.1
        ))
    }
}

/// Each part once: a node that was lost, and the one that took its place, may both have left one. What has failed counts
/// before what has not, what came to its end before what did not, and more before less; what the other one found is kept.
fn once(parts: Vec<(PathBuf, ExploreJson)>, talk: Talk) -> Vec<ExploreJson> {
    let worth = |part: &ExploreJson| {
        let whole = !part.interrupted && part.broken_off.is_none();
        (part.violations > 0, whole, part.schedules)
    };
    let mut kept: Vec<(PathBuf, ExploreJson)> = Vec::new();
    for (file, part) in parts {
        match kept.last_mut().filter(|(_, last)| last.shard == part.shard) {
            Some(last) => {
                let better = worth(&part) > worth(&last.1);
                let (other, left_out) = match better {
                    true => std::mem::replace(last, (file, part)),
                    false => (file, part),
                };
                last.1.found.extend(left_out.found);
                let (index, of) = last.1.shard;
                let shown = |file: &Path| visible(&file.display().to_string()).into_owned();
                let (other, taken) = (shown(&other), shown(&last.0));
                let words =
                    format!("part {index}/{of} is there twice: {taken} counts, {other} does not");
                talk.say(&wrap("note", &words));
            }
            None => kept.push((file, part)),
        }
    }
    kept.into_iter().map(|(_, part)| part).collect()
}

/// The number in the whole search of the schedule that has this number in its part. Where what is
/// run depends on what was seen, there is none, and it keeps that of its part.
fn place(part: &ExploreJson, number: u64) -> u64 {
    if part.settings.finds_schedules_as_it_goes() {
        return number;
    }
    let (index, of) = part.shard;
    number
        .saturating_sub(1)
        .saturating_mul(of)
        .saturating_add(index + 1)
}

fn join(parts: &[ExploreJson]) -> Result<ExploreJson, Failure> {
    let Some(first) = parts.first() else {
        return Err(Failure::new(Exit::Usage, "there is nothing to merge"));
    };
    let sum = |of: fn(&ExploreJson) -> u64| parts.iter().map(of).sum::<u64>();
    let mut merged = first.clone();
    merged.schedules = sum(|part| part.schedules);
    merged.violations = sum(|part| part.violations);
    merged.inconclusive = sum(|part| part.inconclusive);
    merged.unconfirmed = sum(|part| part.unconfirmed);
    merged.missed = sum(|part| part.missed);
    let space = Space {
        // A part that does not know how many there are hides that of the others.
        total: parts
            .iter()
            .map(|part| part.space.total)
            .collect::<Option<Vec<u64>>>()
            .and_then(|totals| {
                // A strategy that finds its schedules as it goes knows its own only.
                if first.settings.finds_schedules_as_it_goes() {
                    Some(totals.into_iter().sum())
                } else {
                    totals.into_iter().max()
                }
            }),
        pruned: sum(|part| part.space.pruned),
        diverged: sum(|part| part.space.diverged),
        sampled: first.sampled_out.is_some(),
        draws: parts.iter().map(|part| part.space.draws).max().unwrap_or(0),
    };
    let drawn = sum(|part| part.space.drawn);
    merged.space = SpaceJson {
        explored: merged.schedules,
        total: space.total,
        pruned: space.pruned,
        diverged: space.diverged,
        draws: space.draws,
        drawn,
    };
    // Draws are counted for themselves.
    let space = Space {
        total: space.total.map(|total| total.saturating_sub(space.draws)),
        ..space
    };
    // The parts ran side by side, on machines of their own or not: the rates add up.
    merged.schedules_per_second = parts.iter().map(|part| part.schedules_per_second).sum();
    merged.elapsed_ms = parts.iter().map(|part| part.elapsed_ms).max().unwrap_or(0);
    merged.timings = None;
    merged.interrupted = parts.iter().any(|part| part.interrupted);
    merged.broken_off = parts.iter().find_map(|part| part.broken_off.clone());
    merged.stopped_at_first = parts.iter().any(|part| part.stopped_at_first);
    merged.shard = (0, 1);
    merged.found = Vec::new();
    for part in parts {
        for found in &part.found {
            let failure = search::Failure::from(found.failure.clone());
            let is_it = |one: &FoundJson| {
                failure.is_same_as(&one.failure.clone().into()) && one.kind.stands_for(found.kind)
            };
            let known = merged.found.iter().any(is_it);
            if !known {
                merged.found.push(FoundJson {
                    at: place(part, found.at),
                    ..found.clone()
                });
            }
        }
    }
    merged.found.sort_by_key(|found| found.at);
    merged.not_applicable = Vec::new();
    for one in parts.iter().flat_map(|part| &part.not_applicable) {
        one.clone().add_to(&mut merged.not_applicable);
    }
    merged.left_open = LeftOpen::default();
    for part in parts {
        merged
            .left_open
            .join(&part.left_open, |number| place(part, number));
    }
    merged.unclear = Vec::new();
    for part in parts {
        for one in &part.unclear {
            let unclear = Unclear {
                first: place(part, one.first),
                ..one.clone()
            };
            unclear.add_to(&mut merged.unclear);
        }
    }
    // What is told of the first failure comes from the part that came to it first.
    let source = parts
        .iter()
        .filter_map(|part| Some((place(part, part.first_violation_at?), part)))
        .min_by_key(|(at, _)| *at);
    if let Some((at, source)) = source {
        merged.first_violation_at = Some(at);
        merged.invariant = source.invariant;
        merged.sqlstate.clone_from(&source.sqlstate);
        merged.table.clone_from(&source.table);
        merged.constraint.clone_from(&source.constraint);
        merged.shrunk = source.shrunk;
        merged.replay = source.replay;
        merged.schedule_file.clone_from(&source.schedule_file);
        merged.promise = None;
    }
    merged.claim = claim(
        first.settings.kind(),
        &space,
        &Tally {
            explored: merged.schedules,
            violated: merged.violations,
            inconclusive: merged.inconclusive + merged.unconfirmed,
            draws: drawn,
        },
    );
    Ok(merged)
}

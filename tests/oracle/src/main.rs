//! Compares what `lockproof_core::sql` says of statements with PostgreSQL's own parser.
//!
//! `sql-oracle DIR DECISIONS` reads every `*.sql` under DIR (the regression tests of PostgreSQL;
//! `.ci/oracle` fetches them) and prints the differences that no line of DECISIONS explains, and the
//! decisions that explain none. Exit code: 0 if there are neither, 1 if there are, 2 if a file cannot be
//! read. A statement that PostgreSQL's parser refuses is not compared: it says nothing.

mod compare;
mod decision;
mod script;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use compare::{Difference, differences, functions_made};
use decision::Decisions;

fn main() -> ExitCode {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [folder, decisions] = arguments.as_slice() else {
        eprintln!("usage: sql-oracle DIR DECISIONS");
        return ExitCode::from(2);
    };
    match run(folder, decisions) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::from(2)
        }
    }
}

/// Whether every difference is decided, and every decision of use.
fn run(folder: &Path, decisions: &Path) -> Result<bool, String> {
    let text = read(decisions)?;
    let mut decisions = Decisions::read(&text).map_err(|why| format!("the decisions: {why}"))?;
    let mut seen = 0_u64;
    let mut refused = 0_u64;
    let mut decided = 0_u64;
    let mut open: BTreeMap<&'static str, Vec<(PathBuf, Difference)>> = BTreeMap::new();
    let mut scripts = Vec::new();
    let mut made = BTreeSet::new();
    for file in files(folder)? {
        let text = std::fs::read(&file).map_err(|why| format!("{}: {why}", file.display()))?;
        let statements = script::statements(&String::from_utf8_lossy(&text));
        made.extend(statements.iter().flat_map(|one| functions_made(one)));
        scripts.push((file, statements));
    }
    for (file, statements) in scripts {
        for statement in statements {
            seen += 1;
            let Some(found) = differences(&statement, &made) else {
                refused += 1;
                continue;
            };
            for difference in found {
                if decisions.explain(difference.what, &statement) {
                    decided += 1;
                } else {
                    let open = open.entry(difference.what).or_default();
                    open.push((file.clone(), difference));
                }
            }
        }
    }
    if seen == 0 {
        return Err(format!("{} holds no statement", folder.display()));
    }
    println!("{seen} statements, of which PostgreSQL's parser refuses {refused}");
    println!("{decided} differences, each decided in the list");
    for (what, found) in &open {
        println!("\n{what}: {} not decided", found.len());
        for (file, difference) in found {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            println!("  {name}: {}\n    {}", difference.why, difference.sql);
        }
    }
    let idle = decisions.idle();
    for line in &idle {
        println!("this decision explains nothing (any more): {line}");
    }
    Ok(open.is_empty() && idle.is_empty())
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|why| format!("{}: {why}", path.display()))
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let list = std::fs::read_dir(folder).map_err(|why| format!("{}: {why}", folder.display()))?;
    let mut files: Vec<PathBuf> = list
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ends| ends == "sql"))
        .collect();
    files.sort();
    Ok(files)
}

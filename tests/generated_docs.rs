//! Tables of the docs that are made from the code: they are what the code says now.
//!
//! `LOCKPROOF_RENEW_DOCS=1 cargo test --test generated_docs` writes them anew.

#![allow(missing_docs)]

use std::fs;
use std::path::Path;

use lockproof::scenario::write_duration;
use lockproof::schedule::{
    FaultEntry, FaultKind, FaultTarget, LeftOut, Parameter, ParameterValue, Points, Shape, Undo,
};

/// The text between the markers of this table, and what stands before and behind it.
fn parts<'a>(page: &'a str, table: &str) -> (&'a str, &'a str, &'a str) {
    let begin = format!("<!-- table of {table}, made by tests/generated_docs.rs -->\n");
    let end = format!("<!-- end of the table of {table} -->\n");
    let (before, rest) = page.split_once(&begin).expect("the table begins");
    let (text, behind) = rest.split_once(&end).expect("the table ends");
    (&page[..before.len() + begin.len()], text, {
        let at = page.len() - behind.len() - end.len();
        &page[at..]
    })
}

/// Compares a page's table with what it should be, or renews it.
fn hold(file: &str, table: &str, wanted: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let page = fs::read_to_string(&path).expect("the page is there");
    let (before, text, behind) = parts(&page, table);
    if text == wanted {
        return;
    }
    if std::env::var_os("LOCKPROOF_RENEW_DOCS").is_some() {
        fs::write(&path, format!("{before}{wanted}{behind}")).expect("the page can be written");
        return;
    }
    panic!(
        "the table of {table} in {file} is not what the code says; \
         LOCKPROOF_RENEW_DOCS=1 cargo test --test generated_docs writes it anew:\n{wanted}"
    );
}

fn value(value: &ParameterValue) -> String {
    match value {
        ParameterValue::Duration(time) => format!("\"{}\"", write_duration(*time)),
        ParameterValue::Flag(flag) => flag.to_string(),
        ParameterValue::Number(number) => number.to_string(),
        ParameterValue::Word(word) => format!("\"{word}\""),
        ParameterValue::Sqlstate(sqlstate) => format!("\"{sqlstate}\""),
    }
}

fn parameter(one: &Parameter) -> String {
    let mut given = match one.shape {
        Shape::Word { words, .. } => {
            let words: Vec<String> = words.iter().map(|word| format!("`\"{word}\"`")).collect();
            words.join(" or ") + ", "
        }
        Shape::Duration | Shape::Flag | Shape::Positive { .. } | Shape::Sqlstate => String::new(),
    };
    given += &match &one.left_out {
        LeftOut::Is(default) => format!("default `{}`", value(default)),
        LeftOut::Impossible { example, .. } => format!("such as `{example}`"),
    };
    format!("`{}` ({given}): {}", one.key, one.doc)
}

fn row(entry: &FaultEntry) -> String {
    let parameters = entry.parameters.iter().map(parameter);
    let done: Vec<String> = std::iter::once(entry.doc.to_owned())
        .chain(parameters)
        .collect();
    let points: Vec<String> = entry
        .points
        .all()
        .iter()
        .map(|point| format!("`{point}`"))
        .collect();
    let points = match entry.points {
        Points::Each(_) => "all".to_owned(),
        Points::OfAnAnswer => points.join(", "),
        Points::Between => String::new(),
    };
    let undo = match entry.undo {
        Undo::Needed(name) | Undo::Possible(name) => format!("`{name}`"),
        Undo::Nothing | Undo::Undoes => String::new(),
    };
    format!(
        "`{}` | {} | {points} | {undo} |\n",
        entry.name,
        done.join(". ")
    )
}

/// What can be done, by target. What only undoes another stands beside that one.
fn faults() -> String {
    let mut table =
        "| target | fault | what is done | points | its undo |\n|---|---|---|---|---|\n".to_owned();
    for target in FaultTarget::ALL {
        let of_target = FaultKind::CATALOGUE
            .iter()
            .filter(|one| one.target == target);
        let mut name = target.name();
        for entry in of_target.filter(|one| one.undo != Undo::Undoes) {
            table.push_str(&format!("| {name} | {}", row(entry)));
            name = "";
        }
    }
    table
}

#[test]
fn the_table_of_faults_is_that_of_the_catalogue() {
    hold("README.md", "faults", &faults());
    for name in FaultKind::NAMES {
        assert!(faults().contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn a_table_is_found_between_its_markers() {
    let page = "one\n<!-- table of x, made by tests/generated_docs.rs -->\ntwo\n\
                <!-- end of the table of x -->\nthree\n";
    let (before, text, behind) = parts(page, "x");
    assert_eq!(text, "two\n");
    assert_eq!(format!("{before}{text}{behind}"), page);
}

//! Tables of the docs that are made from the code: they are what the code says now.
//!
//! `LOCKPROOF_RENEW_DOCS=1 cargo test --test generated_docs` writes them anew.

#![allow(missing_docs)]

use std::fs;
use std::path::Path;

use lockproof_core::scenario::{KEY_FLAGS, write_duration};
use lockproof_core::schedule::{
    FaultEntry, FaultKind, FaultTarget, LeftOut, Parameter, ParameterValue, Points, Shape, Undo,
};
use serde_json::Value;

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
        Points::OfAnAnswer | Points::Edges => points.join(", "),
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

/// A description in one line, as a cell.
fn cell(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.replace('|', "\\|")
}

/// The values that a key may have, where they are few words.
fn words(key: &Value) -> String {
    let of = |list: &Value| -> Vec<String> {
        let values = list.as_array().into_iter().flatten();
        let words = values.filter_map(|one| one.as_str().or(one["const"].as_str()));
        words.map(|word| format!("`\"{word}\"`")).collect()
    };
    let words: Vec<String> = [of(&key["enum"]), of(&key["oneOf"])].concat();
    match words.len() {
        0 => String::new(),
        _ => format!(" One of {}.", words.join(", ")),
    }
}

/// The keys at the top of a scenario file, in the order in which they are written.
const TABLES: [&str; 10] = [
    "title", "tags", "subject", "pods", "server", "cronjob", "schedule", "expect", "search",
    "output",
];

/// The keys of this table and of those in it, by their way from the top; faults have a table of their own.
fn rows_of_keys(schema: &Value, table: &Value, way: &str, rows: &mut String) {
    let required = |name: &str| {
        let names = table["required"].as_array().into_iter().flatten();
        names.into_iter().any(|one| one == name)
    };
    let keys = table["properties"].as_object().into_iter().flatten();
    let mut keys: Vec<(&String, &Value)> = keys.collect();
    // A schema has them by their names; the tables of a file are met in this order.
    let place = |name: &str| TABLES.iter().position(|table| *table == name);
    keys.sort_by_key(|(name, _)| place(name));
    for (name, key) in keys {
        let item = &key["items"];
        // One or several of a kind: its keys are those of one.
        let one = &key["$ref"];
        let table = key["$ref"].as_str().and_then(|name| {
            let name = name.rsplit('/').next()?;
            schema["$defs"][name]["anyOf"].as_array()?.first()
        });
        let one = table.map_or(one, |first| &first["$ref"]);
        let (inner, list) = match one.as_str() {
            Some(inner) => (Some(inner), ""),
            None => (item["$ref"].as_str(), "[]"),
        };
        let inner = inner.and_then(|inner| inner.strip_prefix("#/$defs/"));
        let inside = inner.map_or(&Value::Null, |inner| &schema["$defs"][inner]);
        let text = key["description"]
            .as_str()
            .or(inside["description"].as_str());
        let must = if required(name) {
            " Must be there."
        } else {
            ""
        };
        let values = words(key) + &words(item) + &words(inside);
        let whole = format!("{way}{name}");
        let flag = KEY_FLAGS.iter().find(|flag| flag.key == whole);
        let option = flag.map_or_else(String::new, |flag| format!("`--{}`", flag.long));
        rows.push_str(&format!(
            "| `{whole}` | {option} | {}{values}{must} |\n",
            cell(text.unwrap_or_default())
        ));
        if inner != Some("Fault") {
            rows_of_keys(schema, inside, &format!("{way}{name}{list}."), rows);
        }
    }
}

/// Every key of a scenario file, from its JSON schema, with the option that takes its place.
fn keys() -> String {
    let schema = lockproof_core::scenario::schema();
    let mut table = "| key | option | meaning |\n|---|---|---|\n".to_owned();
    rows_of_keys(&schema, &schema, "", &mut table);
    table
}

/// What a command or an option says of itself.
fn help(text: Option<&clap::builder::StyledStr>) -> String {
    cell(&text.map(ToString::to_string).unwrap_or_default())
}

/// How a command is called: what it takes besides options.
fn usage(command: &clap::Command) -> String {
    let mut words = vec![command.get_name().to_owned()];
    for one in command.get_positionals() {
        let name = one.get_value_names().and_then(|names| names.first());
        let name = name.map_or_else(|| one.get_id().to_string(), ToString::to_string);
        let several = matches!(one.get_action(), clap::ArgAction::Append);
        let name = name + if several { "…" } else { "" };
        words.push(match (one.is_last_set(), one.is_required_set()) {
            (true, _) => format!("[-- {name}]"),
            (false, true) => name,
            (false, false) => format!("[{name}]"),
        });
    }
    words.join(" ")
}

/// The commands that are shown.
fn commands() -> String {
    let mut table = "| command | what it does |\n|---|---|\n".to_owned();
    let all = lockproof::internals::cli::command();
    for command in all.get_subcommands().filter(|one| !one.is_hide_set()) {
        let about = help(command.get_about());
        let parts: Vec<&clap::Command> = command.get_subcommands().collect();
        if parts.is_empty() {
            table.push_str(&format!("| `{}` | {about} |\n", usage(command)));
        }
        for part in parts {
            let (usage, about) = (usage(part), help(part.get_about()));
            table.push_str(&format!("| `{} {usage}` | {about} |\n", command.get_name()));
        }
    }
    table
}

/// The options of `explore`, but for those of the server and the output, which every command has.
fn options() -> String {
    let mut table = "| option | what it does |\n|---|---|\n".to_owned();
    let all = lockproof::internals::cli::command();
    let explore = all.find_subcommand("explore").expect("explore");
    let everywhere = [
        "server",
        "image",
        "allow_other_databases",
        "format",
        "out",
        "quiet",
    ];
    for option in explore.get_opts() {
        if everywhere.contains(&option.get_id().as_str()) {
            continue;
        }
        let values = option.get_value_names().unwrap_or_default();
        let value = values
            .first()
            .filter(|_| option.get_action().takes_values());
        let value = value.map_or_else(String::new, |value| format!(" {value}"));
        let default: Vec<_> = option
            .get_default_values()
            .iter()
            .map(|one| one.to_string_lossy())
            .collect();
        let default = match (value.is_empty(), default.as_slice()) {
            (false, [one]) => format!(" [default: {one}]"),
            _ => String::new(),
        };
        table.push_str(&format!(
            "| `--{}{value}` | {}{default} |\n",
            option.get_long().expect("a long name"),
            help(option.get_help())
        ));
    }
    table
}

#[test]
fn the_tables_of_commands_and_options_are_those_of_the_command_line() {
    hold("docs/run.md", "commands", &commands());
    hold("docs/find.md", "options", &options());
    assert!(
        commands().contains("| `groombook check-log FILE or -` |"),
        "{}",
        commands()
    );
    assert!(options().contains("| `--depth DEPTH` |"), "{}", options());
    // One that stands for a key of the scenario, and one that has no value.
    assert!(options().contains("| `--lock LOCK` |"), "{}", options());
    assert!(options().contains("| `--no-faults` |"), "{}", options());
}

#[test]
fn the_table_of_keys_is_that_of_the_schema() {
    hold("docs/write.md", "keys", &keys());
    for key in [
        "title",
        "subject.lock.relation",
        "schedule.turns[].until.before",
        "schedule.free.faults",
        "expect.guards",
    ] {
        assert!(
            keys().contains(&format!("\n| `{key}` | ")),
            "{key}: {}",
            keys()
        );
    }
}

#[test]
fn the_table_of_faults_is_that_of_the_catalogue() {
    hold("docs/write.md", "faults", &faults());
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

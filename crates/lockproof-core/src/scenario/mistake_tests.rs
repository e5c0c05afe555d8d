//! How a mistake in a scenario file is told: at its place, in words that help.

use std::path::Path;

use super::parse;

/// A whole file around some lines of its schedule.
pub(super) fn with_turns(lines: &str) -> String {
    format!("title = \"t\"\nsubject = {{ command = [\"x\"] }}\n[schedule]\nturns = [\n{lines}\n]\n")
}

/// Checks that the mistake marked by `«…»` is told at its place, in these words.
pub(super) fn mistake(marked: &str, words: &str) {
    let start = marked
        .find('«')
        .unwrap_or_else(|| panic!("no mark in {marked}"));
    let text = marked.replace(['«', '»'], "");
    let error = parse(&text, Path::new("scenarios/bad.toml")).expect_err(marked);
    let problem = error.problem().unwrap();
    let before = &marked[..start];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap().chars().count() + 1;
    assert_eq!(
        (problem.line, problem.column),
        (line, column),
        "{error}\n{marked}"
    );
    let told = format!(
        "{} | {}",
        problem.message,
        problem.help.as_deref().unwrap_or("")
    );
    assert!(told.contains(words), "{told:?} lacks {words:?}");
    assert!(
        error
            .to_string()
            .starts_with(&format!("scenarios/bad.toml:{line}:{column}: ")),
        "{error}"
    );
    let shown = format!("{:?}", miette::Report::new(error));
    let shown_line = text.lines().nth(line - 1).unwrap().trim();
    let start = shown_line.chars().take(20).collect::<String>();
    assert!(shown.contains(start.trim_end()), "{shown}\nlacks {start}");
}

#[test]
fn a_mistake_in_the_toml_is_told_at_its_place() {
    mistake("title = \"t\"\n[subject«»\n", "expected `]`");
    mistake(
        "title = \"t\"\n[subject]\ncommand = [\"x\"]\n«titel» = 1\n",
        "unknown key `titel`",
    );
    mistake(
        "title = \"t\"\n[subject]\n«comand» = [\"x\"]\n",
        "did you mean `command`?",
    );
    mistake(
        "title = \"t\"\nsubject = { seeder = { «lok» = \"none\" } }\n",
        "did you mean `lock`?",
    );
    mistake(
        "title = \"t\"\nsubject = { command = [\"x\"] }\nsearch = { faults = [\"kill\", «\"eror\"»] }\n",
        "did you mean \"error\"?",
    );
    mistake(
        "title = \"t\"\n[subject]\ncommand = «\"x\"»\n",
        "expected a list",
    );
    mistake(
        "title = «7»\n[subject]\ncommand = [\"x\"]\n",
        "expected a string",
    );
    mistake(
        "title = \"t\"\n[subject]\ncommand = [\"x\"]\n[pods]\ncount = «\"two\"»\n",
        "invalid type",
    );
    mistake(
        "title = \"t\"\n[subject]\ncommand = [\"x\"]\n[«explore»]\n",
        "unknown key `explore`",
    );
    mistake(
        "title = \"t\"\n[subject]\ncommand = [\"x\"]\nprepare = «7»\n",
        "a line for the shell",
    );
    mistake(
        "title = \"t\"\n[subject]\ncommand = [\"x\"]\nlock = { «kee» = 7 }\n",
        "did you mean `key`?",
    );
    mistake(
        "title = \"t\"\n[subject]\ncommand = [\"x\"]\nrelease = «\"all\"»\n",
        "unknown variant `all`",
    );
    mistake("«title = \"é\"»\n", "missing field `subject`");
}

#[test]
fn an_impossible_subject_is_told_at_its_place() {
    let subject = |line: &str| format!("title = \"ü\"\n[subject]\n{line}\n");
    mistake(
        "title = «\" \"»\nsubject.command = [\"x\"]",
        "title is empty",
    );
    mistake("title = \"t\"\n«[subject]»\n", "no command");
    mistake(&subject("seeder = {}\ncommand = «[\"x\"]»"), "not both");
    mistake(&subject("command = «[]»"), "names no program");
    mistake(
        &subject("seeder = { lock = «\"sesion\"» }"),
        "did you mean \"session\"?",
    );
    mistake(
        &subject("seeder = { profile = «\"huge\"» }"),
        "tiny, dev, uat, demo",
    );
    mistake(
        &subject("seeder = {}\nschema = «\"missing.sql\"»"),
        "there is no schema file",
    );
    mistake(
        &subject("seeder = {}\nschema = «\".\"»"),
        "there is no schema file",
    );
    mistake(
        &subject("seeder = {}\ntime_limit = «\"soon\"»"),
        "is no duration",
    );
    mistake(&subject("seeder = {}\ntime_limit = «\"0s\"»"), "no time");
    mistake(
        &subject("seeder = {}\nprotect = «[]»"),
        "no table is protected",
    );
    mistake(&subject("seeder = {}\nanswers = «[]»"), "no error is named");
    mistake(
        &subject("seeder = {}\nanswers = [{ sqlstate = «\"2350\"» }]"),
        "is no SQLSTATE",
    );
    mistake(
        &subject("seeder = {}\nanswers = [{ sqlstate = \"23505\", table = «\" \"» }]"),
        "this name is empty",
    );
    mistake(&subject("seeder = {}\nignore = «[]»"), "nothing is ignored");
    mistake(
        &subject("seeder = {}\nignore = [«\"visit.\"»]"),
        "no table and no column",
    );
    mistake(
        &subject("seeder = {}\nenv = { «DATABASE_URL» = \"x\" }"),
        "set by lockproof",
    );
    mistake(&subject("seeder = {}\nprepare = «\" \"»"), "empty");
    mistake(
        &subject("seeder = {}\n[pods]\ncount = «0»"),
        "0 pods are not possible",
    );
    mistake(&subject("seeder = {}\n[pods]\ncount = «27»"), "1 to 26");
    mistake(
        &subject("seeder = {}\n[server]\npooler = { mode = «\"transactions\"» }"),
        "did you mean `transaction`?",
    );
    mistake(
        &subject("seeder = {}\n[server]\npooler = «{ size = 2 }»"),
        "missing field `mode`",
    );
    mistake(
        &subject("seeder = {}\n[server]\npooler = { mode = \"session\", size = «0» }"),
        "a pool of 0 server connections is not possible",
    );
    mistake(
        &subject("seeder = {}\n[pods]\ncount = «-1»"),
        "-1 pods are not possible",
    );
}

#[test]
fn an_impossible_turn_is_told_at_its_place() {
    let turn = |line: &str| with_turns(&format!("  {{ run = \"a\" }},\n  {line},"));
    mistake(
        &turn("{ run = «\"c\"» }"),
        "there is no pod \"c\"; there are 2 pods, a to b",
    );
    mistake(&turn("«{ until = { steps = 1 } }»"), "needs `run");
    mistake(
        &turn("{ run = \"a\", fault = «{ kill = { pod = \"a\" } }» }"),
        "not both",
    );
    mistake(
        &turn("{ run = \"a\", until = { before = \"x\", nth = «0» } }"),
        "counted from 1",
    );
    mistake(
        &turn("{ run = \"a\", until = { steps = «0» } }"),
        "at least 1 step",
    );
    mistake(
        &turn("{ run = \"a\", until = { steps = 1, nth = «2» } }"),
        "`nth` counts",
    );
    mistake(
        &turn("{ run = \"a\", until = «{ before = \"x\", after = \"y\" }» }"),
        "one of",
    );
    mistake(&turn("{ run = \"a\", until = «{}» }"), "one of");
    mistake(
        &turn("{ run = \"a\", until = { blocked = «false» } }"),
        "blocked = true",
    );
    mistake(
        &turn("{ run = \"a\", until = { before = «\"/(/\"» } }"),
        "no regular expression",
    );
    mistake(
        &turn("{ run = \"a\", until = { before = «\" \"» } }"),
        "must not be empty",
    );
    let both = "[schedule]\nturns = []\nfree = «{}»\n";
    mistake(
        &format!("title = \"t\"\nsubject = {{ command = [\"x\"] }}\n{both}"),
        "not both",
    );
}

#[test]
fn an_impossible_fault_is_told_at_its_place() {
    let fault = |line: &str| with_turns(&format!("  {{ fault = {line} }},"));
    mistake(&fault("«{}»"), "exactly one of: kill");
    mistake(
        &fault("«{ kill = { pod = \"a\" }, reset = { pod = \"a\" } }»"),
        "exactly one of",
    );
    mistake(
        &fault("{ «freeze» = { pod = \"a\" } }"),
        "unknown key `freeze`",
    );
    mistake(&fault("{ pause = «{}» }"), "pause needs a `pod`");
    mistake(&fault("{ delay = «{ pod = \"a\" }» }"), "by how much");
    mistake(
        &fault("{ throttle = «{ pod = \"a\" }» }"),
        "how much passes",
    );
    mistake(
        &fault("{ throttle = { pod = \"a\", bytes_per_second = «0» } }"),
        "0 bytes a second",
    );
    mistake(
        &fault("{ heal = { pod = \"a\", point = «\"after\"» } }"),
        "has no point",
    );
    mistake(
        &fault("{ crash = { point = «\"after\"» } }"),
        "no `pod` is named",
    );
    mistake(
        &fault("{ restart = { mode = «\"fats\"» } }"),
        "did you mean \"fast\"?",
    );
    mistake(
        &fault("{ crash = { mode = «\"fast\"» } }"),
        "only restart has",
    );
    mistake(
        &fault("{ crash = { every = «true» } }"),
        "done to the server",
    );
    mistake(
        &fault("{ error = { pod = \"a\", sqlstate = \"40001\", every = «true» } }"),
        "the answer to one step",
    );
    mistake(
        &with_turns("  «{ fault = { promote = {} } }»,"),
        "no standby to promote",
    );
    mistake(
        &with_turns("  { fault = { pause-server = {} } },\n  «{ run = \"a\" }»,"),
        "the server is paused",
    );
    mistake(&fault("{ kill = { pod = «\"aa\"» } }"), "there is no pod");
    mistake(
        &fault("{ kill = { pod = \"a\", connection = «\"a.0\"» } }"),
        "done to the pod",
    );
    mistake(
        &fault("{ kill = { pod = \"a\", grace = «\"1s\"» } }"),
        "has no grace",
    );
    mistake(
        &fault("{ kill = { pod = \"a\", sqlstate = «\"40001\"» } }"),
        "has no SQLSTATE",
    );
    mistake(
        &fault("{ kill = { pod = \"a\", point = «\"befor\"» } }"),
        "did you mean \"before\"?",
    );
    mistake(&fault("{ error = «{ pod = \"a\" }» }"), "no `sqlstate`");
    mistake(
        &fault("{ error = { pod = \"a\", sqlstate = «\"4000a\"» } }"),
        "is no SQLSTATE",
    );
    mistake(
        &fault("{ error = { pod = \"a\", sqlstate = «\"00000\"» } }"),
        "means success",
    );
    mistake(
        &fault("{ error = { pod = \"a\", sqlstate = \"40001\", point = «\"waiting\"» } }"),
        "cannot come while a step waits",
    );
    mistake(
        &fault("{ reset = { pod = \"a\", connection = «\"b.0\"» } }"),
        "no connection of pod a",
    );
    mistake(
        &fault("{ reset = { pod = \"a\", connection = «\"a0\"» } }"),
        "no connection name",
    );
    mistake(
        &fault("{ reset = { pod = \"a\", holding = «\"row\"» } }"),
        "\"lock\"",
    );
    mistake(
        &fault("{ reset = { pod = \"a\", holding = \"lock\", next = «true» } }"),
        "one of `connection`",
    );
    mistake(
        &fault("{ at = «\"1s\"», kill = { pod = \"a\" } }"),
        "belongs to free pacing",
    );
    let free = |line: &str| {
        format!("title = \"t\"\nsubject = {{ command = [\"x\"] }}\n[schedule]\nfree = {line}\n")
    };
    mistake(
        &free("{ stagger = «[\"2s\", \"1s\"]» }"),
        "longer than the longest",
    );
    mistake(&free("{ stagger = [«\"x\"», \"1s\"] }"), "is no duration");
    mistake(
        &free("{ faults = [«{ at = \"1s\", pause = { pod = \"a\" } }»] }"),
        "needs a later resume",
    );
    mistake(
        &free("{ faults = [«{ kill = { pod = \"a\" } }»] }"),
        "needs a time",
    );
    mistake(
        &free("{ faults = [{ at = \"1s\", kill = { pod = \"a\", point = «\"after\"» } }] }"),
        "its time",
    );
}

#[test]
fn an_impossible_expectation_is_told_at_its_place() {
    let expect = |line: &str| {
        format!("title = \"t\"\nsubject = {{ command = [\"x\"] }}\n[expect]\n{line}\n")
    };
    mistake(
        &expect("violates = [\"no-leak\", «\"no-eror\"»]"),
        "did you mean \"no-errors\"?",
    );
    mistake(
        &expect("may_violate = [«\"speed\"»]"),
        "it is one of: no-errors",
    );
    mistake(
        &expect("guards = [«\"fault-fired\"»]"),
        "did you mean \"faults-fired\"?",
    );
    mistake(&expect("verdict = «\"hold\"»"), "did you mean \"holds\"?");
    mistake(
        &expect("verdict = «\"holds\"»\nviolates = [\"no-leak\"]"),
        "cannot be holds",
    );
    mistake(
        &expect("sqlstate = «\"23503\"»"),
        "every invariant must hold",
    );
    mistake(
        &expect("violates = [\"no-errors\"]\nsqlstate = «\"235\"»"),
        "is no SQLSTATE",
    );
    mistake(&expect("only_sqlstates = «[]»"), "look for no error");
    mistake(
        &expect("only_sqlstates = [\"23503\", «\"00000\"»]"),
        "means success",
    );
}

#[test]
fn steps_that_are_released_together_are_of_two_pods_or_more() {
    mistake(
        &with_turns("{ together = «[\"a\"]» }"),
        "needs at least two pods",
    );
    mistake(
        &with_turns("{ together = [\"a\", «\"a\"»] }"),
        "pod a is named twice",
    );
    mistake(
        &with_turns("{ together = [\"a\", «\"c\"»] }"),
        "there is no pod \"c\"",
    );
    mistake(
        &with_turns("{ run = \"a\", together = «[\"a\", \"b\"]» }"),
        "stands alone",
    );
    mistake(
        &with_turns("{ together = [\"a\", \"b\"], until = «{ steps = 1 }» }"),
        "have no `until`",
    );
}

/// A whole file with a CronJob and some turns.
fn with_cronjob(table: &str, turns: &str) -> String {
    format!(
        "title = \"t\"\nsubject = {{ command = [\"x\"] }}\n[cronjob]\n{table}\n[schedule]\nturns = \
         [\n{turns}\n]\n"
    )
}

#[test]
fn a_mistake_in_a_cronjob_is_told_at_its_place() {
    let tick = "{ tick = true }";
    for (table, words) in [
        ("schedule = «\"0 * * *\"»", "it has five fields"),
        ("schedule = «\"0 0 * * 7\"»", "\"7\" in it is not known"),
        ("schedule = «\"0 0 31 2 *\"»", "is never due"),
        ("schedule = «7»", "expected a string"),
        (
            "schedule = \"@hourly\"\npolicy = «\"replace\"»",
            "did you mean \"Replace\"?",
        ),
        (
            "schedule = \"@hourly\"\ngrace = «\"1500ms\"»",
            "whole seconds",
        ),
        ("schedule = \"@hourly\"\ngrace = «\"30\"»", "is no duration"),
        (
            "schedule = \"@hourly\"\nstarting_deadline = «\"0s\"»",
            "no Job is ever made",
        ),
        (
            "schedule = \"@hourly\"\nbackoff_limit = «-1»",
            "is no number of failures",
        ),
        (
            "schedule = \"@hourly\"\n«concurrency_policy» = \"Allow\"",
            "unknown key",
        ),
        (
            "schedule = \"@hourly\"\npid1 = «\"yes\"»",
            "expected a boolean",
        ),
    ] {
        mistake(&with_cronjob(table, tick), words);
    }
    let missing = with_cronjob("policy = \"Allow\"", tick).replace("[cronjob]", "«[cronjob]»");
    mistake(&missing, "missing field `schedule`");
}

#[test]
fn an_impossible_move_of_a_cronjobs_clock_is_told_at_its_place() {
    for (turn, words) in [
        ("{ tick = «false» }", "write `tick = true`"),
        ("{ manual = «false» }", "write `manual = true`"),
        ("{ advance = «\"0s\"» }", "more than nothing"),
        ("{ advance = «\"25h\"» }", "at most a day"),
        ("{ advance = «\"soon\"» }", "is no duration"),
        ("{ tick = true, manual = «true» }", "stand alone"),
        ("{ tick = «true», run = \"a\" }", "stand alone"),
        (
            "{ advance = «\"1s\"», until = { steps = 1 } }",
            "stand alone",
        ),
    ] {
        mistake(&with_cronjob("schedule = \"@hourly\"", turn), words);
    }
    mistake(&with_turns("«{ tick = true }»"), "there is no CronJob");
    let idle =
        "title = \"t\"\nsubject = { command = [\"x\"] }\ncronjob = «{ schedule = \"@hourly\" }»\n";
    mistake(idle, "no pod would ever be created");
    let free = "title = \"t\"\nsubject = { command = [\"x\"] }\ncronjob = { schedule = \"@hourly\" }\n\
                schedule.free = «{ stagger = [\"0s\", \"1s\"] }»\n";
    mistake(free, "in free pacing no CronJob is possible");
}

#[test]
fn a_lock_is_named_in_one_way_and_a_mode_must_guard() {
    let with = |lock: &str| format!("title = \"t\"\n[subject]\ncommand = [\"x\"]\nlock = {lock}\n");
    mistake(
        &with("«{ key = 1, relation = \"t\" }»"),
        "a lock has one of `key`, `keys`, `relation`, `rows`, `queue`, `claim` and `table`",
    );
    mistake(
        &with("«{ key = 1, mode = \"exclusive\" }»"),
        "`mode` goes with",
    );
    mistake(&with("«{}»"), "`{ relation = \"report\" }`");
    mistake(
        &with("«{ relation = \"t\", mode = \"row share\" }»"),
        "two pods can hold a table in row share mode at once: it guards nothing",
    );
    mistake(
        &with("«{ relation = \"t\", mode = \"full\" }»"),
        "there is no lock mode \"full\"",
    );
}

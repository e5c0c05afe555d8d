//! How a mistake in a lock row of a scenario file is told, and in a move that lets its time pass.

use super::mistake_tests::{mistake, with_turns};

#[test]
fn a_lock_row_says_what_its_columns_mean_and_its_table_is_not_protected() {
    let with = |lock: &str| format!("title = \"t\"\n[subject]\ncommand = [\"x\"]\nlock = {lock}\n");
    mistake(&with("{ owner = «\"o\"» }"), "`owner` goes with `table`");
    mistake(
        &with("{ table = «\"l\"» }"),
        "nothing tells when the row is had",
    );
    mistake(
        &with("{ table = «\"l\"», key = 7, owner = \"o\" }"),
        "a lock is a row of a `table`",
    );
    mistake(
        &with("{ table = \"l\", since = «\"s\"» }"),
        "There is no `lease`",
    );
    mistake(
        &with("{ table = \"l\", owner = \"o\", lease = «\"5m\"» }"),
        "`since` a time in the row",
    );
    mistake(
        &with("{ table = \"l\", since = \"s\", lease = «\"0s\"» }"),
        "a lease of no time",
    );
    mistake(
        &with("{ table = \"l\", until = \"u\", since = «\"s\"» }"),
        "not both",
    );
    mistake(
        &with("{ table = \"l\", owner = \"o\", fencing = «\"yes\"» }"),
        "fencing can be \"required\"",
    );
    mistake(
        &with("{ table = \"l\", owner = \"o\", row = «{}» }"),
        "no row is named",
    );
    mistake(
        &with("{ table = \"l\", owner = «\" \"» }"),
        "this names no column",
    );
    let protected = |name: &str| {
        with("«{ table = \"l\", owner = \"o\" }»")
            .replace("lock =", &format!("protect = [\"{name}\"]\nlock ="))
    };
    mistake(
        &protected("l"),
        "the table of the lock row, l, is protected, too",
    );
    mistake(&protected("public.l"), "is protected, too");
}

#[test]
fn a_queue_says_when_a_row_is_claimed_and_when_it_is_done() {
    let with = |lock: &str| format!("title = \"t\"\n[subject]\ncommand = [\"x\"]\nlock = {lock}\n");
    mistake(
        &with("{ queue = «\"job\"», claimed = \"state = 1\" }"),
        "when a row is `claimed`, and when it is `done`",
    );
    mistake(
        &with("{ queue = \"job\", claimed = \"state = 1\", done = «\"state = 1\"» }"),
        "`claimed` and `done` overlap",
    );
    mistake(
        &with("{ queue = \"job\", claimed = \"a\", done = \"b\", token = «\"t\"» }"),
        "`token` goes with `table`",
    );
    mistake(
        &with("{ table = \"l\", owner = \"o\", done = «\"b\"» }"),
        "`claimed` and `done` go with `queue`",
    );
    mistake(
        &with("{ table = \"l\", queue = «\"job\"» }"),
        "each row of a `queue`, not both",
    );
    mistake(&with("{ claimed = «\"b\"» }"), "or with `queue`");
}

#[test]
fn claims_have_a_table_and_the_columns_of_a_key_and_nothing_of_other_locks() {
    let with = |lock: &str| format!("title = \"t\"\n[subject]\ncommand = [\"x\"]\nlock = {lock}\n");
    for (lock, words) in [
        (
            "{ claim = «\"log\"» }",
            "which key is claimed? There are no `columns`",
        ),
        ("{ claim = \"log\", columns = «[]» }", "`columns` is empty"),
        (
            "{ claim = \"log\", columns = [«\" \"»] }",
            "this names no column",
        ),
        (
            "{ claim = «\" \"», columns = [\"day\"] }",
            "this names no table",
        ),
        (
            "{ claim = \"log\", columns = [\"day\", «\"day\"»] }",
            "`columns` names day twice",
        ),
        (
            "{ claim = \"log\", columns = [\"day\"], owner = «\"me\"» }",
            "`owner` does not go with `claim`",
        ),
        (
            "{ claim = \"log\", columns = [\"day\"], queue = «\"job\"» }",
            "`queue` does not go with `claim`",
        ),
        (
            "{ claim = «\"log\"», columns = [\"day\"], key = 7 }",
            "a lock is a key in the table `claim`, or",
        ),
        (
            "{ table = \"l\", owner = \"o\", columns = «[\"day\"]» }",
            "`columns` goes with `claim`",
        ),
        ("{ key = 7, columns = «[\"day\"]» }", "`columns` goes with"),
    ] {
        mistake(&with(lock), words);
    }
    let protected = "title = \"t\"\n[subject]\ncommand = [\"x\"]\nprotect = [\"log\"]\nlock = «{ claim = \"log\", columns = \
                     [\"day\"] }»\n";
    mistake(protected, "the table of the claims, log, is protected, too");
}

#[test]
fn several_locks_are_named_once_each_and_a_lock_row_is_protected_by_none() {
    let with = |lock: &str| format!("title = \"t\"\n[subject]\ncommand = [\"x\"]\nlock = {lock}\n");
    mistake(&with("«[]»"), "no lock is named");
    mistake(&with("[{ key = 7 }, «{ key = 7 }»]"), "named twice");
    mistake(
        &with("[{ key = 7 }, { key = 8, protect = «[]» }]"),
        "no table is protected",
    );
    mistake(
        &with("[{ key = 7 }, «{ key = 8, keys = [1, 2] }»]"),
        "a lock has one of",
    );
    mistake(&with("[{ key = 7 }, { «kye» = 8 }]"), "kye");
    mistake(
        &with("«[{ key = 7, protect = [\"l\"] }, { table = \"l\", owner = \"o\" }]»"),
        "the table of the lock row, l, is protected, too",
    );
}

#[test]
fn time_passes_for_the_lock_row_in_a_line_of_its_own() {
    mistake(
        &with_turns("{ run = \"a\", expire = «\"lock\"» }"),
        "`expire` stands alone in its line",
    );
    mistake(
        &with_turns("{ expire = «\"row\"» }"),
        "expected \"lock\", or a table",
    );
    mistake(&with_turns("{ expire = { by = «\"soon\"» } }"), "soon");
    mistake(
        &with_turns("{ expire = { pod = \"a\", point = «\"waiting\"» } }"),
        "before a step or after it",
    );
    mistake(
        &with_turns("{ expire = { point = «\"after\"» } }"),
        "no `pod` is named",
    );
}

#[test]
fn rows_and_an_isolation_level_are_named_alone() {
    let with = |lock: &str| format!("title = \"t\"\n[subject]\ncommand = [\"x\"]\nlock = {lock}\n");
    for lock in [
        "«{ rows = \"job\", key = 7 }»",
        "«{ rows = \" \" }»",
        "«{ rows = \"job\", mode = \"exclusive\" }»",
    ] {
        mistake(
            &with(lock),
            "a lock has one of `key`, `keys`, `relation`, `rows`",
        );
    }
    mistake(
        &with("{ table = «\"l\"», owner = \"o\", rows = \"job\" }"),
        "a lock is a row of a `table`",
    );
    mistake(
        &with("«{ isolation = \"serializable\", key = 7 }»"),
        "no lock is named beside that",
    );
    mistake(
        &with("{ isolation = «\"repeatable read\"» }"),
        "isolation can be \"serializable\"",
    );
}

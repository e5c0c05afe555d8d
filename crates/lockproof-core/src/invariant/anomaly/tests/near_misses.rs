//! Histories that look like an anomaly and are none, or of which nobody can tell. None of them has a name.

use super::*;

#[track_caller]
fn no_name(steps: &[(&str, &str)]) {
    assert_eq!(named_of(steps), None);
}

const LATER: &str = "update account set balance = 6 where id = 1";

#[test]
fn one_after_the_other() {
    no_name(&[("a", LOOK), ("a", SET), ("b", LOOK), ("b", SET)]);
}

#[test]
fn an_update_that_reckons_with_the_row_loses_nothing() {
    let more = "update account set balance = balance + 1 where id = 1";
    no_name(&[("a", LOOK), ("b", SET), ("a", more)]);
    no_name(&[("a", LOOK), ("b", LOOK), ("b", more), ("a", more)]);
    // Nor is what it reckoned with a lost write.
    no_name(&[("a", SET), ("b", more), ("a", LOOK)]);
}

#[test]
fn an_update_of_another_column_loses_nothing() {
    let name = "update account set owner = 2 where id = 1";
    no_name(&[("a", LOOK), ("b", name), ("a", SET)]);
    no_name(&[("a", SET), ("b", name), ("a", LATER)]);
    no_name(&[("a", LOOK), ("b", name), ("a", LOOK)]);
    // How many there are does not depend on what is in them.
    no_name(&[("a", COUNT), ("b", SET), ("a", COUNT)]);
    no_name(&[
        ("a", COUNT),
        ("b", COUNT),
        ("a", "update account set balance = 0 where id = 1"),
        ("b", "update account set balance = 0 where id = 2"),
    ]);
}

#[test]
fn who_looks_again_before_it_writes_loses_nothing() {
    no_name(&[
        ("a", LOOK),
        (
            "b",
            "update account set owner = 2, balance = 1 where id = 1",
        ),
        (
            "a",
            "select owner, balance from account where id = 1 and 1 = 1",
        ),
        ("a", SET),
    ]);
    // A view may show it, and a function may have looked.
    no_name(&[
        ("a", LOOK),
        ("b", LATER),
        ("a", "select balance from rich_accounts"),
        ("a", SET),
    ]);
    no_name(&[("a", LOOK), ("b", LATER), ("a", "select f()"), ("a", SET)]);
}

#[test]
fn bound_parameters_may_mean_other_rows() {
    let look = "select balance from account where id = $1";
    let set = "update account set balance = $2 where id = $1";
    no_name(&[("a", look), ("b", look), ("b", set), ("a", set)]);
    no_name(&[
        ("a", "select balance from account"),
        ("b", "select balance from account"),
        ("a", set),
        ("b", set),
    ]);
    no_name(&[("a", look), ("b", set), ("a", look)]);
}

#[test]
fn rows_of_which_the_text_does_not_tell_which_they_are() {
    for look in [
        "select balance from account where id = f(1)",
        "select balance from account fetch first 1 row only",
        "select balance from account offset 3",
        "select balance from account where opened < now()",
        "select balance from account where id = 1 and opened < 'now'",
        "select balance from account where id in (select 1)",
        "select balance from account join rule on true",
    ] {
        no_name(&[("a", look), ("b", SET), ("a", SET)]);
        no_name(&[("a", look), ("b", SET), ("a", look)]);
    }
    let both = "update account set (balance, owner) = (1, 2) where id = 1";
    no_name(&[("a", LOOK), ("b", both), ("a", SET)]);
}

#[test]
fn other_rows_are_none_of_its_business() {
    let other = "insert into account (owner) values (2)";
    let look = "select count(*) from account where owner = 1";
    no_name(&[("a", look), ("b", other), ("a", look)]);
    no_name(&[
        ("a", LOOK),
        ("b", "update account set balance = 1 where id = 2"),
        ("a", "update account set balance = 1 where id = 2"),
    ]);
}

#[test]
fn rows_that_do_not_stay_what_they_were() {
    // What a had written was gone before b came, or came anew.
    no_name(&[
        ("a", "insert into account (id) values (1)"),
        ("a", "delete from account"),
        ("b", "truncate account"),
        ("a", COUNT),
    ]);
    no_name(&[
        ("a", LOOK),
        ("b", "delete from account where id = 1"),
        ("b", "insert into account (id) values (1)"),
        ("a", SET),
    ]);
    // Which rows are new another statement changes.
    let look = "select balance from account where state = 'new'";
    let set = "update account set balance = 1 where state = 'new'";
    let renew = ("c", "update account set state = 'new' where id = $1");
    assert_eq!(
        name_of(&[("a", look), ("b", set), ("a", look)]),
        Some(Anomaly::NonRepeatableRead)
    );
    no_name(&[("a", look), renew, ("b", set), ("a", look)]);
}

#[test]
fn rows_that_are_made_after_others_were_wiped_are_not_written_over() {
    let refill = |who: &'static str| {
        [
            (who, "truncate account"),
            (who, "insert into account (id) values (1)"),
        ]
    };
    let [wipe, fill] = refill("a");
    let [other_wipe, other_fill] = refill("b");
    no_name(&[wipe, other_wipe, other_fill, fill]);
    no_name(&[wipe, other_fill, fill]);
    no_name(&[wipe, other_wipe, wipe]);
    no_name(&[
        ("a", "delete from account where id = 1"),
        ("b", "insert into account (id) values (1)"),
        ("b", "delete from account where id = 2"),
        ("a", "insert into account (id) values (2)"),
    ]);
}

#[test]
fn the_write_and_the_read_in_the_middle_must_be_of_one_step() {
    // b had read it before a wrote: what a wrote later b never saw half done.
    let twice = [("b", LOOK), ("a", SET), ("a", LATER), ("b", LOOK)];
    assert_eq!(name_of(&twice), Some(Anomaly::NonRepeatableRead));
    // b's update came before a's look, and b's other one after a's.
    no_name(&[
        ("b", SET),
        ("a", LOOK),
        ("a", SET),
        ("b", "select owner from account where id = 2"),
    ]);
}

#[test]
fn updates_of_one_row_that_both_had_read_are_no_write_skew() {
    let look = "select balance from account";
    let more = "update account set balance = balance + 1 where id = 1";
    no_name(&[("a", look), ("b", look), ("a", more), ("b", more)]);
}

#[test]
fn a_search_whose_rows_an_update_may_move() {
    // Whether row 2 was on call before is not known: textbooks tell it, the text does not.
    let look = "select count(*) from account where on_call";
    no_name(&[
        ("a", look),
        ("b", look),
        ("a", "update account set on_call = false where id = 1"),
        ("b", "update account set on_call = false where id = 2"),
    ]);
}

#[test]
fn who_takes_no_part_gives_no_name() {
    // b and c lose an update; what a found in that table it did not do.
    let lines = history(
        "account",
        &[("b", LOOK), ("c", SET), ("b", SET), ("a", "select 1")],
    );
    assert!(named(&lines, InvariantName::CleanState).is_some());
    // A cycle of three is none of two.
    no_name(&[
        ("a", "select balance from account where id = 1"),
        ("b", "select balance from account where id = 2"),
        ("c", "select balance from account where id = 3"),
        ("a", "update account set balance = 1 where id = 2"),
        ("b", "update account set balance = 1 where id = 3"),
        ("c", "update account set balance = 1 where id = 1"),
    ]);
}

#[test]
fn what_a_transaction_sees_by_one_snapshot() {
    for begin in [
        "begin isolation level repeatable read",
        "begin transaction isolation level serializable",
    ] {
        no_name(&[
            ("a", begin),
            ("a", LOOK),
            ("b", SET),
            ("a", LOOK),
            ("a", "commit"),
        ]);
    }
    let set = "set session characteristics as transaction isolation level repeatable read";
    no_name(&[
        ("a", set),
        ("a", "begin"),
        ("a", LOOK),
        ("b", SET),
        ("a", LOOK),
        ("a", "commit"),
    ]);
    let default = "set default_transaction_isolation = 'serializable'";
    no_name(&[
        ("a", default),
        ("a", "begin"),
        ("a", LOOK),
        ("b", SET),
        ("a", LOOK),
        ("a", "commit"),
    ]);
    let own = "begin isolation level read committed";
    let read = [
        ("a", own),
        ("a", LOOK),
        ("b", SET),
        ("a", LOOK),
        ("a", "commit"),
    ];
    assert_eq!(name_of(&read), Some(Anomaly::NonRepeatableRead));
}

#[test]
fn a_level_that_a_connection_or_its_role_has_from_its_beginning() {
    let twice = |settings: Option<&str>, usual: Option<Isolation>| {
        let mut story = two();
        if let Some(level) = settings {
            story.event(Event::ConnectionSettings {
                connection: name("a.0"),
                settings: Setting::known("default_transaction_isolation", level)
                    .into_iter()
                    .collect(),
            });
        }
        step(&mut story, "a.0", LOOK);
        step(&mut story, "b.0", SET);
        step(&mut story, "a.0", LOOK);
        step(&mut story, "a.0", "insert into audit values (1)");
        let mut lines = ended(story, &["a", "b"], "account");
        for line in &mut lines {
            if let Event::Write(write) = &mut line.event {
                write.extent.usual = usual;
            }
        }
        named(&lines, InvariantName::CleanState).map(|one| one.name)
    };
    assert_eq!(twice(None, None), Some(Anomaly::NonRepeatableRead));
    assert_eq!(
        twice(Some("read committed"), None),
        Some(Anomaly::NonRepeatableRead)
    );
    assert_eq!(twice(Some("repeatable read"), None), None);
    assert_eq!(twice(None, Some(Isolation::Serializable)), None);
}

#[test]
fn without_the_witness_only_a_text_tells_the_level() {
    let twice = |begin: &str| {
        let mut story = Story::of(&["a", "b"]);
        story.run.rules.lock = LockRule::None;
        story.run.witness = false;
        story.witness = false;
        if let Some(baseline) = &mut story.run.baseline {
            baseline.serial = vec![state("account", 1), state("account", 1)];
        }
        story.start("a", 1).start("b", 1);
        within(&mut story, "a.0", begin, "BEGIN", 'T');
        within(&mut story, "a.0", LOOK, "SELECT 1", 'T');
        step(&mut story, "b.0", SET);
        within(&mut story, "a.0", LOOK, "SELECT 1", 'T');
        step(&mut story, "a.0", "commit");
        let lines = ended(story, &["a", "b"], "account");
        named(&lines, InvariantName::CleanState).map(|one| one.name)
    };
    assert_eq!(twice("begin"), None);
    let said = twice("begin isolation level read committed");
    assert_eq!(said, Some(Anomaly::NonRepeatableRead));
}

#[test]
fn a_write_is_where_it_is_committed() {
    // b's update is seen by nobody before its commit, which comes after all that a does.
    no_name(&[
        ("a", LOOK),
        ("b", "begin"),
        ("b", SET),
        ("a", LOOK),
        ("b", "commit"),
    ]);
    // What was rolled back was never there.
    no_name(&[
        ("a", LOOK),
        ("b", "begin"),
        ("b", SET),
        ("b", "rollback"),
        ("a", LOOK),
    ]);
}

#[test]
fn an_update_that_met_no_row_wrote_nothing() {
    let mut story = two();
    step(&mut story, "a.0", LOOK);
    within(&mut story, "b.0", SET, "UPDATE 0", 'I');
    step(&mut story, "a.0", SET);
    let lines = ended(story, &["a", "b"], "account");
    assert_eq!(named(&lines, InvariantName::CleanState), None);
}

#[test]
fn a_function_that_nobody_can_read_leaves_what_is_sure() {
    let opaque = ("b", "select refill()");
    let sure = [("a", LOOK), opaque, ("b", SET), ("a", SET)];
    assert_eq!(name_of(&sure), Some(Anomaly::LostUpdate));
}

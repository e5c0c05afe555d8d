//! Each name, by the order that defines it.

use super::*;

#[test]
fn a_value_written_over_by_what_was_read_before_is_a_lost_update() {
    // P4 of Berenson et al.: r1[x] w2[x] w1[x].
    let found = named_of(&[("a", LOOK), ("b", LOOK), ("b", SET), ("a", SET)]).unwrap();
    assert_eq!(found.name, Anomaly::LostUpdate);
    assert_eq!(
        found.how,
        "a read public.account in its step 1; b updated public.account in its step 2; \
         a updated public.account in its step 2"
    );
    // However it is written, and of a column among others that are reckoned with.
    let other = [
        (
            "a",
            "select * from account /* it's */ where (ID = 1) for update",
        ),
        (
            "b",
            "update account set balance = 7, tries = 1 where id='1'",
        ),
        (
            "a",
            "update account as x set balance = $1, tries = tries + 1 where x.id = 1 returning id",
        ),
    ];
    assert_eq!(name_of(&other), Some(Anomaly::LostUpdate));
}

#[test]
fn each_writing_what_the_other_has_read_and_not_the_same_is_write_skew() {
    // A5B: r1[x] r2[y] w1[y] w2[x].
    let look = "select balance from account";
    let skew = [
        ("a", look),
        ("b", look),
        ("a", "update account set balance = 0 where id = 1"),
        ("b", "update account set balance = 0 where id = 2"),
    ];
    assert_eq!(name_of(&skew), Some(Anomaly::WriteSkew));
    let two_tables = [
        ("a", "select balance from account where id = 1"),
        ("b", "select limit_of from rule where id = 1"),
        ("a", "update rule set limit_of = 0 where id = 1"),
        ("b", "update account set balance = 0 where id = 1"),
    ];
    assert_eq!(name_of(&two_tables), Some(Anomaly::WriteSkew));
}

#[test]
fn rows_that_come_after_somebody_looked_for_them_are_a_phantom() {
    // P3: r1[P] w2[y in P].
    let look = "select count(*) from account where owner = 1";
    let open = "insert into account (owner) values (1)";
    let both = [("a", look), ("b", look), ("b", open), ("a", open)];
    assert_eq!(name_of(&both), Some(Anomaly::Phantom));
    let again = [("a", look), ("b", open), ("a", look)];
    assert_eq!(name_of(&again), Some(Anomaly::Phantom));
    // Whatever is bound, it is one of all rows.
    let bound = [
        ("a", COUNT),
        ("b", COUNT),
        ("b", "insert into account values ($1)"),
        ("a", "insert into account values ($1)"),
    ];
    assert_eq!(name_of(&bound), Some(Anomaly::Phantom));
}

#[test]
fn the_same_read_twice_with_a_write_in_between_is_a_non_repeatable_read() {
    // A2: r1[x] w2[x] r1[x].
    let twice = [("a", LOOK), ("b", SET), ("a", LOOK)];
    assert_eq!(name_of(&twice), Some(Anomaly::NonRepeatableRead));
    // Berenson et al.: "modifies or deletes".
    let gone = [
        ("a", LOOK),
        ("b", "delete from account where id = 1"),
        ("a", LOOK),
    ];
    assert_eq!(name_of(&gone), Some(Anomaly::NonRepeatableRead));
}

#[test]
fn what_is_read_half_done_is_a_dirty_read() {
    // G1b of Adya: b read what was not a's last version.
    let half = [
        ("a", SET),
        ("b", LOOK),
        ("a", "update account set balance = 6 where id = 1"),
    ];
    assert_eq!(name_of(&half), Some(Anomaly::DirtyRead));
    let made = [
        ("a", "insert into account (id, balance) values (1, 0)"),
        ("b", LOOK),
        ("a", SET),
    ];
    assert_eq!(name_of(&made), Some(Anomaly::DirtyRead));
}

#[test]
fn writes_by_turns_are_a_dirty_write() {
    // P0: w1[x] w2[x] w1[x].
    let turns = [
        ("a", "update account set balance = 0"),
        ("b", "update account set balance = 1"),
        ("a", "update account set balance = 2"),
    ];
    assert_eq!(name_of(&turns), Some(Anomaly::DirtyWrite));
    // The example of P0: x and y must be equal, and are not.
    let crosswise = [
        ("a", "update account set balance = 1 where id = 1"),
        ("b", "update account set balance = 2 where id = 1"),
        ("b", "update account set balance = 2 where id = 2"),
        ("a", "update account set balance = 1 where id = 2"),
    ];
    assert_eq!(name_of(&crosswise), Some(Anomaly::DirtyWrite));
}

#[test]
fn what_another_wrote_over_before_it_was_looked_at_again_is_a_lost_write() {
    let over = [
        ("a", SET),
        ("b", "update account set balance = 6 where id = 1"),
        ("a", LOOK),
    ];
    assert_eq!(name_of(&over), Some(Anomaly::LostWrite));
    let wiped = [
        ("a", "insert into account (id) values (1)"),
        ("b", "delete from account"),
        ("a", COUNT),
    ];
    assert_eq!(name_of(&wiped), Some(Anomaly::LostWrite));
}

#[test]
fn a_parent_that_another_wiped_before_its_child_came_is_a_lost_write() {
    let mut story = two();
    step(&mut story, "a.0", "truncate invoices, invoice_tip_splits");
    step(&mut story, "a.0", "insert into invoices values (1)");
    step(&mut story, "b.0", "truncate invoices, invoice_tip_splits");
    let detail = "Key (invoice_id)=(1) is not present in table \"invoices\".";
    let child = "insert into invoice_tip_splits values (1)";
    fails(&mut story, "a.0", child, "23503", SPLITS, detail);
    story.exits("a", 1).succeeds("b");
    let found = named(&story.end(), InvariantName::NoErrors).unwrap();
    assert_eq!(found.name, Anomaly::LostWrite);
    assert_eq!(
        found.how,
        "a inserted into public.invoices in its step 2; b deleted rows of public.invoices in its step 1; \
         a failed because it did not find the row that it needs in public.invoices in its step 3"
    );
}

#[test]
fn a_row_that_came_after_nobody_had_found_one_is_a_phantom_where_it_is_a_duplicate() {
    let key = |made: &str| {
        let mut story = two();
        step(&mut story, "a.0", "select id from account where id = 1");
        step(&mut story, "b.0", made);
        let detail = "Key (id)=(1) already exists.";
        let own = "insert into account (id) values (1)";
        fails(&mut story, "a.0", own, "23505", "public.account", detail);
        story.exits("a", 1).succeeds("b");
        named(&story.end(), InvariantName::NoErrors)
    };
    let found = key("insert into account (id, owner) values (1, 2)").unwrap();
    assert_eq!(found.name, Anomaly::Phantom);
    assert!(
        found
            .how
            .ends_with("a failed because of a row that it found in public.account in its step 2")
    );
    // Which row b made is not known, or it was another.
    assert_eq!(key("insert into account (id) values ($1)"), None);
    assert_eq!(key("insert into account (id) values (2)"), None);
}

#[test]
fn what_was_read_in_another_table_counts_if_the_reader_wrote_there_later() {
    let audit = "insert into account (id) values (7)";
    let dial = [
        ("a", "select n from dial where id = 1"),
        ("b", "update dial set n = 2 where id = 1"),
        ("a", "select n from dial where id = 1"),
        ("a", audit),
    ];
    assert_eq!(name_of(&dial), Some(Anomaly::NonRepeatableRead));
    // Nobody who had read there wrote the account.
    let mut before = dial.to_vec();
    before.rotate_right(1);
    assert_eq!(name_of(&before), None);
    let mut by_another = dial.to_vec();
    by_another[3].0 = "b";
    assert_eq!(name_of(&by_another), None);
}

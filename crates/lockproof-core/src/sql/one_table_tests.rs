//! What one statement on one table says of its rows and columns.

use super::*;

fn rows(sql: &str) -> RowsMeant {
    one_table(sql).unwrap_or_else(|| panic!("{sql}")).rows
}

fn key(sql: &str) -> String {
    match rows(sql) {
        RowsMeant::Where(condition) => condition.key,
        other => panic!("{sql}: {other:?}"),
    }
}

#[test]
fn what_has_no_condition_means_all_rows() {
    for sql in [
        "select count(*) from t",
        "select a, (b + 1) from app.t x order by a for update",
        "select count(*) filter (where a > 1) from t group by b",
        "update t set a = 1",
        "delete from t -- where id's",
        "truncate a, b cascade",
    ] {
        assert_eq!(rows(sql), RowsMeant::All, "{sql}");
    }
}

#[test]
fn what_is_not_known_means_nobody_knows_which_rows() {
    for sql in [
        "select a from t where id = $1",
        "select a from t where id = ?",
        "select a from t where id = f(1)",
        "select a from t where at < now()",
        "select a from t where at < 'now'",
        "select a from t where at < current_date",
        "select a from t where day = date 'today'",
        "select a from t where id in (select 1)",
        "select a from t fetch first 1 row only",
        "select a from t offset 1",
        "select a from t limit 1",
        "select a from t where id = 1 limit 1",
        "select a from t where id = 1 for update skip locked",
        "select a from t, u",
        "select a from t join u on true",
        "select a from only t",
        "select a from t tablesample system (1)",
        "select a from t union select a from u",
        "select (select 1) from t",
        "select a from t where exists (select 1)",
        "update only t set a = 1",
        "update t set a = 1 from u",
        "update t set a = 1 where current of c",
        "update t set id = 2 where id = 1",
        "update t set (a, id) = (1, 2) where id = 1",
        "delete from t using u where t.id = 1",
        "with x as (delete from t) select 1",
        "insert into t (id) values (1) on conflict (id) do update set a = 1",
    ] {
        assert_eq!(
            one_table(sql).map(|one| one.rows).unwrap_or_default(),
            RowsMeant::Unknown,
            "{sql}"
        );
    }
    assert_eq!(one_table("select 1; select 2"), None);
}

#[test]
fn one_condition_has_one_key_however_it_is_written() {
    let wanted = key("select a from t where id = 1 and b is not null");
    for sql in [
        "update T set c = 2 Where(ID=1 AND b is not null)",
        "delete from t as x where x.id /* it's */ = 1 and \"b\" IS NOT NULL returning x.id",
    ] {
        assert_eq!(key(sql), wanted, "{sql}");
    }
    assert_ne!(key("select a from t where id = 1"), wanted);
    assert_ne!(
        key("select a from t where a is distinct from 1"),
        key("select a from t where a is distinct from 2")
    );
    let condition = match rows("select a from t where (id = 1) and 'x' = b and c > 2") {
        RowsMeant::Where(condition) => condition,
        other => panic!("{other:?}"),
    };
    let pin = |column: &str, value: &str| (column.to_owned(), value.to_owned());
    assert_eq!(condition.pinned, [pin("b", "x"), pin("id", "1")]);
    assert!(!condition.only_pins);
    let either = rows("select a from t where id = 1 or id = 2");
    assert!(matches!(either, RowsMeant::Where(one) if one.pinned.is_empty()));
}

#[test]
fn an_update_tells_which_columns_it_writes_over_and_which_it_reckons_with() {
    let sets = |sql: &str| one_table(sql).unwrap().sets;
    let all = sets(
        "update t set n = n + 1, m = $1, at = now(), s = 'a'::text, j = coalesce(j, 1) where id = $2",
    );
    let told: Vec<(String, bool)> = all
        .unwrap()
        .into_iter()
        .map(|one| (one.name, one.blind))
        .collect();
    let wanted = [
        ("n", false),
        ("m", true),
        ("at", true),
        ("s", true),
        ("j", false),
    ];
    let wanted: Vec<(String, bool)> = wanted
        .iter()
        .map(|(name, blind)| ((*name).to_owned(), *blind))
        .collect();
    assert_eq!(told, wanted);
    assert_eq!(sets("update t set (a, b) = (1, 2)"), None);
    let inner = sets("update t set a = (select max(b) from u)").unwrap();
    assert!(!inner[0].blind);
}

#[test]
fn a_select_tells_which_columns_it_looks_at() {
    let looks = |sql: &str| {
        let one = one_table(sql).unwrap();
        let names: Vec<String> = one.looks.into_iter().collect();
        (names.join(" "), one.looks_at_all)
    };
    assert_eq!(
        looks("select count(*) from t where a = 1"),
        ("a".to_owned(), false)
    );
    assert_eq!(
        looks("select x.b as c, sum(d) from t x order by e"),
        ("b d e".to_owned(), false)
    );
    assert!(looks("select * from t").1);
    assert!(looks("select t.* from t").1);
    assert!(!looks("select 2 * a from t").1);
}

#[test]
fn an_insert_tells_its_constants_by_their_columns() {
    let made = |sql: &str| match rows(sql) {
        RowsMeant::Made { rows, complete } => (rows, complete),
        other => panic!("{sql}: {other:?}"),
    };
    let (rows, complete) = made("insert into t (id, a, b) values (1, 'x', f()) returning id");
    let wanted =
        [("id", "1"), ("a", "x")].map(|(column, value)| (column.to_owned(), value.to_owned()));
    assert_eq!((rows, complete), (vec![wanted.to_vec()], true));
    assert!(
        !made("insert into t (id) values (1), (2)").1,
        "rows behind the first are left out"
    );
    assert!(made("insert into t (id) values (1) on conflict do nothing").1);
    for sql in [
        "insert into t values (1)",
        "insert into t select 1",
        "insert into t (id) select 1",
        "insert into t default values",
        "insert into t (id) values (1), (2) on conflict do nothing",
        "copy t from stdin",
    ] {
        assert_eq!(made(sql), (Vec::new(), false), "{sql}");
    }
}

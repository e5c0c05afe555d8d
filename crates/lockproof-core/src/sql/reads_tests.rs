//! What texts of many kinds read.

use super::*;
use crate::sql::meaning;

fn read(sql: &str) -> Option<String> {
    let normal = meaning(sql, &[]).normal;
    match tables_read(&[sql.to_owned()], &normal) {
        TablesRead::Known(looks) => Some(looks.tables.into_iter().collect::<Vec<_>>().join(" ")),
        TablesRead::Unknown(_) => None,
    }
}

#[test]
fn what_asks_the_catalog_by_a_function_or_a_cast_reads_it() {
    for (sql, asks) in [
        ("select to_regclass('public.t') is null", true),
        ("select 'public.t'::regclass", true),
        ("select cast('t' as regclass)::oid", true),
        ("select has_table_privilege('t', 'select')", true),
        ("select pg_catalog.pg_table_is_visible(1)", true),
        ("select 'regclass', region from t", false),
        ("select lower(a) from t", false),
    ] {
        let normal = meaning(sql, &[]).normal;
        let TablesRead::Known(looks) = tables_read(&[sql.to_owned()], &normal) else {
            panic!("{sql} is not understood")
        };
        assert_eq!(looks.catalog, asks, "{sql}");
    }
}

#[test]
fn every_table_that_is_read_is_named() {
    for (sql, expected) in [
        ("select 1", ""),
        (
            "select count(*) from \"Balance\" b where id = $1",
            "balance",
        ),
        (
            "select a from s.t, u join v using (a) left join lateral (select 1 from w) x on true",
            "s.t u v w",
        ),
        (
            "select (select max(a) from t) from u where exists (select 1 from v)",
            "t u v",
        ),
        ("insert into t (a) select a from u", "u"),
        ("insert into t select * from t", "t"),
        ("update t set a = u.a from u where u.b = t.b", "u"),
        ("delete from t using u where t.a = u.a", "u"),
        (
            "with x as (select * from t), y as (delete from u returning a) insert into v select * from x, y",
            "t",
        ),
        ("table t", "t"),
        ("values (1), (2)", ""),
        ("copy t (a, b) to stdout", "t"),
        ("copy (select * from t join u using (a)) to stdout", "t u"),
        ("copy t from stdin", ""),
        ("select * from t union all select * from u", "t u"),
        (
            "select * from (select * from t) x where a in (select a from u)",
            "t u",
        ),
        (
            "merge into t using u on t.a = u.a when matched then delete",
            "u",
        ),
        ("create table t as select * from u", "u"),
        ("create table t (a int references u (a))", ""),
        ("begin", ""),
        ("set search_path = x", ""),
        ("select pg_advisory_lock(1)", ""),
        ("explain select * from t", "t"),
        ("select now(), gen_random_uuid(), lower(a) from t", "t"),
    ] {
        assert_eq!(read(sql).as_deref(), Some(expected), "{sql}");
    }
}

#[test]
fn what_may_do_anything_is_unknown() {
    for sql in [
        "select seed_everything()",
        "do $$ begin end $$",
        "call p()",
        "execute p",
        "prepare p as select 1",
        "fetch 10 from c",
        "notify x",
        "lock table t",
        "vacuum t",
        "select pg_notify('a', 'b')",
        "select set_config('search_path', '', false)",
        "select pg_terminate_backend(1)",
        "select * from f(1)",
        "frobnicate t",
        "select * from only t",
        "select * from u, only (t)",
        "select * from t where (((",
    ] {
        assert_eq!(read(sql), None, "{sql}");
    }
}

#[test]
fn a_cut_text_is_read_from_its_normal_form() {
    let rows = vec!["('0', 'x', 1)"; 400].join(", ");
    let sql = format!("insert into t (a, b, c) values {rows} on conflict (a) do nothing");
    let normal = meaning(&sql, &[]).normal;
    let cut: String = sql.chars().take(2_000).collect();
    assert_eq!(
        tables_read(&[cut], &normal),
        TablesRead::Known(Looks::default())
    );
}

#[test]
fn the_name_of_a_with_query_is_kept_apart() {
    let sql = "with t as (select * from t) select * from t, u";
    let TablesRead::Known(looks) = tables_read(&[sql.to_owned()], &[sql.to_owned()]) else {
        panic!("unknown");
    };
    assert_eq!(looks.tables, ["u".to_owned()].into());
    assert_eq!(looks.with_queries, ["t".to_owned()].into());
}

#[test]
fn sequences_row_locks_and_referenced_tables_are_told() {
    let looks = |sql: &str| match tables_read(&[sql.to_owned()], &[sql.to_owned()]) {
        TablesRead::Known(looks) => looks,
        TablesRead::Unknown(why) => panic!("{sql}: {why}"),
    };
    assert!(looks("select nextval('s')").sequences);
    assert!(looks("select * from t for update").locks_rows);
    assert!(!looks("select * from t").locks_rows);
    assert_eq!(
        looks("alter table t add constraint c foreign key (a) references u (a)").references,
        ["u".to_owned()].into()
    );
}

#[test]
fn an_insert_tells_its_columns_and_whether_equal_keys_hurt() {
    let plain = inserted("insert into s.t (id, a) values (?, ?), …").unwrap();
    assert_eq!(plain.table, "s.t");
    assert_eq!(plain.columns, ["id", "a"]);
    assert!(!plain.tolerates_equal_keys);
    let upsert = "insert into t (id) values (?) on conflict (id) do update set id = excluded.id";
    assert!(inserted(upsert).unwrap().tolerates_equal_keys);
    assert_eq!(inserted("update t set a = ?"), None);
}

#[test]
fn a_deep_text_is_read_or_refused_on_the_smallest_stack() {
    let repeated = |start: &str, one: &str, times: usize, end: &str| {
        let times = times.min(19_000 / one.len());
        format!("{start}{}{end}", one.repeat(times))
    };
    let deep = [
        repeated("select 1 from t where ", "not ", 1_000, "true"),
        repeated("select 1 from t where ", "not ", 10_000, "true"),
        repeated("select ", "-", 10_000, "1"),
        repeated("select ", "- ", 10_000, "1"),
        repeated("select ", "(", 5_000, "1"),
        repeated("select 1 from t where a = 1", " and a = 1", 10_000, ""),
        repeated("select 1", "+1", 10_000, ""),
        repeated("select 1", "||'x'", 10_000, ""),
        repeated("select 1", "::int", 10_000, ""),
        repeated("select a", "[1]", 10_000, " from t"),
        repeated("select 1", " union select 1", 10_000, ""),
        repeated("select 1 from t", ", t", 10_000, ""),
        repeated("select 1 from t", " join t using (a)", 10_000, ""),
        repeated("select ", "case when ", 5_000, "1"),
        repeated("", "select (", 5_000, ""),
        repeated("select * from ", "(select * from ", 5_000, "t"),
        repeated("select a", " is null", 5_000, ""),
        repeated("", "explain ", 5_000, "select 1"),
        repeated("", "with a as (", 5_000, "select 1"),
        repeated(
            "select 1 from t where a in ",
            "(select a from t where a in ",
            500,
            "(1)",
        ),
        repeated("select ", "array[", 5_000, "1"),
        repeated("insert into t values ", "(1), ", 5_000, "(1)"),
        repeated("create table t as ", "(", 5_000, "select 1"),
        repeated(
            "select 1 from t where ",
            "exists (select 1 where ",
            500,
            "true",
        ),
    ];
    for text in deep {
        let small = std::thread::Builder::new().stack_size(1 << 20);
        let looked_at = small.spawn(move || {
            let _ = inserted(&text);
            (read(&text), text)
        });
        let (found, text) = looked_at.unwrap().join().unwrap();
        let brackets = text.matches('(').count();
        if text.contains(" and a = 1 and ") || text.contains(" join t ") && brackets > 0 {
            assert_eq!(found.as_deref(), Some("t"), "{}", &text[..40]);
        }
        if text.contains("not not") {
            assert_eq!(found, None);
        }
    }
}

#[test]
fn a_question_to_the_catalog_is_known_by_function_or_cast() {
    let asks = |sql: &str| match tables_read(&[sql.to_owned()], &meaning(sql, &[]).normal) {
        TablesRead::Known(looks) => looks.catalog,
        TablesRead::Unknown(why) => panic!("{sql}: {why}"),
    };
    for sql in [
        "select to_regclass('public.t') is null",
        "select 't'::regclass",
        "select cast('t' as regclass)",
        "select pg_get_viewdef(1)",
        "select has_table_privilege('t', 'select')",
        "insert into t values (to_regclass('u') is null)",
    ] {
        assert!(asks(sql), "{sql}");
    }
    for sql in [
        "select 1",
        "select lower(a) from t",
        "insert into t values (now())",
    ] {
        assert!(!asks(sql), "{sql}");
    }
    assert_eq!(read("select table_to_xml('t', true, true, '')"), None);
}

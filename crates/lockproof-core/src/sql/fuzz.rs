//! Fuzz target: what a statement means, of texts that no server would take.

use super::lexer::lex;
use super::{Parameter, beginnings, meaning, one_table, statements, tables_read};
use crate::edits::{Drawn, edited_text, files};

#[test]
fn every_text_has_a_meaning() {
    let mut seeds: Vec<Vec<u8>> = files("scenarios", ".sql");
    seeds.extend(files("scenarios", ".sh"));
    seeds.extend(
        [
            "select pg_try_advisory_lock($1), pg_advisory_unlock(hashtext('a')::bigint, 0x10)",
            "with l as materialized (select 1) insert into \"T\".\"a b\" (x, y) values (1, $2), (E'\\'', U&'\\0041') on conflict do nothing returning *",
            "create function f() returns int begin atomic; select case when true then 1 end; end; lock table only a.b *, c in share row exclusive mode nowait",
            "copy t (a, b) from stdin with (format csv); explain (analyze) delete from t where not not not exists (select 1)",
            "merge into t using s on (t.a = s.a) when matched then update set b = 1; truncate a, b cascade; do $x$ begin $$ $$; end $x$",
        ]
        .map(|text| text.as_bytes().to_vec()),
    );
    let parameter = |bytes, binary, type_oid| Parameter {
        bytes,
        binary,
        type_oid,
    };
    let parameters = [
        parameter(Some(&b"1"[..]), false, 23),
        parameter(Some(&b"\0\0\0\x01"[..]), true, 0),
        parameter(None, true, 20),
    ];
    bolero::check!().with_type::<Drawn>().for_each(|drawn| {
        let sql = edited_text(&seeds, drawn);
        // Tokens go forwards and stay within the text.
        let mut last = 0;
        for token in lex(&sql).all {
            assert!(token.start >= last && sql.get(token.start..).is_some());
            last = token.start;
        }
        let found = meaning(&sql, &parameters);
        assert_eq!(found, meaning(&sql, &parameters));
        let parts = statements(&sql);
        assert_eq!(parts.len(), found.normal.len());
        assert_eq!(parts.len(), found.kinds.len());
        // Each statement begins where it is said to.
        let starts = beginnings(&sql);
        assert_eq!(starts.len(), parts.len());
        for (start, part) in starts.iter().zip(&parts) {
            assert!(sql[*start..].starts_with(part.as_str()));
        }
        // A step's statements are read one by one, too.
        let _ = tables_read(&parts, &found.normal);
        for part in &parts {
            assert_eq!(one_table(part), one_table(&format!("/* a */ {part} ;")));
        }
    });
}

#[test]
fn a_normal_form_does_not_depend_on_spaces_and_comments() {
    let seeds = files("scenarios", ".sql");
    bolero::check!().with_type::<Drawn>().for_each(|drawn| {
        let sql = edited_text(&seeds, drawn);
        let spaced = format!("/* a */ {sql}");
        assert_eq!(meaning(&sql, &[]).normal, meaning(&spaced, &[]).normal);
    });
}

//! LOCK TABLE: the tables that it names, and the mode.
//!
//! Owns its grammar. With NOWAIT it fails where it would wait; then the statement's error tells.

use super::token::TokenKind;
use super::view::View;
use crate::history::{LockAction, LockCall};
use crate::name::{LockKey, LockMode, TableName};

/// What this statement locks, a call for each table; `None` where the text is not understood.
pub(super) fn lock_table(view: View<'_>) -> Option<Vec<LockCall>> {
    let mut at = view.skip(1, &["table"]);
    let mut tables = Vec::new();
    loop {
        at = view.skip(at, &["only"]);
        let (name, next) = view.name(at)?;
        tables.push(TableName::new(&name.spelled()));
        at = next + usize::from(view.text(next) == "*");
        if !view.is_kind(at, TokenKind::Comma) {
            break;
        }
        at += 1;
    }
    let mode = if view.is(at, "in") {
        let (mode, next) = mode(view, at + 1)?;
        at = next;
        mode
    } else {
        LockMode::AccessExclusive
    };
    if view.skip(at, &["nowait"]) < view.len() {
        return None;
    }
    let call = |table| LockCall {
        action: LockAction::Lock,
        mode,
        xact: true,
        key: Some(LockKey::relation(0, table)),
        whole: true,
    };
    Some(tables.into_iter().map(call).collect())
}

/// The mode that is named here, and the place after MODE.
fn mode(view: View<'_>, at: usize) -> Option<(LockMode, usize)> {
    LockMode::ALL.into_iter().find_map(|mode| {
        let words: Vec<&str> = mode.name().split(' ').collect();
        let after = at + words.len();
        let named = view.are(at, &words) && view.is(after, "mode");
        named.then_some((mode, after + 1))
    })
}

#[cfg(test)]
mod tests {
    use crate::name::{LockKey, LockMode, TableName};
    use crate::sql::meaning;

    fn locks(sql: &str) -> Vec<(LockKey, LockMode)> {
        let meaning = meaning(sql, &[]);
        assert!(!meaning.opaque, "{sql}");
        let calls = meaning.lock_calls.into_iter();
        calls
            .map(|call| {
                assert!(call.xact && call.whole);
                (call.key.unwrap(), call.mode)
            })
            .collect()
    }

    fn table(name: &str, mode: LockMode) -> (LockKey, LockMode) {
        (LockKey::relation(0, TableName::new(name)), mode)
    }

    #[test]
    fn lock_table_names_its_tables_and_its_mode() {
        use LockMode::{AccessExclusive, Exclusive, RowShare, ShareRowExclusive};
        assert_eq!(
            locks("LOCK TABLE report IN SHARE ROW EXCLUSIVE MODE"),
            [table("report", ShareRowExclusive)]
        );
        assert_eq!(locks("lock report"), [table("report", AccessExclusive)]);
        assert_eq!(
            locks("lock table only app.a *, \"B\" in exclusive mode nowait"),
            [table("app.a", Exclusive), table("b", Exclusive)]
        );
        assert_eq!(
            locks("begin; lock table t in row share mode; commit"),
            [table("t", RowShare)]
        );
        assert_eq!(locks("lock table a nowait"), [table("a", AccessExclusive)]);
    }

    #[test]
    fn what_is_not_understood_is_opaque() {
        for sql in [
            "lock table",
            "lock table t in full mode",
            "lock table t now",
        ] {
            assert!(meaning(sql, &[]).opaque, "{sql}");
        }
    }
}

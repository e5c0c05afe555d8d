//! What a text changes of its session's settings, and where it begins and ends the transactions that they belong to.
//!
//! Owns the grammar of SET, RESET, DISCARD ALL and `set_config`, and what is known of a value: a constant is, a
//! parameter or an expression is not. Knows no setting by name, and not what a value means.

use super::call::{Call, calls};
use super::kind::{Kind, explained, kind};
use super::lexer::lex;
use super::lock::lock_call;
use super::split::views;
use super::token::TokenKind;
use super::view::View;
use crate::history::LockAction;

/// A change of a session's settings, or of what becomes of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingChange {
    /// A setting gets a value.
    Set {
        /// Its name, in small letters.
        name: String,
        /// The value.
        to: SettingValue,
        /// For how long.
        lasts: Lasts,
    },
    /// All settings get the values with which the session began.
    ResetAll,
    /// This setting may have got another value; `None`: any may.
    MayChange(Option<String>),
    /// Sessions that begin from now on may begin with another value of this setting; `None`: of any.
    LaterSessions(Option<String>),
    /// The transaction ends; whether what it did is kept.
    Ends {
        /// Whether it commits.
        commits: bool,
    },
    /// SAVEPOINT.
    Savepoint(String),
    /// RELEASE SAVEPOINT.
    Release(String),
    /// ROLLBACK TO SAVEPOINT.
    BackTo(String),
}

/// A value that a setting gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingValue {
    /// This text.
    Is(String),
    /// The one with which the session began.
    Default,
    /// A parameter or an expression.
    Unknown,
}

/// For how long a setting has its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasts {
    /// As long as the session, if the transaction commits.
    Session,
    /// To the transaction's end.
    Transaction,
    /// One of these.
    Unknown,
}

/// What a statement changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SettingChanges {
    /// In the order in which they are made.
    pub all: Vec<SettingChange>,
    /// How many of them are made before the statement waits for its first lock, if it asks for one.
    pub before_lock: Option<usize>,
}

/// What each statement of a text changes. Where only a function's body could tell, `names` are looked for in it.
#[must_use]
pub fn setting_changes(sql: &str, names: &[&str]) -> Vec<SettingChanges> {
    let tokens = lex(sql);
    let statements = views(sql, &tokens.all);
    statements
        .into_iter()
        .map(|view| of_statement(view, names))
        .collect()
}

fn of_statement(view: View<'_>, names: &[&str]) -> SettingChanges {
    let only = |all: Vec<SettingChange>| SettingChanges {
        all,
        before_lock: None,
    };
    let mentioned = || {
        let text = view.whole().to_ascii_lowercase();
        let found = names.iter().filter(|name| text.contains(**name));
        found
            .map(|name| SettingChange::MayChange(Some((*name).to_owned())))
            .collect()
    };
    match kind(view) {
        Kind::Setting => only(setting(view).into_iter().collect()),
        Kind::Transaction => only(transaction(view).into_iter().collect()),
        Kind::LockTable => SettingChanges {
            before_lock: Some(0),
            ..SettingChanges::default()
        },
        // What a block of code does stands in a constant; a statement that is prepared may run at any time.
        Kind::Code | Kind::Unknown => only(mentioned()),
        Kind::Prepared if view.is(0, "prepare") => only(mentioned()),
        Kind::Prepared | Kind::Notify | Kind::Maintenance => SettingChanges::default(),
        Kind::Explain => {
            let (at, executed) = explained(view);
            match executed {
                true => of_calls(view.from(at), false),
                false => SettingChanges::default(),
            }
        }
        Kind::Ddl => only(later_sessions(view).into_iter().collect()),
        Kind::Read => of_calls(view, true),
        Kind::Update if view.is(1, "pg_settings") || view.is(3, "pg_settings") => {
            only(vec![SettingChange::MayChange(None)])
        }
        Kind::Insert
        | Kind::Update
        | Kind::Delete
        | Kind::Merge
        | Kind::Truncate
        | Kind::CopyIn
        | Kind::CopyOut
        | Kind::Cursor => of_calls(view, false),
    }
}

/// SET, RESET and DISCARD.
fn setting(view: View<'_>) -> Option<SettingChange> {
    let of_session = |name: String, to| SettingChange::Set {
        name,
        to,
        lasts: Lasts::Session,
    };
    if view.are(0, &["discard", "all"]) || view.are(0, &["reset", "all"]) {
        return Some(SettingChange::ResetAll);
    }
    if view.is(0, "reset") {
        let name = setting_name(view, 1).filter(|_| view.len() == 2)?;
        return Some(of_session(name, SettingValue::Default));
    }
    if !view.is(0, "set") {
        return None;
    }
    let has_scope = view.is_any(1, &["local", "session"]);
    let at = 1 + usize::from(has_scope);
    let name = setting_name(view, at)?;
    if !(view.is(at + 1, "to") || view.text(at + 1) == "=") {
        return None;
    }
    Some(SettingChange::Set {
        name,
        to: assigned(view.from(at + 2)),
        lasts: match view.is(1, "local") {
            true => Lasts::Transaction,
            false => Lasts::Session,
        },
    })
}

/// A name without a class before it, as the server's own settings have it: in any case, quoted or not.
fn setting_name(view: View<'_>, at: usize) -> Option<String> {
    let (name, next) = view.name(at)?;
    (name.schema.is_none() && next == at + 1).then(|| name.name.to_ascii_lowercase())
}

/// What stands behind `=` or TO.
fn assigned(view: View<'_>) -> SettingValue {
    if view.is(0, "default") && view.len() == 1 {
        return SettingValue::Default;
    }
    let sign = usize::from(matches!(view.text(0), "-" | "+"));
    let value = match (view.kind(sign), view.len() - sign.min(view.len())) {
        (Some(TokenKind::Text), 1) if sign == 0 => string(view.text(0)),
        (Some(TokenKind::Number), 1) => Some(format!(
            "{}{}",
            view.text(0).strip_prefix('+').unwrap_or(match sign {
                0 => "",
                _ => view.text(0),
            }),
            view.text(sign)
        )),
        (Some(TokenKind::Word | TokenKind::Quoted), 1) if sign == 0 => {
            view.identifier(0).map(|word| word.into_owned())
        }
        _ => None,
    };
    value.map_or(SettingValue::Unknown, SettingValue::Is)
}

/// The value of a string constant; `None` where escapes would have to be read.
fn string(text: &str) -> Option<String> {
    if let Some(inner) = text.strip_prefix('$') {
        let tag = inner.find('$')?;
        let (tag, rest) = (&text[..tag + 2], &inner[tag + 1..]);
        return rest.strip_suffix(tag).map(str::to_owned);
    }
    let (prefix, rest) = text.split_at(text.find('\'')?);
    let inner = rest.strip_prefix('\'')?.strip_suffix('\'')?;
    match prefix {
        "" => {}
        "e" | "E" if !inner.contains('\\') => {}
        _ => return None,
    }
    Some(inner.replace("''", "'"))
}

/// BEGIN changes nothing: settings are given back to what they were when the first of a transaction was changed.
fn transaction(view: View<'_>) -> Option<SettingChange> {
    if view.is(0, "savepoint") {
        return Some(SettingChange::Savepoint(view.name(1)?.0.name));
    }
    if view.is(0, "release") {
        let at = view.skip(1, &["savepoint"]);
        return Some(SettingChange::Release(view.name(at)?.0.name));
    }
    if view.are(0, &["prepare", "transaction"]) {
        return Some(SettingChange::Ends { commits: true });
    }
    let commits = view.is_any(0, &["commit", "end"]);
    if !(commits || view.is_any(0, &["rollback", "abort"])) || view.is(1, "prepared") {
        return None;
    }
    let at = view.skip_any(1, &["work", "transaction"]);
    if !commits && view.is(at, "to") {
        let at = view.skip(at + 1, &["savepoint"]);
        return Some(SettingChange::BackTo(view.name(at)?.0.name));
    }
    Some(SettingChange::Ends { commits })
}

/// ALTER ROLE, DATABASE and SYSTEM say with what sessions begin; a function's own SET is for its calls.
fn later_sessions(view: View<'_>) -> Option<SettingChange> {
    let says = view.is(0, "alter") && view.is_any(1, &["role", "user", "database", "system"]);
    if !says {
        return None;
    }
    let verb = (2..view.len()).find(|at| view.is_any(*at, &["set", "reset"]))?;
    let name = setting_name(view, verb + 1)?;
    Some(SettingChange::LaterSessions(
        (name != "all").then_some(name),
    ))
}

/// Calls of `set_config`, and where the statement asks for a lock. `plain`: it is a query.
fn of_calls(view: View<'_>, plain: bool) -> SettingChanges {
    let mut found = SettingChanges::default();
    for call in calls(view) {
        let waits = |lock: crate::history::LockCall| lock.action == LockAction::Lock;
        if lock_call(view, &call, &[]).is_some_and(waits) {
            found.before_lock.get_or_insert(found.all.len());
        }
        let of_server = matches!(call.name.schema.as_deref(), None | Some("pg_catalog"));
        if of_server && call.name.name == "set_config" {
            found.all.push(set_config(view, &call, plain));
        }
    }
    found
}

fn set_config(view: View<'_>, call: &Call, plain: bool) -> SettingChange {
    let close = view.closing(call.open);
    let given = arguments(view.part(call.open + 1, close));
    let name = given.first().and_then(|name| constant(*name));
    let name = name.map(|name| name.to_ascii_lowercase());
    let (Some(name), [_, value, local]) = (name.clone(), given.as_slice()) else {
        return SettingChange::MayChange(name);
    };
    if !(plain && is_called_once(view, call.open)) {
        return SettingChange::MayChange(Some(name));
    }
    SettingChange::Set {
        name,
        to: constant(*value).map_or(SettingValue::Unknown, SettingValue::Is),
        lasts: match truth(*local) {
            Some(true) => Lasts::Transaction,
            Some(false) => Lasts::Session,
            None => Lasts::Unknown,
        },
    }
}

/// Whether a call that opens here stands in the select list of the statement itself, which reads from nothing: else
/// it may not be made at all. (An argument of another call, or a branch of CASE, is not plain.)
fn is_called_once(view: View<'_>, open: usize) -> bool {
    const CONDITIONS: [&str; 9] = [
        "from",
        "where",
        "case",
        "union",
        "except",
        "intersect",
        "limit",
        "offset",
        "having",
    ];
    let mut depth = 0_usize;
    for at in 0..view.len() {
        match view.kind(at) {
            Some(TokenKind::Open) if at == open && depth > 0 => return false,
            Some(TokenKind::Open) => depth += 1,
            Some(TokenKind::Close) => depth = depth.saturating_sub(1),
            _ if depth == 0 && view.is_any(at, &CONDITIONS) => return false,
            _ => {}
        }
    }
    view.is(0, "select")
}

/// The arguments between the parentheses of a call.
fn arguments(view: View<'_>) -> Vec<View<'_>> {
    let mut found = Vec::new();
    let (mut depth, mut begin) = (0_usize, 0);
    for at in 0..view.len() {
        match view.kind(at) {
            Some(TokenKind::Open) => depth += 1,
            Some(TokenKind::Close) => depth = depth.saturating_sub(1),
            Some(TokenKind::Comma) if depth == 0 => {
                found.push(view.part(begin, at));
                begin = at + 1;
            }
            _ => {}
        }
    }
    found.push(view.from(begin));
    found
}

/// The text of a constant, cast or not.
fn constant(view: View<'_>) -> Option<String> {
    const TEXTS: [&str; 2] = ["text", "varchar"];
    let value = match view.kind(0)? {
        TokenKind::Text => string(view.text(0))?,
        // Only a cast makes a number the text that the function wants.
        TokenKind::Number if view.len() > 1 => view.text(0).to_owned(),
        _ => return None,
    };
    let cast = view.is_kind(1, TokenKind::Cast) && view.is_any(2, &TEXTS) && view.len() == 3;
    (view.len() == 1 || cast).then_some(value)
}

/// What a constant of type boolean says.
fn truth(view: View<'_>) -> Option<bool> {
    if view.len() == 1 && view.is_any(0, &["true", "false"]) {
        return Some(view.is(0, "true"));
    }
    let cast =
        view.is_kind(1, TokenKind::Cast) && view.is_any(2, &["bool", "boolean"]) && view.len() == 3;
    let text = match view.kind(0)? {
        TokenKind::Text if cast || view.len() == 1 => string(view.text(0))?,
        TokenKind::Word if cast => view.text(0).to_owned(),
        _ => return None,
    };
    match text.trim().to_ascii_lowercase().as_str() {
        "t" | "tr" | "tru" | "true" | "y" | "ye" | "yes" | "on" | "1" => Some(true),
        "f" | "fa" | "fal" | "fals" | "false" | "n" | "no" | "of" | "off" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
#[path = "setting_changes_tests.rs"]
mod tests;

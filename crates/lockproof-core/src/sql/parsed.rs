//! Texts as the crate `sqlparser` reads them, whatever depth they have.
//!
//! Owns the stack that this takes. The parser descends for each bracket and each `not`, and whoever
//! walks or drops its tree descends for each `and`; in a debug build a few dozen of these fill the
//! stack of a test's thread. Knows nothing of what a tree means.

use std::thread;

use sqlparser::ast::Statement;
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::{Parser, ParserError};

/// A longer text is not parsed: it would be a deep tree, and cost more than it tells.
pub(super) const LONGEST: usize = 20_000;
/// Up to this length, in bytes, and this depth a text is read where it is: most are.
const SHORT: usize = 1_000;
const SHALLOW: usize = 12;
/// How deep the parser may go elsewhere (its own default).
const DEEPEST: usize = 50;
/// The stack for what is longer or deeper: in a debug build it is enough for a tree of ten thousand
/// levels, and no text of [`LONGEST`] makes more. Only what is used of it takes memory.
const STACK: usize = 256 << 20;

/// What `read` says of the tree of this text; `None` if the parser does not understand it.
pub(super) fn with_tree<T: Send>(
    text: &str,
    read: impl FnOnce(&[Statement]) -> T + Send,
) -> Option<T> {
    if text.trim().is_empty() || text.len() > LONGEST {
        return None;
    }
    if text.len() <= SHORT {
        match parse(text, SHALLOW) {
            Ok(tree) => return Some(read(&tree)),
            Err(ParserError::RecursionLimitExceeded) => {}
            Err(_) => return None,
        }
    }
    thread::scope(|scope| {
        let deep = || parse(text, DEEPEST).ok().map(|tree| read(&tree));
        let thread = thread::Builder::new()
            .name("lockproof-sql".to_owned())
            .stack_size(STACK);
        let thread = thread.spawn_scoped(scope, deep).ok()?;
        thread.join().ok()?
    })
}

fn parse(text: &str, depth: usize) -> Result<Vec<Statement>, ParserError> {
    Parser::new(&PostgreSqlDialect {})
        .with_recursion_limit(depth)
        .try_with_sql(text)?
        .parse_statements()
}

//! Which functions are Postgres's own and write no table.
//!
//! Owns the list in `builtins.txt`. A function that is not on it may do anything.

use std::collections::HashMap;
use std::sync::OnceLock;

/// What is known of a function of Postgres.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Builtin {
    /// The same answer within a statement, and no effect.
    Steady,
    /// Answers differ, or it does something; but it writes no table.
    Volatile,
}

static LIST: &str = include_str!("builtins.txt");

/// What is known of the function of this name.
pub(super) fn builtin(name: &str) -> Option<Builtin> {
    static TABLE: OnceLock<HashMap<&'static str, Builtin>> = OnceLock::new();
    if name.starts_with("pg_stat_") {
        return Some(Builtin::Volatile);
    }
    TABLE.get_or_init(table).get(name).copied()
}

fn table() -> HashMap<&'static str, Builtin> {
    let mut table = HashMap::with_capacity(1024);
    let mut kind = Builtin::Steady;
    for line in LIST.lines().filter(|line| !line.starts_with('#')) {
        match line {
            "[steady]" => kind = Builtin::Steady,
            "[volatile]" => kind = Builtin::Volatile,
            names => table.extend(names.split_whitespace().map(|name| (name, kind))),
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harmless_functions_are_known_and_those_that_run_text_are_not() {
        assert_eq!(builtin("lower"), Some(Builtin::Steady));
        assert_eq!(builtin("gen_random_uuid"), Some(Builtin::Volatile));
        assert_eq!(builtin("pg_blocking_pids"), Some(Builtin::Volatile));
        for name in [
            "query_to_xml",
            "ts_stat",
            "dblink_exec",
            "lo_put",
            "seed_everything",
        ] {
            assert_eq!(builtin(name), None, "{name}");
        }
    }
}

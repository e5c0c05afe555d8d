//! What a connection has open when no ReadyForQuery tells: between the executions of a pipeline.
//!
//! Owns the count of executions that only a Sync will commit, and whether a transaction block is
//! open, as far as command tags show it.

/// The transaction of a connection.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    /// A block is open (BEGIN), failed or not.
    block: bool,
    /// It has failed.
    failed: bool,
    /// Executions outside a block since the server was last ready, which the next Sync commits.
    executed: usize,
}

impl Transaction {
    /// Whether a Sync would commit something.
    pub fn is_uncommitted(&self) -> bool {
        !self.block && self.executed > 0
    }

    /// The status that ReadyForQuery would give now.
    pub fn status(&self) -> u8 {
        match (self.block, self.failed) {
            (true, true) => b'E',
            (false, _) if self.executed == 0 => b'I',
            _ => b'T',
        }
    }

    /// An execution is complete. `inside`: its statement ends no transaction block, whatever its
    /// tag says.
    pub fn executed(&mut self, tag: &str, inside: bool) {
        match tag {
            "BEGIN" | "START TRANSACTION" => self.block = true,
            "COMMIT" | "ROLLBACK" | "PREPARE TRANSACTION" if !inside => *self = Self::default(),
            _ => {
                self.executed += 1;
                self.failed = false;
            }
        }
    }

    /// A statement has failed, and with it all that was not committed.
    pub fn failed(&mut self) {
        self.executed = 0;
        self.failed = self.block;
    }

    /// What ReadyForQuery says.
    pub fn ready(&mut self, status: u8) {
        self.block = status != b'I';
        self.failed = status == b'E';
        self.executed = 0;
    }
}

/// Whether a statement that begins with COMMIT or ROLLBACK leaves its block open:
/// `ROLLBACK TO SAVEPOINT s`, `COMMIT AND CHAIN`.
pub(super) fn stays_inside(sql: &str) -> bool {
    let words: Vec<String> = sql
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .take(12)
        .map(str::to_ascii_lowercase)
        .collect();
    let chained = words.windows(2).any(|two| two == ["and", "chain"]);
    chained || words.iter().any(|word| word == "to")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_its_block_open_is_told_from_what_ends_it() {
        for (sql, inside) in [
            ("rollback to s", true),
            ("ROLLBACK WORK TO SAVEPOINT s;", true),
            ("rollback /* for now */ to s", true),
            ("commit and chain", true),
            ("rollback and no chain", false),
            ("rollback", false),
            ("commit work", false),
            ("end", false),
        ] {
            assert_eq!(stays_inside(sql), inside, "{sql}");
        }
    }

    #[test]
    fn only_what_no_block_holds_is_committed_by_a_sync() {
        let mut one = Transaction::default();
        assert_eq!((one.is_uncommitted(), one.status()), (false, b'I'));
        one.executed("INSERT 0 1", false);
        assert_eq!((one.is_uncommitted(), one.status()), (true, b'T'));
        one.executed("BEGIN", false);
        assert_eq!((one.is_uncommitted(), one.status()), (false, b'T'));
        one.executed("ROLLBACK", true);
        assert_eq!(one.status(), b'T');
        one.executed("COMMIT", false);
        assert_eq!((one.is_uncommitted(), one.status()), (false, b'I'));
        one.executed("UPDATE 1", false);
        one.failed();
        assert_eq!((one.is_uncommitted(), one.status()), (false, b'I'));
        one.ready(b'E');
        one.executed("INSERT 0 1", false);
        assert!(!one.is_uncommitted());
    }
}

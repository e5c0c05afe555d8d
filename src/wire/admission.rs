//! Where a pod may go: the database of its run, and no other unless others are let.
//!
//! Owns the reading of a start-up message for the database and for replication. Knows no socket.

/// Which database a run has, and whether its pods may go to others of the same server.
#[derive(Debug, Clone)]
pub struct Admission {
    /// The run's database.
    pub database: String,
    /// Whether others are let.
    pub others: bool,
}

/// A way past the run's database that a start-up message asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    /// The database that it names, or that it has for its user's name.
    pub database: String,
    /// Whether it asks for replication.
    pub replication: bool,
}

/// The longest name of a database that a server does not cut, in bytes.
const NAME_LIMIT: usize = 63;

/// The parameters of a start-up message, each with its value.
pub(super) fn pairs(start: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut words = start.get(8..).unwrap_or_default().split(|byte| *byte == 0);
    std::iter::from_fn(move || Some((words.next()?, words.next()?)))
}

impl Admission {
    /// Where a start-up message leads, if not to the run's database.
    #[must_use]
    pub fn elsewhere(&self, start: &[u8]) -> Option<Elsewhere> {
        let value = |name: &str| {
            let found = pairs(start).find(|(named, _)| *named == name.as_bytes());
            found.map(|(_, value)| &value[..value.len().min(NAME_LIMIT)])
        };
        let database = value("database").filter(|name| !name.is_empty());
        let database = database.or_else(|| value("user")).unwrap_or_default();
        let replication = value("replication").unwrap_or_default();
        let off: [&[u8]; 6] = [b"", b"false", b"off", b"no", b"0", b"f"];
        let replication = !off.contains(&replication.to_ascii_lowercase().as_slice());
        let own = &self.database.as_bytes()[..self.database.len().min(NAME_LIMIT)];
        (replication || database != own).then(|| Elsewhere {
            database: String::from_utf8_lossy(database).into_owned(),
            replication,
        })
    }

    /// What a client is told that is not let.
    #[must_use]
    pub fn refusal(&self, asked: &Elsewhere) -> String {
        let what = match asked.replication {
            true => "a replication connection".to_owned(),
            false => format!("database \"{}\"", asked.database),
        };
        format!(
            "lockproof does not let this job have {what}: the server belongs to somebody else, and the \
             run has database \"{}\" for itself; --allow-other-databases lets it",
            self.database
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(pairs: &[(&str, &str)]) -> Vec<u8> {
        let mut message = vec![0; 8];
        for (name, value) in pairs {
            message.extend_from_slice(format!("{name}\0{value}\0").as_bytes());
        }
        message.push(0);
        message
    }

    #[test]
    fn only_the_run_s_own_database_without_replication_is_no_way_past_it() {
        let run = Admission {
            database: "lockproof".to_owned(),
            others: false,
        };
        let asked = |pairs: &[(&str, &str)]| run.elsewhere(&start(pairs));
        assert_eq!(asked(&[("user", "ann"), ("database", "lockproof")]), None);
        assert_eq!(asked(&[("user", "lockproof")]), None);
        let off = [
            ("user", "a"),
            ("database", "lockproof"),
            ("replication", "off"),
        ];
        assert_eq!(asked(&off), None);
        let other = |database: &str, replication| {
            Some(Elsewhere {
                database: database.to_owned(),
                replication,
            })
        };
        assert_eq!(asked(&[("user", "ann")]), other("ann", false));
        let named = [("user", "ann"), ("database", "lockproof2")];
        assert_eq!(asked(&named), other("lockproof2", false));
        for word in ["true", "database", "on", "1"] {
            let pairs = [("database", "lockproof"), ("replication", word)];
            assert_eq!(asked(&pairs), other("lockproof", true), "{word}");
        }
        assert_eq!(run.elsewhere(&[0; 3]), other("", false));
    }
}

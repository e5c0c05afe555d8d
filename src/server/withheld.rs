//! Variables of lockproof's own environment that no child process inherits.
//!
//! Owns their names. Some hold a password; with others, that whoever started lockproof has set for
//! their own work, a job would reach another server than the one it is run against, past the proxy
//! or with other rights. What a job sets for itself, or a scenario for it, is not in question here.

use std::ffi::OsString;

use super::state::RUN_VARIABLE;

/// What leads to a server, or says who is let in: libpq's variables, and those that copy them.
const ELSEWHERE: &[&str] = &[
    "DATABASE_URL",
    "LOCKPROOF_SERVER",
    "PGCHANNELBINDING",
    "PGDATABASE",
    "PGGSSENCMODE",
    "PGHOST",
    "PGHOSTADDR",
    "PGLOADBALANCEHOSTS",
    "PGPASSFILE",
    "PGPASSWORD",
    "PGPORT",
    "PGREALM",
    "PGREQUIREAUTH",
    "PGREQUIREPEER",
    "PGREQUIRESSL",
    "PGSERVICE",
    "PGSERVICEFILE",
    "PGSSLCERT",
    "PGSSLCERTMODE",
    "PGSSLCRL",
    "PGSSLCRLDIR",
    "PGSSLKEY",
    "PGSSLMODE",
    "PGSSLNEGOTIATION",
    "PGSSLROOTCERT",
    "PGSYSCONFDIR",
    "PGTARGETSESSIONATTRS",
    "PGUSER",
];

/// What a pod, or a command that prepares its database, does not inherit: all that leads to a
/// server, and all of lockproof's own variables.
pub(crate) fn withheld() -> Vec<OsString> {
    of_subjects(std::env::vars_os())
}

/// What lockproof's own helpers (keeper and guardian) do not inherit: they are told where servers
/// are, and find programs by lockproof's other variables.
pub(super) fn withheld_from_helpers() -> impl Iterator<Item = &'static str> {
    ELSEWHERE.iter().copied().chain([RUN_VARIABLE])
}

/// What the value of a variable begins with that leads to a server, whatever the variable's name.
const URLS: [&str; 3] = ["postgres://", "postgresql://", "jdbc:postgresql:"];

fn of_subjects(variables: impl Iterator<Item = (OsString, OsString)>) -> Vec<OsString> {
    let leads_elsewhere = |name: &OsString, value: &OsString| {
        let (name, value) = (name.as_encoded_bytes(), value.as_encoded_bytes());
        let value = &value[..value.len().min(20)];
        let value = String::from_utf8_lossy(value).trim_start().to_lowercase();
        name.starts_with(b"LOCKPROOF_")
            || ELSEWHERE.iter().any(|one| one.as_bytes() == name)
            || URLS.iter().any(|url| value.starts_with(url))
    };
    variables
        .filter(|(name, value)| leads_elsewhere(name, value))
        .map(|(name, _)| name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_keeps_what_is_its_users_own() {
        let has = [
            ("PATH", "/bin"),
            ("HOME", "/root"),
            ("LANG", "C"),
            ("PGHOSTADDR", "10.0.0.1"),
            ("PGOPTIONS", "-c geqo=off"),
            ("LOCKPROOF_SERVER", "local"),
            ("LOCKPROOF_IMAGE", "postgres:16"),
            ("PGSERVICE", "work"),
            ("PGTZ", "UTC"),
            ("SHOP_DB", "postgresql://shop@db/shop"),
            ("FLYWAY_URL", "jdbc:postgresql://db/shop"),
            ("DOCS", "see postgres://…"),
        ];
        let has = has.into_iter();
        let withheld = of_subjects(has.map(|(name, value)| (name.into(), value.into())));
        assert_eq!(
            withheld,
            [
                "PGHOSTADDR",
                "LOCKPROOF_SERVER",
                "LOCKPROOF_IMAGE",
                "PGSERVICE",
                "SHOP_DB",
                "FLYWAY_URL"
            ]
        );
    }
}

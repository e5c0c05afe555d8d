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
    "PGSSLCERTMODE",
    "PGSSLMODE",
    "PGSSLNEGOTIATION",
    "PGSYSCONFDIR",
    "PGTARGETSESSIONATTRS",
    "PGUSER",
];

/// What a pod, or a command that prepares its database, does not inherit: all that leads to a
/// server, and all of lockproof's own variables.
pub(crate) fn withheld() -> Vec<OsString> {
    of_subjects(std::env::vars_os().map(|(name, _)| name))
}

/// What lockproof's own helpers (keeper and guardian) do not inherit: they are told where servers
/// are, and find programs by lockproof's other variables.
pub(super) fn withheld_from_helpers() -> impl Iterator<Item = &'static str> {
    ELSEWHERE.iter().copied().chain([RUN_VARIABLE])
}

fn of_subjects(names: impl Iterator<Item = OsString>) -> Vec<OsString> {
    names
        .filter(|name| {
            let name = name.as_encoded_bytes();
            name.starts_with(b"LOCKPROOF_") || ELSEWHERE.iter().any(|one| one.as_bytes() == name)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_keeps_what_is_its_users_own() {
        let has = [
            "PATH",
            "HOME",
            "LANG",
            "PGHOSTADDR",
            "PGOPTIONS",
            "LOCKPROOF_SERVER",
            "LOCKPROOF_IMAGE",
            "PGSERVICE",
            "PGTZ",
        ];
        let withheld = of_subjects(has.into_iter().map(OsString::from));
        assert_eq!(
            withheld,
            [
                "PGHOSTADDR",
                "LOCKPROOF_SERVER",
                "LOCKPROOF_IMAGE",
                "PGSERVICE"
            ]
        );
    }
}

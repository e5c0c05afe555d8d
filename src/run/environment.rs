//! What a pod finds in its environment.
//!
//! Owns the names of the variables. The password is in them and nowhere else.

use super::error::RunError;
use crate::server::{Address, Guardian, Lodging};

/// The name of the machine that a pod is to see: what the scenario says, else one of its own.
pub(crate) fn node_name(pod: &str, scenario: &[(String, String)]) -> String {
    let set = scenario.iter().find(|(name, _)| name == "HOSTNAME");
    set.map_or_else(|| format!("job-{pod}"), |(_, value)| value.clone())
}

/// What a pod finds in its environment: DATABASE_URL, libpq's variables, its own name, a host name of
/// its own, a home and a temporary directory where it has any, and the mark by which the guardian knows
/// it. `scenario` is what the scenario sets, its host name and directories before ours.
///
/// # Errors
/// When the guardian's mark cannot be had.
pub(crate) fn environment(
    address: &Address,
    database: &str,
    pod: &str,
    (host, port): (&str, u16),
    lodging: Option<&Lodging>,
    scenario: &[(String, String)],
) -> Result<Vec<(String, String)>, RunError> {
    let mut variables = vec![
        ("DATABASE_URL", address.url(database, host, port)),
        ("PGHOST", host.to_owned()),
        ("PGPORT", port.to_string()),
        ("PGDATABASE", database.to_owned()),
        ("PGUSER", address.user.clone()),
        ("PGSSLMODE", "disable".to_owned()),
        ("PGGSSENCMODE", "disable".to_owned()),
        ("LOCKPROOF_POD", pod.to_owned()),
    ];
    if !address.password.expose().is_empty() {
        variables.push(("PGPASSWORD", address.password.expose().to_owned()));
    }
    // In a cluster each pod has one, and jobs make keys of it. It is the same in every run.
    let own = |name: &str| !scenario.iter().any(|(known, _)| known == name);
    if own("HOSTNAME") {
        variables.push(("HOSTNAME", node_name(pod, scenario)));
    }
    // Nor does one pod of a cluster see what another writes into its home or for a while.
    if let Some(lodging) = lodging {
        for (name, folder) in [("HOME", &lodging.home), ("TMPDIR", &lodging.temporary)] {
            if own(name) {
                variables.push((name, folder.display().to_string()));
            }
        }
    }
    variables.push(Guardian::start()?.mark()?);
    Ok(variables
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect())
}

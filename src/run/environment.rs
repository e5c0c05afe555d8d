//! What a pod finds in its environment.
//!
//! Owns the names of the variables. The password is in them and nowhere else.

use super::error::RunError;
use crate::server::{Address, Guardian};

/// What a pod finds in its environment: DATABASE_URL, libpq's variables, its own name, a host name of
/// its own, and the mark by which the guardian knows it. `scenario` is what the scenario sets, its host
/// name before ours.
///
/// # Errors
/// When the guardian's mark cannot be had.
pub(crate) fn environment(
    address: &Address,
    database: &str,
    pod: &str,
    host: &str,
    port: u16,
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
    if !scenario.iter().any(|(name, _)| name == "HOSTNAME") {
        variables.push(("HOSTNAME", format!("job-{pod}")));
    }
    variables.push(Guardian::start()?.mark()?);
    Ok(variables
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect())
}

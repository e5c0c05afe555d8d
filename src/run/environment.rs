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
/// it. `scenario` is what the scenario sets, its host name and directories before ours; where a value of it asks
/// for a part of the pod's own way in, such as `{url}`, it gets that.
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
    let mut variables: Vec<(String, String)> = variables
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    let parts = [
        ("{url}", address.url(database, host, port)),
        ("{host}", host.to_owned()),
        ("{port}", port.to_string()),
        ("{user}", address.user.clone()),
        ("{password}", address.password.expose().to_owned()),
        ("{database}", database.to_owned()),
    ];
    for (name, value) in scenario {
        if parts.iter().any(|(part, _)| value.contains(part)) {
            variables.push((name.clone(), filled(value, &parts)));
        }
    }
    Ok(variables)
}

/// The text with these parts filled in, each where it stands; what is filled in is not looked through again.
fn filled(text: &str, parts: &[(&str, String)]) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        match parts.iter().find(|(part, _)| from.starts_with(part)) {
            Some((part, value)) => {
                out.push_str(value);
                rest = &from[part.len()..];
            }
            None => {
                out.push('{');
                rest = &from[1..];
            }
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::filled;

    #[test]
    fn parts_are_filled_in_once_and_other_braces_stay() {
        let parts = [
            ("{host}", "{port}".to_owned()),
            ("{port}", "5432".to_owned()),
        ];
        for (text, wanted) in [
            ("", ""),
            ("tcp://{host}:{port}/{db}", "tcp://{port}:5432/{db}"),
            ("{{port}} {", "{5432} {"),
            ("{\"a\": 1}", "{\"a\": 1}"),
        ] {
            assert_eq!(filled(text, &parts), wanted);
        }
    }
}

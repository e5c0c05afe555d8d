//! What a pod finds in its environment.
//!
//! Owns the names of the variables, and the placeholders that a scenario's own variables may hold. The
//! password is in them and nowhere else.

use std::path::Path;

use super::error::RunError;
use super::trust::Trust;
use crate::server::{Address, Guardian, Lodging};

/// How a pod comes to its server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way<'a> {
    /// A host that leads there.
    pub host: &'a str,
    /// Its port.
    pub port: u16,
    /// The directory of a Unix socket that leads there, too, if the scenario asks for one.
    pub socket: Option<&'a Path>,
    /// What makes its TLS trustworthy.
    pub trust: &'a Trust,
}

/// The port of a Unix socket, which is part of its file's name.
const SOCKET_PORT: u16 = 5432;
/// What asks for a Unix socket in a scenario.
const SOCKET: &str = "{socket}";

/// The name of the machine that a pod is to see: what the scenario says, else one of its own.
pub(crate) fn node_name(pod: &str, scenario: &[(String, String)]) -> String {
    let set = scenario.iter().find(|(name, _)| name == "HOSTNAME");
    set.map_or_else(|| format!("job-{pod}"), |(_, value)| value.clone())
}

/// Whether the scenario's variables ask for a Unix socket.
pub(crate) fn wants_socket(scenario: &[(String, String)]) -> bool {
    scenario.iter().any(|(_, value)| value.contains(SOCKET))
}

/// What a pod finds in its environment: DATABASE_URL, libpq's variables, what to trust, its own name, a
/// host name of its own, a home and a temporary directory where it has any, the mark by which the guardian
/// knows it, and what the scenario sets, with its placeholders filled in. What the scenario sets comes
/// before ours, where it may.
///
/// # Errors
/// When the guardian's mark cannot be had.
pub(crate) fn environment(
    address: &Address,
    database: &str,
    pod: &str,
    way: &Way<'_>,
    lodging: Option<&Lodging>,
    scenario: &[(String, String)],
) -> Result<Vec<(String, String)>, RunError> {
    let own = |name: &str| !scenario.iter().any(|(known, _)| known == name);
    let by_socket = way.socket.filter(|_| !own("PGHOST"));
    let (host, port) = match by_socket {
        Some(folder) => (folder.display().to_string(), SOCKET_PORT),
        None => (way.host.to_owned(), way.port),
    };
    let url = address.url(database, &host, port);
    let mut variables = vec![
        ("DATABASE_URL", url.clone()),
        ("PGHOST", host.clone()),
        ("PGPORT", port.to_string()),
        ("PGDATABASE", database.to_owned()),
        ("PGUSER", address.user.clone()),
        ("LOCKPROOF_POD", pod.to_owned()),
    ];
    let password = address.password.expose();
    if !password.is_empty() {
        variables.push(("PGPASSWORD", password.to_owned()));
    }
    // The rest the scenario may set otherwise. A client that does not ask for TLS is spared it.
    let mut others = vec![
        ("PGSSLMODE", "disable".to_owned()),
        ("PGGSSENCMODE", "disable".to_owned()),
        // In a cluster each pod has one, and jobs make keys of it. It is the same in every run.
        ("HOSTNAME", node_name(pod, scenario)),
    ];
    others.extend(way.trust.variables());
    // Nor does one pod of a cluster see what another writes into its home or for a while.
    if let Some(lodging) = lodging {
        for (name, folder) in [("HOME", &lodging.home), ("TMPDIR", &lodging.temporary)] {
            others.push((name, folder.display().to_string()));
        }
    }
    variables.extend(others.into_iter().filter(|(name, _)| own(name)));
    variables.push(Guardian::start()?.mark()?);
    let mut variables: Vec<(String, String)> = variables
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    let socket = way.socket.map(|folder| folder.display().to_string());
    let known = [
        ("{url}", url),
        ("{host}", host.clone()),
        ("{port}", port.to_string()),
        ("{user}", address.user.clone()),
        ("{password}", password.to_owned()),
        ("{database}", database.to_owned()),
        (SOCKET, socket.unwrap_or(host)),
        ("{ca}", way.trust.file().display().to_string()),
    ];
    for (name, value) in scenario {
        // PGHOST is filled in above.
        if value.contains('{') && name != "PGHOST" {
            variables.push((name.clone(), filled(value, &known)));
        }
    }
    Ok(variables)
}

/// The text with its placeholders filled in, each once: what stands in a value is not read again.
fn filled(text: &str, known: &[(&str, String)]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        match known.iter().find(|(name, _)| rest.starts_with(name)) {
            Some((name, value)) => {
                out.push_str(value);
                rest = &rest[name.len()..];
            }
            None => {
                out.push('{');
                rest = &rest[1..];
            }
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_in_once_and_other_braces_stay() {
        let known = [("{host}", "{port}".to_owned()), ("{port}", "7".to_owned())];
        let text = r#"{"at": "{host}:{port}", "x": {}}"#;
        assert_eq!(filled(text, &known), r#"{"at": "{port}:7", "x": {}}"#);
        assert_eq!(filled("plain", &known), "plain");
        assert_eq!(filled("{", &known), "{");
    }
}

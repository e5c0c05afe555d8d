//! Databases that lockproof makes, and their names.
//!
//! Owns the rule by which a database is known as lockproof's, and whose: its name is
//! `lockproof_<run id>_<purpose>_<number>`; and what a copy has from its template.

/// A database that lockproof made.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Database {
    /// Its name: lower-case letters, digits and underscores.
    pub name: String,
    /// Its oid, as in `pg_locks.database`.
    pub oid: u32,
}

const PREFIX: &str = "lockproof_";

/// The name of a new database.
pub(super) fn name(run_id: &str, purpose: &str, number: u64) -> String {
    // Postgres cuts names at 63 bytes; the number must survive.
    let purpose: String = purpose
        .chars()
        .map(|c| match c.to_ascii_lowercase() {
            c if c.is_ascii_alphanumeric() => c,
            _ => '_',
        })
        .take(20)
        .collect();
    format!("{PREFIX}{run_id}_{purpose}_{number}")
}

/// The id of the run that made a database of this name; `None` if lockproof did not.
pub(super) fn run_of(name: &str) -> Option<&str> {
    let (id, rest) = name.strip_prefix(PREFIX)?.split_once('_')?;
    let number = rest.rsplit_once('_')?.1;
    let is_id = id.len() == 10 && id.bytes().all(|b| b.is_ascii_hexdigit());
    (is_id && number.parse::<u64>().is_ok()).then_some(id)
}

/// How to drop a database, sessions in it or not.
pub(super) fn drop_sql(name: &str) -> String {
    format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quoted(name))
}

/// How to give a database another name. Nobody may be connected to it.
pub(super) fn rename_sql(name: &str, new: &str) -> String {
    format!("ALTER DATABASE {} RENAME TO {}", quoted(name), quoted(new))
}

/// What rolls back the transactions that are prepared in a database, a statement a line. Their names
/// may hold line breaks, which are written as escapes.
pub(super) fn prepared_sql(name: &str) -> String {
    format!(
        r"SELECT pg_catalog.string_agg('ROLLBACK PREPARED E''' || pg_catalog.replace(
  pg_catalog.replace(pg_catalog.replace(gid, '', '\'), '''', ''''), E'
', '
') || '''', E'
')
FROM pg_catalog.pg_prepared_xacts WHERE database = {}",
        literal(name)
    )
}

/// How to make a database. Without a template it is empty, UTF8 and of the C locale, whatever
/// the server's own are.
pub(super) fn create_sql(
    name: &str,
    template: Option<&str>,
    major: u32,
    disposable: bool,
) -> String {
    let mut sql = format!("CREATE DATABASE {}", quoted(name));
    match template {
        Some(template) => {
            sql.push_str(&format!(" TEMPLATE {}", quoted(template)));
            // 13 ms against 25, but it forces two checkpoints, which a server with other
            // databases would feel. Before 15 it was the only way.
            if major >= 15 && disposable {
                sql.push_str(" STRATEGY FILE_COPY");
            }
        }
        None => {
            sql.push_str(" TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'");
            if major >= 15 {
                sql.push_str(" LOCALE_PROVIDER libc");
            }
        }
    }
    sql
}

/// How to look up a database: its oid, and on the lines behind it the statements that give it the
/// settings of its template. `CREATE DATABASE` copies none, and a job whose schema has made some
/// would be run without them. What says how much the server's log tells is left out: the log is
/// evidence, and lockproof's own databases have it as evidence needs it.
pub(super) fn look_up_sql(name: &str, template: Option<&str>) -> String {
    let name = literal(name);
    let Some(template) = template else {
        return format!("SELECT oid FROM pg_catalog.pg_database WHERE datname = {name}");
    };
    let template = literal(template);
    // The value of a list is split as pg_dump does it: quoted as a whole it would be one name.
    format!(
        r#"SELECT pg_catalog.concat_ws(E'\n', d.oid, (
  SELECT pg_catalog.string_agg(
    CASE WHEN s.setrole = 0 THEN pg_catalog.format('ALTER DATABASE %I', d.datname)
    ELSE pg_catalog.format('ALTER ROLE %I IN DATABASE %I', r.rolname, d.datname) END
    || ' SET "' || pg_catalog.replace(one.name, '.', '"."') || '" TO '
    || CASE WHEN one.name IN ({LISTS}) THEN (
      SELECT coalesce(pg_catalog.string_agg(pg_catalog.quote_literal(
        coalesce(pg_catalog.replace(item[1], '""', '"'), item[2])), ', ' ORDER BY place), '''''')
      FROM pg_catalog.regexp_matches(one.value, '"((?:[^"]|"")*)"|([^,[:space:]"]+)', 'g')
        WITH ORDINALITY AS items (item, place))
    ELSE pg_catalog.quote_literal(one.value) END, ';' || E'\n')
  FROM pg_catalog.pg_db_role_setting s
  JOIN pg_catalog.pg_database t ON t.oid = s.setdatabase
  LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole
  CROSS JOIN LATERAL (
    SELECT pg_catalog.split_part(entry, '=', 1) AS name,
      pg_catalog.substr(entry, pg_catalog.strpos(entry, '=') + 1) AS value
    FROM pg_catalog.unnest(s.setconfig) AS entry) AS one
  WHERE t.datname = {template} AND (s.setrole = 0 OR r.rolname IS NOT NULL)
    AND one.name NOT IN ({EVIDENCE})
)) FROM pg_catalog.pg_database d WHERE d.datname = {name}"#
    )
}

/// Settings whose value is a list of names.
const LISTS: &str = "'search_path', 'temp_tablespaces', 'local_preload_libraries', \
                     'session_preload_libraries'";
/// Settings by which a database could silence the server's log.
const EVIDENCE: &str = "'lc_messages', 'deadlock_timeout', 'log_lock_waits', 'log_min_messages', \
                        'log_min_error_statement', 'log_statement', 'log_error_verbosity', \
                        'log_min_duration_statement', 'log_duration'";

/// A text in quotes.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// An identifier in quotes.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_whose_it_is() {
        let name = name("0123456789", "Clean run: a \"very\" long purpose", 7);
        assert_eq!(name, "lockproof_0123456789_clean_run__a__very___7");
        assert!(name.len() <= 63);
        assert_eq!(run_of(&name), Some("0123456789"));
    }

    #[test]
    fn other_databases_are_not_ours() {
        for name in [
            "postgres",
            "lockproof",
            "lockproof_test",
            "lockproof_mine_x_1",
            "lockproof_0123456789_x",
            "my_lockproof_0123456789_x_1",
        ] {
            assert_eq!(run_of(name), None, "{name}");
        }
    }
}

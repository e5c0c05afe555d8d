//! The tables: the schema's SQL, its statements one by one, and the SQL that drops it all.
//!
//! Owns the list of tables and enums. Knows nothing of connections.

/// GroomBook's schema: SQL that creates what is missing and leaves what is there.
pub const SCHEMA: &str = include_str!("schema.sql");

/// Every table of the schema, children before parents.
pub const TABLES: [&str; 11] = [
    "impersonation_audit_logs",
    "impersonation_sessions",
    "grooming_visit_logs",
    "invoice_tip_splits",
    "invoice_line_items",
    "invoices",
    "appointments",
    "pets",
    "clients",
    "services",
    "staff",
];

/// Every enum of the schema.
pub(super) const ENUMS: [&str; 4] = [
    "staff_role",
    "appointment_status",
    "invoice_status",
    "payment_method",
];

/// The statements of [`SCHEMA`], in order, without comments.
#[must_use]
pub fn schema_statements() -> Vec<String> {
    SCHEMA
        .split("\n\n")
        .map(|paragraph| {
            paragraph
                .lines()
                .filter(|line| !line.starts_with("--"))
                .collect::<Vec<_>>()
                .join("\n")
        })
        .map(|statement| statement.trim().trim_end_matches(';').to_owned())
        .filter(|statement| !statement.is_empty())
        .collect()
}

/// One DO block that drops every table and enum of the schema, and nothing else of the database.
pub(super) fn drop_statement() -> String {
    let drops = TABLES
        .iter()
        .map(|table| format!("drop table if exists {table} cascade;"))
        .chain(
            ENUMS
                .iter()
                .map(|name| format!("drop type if exists {name} cascade;")),
        )
        .collect::<Vec<_>>()
        .join(" ");
    format!("do $$ begin {drops} end $$")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_and_enum_of_the_list_is_created_once_and_no_other() {
        let statements = schema_statements();
        assert_eq!(statements.len(), TABLES.len() + ENUMS.len());
        for table in TABLES {
            let start = format!("create table if not exists {table} (");
            let found = statements.iter().filter(|s| s.starts_with(&start)).count();
            assert_eq!(found, 1, "{table}");
        }
        for name in ENUMS {
            let start = format!("do $$ begin create type {name} as enum");
            let found = statements.iter().filter(|s| s.starts_with(&start)).count();
            assert_eq!(found, 1, "{name}");
        }
    }

    #[test]
    fn a_foreign_key_is_named_after_its_table_column_and_parent() {
        let mut found = 0;
        for statement in schema_statements() {
            let Some(table) = statement
                .strip_prefix("create table if not exists ")
                .and_then(|rest| rest.split(' ').next())
            else {
                continue;
            };
            for line in statement
                .lines()
                .filter(|line| line.contains(" references "))
            {
                let words: Vec<&str> = line.split_whitespace().collect();
                let after = |word: &str| {
                    let at = words.iter().position(|w| *w == word).unwrap();
                    words[at + 1]
                };
                let mut name = format!("{table}_{}_{}_id_fk", words[0], after("references"));
                name.truncate(63);
                assert_eq!(after("constraint"), name);
                found += 1;
            }
        }
        assert_eq!(found, 17);
    }
}

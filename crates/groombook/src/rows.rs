//! Rows as SQL text.
//!
//! Owns quoting and the three forms of statement that a run sends: one-row upsert, one-row insert,
//! multi-row insert. Literals rather than parameters: one request cycle each, and readable on the
//! wire.

use postgres_protocol::escape::escape_literal;

/// A text as SQL reads it.
pub(super) fn text(value: &str) -> String {
    escape_literal(value)
}

/// A text or NULL as SQL reads it.
pub(super) fn optional(value: Option<&str>) -> String {
    value.map_or_else(|| "null".to_owned(), escape_literal)
}

/// A table as statements name it: itself and the columns that are given.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table {
    name: &'static str,
    columns: &'static str,
}

pub(super) const STAFF: Table = Table {
    name: "staff",
    columns: "id, name, email, role, is_super_user, active",
};
pub(super) const SERVICES: Table = Table {
    name: "services",
    columns: "id, name, description, base_price_cents, duration_minutes, active",
};
pub(super) const CLIENTS: Table = Table {
    name: "clients",
    columns: "id, name, email, phone, address, notes, email_opt_out",
};
pub(super) const PETS: Table = Table {
    name: "pets",
    columns: "id, client_id, name, species, breed, weight_kg, date_of_birth, health_alerts, grooming_notes",
};
pub(super) const APPOINTMENTS: Table = Table {
    name: "appointments",
    columns: "id, client_id, pet_id, service_id, staff_id, bather_staff_id, status, start_time, end_time, notes, price_cents",
};
pub(super) const INVOICES: Table = Table {
    name: "invoices",
    columns: "id, appointment_id, client_id, subtotal_cents, tax_cents, tip_cents, total_cents, status, payment_method, paid_at, notes",
};
pub(super) const LINE_ITEMS: Table = Table {
    name: "invoice_line_items",
    columns: "id, invoice_id, description, quantity, unit_price_cents, total_cents",
};
pub(super) const TIP_SPLITS: Table = Table {
    name: "invoice_tip_splits",
    columns: "id, invoice_id, staff_id, staff_name, share_pct, share_cents",
};
pub(super) const VISIT_LOGS: Table = Table {
    name: "grooming_visit_logs",
    columns: "id, pet_id, appointment_id, staff_id, cut_style, products_used, notes, groomed_at",
};

impl Table {
    /// One INSERT of these rows, each without its parentheses; at least one.
    pub(super) fn insert(self, rows: &[String]) -> String {
        format!(
            "insert into {} ({}) values ({})",
            self.name,
            self.columns,
            rows.join("), (")
        )
    }

    /// One INSERT of a row that replaces, column by column, what is there with the same `key`.
    pub(super) fn upsert(self, key: &str, row: String) -> String {
        let follow = self
            .columns
            .split(", ")
            .filter(|column| *column != key)
            .map(|column| format!("{column} = excluded.{column}"))
            .collect::<Vec<_>>()
            .join(", ");
        format!(
            "{} on conflict ({key}) do update set {follow}",
            self.insert(&[row])
        )
    }
}

/// The statement that begins every run: all that hangs on appointments, in one TRUNCATE.
pub(super) const TRUNCATE: &str = "truncate impersonation_sessions, impersonation_audit_logs, \
     appointments, invoices, invoice_line_items, invoice_tip_splits, grooming_visit_logs cascade";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_in_a_text_stays_inside_it() {
        assert_eq!(text("O'Hara"), "'O''Hara'");
        assert_eq!(optional(None), "null");
    }

    #[test]
    fn all_but_the_key_follows_in_an_upsert() {
        let table = Table {
            name: "t",
            columns: "id, email, role",
        };
        assert_eq!(
            table.upsert("email", "1, 'e', 'r'".to_owned()),
            "insert into t (id, email, role) values (1, 'e', 'r') on conflict (email) do update \
             set id = excluded.id, role = excluded.role"
        );
    }
}

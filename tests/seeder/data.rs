//! What a seed leaves in the database, and what it says.

use std::time::Instant;

use groombook::{LockKind, Options, Profile, TABLES};

use crate::database::{ACQUIRED, COMPLETE, Database, RELEASED, seed};

#[test]
fn uat_makes_the_agreed_counts_and_lines() {
    let database = Database::new();
    let options = Options {
        profile: Profile::Uat,
        ..database.options(LockKind::Session)
    };
    let start = Instant::now();
    let (code, said) = seed(&options);
    eprintln!("one uat seed: {} ms", start.elapsed().as_millis());
    assert_eq!((code, said.complaints.len()), (0, 0), "{said:?}");
    let lines = &said.lines;
    assert_eq!(lines[0], "Seeding Groom Book database (profile: uat)...");
    assert_eq!(lines[1], ACQUIRED);
    assert!(lines[4].starts_with("✓ Created 500 clients with "));
    let end = &lines[lines.len() - 4..];
    assert_eq!(
        end,
        [
            "✓ Created 4000 invoices with line items and tip splits",
            "✓ Created 4000 grooming visit logs",
            RELEASED,
            COMPLETE,
        ]
    );
    for (table, rows) in [
        ("staff", 8),
        ("services", 10),
        ("clients", 505),
        ("invoices", 4005),
        ("invoice_line_items", 4005),
        ("grooming_visit_logs", 4005),
        ("impersonation_sessions", 0),
    ] {
        assert_eq!(database.count(table), rows, "{table}");
    }
    let wrong = database.ask(
        "select count(*) from appointments where start_time::time not between '8:00' and '16:00'
         or extract(minute from start_time)::int % 15 <> 0
         or status in ('scheduled', 'confirmed') and start_time::date
            not between date '2026-06-04' + 1 and date '2026-06-04' + 90
         or status not in ('scheduled', 'confirmed') and start_time::date
            not between date '2026-06-04' - 30 and date '2026-06-04' - 1",
    );
    assert_eq!(wrong, "0", "appointments at wrong times");
    let wrong = database.ask(
        "select count(*) from invoices i where tax_cents <> round(subtotal_cents * 0.08)
         or total_cents <> subtotal_cents + tax_cents + tip_cents
         or (status = 'paid') <> (paid_at is not null)
         or (select coalesce(sum(share_cents), 0) from invoice_tip_splits where invoice_id = i.id)
            <> case when status = 'paid' then tip_cents else 0 end",
    );
    assert_eq!(wrong, "0", "invoices with wrong sums");
    database.wait_until_left();
}

#[test]
fn the_same_seed_gives_the_same_rows_in_another_database_and_a_second_time() {
    let (one, two) = (Database::new(), Database::new());
    one.seed(LockKind::Session);
    two.seed(LockKind::None);
    let digest = one.digest();
    assert_eq!(digest, two.digest());
    // The same on every machine and server version.
    let hash = two.ask(&format!("select md5($${digest}$$)"));
    assert_eq!(hash, "c2c8d32a84be5cfa1650f8375194a5f7");
    let first = one.seed(LockKind::Session);
    let second = one.seed(LockKind::Session);
    assert_eq!(digest, one.digest(), "back to back");
    assert_eq!(first, second);
    let other = Options {
        seed: 43,
        ..two.options(LockKind::Session)
    };
    assert_eq!(seed(&other).0, 0);
    assert_ne!(digest, two.digest());
}

#[test]
fn profiles_can_follow_one_another_in_one_database() {
    let database = Database::new();
    for profile in [Profile::Dev, Profile::Tiny, Profile::Dev] {
        let options = Options {
            profile,
            ..database.options(LockKind::Session)
        };
        let (code, said) = seed(&options);
        assert_eq!(code, 0, "{profile}: {said:?}");
    }
    assert_eq!(database.count("invoices"), 1000);
}

#[test]
fn an_overlap_without_a_lock_fails_with_the_constraint_named() {
    let database = Database::new();
    // What the second pod's TRUNCATE does to the first, at the one place where it hurts.
    database.ask(
        "create function gone() returns trigger language plpgsql as
           $$ begin truncate invoices cascade; return null; end $$;
         create trigger gone after insert on invoice_line_items execute function gone();
         alter table invoice_line_items drop constraint invoice_line_items_invoice_id_invoices_id_fk",
    );
    let (code, said) = seed(&database.options(LockKind::None));
    assert_eq!(code, 1, "{said:?}");
    let complaint = &said.complaints[0];
    for part in [
        "Seed failed: ",
        "SQLSTATE 23503, table invoice_tip_splits",
        "constraint invoice_tip_splits_invoice_id_invoices_id_fk",
    ] {
        assert!(complaint.contains(part), "{complaint}");
    }
}

#[test]
fn migrate_makes_the_schema_in_an_empty_database_and_leaves_one_that_is_there() {
    let database = Database::new();
    let tables = TABLES.join(", ");
    database.ask(&format!(
        "drop table {tables}; drop type staff_role, appointment_status, invoice_status, payment_method"
    ));
    let (code, said) = seed(&database.options(LockKind::Session));
    assert_eq!(code, 1);
    assert!(said.complaints[0].contains("SQLSTATE 42P01"), "{said:?}");
    let options = Options {
        migrate: true,
        ..database.options(LockKind::Session)
    };
    assert_eq!(seed(&options), seed(&options));
    assert_eq!(database.count("invoices"), 24);
    let other = Database::new();
    other.seed(LockKind::Session);
    assert_eq!(database.digest(), other.digest());
}

#[test]
fn known_users_are_few_and_the_same_each_time() {
    let database = Database::new();
    let options = Options {
        known_users: true,
        ..database.options(LockKind::Session)
    };
    let (code, said) = seed(&options);
    assert_eq!(code, 0, "{said:?}");
    let digest = database.digest();
    for (table, rows) in [("staff", 1), ("services", 4), ("clients", 1), ("pets", 1)] {
        assert_eq!(database.count(table), rows, "{table}");
    }
    assert_eq!(seed(&options), (0, said));
    assert_eq!(database.digest(), digest);
    // The full seed and the known users live in one database.
    database.seed(LockKind::Session);
    assert_eq!(seed(&options).0, 0);
    assert_eq!(
        (database.count("staff"), database.count("services")),
        (5, 10)
    );
}

#[test]
fn a_database_that_looks_like_production_is_refused_unless_allowed() {
    let database = Database::new();
    let production = format!("{}_prod", database.name);
    database.server.ask(
        "postgres",
        &format!("create database {production} template template_groom"),
    );
    for known_users in [false, true] {
        let options = Options {
            database_url: Some(database.server.url(&production)),
            known_users,
            ..database.options(LockKind::Session)
        };
        let (code, said) = seed(&options);
        assert_eq!(code, 1);
        assert!(said.lines.is_empty());
        assert!(
            said.complaints[0]
                .contains(&format!("database \"{production}\" looks like production")),
            "{said:?}"
        );
        let allowed = Options {
            allow_destructive: true,
            ..options
        };
        assert_eq!(seed(&allowed).0, 0);
    }
    let options = Options {
        database_url: Some("postgres://u:hush@db.prod.example.com/groom".to_owned()),
        ..Options::default()
    };
    let (code, said) = seed(&options);
    assert_eq!(code, 1);
    assert!(
        said.complaints[0].contains("host \"db.prod.example.com\""),
        "{said:?}"
    );
}

#[test]
fn no_connection_is_one_clear_line_that_never_shows_the_password() {
    for (url, expected) in [
        (None, "DATABASE_URL is not set"),
        (Some(""), "DATABASE_URL is not set"),
        (
            Some("postgres://u:hush@127.0.0.1:1/groom"),
            "Seed failed: no connection from the pool: error connecting to server: Connection \
             refused (os error 111)",
        ),
        (
            Some("postgres://u:hush@127.0.0.1:1/groom?sslmode=require"),
            "Seed failed: DATABASE_URL demands TLS, which this job does not speak: use \
             sslmode=disable",
        ),
        (
            Some("password=hush hush2 host=127.0.0.1"),
            "Seed failed: DATABASE_URL is no connection string (its text is not shown: it may \
             hold a password)",
        ),
        (
            Some("postgres://u:hush@127.0.0.1:1/groom?hush=1"),
            "Seed failed: DATABASE_URL is no connection string (its text is not shown: it may \
             hold a password)",
        ),
    ] {
        let options = Options {
            database_url: url.map(str::to_owned),
            ..Options::default()
        };
        assert!(!format!("{options:?}").contains("hush"));
        let (code, said) = seed(&options);
        assert_eq!((code, said.complaints), (1, vec![expected.to_owned()]));
    }
}

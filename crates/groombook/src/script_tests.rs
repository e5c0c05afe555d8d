//! What a script must be, whatever the server.

use super::*;

/// How the statements of a flush begin, in their order.
const FLUSH: [&str; 5] = [
    "insert into appointments ",
    "insert into invoices ",
    "insert into invoice_line_items ",
    "insert into invoice_tip_splits ",
    "insert into grooming_visit_logs ",
];

fn script(profile: Profile, seed: u64) -> Script {
    Script::new(&Options {
        profile,
        seed,
        ..Options::default()
    })
}

fn lines(script: &Script) -> Vec<&str> {
    let mut lines = Vec::new();
    for act in &script.acts {
        if let Act::Say(line) = act {
            lines.push(line.as_str());
        }
    }
    lines
}

/// How many statements begin so.
fn count(script: &Script, beginning: &str) -> usize {
    let begins = |sql: &&str| sql.starts_with(beginning);
    script.statements().filter(begins).count()
}

/// How many rows the statements that begin so put in.
fn rows(script: &Script, beginning: &str) -> usize {
    script
        .statements()
        .filter(|sql| sql.starts_with(beginning))
        .map(|sql| sql.matches("), ('").count() + 1)
        .sum()
}

#[test]
fn tiny_has_every_kind_of_statement_in_fewer_than_seventy() {
    let script = script(Profile::Tiny, 42);
    assert!(script.statements().count() < 70);
    for (beginning, number) in [
        ("truncate ", 1),
        ("insert into staff ", 4),
        ("insert into services ", 10),
        ("insert into clients ", 6),
    ] {
        assert_eq!(count(&script, beginning), number, "{beginning}");
    }
    assert!((6..=18).contains(&count(&script, "insert into pets ")));
    assert_eq!(rows(&script, "insert into invoices "), 24);
    assert_eq!(rows(&script, "insert into grooming_visit_logs "), 24);
    assert!(
        lines(&script)
            .iter()
            .any(|line| line.contains("supplemental"))
    );
    let splits: Vec<&str> = script
        .statements()
        .filter(|sql| sql.starts_with("insert into invoice_tip_splits "))
        .collect();
    assert!(splits.iter().any(|sql| sql.contains(", 100.00, ")));
    assert!(splits.iter().any(|sql| sql.contains(", 60.00, ")));
    let shares = rows(&script, "insert into invoice_tip_splits ");
    let bathers = splits.iter().map(|sql| sql.matches(", 40.00, ").count());
    assert!(shares - bathers.sum::<usize>() < 24, "some have no tip");
}

#[test]
fn each_flush_of_tiny_sends_all_five_statements_at_least_three_times() {
    let script = script(Profile::Tiny, 42);
    let flushes: Vec<&str> = script
        .statements()
        .filter(|sql| FLUSH.iter().any(|beginning| sql.starts_with(beginning)))
        .collect();
    assert!(flushes.len() >= 15);
    assert_eq!(flushes.len() % 5, 0);
    for flush in flushes.chunks(5) {
        for (sql, beginning) in flush.iter().zip(FLUSH) {
            assert!(sql.starts_with(beginning), "{sql}");
        }
    }
}

#[test]
fn tiny_stays_below_seventy_statements_for_almost_every_seed() {
    let long = (0..200)
        .filter(|seed| script(Profile::Tiny, *seed).statements().count() >= 70)
        .count();
    assert!(long <= 4, "{long} of 200");
}

#[test]
fn a_flush_of_uat_comes_at_every_hundred_appointments() {
    let script = script(Profile::Uat, 42);
    let sizes: Vec<usize> = script
        .statements()
        .filter(|sql| sql.starts_with("insert into appointments "))
        .map(|sql| sql.matches("), ('").count() + 1)
        .filter(|size| *size > 1) // the UAT clients' own
        .collect();
    let odd = sizes.iter().filter(|size| **size != 100).count();
    assert_eq!(odd, 2, "the last one of each of the two rounds: {sizes:?}");
}

#[test]
fn uat_says_what_was_agreed() {
    let script = script(Profile::Uat, 42);
    assert_eq!(
        script.opening,
        "Seeding Groom Book database (profile: uat)..."
    );
    let lines = lines(&script);
    assert_eq!(
        lines[0],
        "✓ Created 8 staff (1 manager, 1 receptionist, 3 groomers, 3 bathers)"
    );
    assert_eq!(lines[1], "✓ Created 10 services");
    assert!(lines[2].starts_with("✓ Created 500 clients with "));
    assert_eq!(
        lines[3],
        "✓ Created 5 UAT test clients with guaranteed pending invoices"
    );
    assert_eq!(
        lines[8..],
        [
            "✓ Created 4000 invoices with line items and tip splits",
            "✓ Created 4000 grooming visit logs",
        ]
    );
    assert_eq!(rows(&script, "insert into clients "), 505);
    assert_eq!(rows(&script, "insert into invoices "), 4005);
    assert_eq!(rows(&script, "insert into grooming_visit_logs "), 4005);
}

#[test]
fn clients_come_in_groups_of_fifty_each_followed_by_its_pets() {
    let script = script(Profile::Dev, 42);
    let tables: Vec<char> = script
        .statements()
        .filter_map(|sql| match sql {
            _ if sql.starts_with("insert into clients ") => Some('c'),
            _ if sql.starts_with("insert into pets ") => Some('p'),
            _ => None,
        })
        .collect();
    assert!(tables[..50].iter().all(|table| *table == 'c'));
    assert_eq!(tables[50], 'p');
    let second = tables.iter().rposition(|table| *table == 'c').unwrap();
    assert!(
        tables[second - 49..=second]
            .iter()
            .all(|table| *table == 'c')
    );
    assert_eq!(tables[second - 50], 'p');
    assert!(tables[second + 1..].iter().all(|table| *table == 'p'));
}

#[test]
fn the_marks_are_where_wrong_locks_begin_and_end() {
    for profile in Profile::ALL {
        let script = script(profile, 42);
        let first = &script.acts[script.after_truncate - 1];
        assert!(matches!(first, Act::Send(sql) if sql.starts_with("truncate ")));
        let rest = &script.acts[script.before_last_flush..];
        let sent: Vec<&String> = rest
            .iter()
            .filter_map(|act| match act {
                Act::Send(sql) => Some(sql),
                Act::Say(_) => None,
            })
            .collect();
        assert_eq!(sent.len(), 5, "{profile}");
        assert!(sent[0].starts_with(FLUSH[0]));
    }
}

#[test]
fn the_chances_are_those_of_the_original() {
    let script = script(Profile::Uat, 42);
    let count_in = |beginning: &str, part: &str| -> f64 {
        let statements = script.statements();
        let matching = statements.filter(|sql| sql.starts_with(beginning));
        matching.map(|sql| sql.matches(part).count()).sum::<usize>() as f64
    };
    let drawn = 2746.0;
    let status = |name: &str| count_in(FLUSH[0], &format!("'{name}'"));
    let between = |value: f64, low: f64, high: f64| {
        assert!((low..high).contains(&value), "{value} not in {low}..{high}");
    };
    for name in ["scheduled", "confirmed", "cancelled", "no_show"] {
        between(status(name) / drawn, 0.07, 0.115); // 1 of 11
    }
    // Supplemental ones are all paid: the 5 % are of the drawn ones.
    let pending = count_in(FLUSH[1], "'pending'") - 5.0;
    between(pending / (status("completed") - 2265.0), 0.03, 0.07);
    let splits = rows(&script, FLUSH[3]) as f64;
    let alone = count_in(FLUSH[3], ", 100.00, ");
    let pairs = count_in(FLUSH[3], ", 60.00, ");
    assert_eq!(splits, alone + 2.0 * pairs);
    between(pairs / (alone + pairs), 0.57, 0.63);
    between((alone + pairs) / 4000.0, 0.65, 0.72); // 70 % of those paid
}

#[test]
fn another_seed_profile_or_day_gives_other_rows() {
    let base = script(Profile::Tiny, 42);
    assert_eq!(base, script(Profile::Tiny, 42));
    assert_ne!(base, script(Profile::Tiny, 43));
    let tomorrow = Script::new(&Options {
        profile: Profile::Tiny,
        today: Options::default().today.succ_opt().unwrap(),
        ..Options::default()
    });
    assert_ne!(base, tomorrow);
}

/// The rows are part of what users build on: when this fails, every stored digest is void, which
/// must be on purpose and in the CHANGELOG.
#[test]
fn the_scripts_of_the_default_seed_are_pinned() {
    let digest = |profile| {
        let mut hasher = blake3::Hasher::new();
        for sql in script(profile, 42).statements() {
            hasher.update(sql.as_bytes());
            hasher.update(b"\n");
        }
        hasher.finalize().to_hex()[..16].to_owned()
    };
    let digests = Profile::ALL.map(|profile| (profile.name(), digest(profile)));
    let pinned = [
        ("tiny", "43bee1a33ced7841"),
        ("dev", "c7417eceb64b869e"),
        ("uat", "253de04de23eb0ef"),
        ("demo", "ba680c05f70ba0dd"),
    ];
    assert_eq!(digests, pinned.map(|(name, hex)| (name, hex.to_owned())));
}

#[test]
fn every_statement_begins_with_readable_lower_case_sql() {
    for profile in Profile::ALL {
        for sql in script(profile, 7).statements() {
            assert!(
                sql.starts_with("insert into ") || sql.starts_with("truncate "),
                "{sql}"
            );
            assert!(!sql.contains('\n'));
        }
    }
}

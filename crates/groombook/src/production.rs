//! Which databases are not to be touched without being told twice.
//!
//! Owns the rule, which looks at names only. Knows nothing of connections.

/// Whether the name of a database or host looks like production.
///
/// The name is cut into words at everything that is no letter or digit. A word looks like
/// production when it is `live` or `prd`, contains `production` (but is not `reproduction`), ends
/// in `prod`, or begins with `prod` without being a word like `products`. `preprod` counts as
/// production too: a refusal too many costs a flag, one too few the data.
#[must_use]
pub fn looks_like_production(name: &str) -> bool {
    name.to_lowercase()
        .split(|c: char| !c.is_ascii_alphanumeric())
        .map(|word| word.trim_end_matches(|c: char| c.is_ascii_digit()))
        .any(|word| {
            word == "live"
                || word == "prd"
                || (word.contains("production") && word != "reproduction")
                || word.ends_with("prod")
                || (word.starts_with("prod") && !word.starts_with("produ"))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_production_are_known() {
        for name in [
            "prod",
            "groombook_prod",
            "groombookprod",
            "prod-db.example.com",
            "db.prod2.example.com",
            "GroomBook-Production",
            "live",
            "db-live-1.internal",
            "prd",
            "proddb",
        ] {
            assert!(looks_like_production(name), "{name}");
        }
    }

    #[test]
    fn other_names_are_left_alone() {
        for name in [
            "groombook_uat",
            "lockproof_reproduce_1",
            "bug-reproduction",
            "products",
            "127.0.0.1",
            "localhost",
            "delivery",
            "olive",
            "proof",
            "",
        ] {
            assert!(!looks_like_production(name), "{name}");
        }
    }
}

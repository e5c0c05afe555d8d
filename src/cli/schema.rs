//! `lockproof schema`: prints the JSON schema of scenario files, for editors.
//!
//! Owns nothing but where the schema is printed.

use std::io::Write;

use crate::scenario::schema;

/// Prints the schema, indented, with a line feed at its end.
///
/// # Errors
/// When the output cannot be written.
pub fn run(out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "{:#}", schema())?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_the_schema() {
        let mut out = Vec::new();
        run(&mut out).unwrap();
        let printed: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(printed, schema());
    }
}

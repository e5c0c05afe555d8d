//! The statements of a psql script.
//!
//! Owns what psql takes for itself: its own commands, the data of a COPY, the ends `\gset` and the like.
//! Where a script's lines cannot be read so, its statements are refused by the parser and not compared.

/// The statements, as PostgreSQL's own scanner splits them.
pub fn statements(script: &str) -> Vec<String> {
    let text = without_commands(script);
    match pg_query::split_with_scanner(&text) {
        Ok(statements) => statements.iter().map(|one| one.trim().to_owned()).collect(),
        // A stray quote in one statement would cost the whole file: line by line it costs a few.
        Err(_) => text
            .split(";\n")
            .map(|one| one.trim().to_owned())
            .filter(|one| !one.is_empty())
            .collect(),
    }
}

fn without_commands(script: &str) -> String {
    let mut text = String::new();
    let mut data = false;
    for line in script.lines() {
        if data {
            data = line != "\\.";
            continue;
        }
        if line.starts_with('\\') {
            continue;
        }
        let (sql, ended) = match line.find(" \\g").or_else(|| line.find(" \\crosstabview")) {
            Some(at) => (&line[..at], true),
            None => (line, false),
        };
        text.push_str(sql);
        text.push_str(if ended { ";\n" } else { "\n" });
        let small = sql.to_ascii_lowercase();
        data = small.trim_start().starts_with("copy ")
            && small.contains("from stdin")
            && small.contains(';');
    }
    text
}

//! The same scenarios on several versions.

use super::mirror::{Mirror, Wrong};
use super::{EMBEDDED, Place};

/// What stands in the matrix.
fn matrix(text: &str) -> Vec<Vec<String>> {
    let lines = text
        .lines()
        .skip_while(|line| !line.starts_with("scenario "));
    let words = |line: &str| {
        line.split("  ")
            .map(str::trim)
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()
    };
    lines
        .take_while(|line| !line.is_empty() && !line.starts_with("report: "))
        .map(words)
        .collect()
}

fn a_version_that_cannot_be_had_keeps_no_other_from_being_run() {
    let place = Place::at("off");
    // What the machine has, and what nobody has.
    let output = std::process::Command::new("psql")
        .arg("--version")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text.split_whitespace().nth(2).unwrap().to_owned();
    let major = version.split('.').next().unwrap();
    let other = if major == "13" { "14" } else { "13" };
    let both = format!("{other},{major}");
    let done = place.run(&[
        "run", "it.toml", "--server", "local", "--pg", &both, "--report", "all.html",
    ]);
    assert_eq!(done.code, Some(4), "{done}");
    let wanted = [
        ["scenario", other, &version],
        ["it.toml", "no server", "✓ holds"],
    ];
    assert_eq!(matrix(&done.stdout), wanted, "{done}");
    assert!(
        done.text().contains(&format!(
            "PostgreSQL {other}: no PostgreSQL server could be had"
        )),
        "{done}"
    );
    let page = std::fs::read_to_string(place.sandbox.work().join("all.html")).unwrap();
    assert!(
        page.contains(&format!(
            "PostgreSQL {other}: no PostgreSQL server could be had"
        )),
        "{page}"
    );
    let done = place.run(&[
        "run", "it.toml", "--server", "local", "--pg", &both, "--format", "json",
    ]);
    assert_eq!(done.code, Some(4), "{done}");
    let json = done.json();
    assert_eq!(json["versions"][0]["exit_code"], 4);
    assert!(
        json["versions"][0]["error"]
            .as_str()
            .unwrap()
            .contains("no PostgreSQL")
    );
    assert_eq!(json["versions"][1]["run"]["as_expected"], 1);
    place.sandbox.is_clear("after the runs");
}

fn scenarios_run_on_15_16_and_18_from_a_mirror() {
    let mirror = Mirror::with(&["local", "16", "18"], Wrong::Nothing);
    let place = Place::new(&mirror);
    let paged = ["--report", "all.html", "--markdown", "each.md"];
    let arguments = [&EMBEDDED[..], &["--pg", "15,16,18"], &paged].concat();
    let done = place.run(&arguments);
    assert_eq!(done.code, Some(0), "{done}");
    let matrix = matrix(&done.stdout);
    let versions: Vec<&str> = matrix[0]
        .iter()
        .map(|version| version.split('.').next().unwrap())
        .collect();
    assert_eq!(versions, ["scenario", "15", "16", "18"], "{done}");
    assert_eq!(matrix[1], ["it.toml", "✓ holds", "✓ holds", "✓ holds"]);
    assert_eq!(place.kept().len(), 3);
    // The index has the same matrix, and each verdict leads to the page of a run on that version.
    let work = place.sandbox.work();
    let page = std::fs::read_to_string(work.join("all.html")).unwrap();
    let by_version = &page[page.find("By version").unwrap()..];
    let cell =
        regex::Regex::new("<td><a href=\"([^\"]*)\"><span class=\"verdict holds\">").unwrap();
    let links: Vec<&str> = cell
        .captures_iter(by_version)
        .map(|found| found.get(1).unwrap().as_str())
        .collect();
    assert_eq!(links.len(), 3, "{by_version}");
    for (link, major) in links.iter().zip(["15", "16", "18"]) {
        let run = std::fs::read_to_string(work.join(link)).unwrap();
        assert!(run.contains(&format!("PostgreSQL {major}.")), "{link}");
        assert!(
            by_version.contains(&format!("PostgreSQL {major}.")),
            "{by_version}"
        );
        let part = std::fs::read_to_string(work.join(format!("each-pg{major}.md"))).unwrap();
        assert!(part.contains(link) && part.contains("(all.html)"), "{part}");
    }
    place.sandbox.is_clear("after the run");
}

crate::harness::tests![
    a_version_that_cannot_be_had_keeps_no_other_from_being_run;
    long: scenarios_run_on_15_16_and_18_from_a_mirror
];

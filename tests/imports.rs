//! The imports between the files of each program: they go down the list of rooms in DESIGN.md, and no files
//! import each other in a circle. An import leads to the file that declares what is taken, through
//! whatever `pub use` passes it on. Test modules are left out.

#![allow(clippy::unwrap_used)]

#[path = "imports/modules.rs"]
mod modules;
#[path = "imports/tokens.rs"]
mod tokens;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use modules::Modules;

/// One import, by the lines that make it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Import {
    from: PathBuf,
    to: PathBuf,
    line: usize,
    /// Whether it only passes on (`pub use`) what the file itself has no use for.
    door: bool,
}

impl std::fmt::Display for Import {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}:{} imports from {}",
            self.from.display(),
            self.line,
            self.to.display()
        )
    }
}

/// The sources of the tool: its pure rooms are a crate of their own, which it passes on under the same names.
const TOOL: [&str; 2] = ["src", "crates/lockproof-core/src"];
/// The sources of the built-in subject.
const SUBJECT: [&str; 1] = ["crates/groombook/src"];

fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every import of these sources in this checkout.
fn imports(checkout: &Path, sources: &[&str]) -> Vec<Import> {
    let modules = Modules::read(checkout, sources);
    let (mut found, mut lost) = (BTreeSet::new(), Vec::new());
    for module in modules.0.values() {
        for taken in &module.takes {
            let mut targets = Vec::new();
            if taken.name == "*" {
                targets = modules.by_glob(module, taken);
            } else {
                match modules.declaring(module, taken) {
                    Ok(target) => targets.extend(target.map(|to| (taken.line, to))),
                    Err(path) => lost.push(path),
                }
            }
            for (line, to) in targets {
                let door = taken.passed_on && !module.words.contains_key(&taken.name);
                if to.file != module.file {
                    let (from, to) = (module.file.clone(), to.file.clone());
                    found.insert(Import {
                        from,
                        to,
                        line,
                        door,
                    });
                }
            }
        }
    }
    assert!(
        lost.is_empty(),
        "these paths lead to nothing that this test can find:\n{}",
        lost.join("\n")
    );
    // One line is enough to find it by: the first.
    let mut found: Vec<_> = found.into_iter().collect();
    found.sort_by(|a, b| (&a.from, &a.to, a.door, a.line).cmp(&(&b.from, &b.to, b.door, b.line)));
    found.dedup_by(|a, b| a.from == b.from && a.to == b.to && a.door == b.door);
    found
}

/// The rooms in the order of DESIGN.md, the upper first, and the ones that stand apart.
fn rooms(design: &str) -> (Vec<String>, Vec<String>) {
    let house = design
        .split("## 3. The house")
        .nth(1)
        .expect("DESIGN.md has a house");
    let drawing = house.split("```").nth(1).expect("the house is drawn");
    let (mut ordered, mut apart, mut is_apart) = (Vec::new(), Vec::new(), false);
    for line in drawing.lines() {
        is_apart |= line.contains("── apart ──");
        let Some(room) = line
            .strip_prefix("  ")
            .filter(|room| !room.starts_with(' '))
        else {
            continue;
        };
        let name = room
            .split_whitespace()
            .next()
            .unwrap_or("")
            .trim_end_matches('/');
        if room.starts_with(char::is_alphabetic) {
            if is_apart { &mut apart } else { &mut ordered }.push(name.to_owned());
        }
    }
    (ordered, apart)
}

/// The room of a file: the first name under its crate's `src`.
fn room(file: &Path) -> String {
    let inside = TOOL
        .iter()
        .find_map(|sources| file.strip_prefix(sources).ok());
    let inside = inside.unwrap();
    inside.iter().next().unwrap().to_string_lossy().into_owned()
}

/// The imports that go up the list, or to or from a room that stands apart.
fn against_the_order(imports: &[Import], design: &str) -> Vec<String> {
    let (ordered, apart) = rooms(design);
    let mut found = Vec::new();
    for import in imports {
        let (from, to) = (room(&import.from), room(&import.to));
        let place = |room: &String| ordered.iter().position(|one| one == room);
        let why = match (place(&from), place(&to)) {
            _ if from == to => continue,
            (Some(from), Some(to)) if from < to => continue,
            (Some(_), Some(_)) => {
                format!("`{}` lies below `{}`", room(&import.from), room(&import.to))
            }
            (Some(_), None) if apart.contains(&to) && from == "cli" => continue,
            (Some(_), None) if apart.contains(&to) => format!("only `cli` knows `{to}`"),
            (None, _) if apart.contains(&from) => format!("`{from}` stands apart"),
            (None, _) => format!("`{from}` is no room of the list"),
            (_, None) => format!("`{to}` is no room of the list"),
        };
        found.push(format!("{import}: {why}"));
    }
    found
}

/// The files that import each other in a circle, one set a knot, with the imports among them.
fn circles(imports: &[Import]) -> Vec<(BTreeSet<PathBuf>, Vec<Import>)> {
    let mut next: BTreeMap<&Path, BTreeSet<&Path>> = BTreeMap::new();
    for import in imports.iter().filter(|import| !import.door) {
        next.entry(&import.from).or_default().insert(&import.to);
    }
    let reach = |from: &Path| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
        while let Some(file) = open.pop() {
            for to in next.get(file).into_iter().flatten() {
                if seen.insert(to.to_path_buf()) {
                    open.push(to);
                }
            }
        }
        seen
    };
    let reached: BTreeMap<&Path, BTreeSet<PathBuf>> =
        next.keys().map(|file| (*file, reach(file))).collect();
    let mut knots = BTreeSet::new();
    for (file, far) in &reached {
        let back = |other: &&PathBuf| {
            reached
                .get(other.as_path())
                .is_some_and(|r| r.contains(*file))
        };
        let knot: BTreeSet<PathBuf> = far.iter().filter(back).cloned().collect();
        if !knot.is_empty() {
            knots.insert(knot);
        }
    }
    let inside = |knot: &BTreeSet<PathBuf>| {
        let both = |i: &&Import| !i.door && knot.contains(&i.from) && knot.contains(&i.to);
        imports.iter().filter(both).cloned().collect()
    };
    knots
        .into_iter()
        .map(|knot| (knot.clone(), inside(&knot)))
        .collect()
}

#[test]
fn imports_go_down_the_list_of_rooms_in_design() {
    let design = std::fs::read_to_string(checkout().join("DESIGN.md")).unwrap();
    let wrong = against_the_order(&imports(checkout(), &TOOL), &design);
    assert!(
        wrong.is_empty(),
        "imports against the order of DESIGN.md:\n{}",
        wrong.join("\n")
    );
}

/// The circles in words.
fn told(circles: &[(BTreeSet<PathBuf>, Vec<Import>)]) -> String {
    let mut said = String::new();
    for (files, imports) in circles {
        writeln!(said, "{} files import each other in a circle:", files.len()).unwrap();
        for import in imports {
            writeln!(said, "  {import}").unwrap();
        }
    }
    said
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let said = [&TOOL[..], &SUBJECT[..]]
        .map(|sources| told(&circles(&imports(checkout(), sources))))
        .concat();
    assert!(said.is_empty(), "{said}");
}

/// The files under these sources that no module names: the compiler never sees them.
fn unnamed(checkout: &Path, sources: &str) -> Vec<PathBuf> {
    let mut folders = vec![checkout.join(sources)];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let is_root = folder == checkout.join(sources)
                && ["lib.rs", "main.rs"]
                    .iter()
                    .any(|root| path.ends_with(root));
            if path.extension().is_none_or(|ends| ends != "rs") || is_root {
                continue;
            }
            // What a module's own folder is called by, and the files that may name it there.
            let (module, parent) = if path.ends_with("mod.rs") {
                (folder.as_path(), folder.parent().unwrap())
            } else {
                (path.as_path(), folder.as_path())
            };
            let name = module.file_stem().unwrap().to_string_lossy().into_owned();
            let named_by = [
                parent.join("lib.rs"),
                parent.join("mod.rs"),
                parent.with_extension("rs"),
            ];
            let names = |file: &PathBuf| {
                std::fs::read_to_string(file).is_ok_and(|text| {
                    text.lines()
                        .any(|line| line.trim_end().ends_with(&format!("mod {name};")))
                })
            };
            // A file of tests that the file beside it names by its path.
            let by_path = || {
                let beside = std::fs::read_dir(&folder).unwrap().flatten();
                let line = format!("#[path = \"{name}.rs\"]");
                beside
                    .filter_map(|entry| std::fs::read_to_string(entry.path()).ok())
                    .any(|text| text.lines().any(|one| one == line))
            };
            if !named_by.iter().any(names) && !by_path() {
                found.push(path.strip_prefix(checkout).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn every_file_is_named_by_a_module() {
    for sources in TOOL.iter().chain(&SUBJECT) {
        assert_eq!(unnamed(checkout(), sources), Vec::<PathBuf>::new());
    }
    let checkout = sources(&[
        ("lib.rs", "pub mod room;\nmod alone;\n"),
        ("alone.rs", "mod inside;\n"),
        ("alone/inside.rs", ""),
        ("alone/left.rs", ""),
        ("room/mod.rs", "pub(crate) mod part;\n"),
        ("room/part/mod.rs", ""),
        ("left.rs", ""),
    ]);
    let left = ["src/alone/left.rs", "src/left.rs"].map(PathBuf::from);
    assert_eq!(unnamed(checkout.path(), "src"), left);
}

/// A checkout with these sources.
fn sources(files: &[(&str, &str)]) -> tempfile::TempDir {
    let checkout = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let file = checkout.path().join("src").join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
    checkout
}

#[test]
fn a_circle_is_seen_through_a_door_and_names_the_lines() {
    let checkout = sources(&[
        ("lib.rs", "pub mod upper;\npub mod lower;\n"),
        (
            "upper/mod.rs",
            "mod one;\nmod two;\npub use one::One;\npub use two::*;\n",
        ),
        ("upper/one.rs", "use super::Two;\n\npub struct One(Two);\n"),
        (
            "upper/two.rs",
            "pub struct Two;\npub fn f() {\n    let _: crate::upper::One;\n}\n",
        ),
        (
            "lower/mod.rs",
            "pub struct Low;\n#[cfg(test)]\nuse crate::upper::One;\n",
        ),
    ]);
    let said = told(&circles(&imports(checkout.path(), &["src"])));
    assert_eq!(
        said,
        "2 files import each other in a circle:\n  \
         src/upper/one.rs:1 imports from src/upper/two.rs\n  \
         src/upper/two.rs:3 imports from src/upper/one.rs\n"
    );
}

#[test]
fn an_import_up_the_list_of_rooms_names_both_files() {
    let design = "## 3. The house\n```\nsrc/\n  lib.rs  all\n  upper/  UP\n  lower/  DOWN\n    \
                  part/  a part\n  ── apart ──\n  alone/  ALONE\n```\n";
    let checkout = sources(&[
        (
            "lib.rs",
            "pub mod upper;\npub mod lower;\npub mod alone;\npub mod new;\n",
        ),
        (
            "upper/mod.rs",
            "use crate::alone::Alone;\npub struct Up(Alone, crate::lower::Low);\n",
        ),
        (
            "lower/mod.rs",
            "pub struct Low;\n\npub use crate::upper::Up as Taken;\n",
        ),
        ("alone/mod.rs", "pub struct Alone(crate::lower::Low);\n"),
        ("new/mod.rs", "pub struct New(crate::lower::Low);\n"),
    ]);
    assert_eq!(
        against_the_order(&imports(checkout.path(), &["src"]), design),
        [
            "src/alone/mod.rs:1 imports from src/lower/mod.rs: `alone` stands apart",
            "src/lower/mod.rs:3 imports from src/upper/mod.rs: `lower` lies below `upper`",
            "src/new/mod.rs:1 imports from src/lower/mod.rs: `new` is no room of the list",
            "src/upper/mod.rs:1 imports from src/alone/mod.rs: only `cli` knows `alone`",
        ]
    );
}

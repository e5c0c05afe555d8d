//! The pages that people read: short enough to be read, and no link of theirs leads nowhere.

#![allow(missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The pages in the root, and those of the book.
fn pages() -> Vec<PathBuf> {
    let folders = ["", "docs", "docs/design", "docs/gallery", "scenarios"];
    let files = folders.iter().flat_map(|folder| {
        let entries = fs::read_dir(project().join(folder)).expect("the folder is there");
        entries.map(|entry| entry.expect("an entry").path())
    });
    let mut pages: Vec<PathBuf> = files
        .filter(|file| file.extension().is_some_and(|ending| ending == "md"))
        .collect();
    pages.sort();
    pages
}

/// Where the links of a page lead to, those to other sites and within the page left out.
fn links(page: &str) -> Vec<String> {
    let mut links = Vec::new();
    let mut in_block = false;
    for line in page.lines() {
        in_block ^= line.starts_with("```");
        let parts = line.split("](").skip(1).filter(|_| !in_block);
        let targets = parts.filter_map(|part| part.split([')', '#']).next());
        let own = targets.filter(|target| !target.is_empty() && !target.contains("://"));
        links.extend(own.map(str::to_owned));
    }
    links
}

#[test]
fn every_link_of_a_page_leads_to_a_file() {
    let mut count = 0;
    for file in pages() {
        let page = fs::read_to_string(&file).expect("a page");
        for link in links(&page) {
            count += 1;
            let target = file.parent().expect("its folder").join(&link);
            assert!(target.exists(), "{}: {link}", file.display());
        }
    }
    assert!(count > 20, "{count} links");
}

#[test]
fn the_readme_and_the_design_are_short() {
    for (name, most) in [("README.md", 6 << 10), ("DESIGN.md", 12 << 10)] {
        let bytes = fs::metadata(project().join(name)).expect(name).len();
        assert!(
            bytes <= most,
            "{name} has {bytes} bytes, more than {most}: docs/ has room"
        );
    }
}

#[test]
fn links_are_found_outside_of_blocks() {
    let page = "[a](b.md#c) and [d](e/f)\n```\n[g](h)\n```\n[i](https://j) [k](#l)\n";
    assert_eq!(links(page), ["b.md", "e/f"]);
}

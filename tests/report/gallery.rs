//! Pictures of the gallery: taken by `.ci/gallery` of the pages that it has just made.

use std::path::Path;

use serde_json::json;

use crate::browser::Browser;
use crate::harness::{Need, need};

/// The pages.
const PAGES: [&str; 4] = [
    "original-bug",
    "lock-session-lost",
    "lease-runs-out",
    "two-servers-grant-it",
];

fn pictures_of_the_gallery() {
    need(Need::Chromium);
    let folder = std::env::var("LOCKPROOF_GALLERY")
        .unwrap_or_else(|_| format!("{}/docs/gallery", env!("CARGO_MANIFEST_DIR")));
    let mut browser = Browser::start(1680, 1000);
    for name in PAGES {
        let page = Path::new(&folder).join(format!("{name}.html"));
        let text = std::fs::read_to_string(&page).unwrap();
        assert!(!text.contains("/tmp/"), "{name}: it says where it was made");
        browser.open(&page, "");
        // All of it is lit, and the picture begins at its beginning.
        browser.key("Escape");
        browser.eval("document.getElementById('lanes').scrollLeft = 0");
        let place = browser.eval(
            "(() => { const box = document.getElementById('lanes').getBoundingClientRect();
             return [box.left + scrollX - 8, box.top + scrollY - 8, box.width + 16, box.height + 16]; })()",
        );
        let clip = json!({"x": place[0], "y": place[1], "width": place[2], "height": place[3], "scale": 1});
        let to = Path::new(&folder).join(format!("{name}.png"));
        browser.screenshot(&to, Some(clip));
        let png = std::fs::read(&to).unwrap();
        assert!(
            png.starts_with(b"\x89PNG") && png.len() > 10_000,
            "{name}: {} bytes",
            png.len()
        );
        assert_eq!(browser.complaints(&page), Vec::<String>::new());
    }
}

crate::harness::tests![; long: pictures_of_the_gallery];

//! How large and how quick pages are. Sizes are held to; times are printed, because they are the machine's.

use std::path::Path;
use std::time::Instant;

use lockproof_core::history::{Answer, Delivery, Ending, Event, Pacing, Request, Writer, read};
use lockproof_core::name::{ConnectionName, PodName, Session, StepId};

use crate::browser::Browser;
use crate::harness::{Need, need};
use crate::{page, runs};

/// The page's own words on how quickly it came: first paint, and loaded.
fn times(browser: &mut Browser) -> (f64, f64) {
    let paint = browser.eval(
        "new Promise((done) => { const look = () => { const paint = performance.getEntriesByName('first-contentful-paint')[0];
         if (paint) done(paint.startTime); else requestAnimationFrame(look); }; look(); })",
    );
    let loaded = browser.eval("performance.getEntriesByType('navigation')[0].loadEventEnd");
    (paint.as_f64().unwrap(), loaded.as_f64().unwrap())
}

fn the_page_of_the_original_bug_is_small_and_is_there_at_once() {
    need(Need::Chromium);
    let (_folder, to) = page(&runs()["scenarios/planted/original-bug.toml"], &[]);
    let bytes = std::fs::metadata(&to).unwrap().len();
    assert!(bytes <= 300_000, "{bytes} bytes");
    let mut browser = Browser::start(1500, 1300);
    browser.open(&to, "");
    let (paint, loaded) = times(&mut browser);
    println!("original bug: {bytes} bytes, first paint {paint:.0} ms, loaded {loaded:.0} ms");
}

/// A history of two pods that take turns for so many steps.
fn long(run: &Path, to: &Path, steps: u64) {
    let lines = read(&run.join("history.jsonl")).unwrap();
    let Event::Run(first) = &lines[0].event else {
        panic!("no run");
    };
    let mut first = first.clone();
    first.pacing = Pacing::Controlled;
    let mut history = Writer::create(&to.join("history.jsonl")).unwrap();
    history.record(0, Event::Run(first));
    let connections: Vec<ConnectionName> = lines
        .iter()
        .filter_map(|line| match &line.event {
            Event::ConnectionOpened { connection } => Some(connection.clone()),
            _ => None,
        })
        .collect();
    for pod in [0, 1] {
        let pod = PodName::of_index(pod);
        history.record(
            1,
            Event::PodStarted {
                pod,
                pid: 1,
                recovery: false,
            },
        );
    }
    let session = |place: usize| Session {
        pid: 1000 + i32::try_from(place).unwrap(),
        started_us: 1,
    };
    for (place, connection) in connections.iter().enumerate() {
        let (connection, session) = (connection.clone(), session(place));
        history.record(
            2,
            Event::SessionStarted {
                connection,
                session,
                server: 0,
            },
        );
    }
    for step in 1..=steps {
        let place = usize::try_from(step / 7).unwrap() % connections.len();
        let connection = &connections[place];
        let at = step * 1000;
        let sql = format!(
            "insert into line_{} (id, name) values ({step}, 'row {step}')",
            step % 30
        );
        let request = Request {
            normal: vec![format!(
                "insert into line_{} (id, name) values (?, ?)",
                step % 30
            )],
            sql: vec![sql],
            ..Request::default()
        };
        let id = StepId(step);
        history.record(
            at,
            Event::StepHeld {
                step: id,
                connection: connection.clone(),
                request,
            },
        );
        history.record(
            at + 100,
            Event::StepReleased {
                step: id,
                number: Some(u32::try_from(step).unwrap()),
                connection: connection.clone(),
                session: Some(session(place)),
                delivery: Delivery::Forwarded,
                held_us: 100,
            },
        );
        let answer = Answer {
            tags: vec!["INSERT 0 1".to_owned()],
            transaction: Some('I'),
            ..Answer::default()
        };
        history.record(
            at + 900,
            Event::StepEnded {
                step: id,
                ending: Ending::Done,
                answer,
                blocked_by: Vec::new(),
            },
        );
    }
    history.finish().unwrap();
}

fn fifty_thousand_steps_open_folded_scroll_and_can_be_searched() {
    need(Need::Chromium);
    let folder = tempfile::tempdir().unwrap();
    long(
        &runs()["scenarios/planted/original-bug.toml"],
        folder.path(),
        50_000,
    );
    let begun = Instant::now();
    let (_page, to) = page(folder.path(), &[]);
    let made = begun.elapsed();
    let bytes = std::fs::metadata(&to).unwrap().len();
    assert!(bytes <= 30_000_000, "{bytes} bytes");
    let mut browser = Browser::start(1500, 1300);
    let opening = browser.traced(|browser| browser.open(&to, ""));
    let (paint, loaded) = times(&mut browser);
    println!(
        "50,000 steps: {bytes} bytes, made in {made:.1?}, first paint {paint:.0} ms, loaded {loaded:.0} ms"
    );
    for mode in ["2", "3"] {
        browser.key(mode);
        let boxes = browser.eval("lockproof.boxes()").as_u64().unwrap();
        assert!(boxes > 0 && boxes <= 5_000, "fold {mode}: {boxes} boxes");
    }
    let scrolling = browser.traced(|browser| {
        browser.eval(
            "new Promise((done) => { const lanes = document.getElementById('lanes'); let times = 0;
             const step = () => { lanes.scrollLeft += 4000; times += 1; if (times > 60) done(0); else requestAnimationFrame(step); };
             requestAnimationFrame(step); })",
        );
    });
    let searching = browser.traced(|browser| {
        browser.key("/");
        for letter in "row 49999".chars() {
            browser.key(&letter.to_string());
        }
        browser.key("Enter");
    });
    assert_eq!(
        browser.eval("document.getElementById('search-count').textContent"),
        "1 of 1"
    );
    let walking = browser.traced(|browser| {
        browser.eval("document.getElementById('lanes').focus()");
        for _ in 0..10 {
            browser.key("ArrowRight");
        }
    });
    for (what, tasks) in [
        ("opening it", opening),
        ("scrolling through 61 windows", scrolling),
        ("typing a search", searching),
        ("ten steps to the right", walking),
    ] {
        let longest = tasks[0];
        let long = tasks.iter().filter(|task| **task > 50.0).count();
        println!(
            "  {what}: {} tasks by the browser's trace, the longest {longest:.0} ms, {long} above 50 ms",
            tasks.len()
        );
        // How quick it is the machine says. This is no slow machine, it is a page that hangs.
        assert!(longest < 20_000.0, "{what}: {longest} ms");
    }
    assert_eq!(browser.complaints(&to), Vec::<String>::new());
}

crate::harness::tests![
    the_page_of_the_original_bug_is_small_and_is_there_at_once,
    fifty_thousand_steps_open_folded_scroll_and_can_be_searched,
];

//! How many events a second are judged, from 10 thousand to 10 million: `cargo bench --bench events`.
//!
//! First whether locks excluded (`operation::exclusion`), on the operations of sessions that take turns;
//! beside it, at the small size, the plain search that the tests compare with. Then the whole verdict
//! (`invariant::judge`) on histories in memory. Nothing here fails because a machine is slow; that a
//! verdict is wrong, or that there is none, does fail. A second is one of the processor's, so that
//! other work on the machine counts as little as can be.

#[path = "../tests/linearizable/search.rs"]
#[allow(dead_code)]
mod search;
#[path = "events/story.rs"]
mod story;
#[path = "events/turns.rs"]
mod turns;

use std::error::Error;
use std::time::Duration;

use lockproof_core::invariant::{Judgement, judge};
use lockproof_core::operation::exclusion;
use nix::time::{ClockId, clock_gettime};
use turns::Turns;

/// Events of the one pass.
const SIZES: [usize; 4] = [10_000, 100_000, 1_000_000, 10_000_000];
/// Lines of the whole verdict: they are kept in memory, some 500 bytes each.
const LINES: [usize; 3] = [10_000, 100_000, 1_000_000];
/// How often the smaller sizes are measured; the best counts.
const TIMES: usize = 3;

fn main() -> Result<(), Box<dyn Error>> {
    println!("whether locks excluded, in one pass (nothing is ever \"unknown\"):");
    for turns in turns::ALL {
        one_pass(&turns)?;
    }
    search_beside()?;
    println!("the whole verdict, on histories in memory:");
    for kind in story::ALL {
        whole_verdict(&kind)?;
    }
    Ok(())
}

/// How long this thread has had a processor.
fn used() -> Result<Duration, Box<dyn Error>> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}

/// `12.3 million events a second`.
fn rate(events: usize, took: Duration) -> String {
    let rate = events as f64 / took.as_secs_f64();
    if rate >= 1e6 {
        format!("{:.1} million a second", rate / 1e6)
    } else {
        format!("{rate:.0} a second")
    }
}

/// How much longer an event takes than at the size before.
fn growth(before: Option<f64>, now: f64) -> String {
    before.map_or_else(String::new, |before| {
        format!(
            ", {:.2} times as long an event as at the size before",
            now / before
        )
    })
}

fn one_pass(turns: &Turns) -> Result<(), Box<dyn Error>> {
    println!("  {}", turns.words);
    let mut before = None;
    for size in SIZES {
        let mut events = turns.events(size);
        let mut best = Duration::MAX;
        for _ in 0..TIMES {
            let begun = used()?;
            let breaches = exclusion(&events)?;
            best = best.min(used()? - begun);
            if !breaches.is_empty() {
                return Err(format!("{} events: {:?}", events.len(), breaches[0]).into());
            }
        }
        let many = events.len();
        turns::two_owners(&mut events);
        if exclusion(&events)?.len() != 1 {
            return Err("the planted second owner was not found".into());
        }
        let each = best.as_secs_f64() / many as f64;
        println!(
            "    {:>10} events: {}{}; they excluded, with a second owner not",
            many,
            rate(many, best),
            growth(before, each)
        );
        before = Some(each);
    }
    Ok(())
}

/// The search that knows nothing of sections, where it is not too slow.
fn search_beside() -> Result<(), Box<dyn Error>> {
    println!("the plain search of the tests, on the first of these:");
    for size in [1_000, 10_000] {
        let events = turns::ALL[0].events(size);
        let operations = turns::as_operations(&events);
        let begun = used()?;
        if !search::linearizable(&operations) {
            return Err("the search found no order".into());
        }
        println!(
            "    {:>10} events: {}",
            events.len(),
            rate(events.len(), used()? - begun)
        );
    }
    Ok(())
}

fn whole_verdict(kind: &story::Kind) -> Result<(), Box<dyn Error>> {
    println!("  {}", kind.words);
    let mut before = None;
    for size in LINES {
        let lines = kind.lines(size);
        let mut best = Duration::MAX;
        for _ in 0..TIMES {
            let begun = used()?;
            let verdict = judge(&lines)?;
            best = best.min(used()? - begun);
            if verdict.judgement != kind.verdict {
                let why = verdict
                    .invariants
                    .iter()
                    .find(|one| one.judgement == verdict.judgement);
                return Err(format!("{}: {why:?} {:?}", verdict.judgement, verdict.guards).into());
            }
            if verdict.judgement == Judgement::Inconclusive {
                return Err("no verdict".into());
            }
            if best > Duration::from_secs(5) {
                break;
            }
        }
        let each = best.as_secs_f64() / lines.len() as f64;
        println!(
            "    {:>10} lines: {}{}; {}",
            lines.len(),
            rate(lines.len(), best),
            growth(before, each),
            kind.verdict
        );
        before = Some(each);
    }
    Ok(())
}

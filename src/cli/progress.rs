//! What moves on the screen while something takes long.
//!
//! Owns the one bar of the process and what stands in its place where there is no terminal: a line every ten
//! seconds. A bar comes after two seconds, so that what is quick is not framed by flicker. Knows no command.

use std::future::Future;
use std::io::IsTerminal as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::common::Talk;
use super::screen::shown;

/// After so long something is worth a bar.
const WORTH: Duration = Duration::from_secs(2);
/// How often a line is written where there is no terminal.
const EVERY: Duration = Duration::from_secs(10);
/// How often the bar is drawn while nothing else comes.
const TICK: Duration = Duration::from_millis(200);

/// Counts something up to its end. Gone from the screen when it is dropped.
pub(super) struct Meter {
    talk: Talk,
    what: &'static str,
    total: Option<u64>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// When the first of them began.
    begun: Option<Instant>,
    bar: Option<ProgressBar>,
    told: Option<Instant>,
}

impl Meter {
    /// Of these, so many; `None`: nobody knows how many.
    pub(super) fn new(talk: Talk, what: &'static str, total: Option<u64>) -> Self {
        Self {
            talk,
            what,
            total: total.filter(|total| *total > 0),
            state: Mutex::new(State {
                begun: Some(Instant::now()),
                ..State::default()
            }),
        }
    }

    /// The same, but it begins with the first that is counted.
    pub(super) fn later(self) -> Self {
        self.state().begun = None;
        self
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many are done; the total may have become known, or grown.
    pub(super) fn at(&self, done: u64, total: Option<u64>, note: &str) {
        let total = total.or(self.total).map(|total| total.max(done));
        let mut state = self.state();
        let begun = *state.begun.get_or_insert_with(Instant::now);
        if !self.talk.is_talking() || begun.elapsed() < WORTH {
            return;
        }
        if std::io::stderr().is_terminal() {
            let bar = state.bar.get_or_insert_with(|| {
                let bar = bar(total.is_some(), begun.elapsed());
                *shown() = Some(bar.clone());
                bar
            });
            bar.set_message(match note {
                "" => self.what.to_owned(),
                note => format!("{}: {note}", self.what),
            });
            if let Some(total) = total {
                bar.set_length(total);
            }
            bar.set_position(done);
            return;
        }
        let last = state.told.unwrap_or(begun);
        if last.elapsed() >= EVERY {
            state.told = Some(Instant::now());
            drop(state);
            self.talk
                .say(&line(self.what, done, total, begun.elapsed(), note));
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = state.bar.take() {
            *shown() = None;
            bar.finish_and_clear();
        }
    }
}

fn bar(counted: bool, elapsed: Duration) -> ProgressBar {
    let template = match counted {
        true => "  {spinner} {msg} {bar:24} {pos} of {len}, {elapsed}, about {eta} left",
        false => "  {spinner} {msg} {pos}, {elapsed}",
    };
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let bar = bar.with_elapsed(elapsed);
    bar.enable_steady_tick(TICK);
    // A template that cannot be read leaves the usual one.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("━╸ "));
    }
    bar
}

/// What a line says in the place of a bar.
fn line(what: &str, done: u64, total: Option<u64>, took: Duration, note: &str) -> String {
    let seconds = took.as_secs();
    let note = match note {
        "" => String::new(),
        note => format!(", {note}"),
    };
    match total {
        Some(total) if done > 0 => {
            let left = took.as_secs_f64() / done as f64 * (total - done.min(total)) as f64;
            format!("  {what}: {done} of {total} in {seconds} s, about {left:.0} s left{note}")
        }
        Some(total) => format!("  {what}: {done} of {total} in {seconds} s{note}"),
        None if done > 0 => format!("  {what}: {done} in {seconds} s{note}"),
        None => format!("  {what}: {seconds} s so far{note}"),
    }
}

/// Does this work; shows meanwhile that it goes on.
pub(super) async fn watched<T>(talk: Talk, what: &'static str, work: impl Future<Output = T>) -> T {
    let meter = Meter::new(talk, what, None);
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            result = &mut work => return result,
            () = tokio::time::sleep(TICK) => meter.at(0, None, ""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_how_many_how_long_and_how_much_is_left() {
        let took = Duration::from_secs(20);
        assert_eq!(
            line("schedules", 10, Some(40), took, ""),
            "  schedules: 10 of 40 in 20 s, about 60 s left"
        );
        assert_eq!(
            line("shrinking", 7, None, took, "2 moves"),
            "  shrinking: 7 in 20 s, 2 moves"
        );
        assert_eq!(
            line("clean run", 0, None, took, ""),
            "  clean run: 20 s so far"
        );
        assert_eq!(
            line("replays", 0, Some(5), took, ""),
            "  replays: 0 of 5 in 20 s"
        );
    }
}

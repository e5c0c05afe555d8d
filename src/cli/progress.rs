//! What moves on the screen while something takes long.
//!
//! Owns the one bar of the process and what stands in its place where there is no terminal: a line every ten
//! seconds. A bar comes after two seconds, so that what is quick is not framed by flicker. Knows no command.

use std::future::Future;
use std::io::IsTerminal as _;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
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
    shared: Arc<Shared>,
    /// Draws while nothing is counted: the first of them may take long.
    ticker: Option<JoinHandle<()>>,
}

struct Shared {
    talk: Talk,
    what: &'static str,
    state: Mutex<State>,
    over: Condvar,
}

#[derive(Default)]
struct State {
    /// When the first of them began.
    begun: Option<Instant>,
    done: u64,
    total: Option<u64>,
    note: String,
    bar: Option<ProgressBar>,
    told: Option<Instant>,
    over: bool,
}

impl Meter {
    /// Of these, so many; `None`: nobody knows how many.
    pub(super) fn new(talk: Talk, what: &'static str, total: Option<u64>) -> Self {
        let shared = Arc::new(Shared {
            talk,
            what,
            state: Mutex::new(State {
                begun: Some(Instant::now()),
                total: total.filter(|total| *total > 0),
                ..State::default()
            }),
            over: Condvar::new(),
        });
        let ticker = talk.is_talking().then(|| {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new().spawn(move || shared.tick())
        });
        Self {
            shared,
            // Without a thread it is drawn when something is counted.
            ticker: ticker.and_then(Result::ok),
        }
    }

    /// The same, but it begins with the first that is counted.
    pub(super) fn later(self) -> Self {
        self.shared.state().begun = None;
        self
    }

    /// So many are done; the total may have become known, or grown.
    pub(super) fn at(&self, done: u64, total: Option<u64>, note: &str) {
        let mut state = self.shared.state();
        state.begun.get_or_insert_with(Instant::now);
        state.done = done;
        state.total = total.or(state.total).map(|total| total.max(done));
        note.clone_into(&mut state.note);
        self.shared.show(state);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows what there is, again and again, until it is over.
    fn tick(&self) {
        let mut state = self.state();
        while !state.over {
            let waited = self.over.wait_timeout(state, TICK);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            if !state.over {
                self.show(state);
                state = self.state();
            }
        }
    }

    /// Shows how far it is, where that is worth it and due.
    fn show(&self, mut state: MutexGuard<'_, State>) {
        let Some(begun) = state.begun else { return };
        if !self.talk.is_talking() || begun.elapsed() < WORTH {
            return;
        }
        let (done, total) = (state.done, state.total);
        if std::io::stderr().is_terminal() {
            let message = match state.note.as_str() {
                "" => self.what.to_owned(),
                note => format!("{}: {note}", self.what),
            };
            let bar = state.bar.get_or_insert_with(|| {
                let bar = bar(total.is_some(), begun.elapsed());
                *shown() = Some(bar.clone());
                bar
            });
            bar.set_message(message);
            if let Some(total) = total {
                bar.set_length(total);
            }
            bar.set_position(done);
            return;
        }
        let last = state.told.unwrap_or(begun);
        if last.elapsed() >= EVERY {
            state.told = Some(Instant::now());
            let text = line(self.what, done, total, begun.elapsed(), &state.note);
            drop(state);
            self.talk.say(&text);
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.shared.state().over = true;
        self.shared.over.notify_all();
        if let Some(ticker) = self.ticker.take() {
            // It ends at once, and has nothing to tell.
            let _ = ticker.join();
        }
        if let Some(bar) = self.shared.state().bar.take() {
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
    let _meter = Meter::new(talk, what, None);
    work.await
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

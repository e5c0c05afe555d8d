//! A RUN AS A PAGE: one HTML file that needs nothing else, for people who look before they read.
//!
//! `run_page` is a pure function of a stored run. `data` has what the picture is drawn from, made of timeline, ledger
//! and verdict, one file a part (`steps`, `locks`, `lock_row`, `marks`, `turns`, `evidence`, `tables`); `axis` puts it on one logical
//! axis, two runs on the same; `words` says in sentences what the picture shows; `html` and `below` lay out what is there
//! without JavaScript; `index` is a page for many runs, `trace` the same run for Perfetto. What is drawn in the browser
//! is under `assets/`. Judges nothing, and reads no file.

mod at;
mod axis;
mod below;
mod data;
mod document;
mod evidence;
mod html;
mod index;
mod lock_row;
mod lock_row_words;
mod locks;
mod marks;
mod run;
mod script;
mod shown;
mod steps;
mod tables;
mod told;
mod trace;
mod turns;
mod words;

pub use html::run_page;
pub use index::{Index, IndexRow, index_page};
pub use run::StoredRun;
pub use trace::perfetto;

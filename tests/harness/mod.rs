//! The test harness of the files whose tests need more than Rust and a PostgreSQL server: what that is
//! (`needs`), and how such tests are listed and run (`trials`). libtest cannot report a test as ignored
//! once it runs; libtest-mimic can. A file that uses this has `harness = false` in Cargo.toml, lists its
//! tests by `tests!`, and denies dead code, so that a test that is missing in the list does not compile.

#![allow(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "each test program uses its own part"
)]

mod needs;
mod trials;

pub use needs::{Need, axe, image, need, need_all_of, parse};
pub(crate) use trials::tests;
pub use trials::{
    arguments, arguments_of_who_waits, checked, long, on_each_server, on_this_thread, on_threads,
    run, trial,
};

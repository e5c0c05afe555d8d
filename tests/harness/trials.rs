//! Lists of tests, and their run by libtest-mimic. A panic is a failure, as in libtest; what `need` ends
//! a test with is not.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use super::needs::{Lacking, Need, need, required};

/// The tests of a module, as its function `tests`: `tests![one, two]`. Those behind `; long:` are ignored
/// unless `--ignored` or `--include-ignored` is given; `.ci/long` does. Those behind `; on each server:`
/// are two tests, for `"local"` and for `"container"`.
macro_rules! tests {
    (
        $($name:ident),* $(,)?
        $(; long: $($long:ident),+ $(,)?)?
        $(; on each server: $($each:ident),+ $(,)?)?
        $(; on each server, long: $($each_long:ident),+ $(,)?)?
    ) => {
        /// The tests of this module.
        pub(crate) fn tests() -> Vec<libtest_mimic::Trial> {
            use $crate::harness as of;
            let module = module_path!();
            let tests: Vec<Vec<libtest_mimic::Trial>> = vec![
                vec![$(of::trial(module, stringify!($name), $name)),*],
                $(vec![$(of::long(of::trial(module, stringify!($long), $long))),+],)?
                $($(of::on_each_server(module, stringify!($each), $each).into(),)+)?
                $($(of::on_each_server(module, stringify!($each_long), $each_long).map(of::long).into(),)+)?
            ];
            tests.into_iter().flatten().collect()
        }
    };
}
pub(crate) use tests;

/// A test's function: a plain one, or an async one, which runs on a runtime of one thread.
pub trait Body<Kind>: Send + 'static {
    /// Runs it to its end.
    fn run(self);
}

/// Marks a plain function.
pub struct Plain;
/// Marks an async function.
pub struct Async;

impl<F: FnOnce() + Send + 'static> Body<Plain> for F {
    fn run(self) {
        self();
    }
}

impl<F, T> Body<Async> for F
where
    F: FnOnce() -> T + Send + 'static,
    T: Future<Output = ()>,
{
    fn run(self) {
        on_this_thread(self());
    }
}

/// Runs what is to run on a runtime of this thread alone.
pub fn on_this_thread(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(test);
}

/// Runs what is to run on a runtime of several threads.
pub fn on_threads(threads: usize, test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(test);
}

/// A test, named as libtest names it: by its modules below the test program.
pub fn trial<Kind>(module: &str, name: &str, body: impl Body<Kind>) -> Trial {
    let name = match module.split_once("::") {
        Some((_, below)) => format!("{below}::{name}"),
        None => name.to_owned(),
    };
    checked(name, move || {
        body.run();
        Ok(())
    })
}

/// A test that can fail by what it returns, too.
pub fn checked(name: String, test: impl FnOnce() -> Result<(), Failed> + Send + 'static) -> Trial {
    Trial::ignorable_test(name, move || outcome(test))
}

/// A test that is ignored unless ignored ones are asked for.
pub fn long(test: Trial) -> Trial {
    test.with_ignored_flag(true)
}

/// Two tests, one of each kind of server that can be owned.
pub fn on_each_server(module: &str, name: &str, body: fn(&str)) -> [Trial; 2] {
    ["local", "container"].map(|kind| {
        trial(module, &format!("{name}::{kind}"), move || {
            if kind == "container" {
                need(Need::Containers);
            }
            body(kind);
        })
    })
}

/// What comes of a test.
///
/// # Errors
/// What the test returned, and when it lacks something that `LOCKPROOF_REQUIRE` asks for. A panic goes on;
/// libtest-mimic takes it for a failure.
fn outcome(test: impl FnOnce() -> Result<(), Failed>) -> Result<Completion, Failed> {
    let payload = match catch_unwind(AssertUnwindSafe(test)) {
        Ok(returned) => return returned.map(|()| Completion::Completed),
        Err(payload) => payload,
    };
    match payload.downcast::<Lacking>() {
        Ok(lacking) if lacking.is_required() => {
            Err(format!("{} (LOCKPROOF_REQUIRE)", lacking.reason()).into())
        }
        Ok(lacking) => Ok(Completion::ignored_with(lacking.reason())),
        Err(payload) => resume_unwind(payload),
    }
}

/// The arguments of the test program. Ends it where `LOCKPROOF_REQUIRE` is not understood.
pub fn arguments() -> Arguments {
    if let Err(why) = required() {
        eprintln!("{why}");
        std::process::exit(2);
    }
    Arguments::from_args()
}

/// The same, with two tests a core at once, where nobody has said how many: for a test program whose tests wait for
/// servers and processes more than they compute (with one a core two cores were idle for more than half of the time).
pub fn arguments_of_who_waits() -> Arguments {
    let mut arguments = arguments();
    if arguments.test_threads.is_none() {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let given = std::env::var("RUST_TEST_THREADS").ok();
        let given = given.and_then(|number| number.parse().ok());
        arguments.test_threads = Some(given.unwrap_or(2 * cores));
    }
    arguments
}

/// Runs the tests that the arguments ask for; the whole of a test program's `main`.
pub fn run(tests: impl IntoIterator<Item = Vec<Trial>>) -> ExitCode {
    let arguments = arguments();
    let mut tests: Vec<Trial> = tests.into_iter().flatten().collect();
    tests.sort_by(|one, other| one.name().cmp(other.name()));
    libtest_mimic::run(&arguments, tests).exit_code()
}

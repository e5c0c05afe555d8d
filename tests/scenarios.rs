//! One test of each scenario file: the verdict must be the one that the file expects.
//!
//! The server is `LOCKPROOF_SERVER` (auto, container, local, postgres://…); which one was used is
//! printed first. Filters, `--list` and `--exact` work as with any test.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use lockproof::cli::run::{Known, ScenarioResult, run_one};
use lockproof::scenario;
use lockproof::server::{Server, ServerChoice, ServerOptions};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

fn options() -> ServerOptions {
    let choice = std::env::var("LOCKPROOF_SERVER").map_or(ServerChoice::Auto, |text| {
        text.parse().expect("LOCKPROOF_SERVER")
    });
    ServerOptions::of(choice)
}

async fn judged(file: &Path, out: &Path) -> Result<ScenarioResult, String> {
    let scenario = scenario::load(file).map_err(|error| error.to_string())?;
    // The lease makes this the server that main() holds.
    let server = Server::acquire(&options())
        .await
        .map_err(|error| error.to_string())?;
    let mut known = Known::default();
    let result = run_one(&server, &mut known, file, &scenario, out).await;
    known.strike().await.map_err(|failure| failure.message)?;
    server.release().await.map_err(|error| error.to_string())?;
    result.map_err(|failure| failure.message)
}

fn test(file: &Path, out: &Path) -> Result<(), Failed> {
    let result = runtime().block_on(judged(file, out))?;
    if result.json.as_expected {
        return Ok(());
    }
    Err(format!(
        "{}\nnot as expected: {}\n{}\nagain with: {}\nhistory: {}",
        result.json.title,
        result.json.reasons.join("; "),
        result.long,
        result.json.replay,
        result.json.artifacts.display()
    )
    .into())
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("scenarios-{}", std::process::id()));
    let files = scenario::find(std::slice::from_ref(&root), None).expect("the scenario files");
    assert!(!files.is_empty(), "no scenario in {}", root.display());
    let trials = files
        .into_iter()
        .map(|file| {
            let name = file
                .strip_prefix(&root)
                .unwrap_or(&file)
                .with_extension("")
                .display()
                .to_string();
            let out = out.clone();
            Trial::test(name, move || test(&file, &out))
        })
        .collect();
    if arguments.list {
        return libtest_mimic::run(&arguments, trials).exit_code();
    }
    std::fs::create_dir_all(&out).expect("a directory for the histories");
    // Held to the end, so that the server is started once.
    let runtime = runtime();
    let server = match runtime.block_on(Server::acquire(&options())) {
        Ok(server) => server,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(4);
        }
    };
    println!("server: {}", server.facts().description);
    let conclusion = libtest_mimic::run(&arguments, trials);
    let released = runtime.block_on(server.release());
    if let Err(error) = released {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    if !conclusion.has_failed() {
        let _ = std::fs::remove_dir_all(&out);
    }
    conclusion.exit_code()
}

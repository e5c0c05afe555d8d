//! `deploy-check DIR…`: renders each kustomization, reads every document and says what is wrong.
//!
//! The exit code is 0 if nothing is wrong, 1 if something is, 2 if no directory is given.

use std::path::Path;
use std::process::ExitCode;

use deploy_check::{problems, read, render};

fn main() -> ExitCode {
    let directories: Vec<String> = std::env::args().skip(1).collect();
    if directories.is_empty() {
        eprintln!("deploy-check: name the directories, such as deploy/overlays/uat");
        return ExitCode::from(2);
    }
    let mut wrong = 0;
    for directory in &directories {
        match check(Path::new(directory)) {
            Ok(names) => println!("ok       {directory}: {}", names.join(", ")),
            Err(said) => {
                wrong += said.len();
                for one in said {
                    println!("problem  {directory}: {one}");
                }
            }
        }
    }
    ExitCode::from(u8::from(wrong > 0))
}

/// The names of a directory's documents, or what is wrong with them.
fn check(directory: &Path) -> Result<Vec<String>, Vec<String>> {
    let text = render(directory).map_err(|error| vec![error.to_string()])?;
    let documents = read(&text).map_err(|error| vec![error.to_string()])?;
    let found = problems(&documents);
    if found.is_empty() {
        Ok(documents.iter().map(ToString::to_string).collect())
    } else {
        Err(found)
    }
}

//! `lockproof doctor`: says which servers could be had, and takes one to try it.
//!
//! Owns what is printed. What the machine has is found out in `server`.

use std::process::ExitCode;
use std::time::Instant;

use serde::Serialize;

use crate::server::{self, Server, ServerOptions, Survey};

/// What the doctor says.
#[derive(Serialize)]
struct Findings {
    survey: Survey,
    /// The server that was started and stopped again, or why there is none.
    server: Result<Taken, String>,
}

#[derive(Serialize)]
struct Taken {
    kind: String,
    version: String,
    description: String,
    log_readable: bool,
    ready_after_ms: u128,
}

/// Looks around, then takes a server for real and gives it back. Ends with 0 if one could be
/// had, else with 4.
pub async fn run(options: &ServerOptions, json: bool) -> ExitCode {
    let findings = Findings {
        survey: server::survey(options).await,
        server: try_server(options).await,
    };
    if json {
        match serde_json::to_string_pretty(&findings) {
            Ok(text) => println!("{text}"),
            Err(error) => eprintln!("{error}"),
        }
    } else {
        print(&findings);
    }
    if findings.server.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(4)
    }
}

async fn try_server(options: &ServerOptions) -> Result<Taken, String> {
    let start = Instant::now();
    let server = Server::acquire(options)
        .await
        .map_err(|error| error.to_string())?;
    let taken = Taken {
        kind: server.facts().kind.clone(),
        version: server.facts().version.clone(),
        description: server.facts().description.clone(),
        log_readable: server.log_readable(),
        ready_after_ms: start.elapsed().as_millis(),
    };
    server.release().await.map_err(|error| error.to_string())?;
    Ok(taken)
}

fn print(findings: &Findings) {
    let survey = &findings.survey;
    let either = |found: &Result<String, String>| match found {
        Ok(text) => text.clone(),
        Err(why) => format!("no: {why}"),
    };
    let list = |found: &[String]| match found {
        [] => "none".to_owned(),
        found => found.join("\n             "),
    };
    println!("docker       {}", either(&survey.docker));
    println!("image        {}", survey.image);
    println!("images       {}", list(&survey.images));
    println!("postgres     {}", list(&survey.binaries));
    println!("embedded     {}", either(&survey.archive));
    if !survey.rejected.is_empty() {
        println!("rejected     {}", list(&survey.rejected));
    }
    println!("pooler       {}", either(&survey.pooler));
    println!("guardian     {}", either(&survey.guardian));
    println!("state        {}", either(&survey.state));
    println!("/proc        {}", list(&survey.proc));
    match &findings.server {
        Ok(taken) => {
            println!("server       {} {}", taken.kind, taken.version);
            println!("             {}", taken.description);
            println!(
                "             ready after {} ms; its log can{} be read",
                taken.ready_after_ms,
                if taken.log_readable { "" } else { "not" }
            );
        }
        Err(why) => println!("server       none: {why}"),
    }
}

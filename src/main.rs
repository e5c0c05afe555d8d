//! The `lockproof` command: parse, call, exit code; nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    lockproof::main()
}

//! A command line that is wrong.

use super::sandbox::Sandbox;

fn wrong_usage_says_what_would_be_right() {
    let sandbox = Sandbox::new();
    for (arguments, says) in [
        (&["run", "--bogus"][..], "unexpected argument '--bogus'"),
        (
            &["run", "--format", "xml"],
            "[possible values: human, json]",
        ),
        (
            &["run", "--server", "mysql"],
            "auto, container, local or postgres://",
        ),
        (&["replay"], "<FILE>"),
        (&["replay", "x.toml", "--times", "0"], "0 is not in 1.."),
        (&["reproduce", "--times", "ten"], "invalid digit"),
        (
            &["seed", "--lock", "sesion"],
            "tip: a similar value exists: 'session'",
        ),
        (&["rerun"], "unrecognized subcommand 'rerun'"),
        (&[], "Usage: lockproof"),
    ] {
        let done = sandbox.run(arguments);
        done.fails(2, &[says]);
        assert!(done.stdout.is_empty(), "{done}");
    }
    let done = sandbox.run(&["--help"]);
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
}

crate::harness::tests![wrong_usage_says_what_would_be_right,];

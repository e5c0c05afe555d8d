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
            "auto, container, local, embedded or postgres://",
        ),
        (&["run", "x.toml", "--times", "0"], "0 is not in 1.."),
        (
            &["explore", "--depth", "2"],
            "--depth is for --strategy pct; --strategy hazards does not use it",
        ),
        (&["reproduce", "--times", "ten"], "invalid digit"),
        (
            &["groombook", "seed", "--lock", "sesion"],
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

fn an_old_name_works_and_says_the_new_one_on_standard_error() {
    let sandbox = Sandbox::new();
    for (old, today) in [
        ("seed --lock sesion", "groombook seed --lock sesion"),
        ("check-log none", "groombook check-log none"),
        ("replay none.toml", "run none.toml --times 1"),
        (
            "sweep --scenario none.toml",
            "explore --strategy sweep --survey --scenario none.toml --no-shrink",
        ),
        (
            "stress --kills none.toml --times 3",
            "explore --strategy kills --all --no-shrink --scenario none.toml --schedules 3",
        ),
        (
            "false-alarms none.toml",
            "explore --strategy every --scenario none.toml",
        ),
    ] {
        let words = |line: &'static str| line.split(' ').collect::<Vec<_>>();
        let (old_said, said) = (sandbox.run(&words(old)), sandbox.run(&words(today)));
        let (told, rest) = old_said.stderr.split_once('\n').unwrap();
        let name = words(old)[0];
        assert_eq!(
            told,
            format!(
                "lockproof: `lockproof {name}` is `lockproof {today}` today; the old name goes with the \
                 next version"
            )
        );
        assert_eq!(old_said.code, said.code);
        assert_eq!(
            (old_said.stdout.as_str(), rest),
            (said.stdout.as_str(), said.stderr.as_str())
        );
        assert_eq!(said.code, Some(2), "{said}");
    }
    let help = sandbox.run(&["--help"]);
    for hidden in ["replay", "sweep", "stress", "false-alarms", "check-log"] {
        assert!(!help.stdout.contains(&format!("\n  {hidden}")), "{help}");
    }
}

crate::harness::tests![
    wrong_usage_says_what_would_be_right,
    an_old_name_works_and_says_the_new_one_on_standard_error,
];

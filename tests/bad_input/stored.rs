//! Stored runs, and what is none.

use super::sandbox::Sandbox;

fn check_gives_the_verdict_of_the_run_with_no_server_and_refuses_what_is_no_history() {
    let sandbox = Sandbox::new();
    let planted = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/scenarios/planted/original-bug.toml"
    );
    std::fs::copy(planted, sandbox.work().join("bug.toml")).unwrap();
    let done = sandbox.run(&["run", "bug.toml", "--server", "local", "--format", "json"]);
    assert_eq!(done.code, Some(0), "{done}");
    let ran = done.json();
    let stored = "lockproof-out/run/bug";
    let nowhere = [
        ("DOCKER_HOST", "tcp://127.0.0.1:1"),
        ("LOCKPROOF_PG_BIN", "/nowhere"),
        ("PATH", "/nowhere"),
    ];
    let done = sandbox.run_with(&["check", stored, "--format", "json"], &nowhere);
    assert_eq!(done.code, Some(0), "{done}");
    let checked = done.json();
    let verdict: serde_json::Value =
        serde_json::from_str(&sandbox.read(&format!("{stored}/verdict.json"))).unwrap();
    assert_eq!(checked, verdict);
    let scenario = &ran["scenarios"][0];
    assert_eq!(checked["judgement"], scenario["verdict"]);
    let each = |list: &serde_json::Value, verdict: &str| -> Vec<(String, String)> {
        let list = list.as_array().unwrap().iter();
        list.map(|one| (one["name"].to_string(), one[verdict].to_string()))
            .collect()
    };
    assert_eq!(
        each(&checked["invariants"], "judgement"),
        each(&scenario["invariants"], "verdict")
    );

    // The same, broken in each way.
    let history = sandbox.read(&format!("{stored}/history.jsonl"));
    let toml = sandbox.read(&format!("{stored}/scenario.toml"));
    let broken = |name: &str, history: &str| {
        sandbox.write(&format!("{name}/history.jsonl"), history);
        sandbox.write(&format!("{name}/scenario.toml"), &toml);
        sandbox.run(&["check", name])
    };
    let cut = broken("cut", &history[..history.len() - 20]);
    let last = format!(
        "cut/history.jsonl:{}: the last line is cut",
        history.lines().count()
    );
    cut.fails(2, &[&last]);
    let half: String = history
        .lines()
        .take(40)
        .map(|line| format!("{line}\n"))
        .collect();
    broken("half", &half).fails(3, &["run-complete", "log-complete"]);
    for format in ["2", "4"] {
        let other = history.replacen("\"format\":3", &format!("\"format\":{format}"), 1);
        let told = format!("other/history.jsonl:1: the history has format {format},");
        broken("other", &other).fails(2, &[&told, "reads format 3"]);
    }
    // Names that this lockproof does not know: the line is told, and what it could have been.
    let at = |words: &str| {
        let place = history
            .lines()
            .position(|line| line.contains(words))
            .unwrap();
        place + 1
    };
    let turn = "\"begun\":{\"move\":{\"turn\":{\"pod\":\"b\"";
    let nobody = history.replacen(turn, &turn.replace("\"b\"", "\"z\""), 1);
    let told = format!("nobody/history.jsonl:{}: ", at(turn));
    broken("nobody", &nobody).fails(2, &[&told, "a move of pod z", "has no pod of that name"]);
    let fault = turn.replace("\"turn\"", "\"explode\"");
    let told = format!("fault/history.jsonl:{}: ", at(turn));
    broken("fault", &history.replacen(turn, &fault, 1)).fails(2, &[&told, "`explode`"]);
    let guards = "\"guards\":[";
    let told = format!("guard/history.jsonl:{}: ", at(guards));
    let guard = history.replacen(guards, "\"guards\":[\"full-moon\"", 1);
    broken("guard", &guard).fails(2, &[&told, "`full-moon`", "contention"]);
    let gap: String = history
        .lines()
        .skip(1)
        .map(|line| format!("{line}\n"))
        .collect();
    broken("gap", &gap).fails(2, &["gap/history.jsonl:1:", "a line is missing"]);
    // Taken apart with care: the numbers have no gap.
    let mut lines: Vec<serde_json::Value> = history
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    lines.retain(|line| line["event"] != "locks");
    let lines = (1..).zip(lines).map(|(seq, mut line)| {
        line["seq"] = serde_json::json!(seq);
        format!("{line}\n")
    });
    broken("unlocked", &lines.collect::<String>()).fails(2, &["no line `locks`"]);
    broken("no-history", "hello\n").fails(2, &["no-history/history.jsonl:1: not a line"]);
    broken("nothing", "").fails(2, &["nothing/history.jsonl is empty"]);

    std::fs::remove_file(sandbox.work().join("half/scenario.toml")).unwrap();
    let done = sandbox.run(&["check", "half", "--format", "json"]);
    done.fails(2, &["cannot read half/scenario.toml"]);
    assert_eq!(done.json()["exit_code"], 2);
    sandbox
        .run(&["check", "lockproof-out/run"])
        .fails(2, &["give one of the runs in it", stored]);
    sandbox
        .run(&["check", "none"])
        .fails(2, &["no history.jsonl in none: there is no such"]);
    let file = format!("{stored}/history.jsonl");
    sandbox
        .run(&["check", &file])
        .fails(2, &["it is a file; give the directory"]);
    sandbox
        .run(&["groombook", "check-log", "none"])
        .fails(2, &["cannot read the log none"]);
    let noise = sandbox.write("noise", [0xff_u8, 0, 7].repeat(1000));
    sandbox
        .run(&["groombook", "check-log", noise.to_str().unwrap()])
        .fails(1, &["does not keep"]);
    sandbox.is_clear("after all");
}

crate::harness::tests![
    check_gives_the_verdict_of_the_run_with_no_server_and_refuses_what_is_no_history,
];

//! The reset image, built as `deploy/reset-image/build --offline` builds it and run beside a server in a
//! container, as the rendered YAML says: user, read-only root, capabilities, environment, arguments, grace.
//!
//! Without a Docker engine, or without an image of PostgreSQL, nothing is run, and the tests say so.
//! Whatever a test makes, it removes; `.ci/deploy` does so for tests that were killed.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod stage;
#[path = "../support/mod.rs"]
mod support;

use std::process::{Command, Stdio};

use deploy_check::Settings;
use stage::{
    Holder, LOCK, Running, asked, build, check_log, confined, docker, empty, search_pod, stage,
    token, wait_for,
};
use support::{finished, project, settings};

#[test]
fn of_two_runs_at_once_the_second_waits_for_the_first_and_both_logs_keep_the_contract() {
    let Some(stage) = stage() else { return };
    let database = "groombook_twice";
    stage.database(database);
    let holder = Holder::take(&stage, database);
    let first = stage.job(database);
    stage.wait_until_held_up(database);
    let second = stage.job(database);
    // It waits for the session that has the lock, and for no other. (That the lines of the two logs come in
    // order shows less: the time stamps of two containers differ by a moment.)
    wait_for("the second to wait", || stage.locks(database, false) == "1");
    let waits = format!(
        "select a.pid = any(pg_blocking_pids(b.pid)) and 1 = cardinality(pg_blocking_pids(b.pid)) \
         from pg_locks a join pg_locks b using (database, locktype, classid, objid, objsubid) \
         join pg_database d on d.oid = database where datname = '{database}' \
         and a.granted and not b.granted and {LOCK}"
    );
    assert_eq!(stage.sql(&waits).unwrap(), "t");
    holder.let_go();

    for running in [&first, &second] {
        assert_eq!(running.ended(), 0, "{}", running.log());
        let (code, said) = check_log(running);
        assert_eq!(code, 0, "{said}");
        assert!(said.contains("✓ Created 500 clients"), "{said}");
    }
    assert_eq!(stage.locks(database, true), "0");
    assert_eq!(
        stage
            .sql_in(database, "select count(*) from invoices")
            .unwrap(),
        "4005"
    );
}

#[test]
fn docker_stop_in_the_middle_releases_the_lock_and_ends_the_job_with_143() {
    let Some(stage) = stage() else { return };
    let Settings { grace, .. } = settings("uat");
    let database = "groombook_stopped";
    stage.database(database);
    let holder = Holder::take(&stage, database);
    let job = stage.job(database);
    stage.wait_until_held_up(database);
    let mut stop = Command::new("docker")
        .args(["stop", "--time", &grace.to_string(), &job.0])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait_for("SIGTERM to be sent", || {
        let only = format!("container={}", job.0);
        let now = asked(&["info", "--format", "{{.SystemTime}}"]);
        let events = [
            "events", "--since", "10m", "--until", &now, "--filter", &only,
        ];
        asked(&[&events[..], &["--filter", "event=kill"]].concat()).contains("signal=15")
    });
    // It has not ended: PID 1 handles the signal, and a statement is under way.
    assert_eq!(stage.locks(database, true), "1");
    holder.let_go();

    assert!(stop.wait().unwrap().success());
    assert_eq!(job.ended(), 143, "{}", job.log());
    assert_eq!(stage.locks(database, true), "0");
    let log = job.log();
    assert!(log.contains("✓ Released seed advisory lock"), "{log}");
    assert!(
        log.contains("Seed stopped by SIGTERM before it was complete"),
        "{log}"
    );
    assert!(!log.contains("✓ Created"), "{log}");
    // A log that is cut off does not pass for a complete one.
    let (code, said) = check_log(&job);
    assert!(
        code == 1 && said.contains("\"Seed complete!\" is missing"),
        "{said}"
    );
    // The next run finds the lock free.
    let next = stage.job(database);
    assert_eq!(next.ended(), 0, "{}", next.log());
    assert_eq!(check_log(&next).0, 0);
}

#[test]
fn the_image_is_small_runs_as_nobody_and_holds_no_secret() {
    let Some(stage) = stage() else { return };
    let of_image = |format: &str| asked(&["image", "inspect", "--format", format, &stage.image]);
    assert_eq!(of_image("{{.Config.User}}"), "65532:65532");
    assert_eq!(
        of_image("{{json .Config.Entrypoint}}"),
        r#"["/usr/local/bin/lockproof","groombook","seed","--stop-on-sigterm"]"#
    );
    let environment = of_image("{{json .Config.Env}}");
    assert!(
        ["null", "[]"].contains(&&*environment) || environment.starts_with("[\"PATH="),
        "{environment}"
    );
    assert!(!of_image("{{json .Config}}").contains("postgres://"));
    let size: u64 = of_image("{{.Size}}").parse().unwrap();
    assert!(size < 150_000_000, "{size} bytes");
    // Without its Secret a pod says what is missing.
    let (code, said) = docker(&["run", "--rm", &stage.image]);
    assert_eq!((code, &*said), (1, "DATABASE_URL is not set\n"));
}

#[test]
fn an_image_without_the_program_or_with_one_that_does_not_start_is_not_made() {
    if stage().is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let tag = format!("{}:broken", token());
    let nothing = dir.path().join("lockproof").display().to_string();
    let (code, said) = build(&tag, &nothing);
    assert_eq!(code, 1);
    assert!(said.contains(&format!("{nothing} is no program")), "{said}");
    // The Dockerfile by itself, with a context that has no program in it.
    let dockerfile = project("deploy/reset-image/Dockerfile")
        .display()
        .to_string();
    let base = asked(&[
        "image",
        "inspect",
        "--format",
        "{{.Id}}",
        &stage().unwrap().image,
    ]);
    let base = format!("BASE={base}");
    let context = dir.path().display().to_string();
    let arguments = [
        "build",
        "--force-rm",
        "--build-arg",
        &base,
        "-t",
        &tag,
        "-f",
        &dockerfile,
        &context,
    ];
    let mut classic = Command::new("docker");
    let (code, said) = finished(classic.args(arguments).env("DOCKER_BUILDKIT", "0"));
    assert!(code != 0 && said.contains("lockproof"), "{said}");
    // A file that is no program for this base. What was made before the step that failed is gone.
    let images = || asked(&["images", "--all", "--quiet", "--filter", "dangling=true"]);
    let before = images();
    std::fs::write(&nothing, "#!/nowhere/interpreter\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&nothing, mode).unwrap();
    let (code, said) = build(&tag, &nothing);
    assert!(
        code == 1 && said.contains("/usr/local/bin/lockproof"),
        "{said}"
    );
    assert!(said.ends_with("build: docker build failed\n"), "{said}");
    assert_ne!(docker(&["image", "inspect", &tag]).0, 0);
    assert_eq!(images(), before);
}

#[test]
fn a_part_of_the_search_runs_in_its_pod_beside_its_server() {
    let Some(stage) = stage() else { return };
    let pod = search_pod();
    let container = &pod.containers[0];
    let network = format!("--network=container:{}", stage.server());
    let security = container.security_context.as_ref().unwrap();
    let user = security.run_as_user.unwrap().to_string();
    let mounts: Vec<String> = container
        .volume_mounts
        .iter()
        .flatten()
        .map(|one| empty(&one.mount_path, &user))
        .collect();
    let entrypoint = format!("--entrypoint={}", container.command.as_ref().unwrap()[0]);
    let arguments: Vec<String> = container
        .args
        .iter()
        .flatten()
        .map(|one| one.replace("$(JOB_COMPLETION_INDEX)", "3"))
        .map(|one| one.replace("--schedules=1000", "--schedules=8"))
        .collect();
    let mut options = confined(container);
    options.extend([
        &*network,
        &entrypoint,
        "--user",
        &user,
        "--env=JOB_COMPLETION_INDEX=3",
    ]);
    options.extend(mounts.iter().map(|one| &**one));
    options.push(&stage.image);
    options.extend(arguments.iter().map(|one| &**one));
    let part = Running::start("part", &options);
    assert_eq!(part.ended(), 0, "{}", part.log());
    let log = part.log();
    let compact: String = log.split_whitespace().collect();
    assert!(
        compact.contains("\"shard\":[3,4]") && compact.contains("\"schedules\":2,"),
        "{log}"
    );
}

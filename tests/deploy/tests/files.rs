//! The files of `deploy/` are what Kubernetes takes, say what they must, and are refused when they do not.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod support;

use std::path::Path;
use std::process::Command;

use deploy_check::{Document, Entrypoint, Object, problems, read, render};
use serde_json::Value;
use support::{OVERLAYS, documents, finished, lockproof, option, project, settings};

const DIRECTORIES: [&str; 6] = [
    "deploy/overlays/dev",
    "deploy/overlays/uat",
    "deploy/overlays/prod",
    "deploy/smoke",
    "deploy/search",
    "deploy/search/merge",
];

#[test]
fn every_document_has_only_fields_of_its_kubernetes_type_and_breaks_no_rule() {
    for directory in DIRECTORIES {
        assert_eq!(problems(&documents(directory)), Vec::<String>::new());
    }
}

#[test]
fn every_kustomization_of_the_project_is_among_those_that_are_checked() {
    let mut found = Vec::new();
    let mut open = vec![project("deploy")];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.ends_with("kustomization.yaml") {
                found.push(path.parent().unwrap().to_owned());
            }
        }
    }
    let mut known: Vec<_> = DIRECTORIES.map(project).to_vec();
    // It has no namespace, and is rendered with each overlay.
    known.push(project("deploy/base"));
    found.sort();
    known.sort();
    assert_eq!(found, known);
}

#[test]
fn each_overlay_resets_every_hour_in_its_namespace_with_its_profile() {
    for (overlay, profile) in [("dev", "dev"), ("uat", "uat"), ("prod", "demo")] {
        let documents = documents(&format!("deploy/overlays/{overlay}"));
        let namespace = format!("groombook-{overlay}");
        let metadata = documents[0].metadata();
        assert_eq!(metadata.name.as_deref(), Some("reset-demo-data"));
        assert_eq!(metadata.namespace.as_deref(), Some(&*namespace));
        let settings = settings(overlay);
        assert_eq!(settings.schedule, "0 * * * *");
        assert_eq!(settings.policy, "Forbid");
        assert_eq!(settings.suspended, overlay == "prod");
        let profiles: Vec<&str> = settings
            .environment
            .iter()
            .filter(|(name, _)| name == "SEED_PROFILE")
            .map(|(_, value)| &**value)
            .collect();
        assert_eq!(profiles, [profile], "{overlay}");
        let image = &documents[0]
            .pods()
            .unwrap()
            .spec
            .as_ref()
            .unwrap()
            .containers[0]
            .image;
        assert_eq!(
            image.as_deref(),
            Some(&*format!("groombook/reset:{overlay}"))
        );
        // A Job is over, its grace included, before the next one is due, and so is its time to start.
        let longest = settings.starting_deadline + settings.active_deadline + settings.grace;
        assert!(longest < 3600, "{overlay}: {longest} s");
    }
}

#[test]
fn the_database_comes_from_a_secret_and_no_file_holds_one() {
    for directory in DIRECTORIES {
        for document in documents(directory) {
            let Some(pods) = document.pods().filter(|_| directory.contains("overlays")) else {
                continue;
            };
            let container = &pods.spec.as_ref().unwrap().containers[0];
            let mut variables = container.env.iter().flatten();
            let url = variables.find(|one| one.name == "DATABASE_URL").unwrap();
            let secret = url
                .value_from
                .as_ref()
                .unwrap()
                .secret_key_ref
                .as_ref()
                .unwrap();
            assert_eq!(secret.name, "reset-demo-data");
            assert_eq!(secret.key, "DATABASE_URL");
        }
    }
    // Nowhere under deploy/ does a connection string have a password.
    let found = Command::new("grep")
        .args(["-rnE", "postgres(ql)?://[^@/ ]*:[^@/ ]*@|kind: Secret"])
        .arg(project("deploy"))
        .output()
        .unwrap();
    assert_eq!(support::text(&found), "");
}

#[test]
fn the_smoke_job_is_what_kubectl_would_make_of_the_uat_cronjob() {
    let documents = documents("deploy/smoke");
    let jobs: Vec<Value> = documents
        .iter()
        .map(|one| serde_json::to_value(one.job().unwrap()).unwrap())
        .collect();
    assert_eq!(jobs.len(), 2);
    assert_eq!(jobs[0], jobs[1]);
    let uat = support::documents("deploy/overlays/uat");
    let of_uat = serde_json::to_value(uat[0].job().unwrap()).unwrap();
    assert_eq!(jobs[0], of_uat);
}

#[test]
fn the_parts_of_the_search_are_as_many_as_its_completions_and_all_are_merged() {
    let search = documents("deploy/search");
    let job = search.iter().find_map(Document::job).unwrap();
    assert_eq!(job.completion_mode.as_deref(), Some("Indexed"));
    let parts = job.completions.unwrap();
    assert_eq!(job.parallelism, Some(parts));
    let pod = job.template.spec.as_ref().unwrap();
    let arguments = pod.containers[0].args.clone().unwrap();
    assert_eq!(option(&arguments, "--shard"), parts.to_string());
    let out = option(&arguments, "--out");
    let merge = documents("deploy/search/merge");
    let merge = merge[0].pods().unwrap().spec.as_ref().unwrap();
    let merged = merge.containers[0].args.clone().unwrap();
    let expected: Vec<String> = (0..parts)
        .map(|index| out.replace("$(JOB_COMPLETION_INDEX)", &index.to_string()))
        .collect();
    assert_eq!(merged[0], "merge");
    assert_eq!(merged[1..], expected);
    // Both have the same volume at the same place.
    let claim = |pod: &k8s_openapi::api::core::v1::PodSpec| {
        let mut volumes = pod.volumes.iter().flatten();
        let claim = volumes.find_map(|one| one.persistent_volume_claim.clone());
        claim.unwrap().claim_name
    };
    assert_eq!(claim(pod), claim(merge));
    let claims = search
        .iter()
        .filter(|one| matches!(one.object, Object::PersistentVolumeClaim(_)));
    let names: Vec<_> = claims
        .map(|one| one.metadata().name.clone().unwrap())
        .collect();
    assert_eq!(names, [claim(pod)]);
}

#[test]
fn production_refuses_the_job_even_if_somebody_starts_it_by_hand() {
    let settings = settings("prod");
    assert!(settings.suspended);
    assert_eq!(settings.backoff_limit, 0);
    let known_users = ("SEED_KNOWN_USERS_ONLY".to_owned(), "true".to_owned());
    assert!(settings.environment.contains(&known_users));
    let dockerfile = std::fs::read_to_string(project("deploy/reset-image/Dockerfile")).unwrap();
    let entrypoint = Entrypoint::of(&dockerfile).unwrap().0;
    assert!(!entrypoint.contains(&"--allow-destructive".to_owned()));
    // No server is asked: nothing listens there, and the refusal comes first.
    for url in [
        "postgres://reset@db.internal:1/groombook_prod",
        "postgres://reset@prod-db.internal:1/groombook",
    ] {
        let (code, said) = finished(
            Command::new(lockproof())
                .args(&entrypoint[1..])
                .args(&settings.arguments)
                .envs(settings.environment.clone())
                .env("DATABASE_URL", url),
        );
        assert_eq!(code, 1, "{said}");
        assert!(said.contains("looks like production"), "{said}");
    }
}

#[test]
fn a_job_whose_secret_is_missing_says_what_is_not_set() {
    for overlay in OVERLAYS {
        let settings = settings(overlay);
        let documents = documents(&format!("deploy/overlays/{overlay}"));
        let pod = documents[0].pods().unwrap().spec.as_ref().unwrap();
        let mut variables = pod.containers[0].env.iter().flatten();
        let url = variables.find(|one| one.name == "DATABASE_URL").unwrap();
        let secret = url
            .value_from
            .as_ref()
            .unwrap()
            .secret_key_ref
            .as_ref()
            .unwrap();
        // So the container starts without it, and its log says why it failed.
        assert_eq!(secret.optional, Some(true), "{overlay}");
        let (code, said) = finished(
            Command::new(lockproof())
                .args(["groombook", "seed"])
                .args(&settings.arguments)
                .envs(settings.environment)
                .env_remove("DATABASE_URL"),
        );
        assert_eq!(
            (code, &*said),
            (1, "DATABASE_URL is not set\n"),
            "{overlay}"
        );
    }
}

/// A copy of `deploy/`, in which one file is changed.
fn changed(file: &str, from: &str, to: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let copied = Command::new("cp")
        .arg("-r")
        .arg(project("deploy"))
        .arg(dir.path())
        .status();
    assert!(copied.unwrap().success());
    let path = dir.path().join("deploy").join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{file}");
    std::fs::write(path, text.replacen(from, to, 1)).unwrap();
    dir
}

/// What the program says of a directory, and its exit code.
fn checked(directory: &Path) -> (i32, String) {
    finished(Command::new(env!("CARGO_BIN_EXE_deploy-check")).arg(directory))
}

#[test]
fn the_program_names_what_it_has_checked() {
    let (code, said) = checked(&project("deploy/overlays/uat"));
    assert_eq!(code, 0, "{said}");
    assert!(said.starts_with("ok "), "{said}");
    assert!(
        said.ends_with("CronJob groombook-uat/reset-demo-data\n"),
        "{said}"
    );
    assert_eq!(
        finished(&mut Command::new(env!("CARGO_BIN_EXE_deploy-check"))).0,
        2
    );
}

#[test]
fn an_overlay_with_an_unknown_field_is_refused_and_the_field_is_named() {
    for (from, to, path) in [
        (
            "spec:\n  jobTemplate:",
            "spec:\n  concurencyPolicy: Allow\n  jobTemplate:",
            "spec.concurencyPolicy",
        ),
        (
            "            - name: reset\n",
            "            - name: reset\n              imagePulPolicy: Always\n",
            "spec.jobTemplate.spec.template.spec.containers.0.imagePulPolicy",
        ),
        (
            "metadata:\n",
            "metadata:\n  anotations: {}\n",
            "metadata.anotations",
        ),
    ] {
        let dir = changed("overlays/uat/cronjob.yaml", from, to);
        let (code, said) = checked(&dir.path().join("deploy/overlays/uat"));
        assert_eq!(code, 1, "{said}");
        let words = format!("CronJob reset-demo-data has unknown fields: {path}\n");
        assert!(said.ends_with(&words), "{said}");
    }
}

#[test]
fn a_value_of_the_wrong_type_and_a_document_of_no_known_type_are_refused() {
    let dir = changed(
        "overlays/uat/cronjob.yaml",
        "spec:\n",
        "spec:\n  suspend: later\n",
    );
    let (code, said) = checked(&dir.path().join("deploy/overlays/uat"));
    assert_eq!(code, 1);
    assert!(
        said.contains("CronJob reset-demo-data: invalid type: string \"later\""),
        "{said}"
    );
    let error = read("apiVersion: v1\nkind: Secret\n")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("Secret of \"v1\" is none of CronJob"),
        "{error}"
    );
    let error = read("{").unwrap_err().to_string();
    assert!(error.starts_with("not YAML: "), "{error}");
}

#[test]
fn two_cronjobs_of_one_name_are_refused() {
    // In one overlay kustomize itself refuses them.
    let dir = changed(
        "base/kustomization.yaml",
        "  - cronjob.yaml\n",
        "  - cronjob.yaml\n  - twin.yaml\n",
    );
    let base = dir.path().join("deploy/base");
    std::fs::copy(base.join("cronjob.yaml"), base.join("twin.yaml")).unwrap();
    let (code, said) = checked(&dir.path().join("deploy/overlays/uat"));
    assert_eq!(code, 1);
    assert!(
        said.contains("reset-demo-data") && said.contains("already registered id"),
        "{said}"
    );
    // In documents that come from elsewhere, the check does.
    let text = render(&project("deploy/overlays/uat")).unwrap();
    let twice = read(&format!("{text}\n---\n{text}")).unwrap();
    let words = "CronJob groombook-uat/reset-demo-data: there are two of this name";
    assert_eq!(problems(&twice), [words]);
}

#[test]
fn what_would_let_jobs_overlap_or_leak_is_a_problem() {
    for (file, from, to, words) in [
        (
            "base/cronjob.yaml",
            "concurrencyPolicy: Forbid",
            "concurrencyPolicy: Replace",
            "is not Forbid",
        ),
        (
            "base/cronjob.yaml",
            "      activeDeadlineSeconds: 900\n",
            "",
            "may run for ever",
        ),
        (
            "base/cronjob.yaml",
            "runAsNonRoot: true",
            "runAsNonRoot: false",
            "may run as root",
        ),
        (
            "base/cronjob.yaml",
            "drop: [ALL]",
            "drop: []",
            "keeps capabilities",
        ),
        (
            "base/cronjob.yaml",
            "DisruptionTarget",
            "PodScheduled",
            "an evicted pod counts as a failure",
        ),
        (
            "overlays/uat/cronjob.yaml",
            "                - name: SEED_PROFILE\n",
            "                - name: PGPASSWORD\n                  value: x\n                - name: SEED_PROFILE\n",
            "PGPASSWORD stands in the file",
        ),
    ] {
        let dir = changed(file, from, to);
        let (code, said) = checked(&dir.path().join("deploy/overlays/uat"));
        assert!(code == 1 && said.contains(words), "{words}: {said}");
    }
}

#[test]
fn a_dockerfile_in_shell_form_is_no_entrypoint() {
    assert!(Entrypoint::of("FROM x\nENTRYPOINT lockproof groombook seed\n").is_err());
    assert!(Entrypoint::of("FROM x\nCMD [\"seed\"]\n").is_err());
}

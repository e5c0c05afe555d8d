//! What the tests of the image share: containers that go when they are dropped, the image, and a server.

use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::support::{documents, finished, lockproof, project, settings};
use deploy_check::Document;
use k8s_openapi::api::core::v1::{Container, PodSpec};

pub const LOCK: &str =
    "locktype = 'advisory' and classid = 0 and objid = 1196576591 and objsubid = 1";
/// Longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(60);

/// What all containers and images of these tests are named after.
pub fn token() -> String {
    let named = std::env::var("LOCKPROOF_DEPLOY_TOKEN");
    named.unwrap_or_else(|_| format!("lockproof-deploy-{}", std::process::id()))
}

pub fn docker(arguments: &[&str]) -> (i32, String) {
    finished(Command::new("docker").args(arguments))
}

/// What docker prints; it must succeed.
pub fn asked(arguments: &[&str]) -> String {
    let (code, said) = docker(arguments);
    assert_eq!(code, 0, "docker {arguments:?}: {said}");
    said.trim().to_owned()
}

pub fn wait_for(what: &str, mut happened: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !happened() {
        assert!(begun.elapsed() < LIMIT, "gave up waiting for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A container of our own, removed on drop.
pub struct Running(pub String);

impl Running {
    pub fn start(name: &str, arguments: &[&str]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let running = Self(format!("{}-{name}-{number}", token()));
        asked(&[&["run", "--detach", "--name", &running.0], arguments].concat());
        running
    }

    /// Its exit code, when it has ended.
    pub fn ended(&self) -> i32 {
        asked(&["wait", &self.0]).parse().unwrap()
    }

    pub fn log(&self) -> String {
        asked(&["logs", &self.0])
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        docker(&["rm", "--force", "--volumes", &self.0]);
    }
}

/// What a container's securityContext says, as options of `docker run`; the user is left to the image, if
/// it is not the image's own.
pub fn confined(container: &Container) -> Vec<&'static str> {
    let security = container.security_context.as_ref().unwrap();
    let mut options = Vec::new();
    if security.read_only_root_filesystem == Some(true) {
        options.push("--read-only");
    }
    if security.allow_privilege_escalation == Some(false) {
        options.push("--security-opt=no-new-privileges");
    }
    let capabilities = security.capabilities.as_ref().unwrap();
    if capabilities
        .drop
        .as_ref()
        .unwrap()
        .contains(&"ALL".to_owned())
    {
        options.push("--cap-drop=ALL");
    }
    options
}

/// A directory of a pod that is empty at first and that this user may write.
pub fn empty(path: &str, user: &str) -> String {
    format!("--tmpfs={path}:rw,uid={user},mode=1777,size=1g")
}

/// The reset image and a server, which is the search Job's sidecar.
pub struct Stage {
    pub image: String,
    server: Option<Running>,
}

/// The stage that tests share that run at the same time; none where there is no engine.
pub fn stage() -> Option<Arc<Stage>> {
    static SHARED: Mutex<Weak<Stage>> = Mutex::new(Weak::new());
    let (code, _) = docker(&["version", "--format", "{{.Server.Version}}"]);
    if code != 0 {
        return not_run("no Docker engine answers");
    }
    let Some(postgres) = postgres() else {
        return not_run("there is no image of PostgreSQL (.ci/make-image makes one)");
    };
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(stage) = shared.upgrade() {
        return Some(stage);
    }
    let mut stage = Stage {
        image: format!("{}:test", token()),
        server: None,
    };
    let (code, said) = build(&stage.image, &lockproof().display().to_string());
    assert_eq!(code, 0, "{said}");
    stage.server = Some(server(&postgres));
    let stage = Arc::new(stage);
    wait_for("the server", || {
        let state = asked(&["inspect", "--format", "{{.State.Running}}", stage.server()]);
        assert_eq!(state, "true", "{}", stage.server.as_ref().unwrap().log());
        stage.sql("select 1").is_some()
    });
    *shared = Arc::downgrade(&stage);
    Some(stage)
}

fn not_run(why: &str) -> Option<Arc<Stage>> {
    let required = std::env::var("LOCKPROOF_DEPLOY_DOCKER").is_ok_and(|word| word == "required");
    assert!(!required, "{why}");
    println!("NOT RUN: {why}");
    None
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.server = None;
        docker(&["image", "rm", "--force", &self.image]);
    }
}

/// An image of PostgreSQL: the one named by LOCKPROOF_IMAGE, the official one, or ours.
fn postgres() -> Option<String> {
    let named = std::env::var("LOCKPROOF_IMAGE").ok();
    let ours = asked(&[
        "images",
        "lockproof/postgres",
        "--format",
        "{{.Repository}}:{{.Tag}}",
    ]);
    let ours = ours.lines().next().map(str::to_owned);
    let official = Some("postgres:16-alpine".to_owned());
    let all = [named, official, ours];
    all.into_iter()
        .flatten()
        .find(|image| docker(&["image", "inspect", image]).0 == 0)
}

/// The build script; its exit code, and what it said.
pub fn build(tag: &str, program: &str) -> (i32, String) {
    finished(
        Command::new(project("deploy/reset-image/build"))
            .args(["--offline", "--bin", program, tag])
            .stdin(Stdio::null()),
    )
}

pub fn search_pod() -> PodSpec {
    let documents = documents("deploy/search");
    let pods = documents.iter().find_map(Document::pods).unwrap();
    pods.spec.clone().unwrap()
}

/// The sidecar of the search, with its arguments, its environment and its read-only root.
fn server(image: &str) -> Running {
    let pod = search_pod();
    let sidecar = &pod.init_containers.as_ref().unwrap()[0];
    // The official image's number for the user postgres is the file's; ours has another.
    let user = asked(&["run", "--rm", "--entrypoint=id", image, "-u", "postgres"]);
    let mounts: Vec<String> = sidecar
        .volume_mounts
        .iter()
        .flatten()
        .map(|one| empty(&one.mount_path, &user))
        .collect();
    let variables: Vec<String> = sidecar
        .env
        .iter()
        .flatten()
        .map(|one| format!("--env={}={}", one.name, one.value.as_deref().unwrap()))
        .collect();
    let mut options = confined(sidecar);
    options.extend(["--user", &user]);
    options.extend(mounts.iter().chain(&variables).map(|one| &**one));
    options.push(image);
    options.extend(sidecar.args.iter().flatten().map(|one| &**one));
    Running::start("server", &options)
}

impl Stage {
    pub fn server(&self) -> &str {
        &self.server.as_ref().unwrap().0
    }

    /// The answer to a question, a row a line; none if it failed.
    pub fn sql_in(&self, database: &str, sql: &str) -> Option<String> {
        let psql = [
            "psql",
            "-XAtq",
            "-h",
            "127.0.0.1",
            "-U",
            "postgres",
            "-d",
            database,
            "-c",
            sql,
        ];
        let (code, said) = docker(&[&["exec", self.server()][..], &psql].concat());
        (code == 0).then(|| said.trim().to_owned())
    }

    pub fn sql(&self, sql: &str) -> Option<String> {
        self.sql_in("postgres", sql)
    }

    /// How many sessions have the job's lock in this database, or wait for it.
    pub fn locks(&self, database: &str, granted: bool) -> String {
        let not = if granted { "" } else { "not " };
        let sql = format!(
            "select count(*) from pg_locks join pg_database d on d.oid = database \
             where datname = '{database}' and {not}granted and {LOCK}"
        );
        self.sql(&sql).unwrap()
    }

    /// A database with the schema, of this name.
    pub fn database(&self, name: &str) {
        self.sql(&format!("create database {name}")).unwrap();
        let schema = std::fs::read_to_string(project("crates/groombook/src/schema.sql")).unwrap();
        self.sql_in(name, &schema).unwrap();
    }

    /// Starts the job of the overlay uat on this database.
    pub fn job(&self, database: &str) -> Running {
        let documents = documents("deploy/overlays/uat");
        let pod = documents[0].pods().unwrap().spec.as_ref().unwrap();
        let settings = settings("uat");
        let network = format!("--network=container:{}", self.server());
        let security = pod.security_context.as_ref().unwrap();
        let user = format!(
            "--user={}:{}",
            security.run_as_user.unwrap(),
            security.run_as_group.unwrap()
        );
        let url = format!("--env=DATABASE_URL=postgres://postgres@127.0.0.1/{database}");
        let variables: Vec<String> = settings
            .environment
            .iter()
            .map(|(name, value)| format!("--env={name}={value}"))
            .collect();
        let mut options = confined(&pod.containers[0]);
        options.extend([&*network, &user, &url]);
        options.extend(variables.iter().map(|one| &**one));
        options.push(&self.image);
        options.extend(settings.arguments.iter().map(|one| &**one));
        Running::start("job", &options)
    }

    /// Waits until a job has the lock and its TRUNCATE waits for the table that a holder has.
    pub fn wait_until_held_up(&self, database: &str) {
        wait_for("a job to be held up under the lock", || {
            let sql = format!(
                "select count(*) from pg_stat_activity where datname = '{database}' \
                 and query like 'truncate%' and pg_blocking_pids(pid) <> '{{}}'"
            );
            self.sql(&sql).unwrap() == "1" && self.locks(database, true) == "1"
        });
    }
}

/// A session that holds a table, so that a job stands still in the middle, under its lock.
pub struct Holder<'a> {
    stage: &'a Stage,
    database: &'a str,
    child: Child,
}

impl<'a> Holder<'a> {
    pub fn take(stage: &'a Stage, database: &'a str) -> Self {
        let sql = "lock table invoices; select pg_sleep(600)";
        let child = Command::new("docker")
            .args([
                "exec",
                stage.server(),
                "psql",
                "-Xq",
                "-h",
                "127.0.0.1",
                "-U",
                "postgres",
            ])
            .args(["-d", database, "-c", sql])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_for("another session to hold the table", || {
            let sql = "select count(*) from pg_locks where relation = 'invoices'::regclass and granted \
                       and mode = 'AccessExclusiveLock'";
            stage.sql_in(database, sql).unwrap() == "1"
        });
        Self {
            stage,
            database,
            child,
        }
    }

    pub fn let_go(mut self) {
        let sql = format!(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{}' \
             and query like 'lock table%'",
            self.database
        );
        self.stage.sql(&sql).unwrap();
        let _ = self.child.wait();
    }
}

impl Drop for Holder<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What `groombook check-log` says of a container's log, and its exit code.
pub fn check_log(running: &Running) -> (i32, String) {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    std::fs::write(&log, running.log()).unwrap();
    finished(
        Command::new(lockproof())
            .args(["groombook", "check-log"])
            .arg(log),
    )
}

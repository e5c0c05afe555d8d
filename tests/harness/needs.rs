//! What a test needs besides Rust and a server that lockproof has by itself, whether it is there, and how
//! to get it.
//!
//! A test calls `need` before anything else. Without the thing the test is reported as ignored; where
//! `LOCKPROOF_REQUIRE` asks for the thing, the test fails.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// The Python that Debian's python3-psycopg belongs to.
pub const PYTHON: &str = "/usr/bin/python3";
/// Where Debian keeps Node's modules.
pub const NODE_PATH: &str = "/usr/share/nodejs";

/// Something that a test needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Need {
    /// PostgreSQL's programs on this machine, psql among them.
    Postgres,
    /// Python 3, on PATH and at `PYTHON`.
    Python,
    /// psycopg 3 for `PYTHON`.
    Psycopg,
    /// psycopg's pool for `PYTHON`.
    PsycopgPool,
    /// asyncpg for `PYTHON`.
    Asyncpg,
    /// Node.js.
    Node,
    /// node-postgres below `NODE_PATH`.
    NodePostgres,
    /// PgBouncer, where lockproof looks for it.
    PgBouncer,
    /// kubectl with kustomize.
    Kubectl,
    /// A Docker engine with an image of PostgreSQL.
    Containers,
    /// script(1) of util-linux, which gives a program a pseudo-terminal.
    Script,
    /// The right to mount a file system.
    Mounts,
    /// Chromium, headless.
    Chromium,
    /// axe-core, the checks of accessible pages.
    Axe,
    /// SIGHUP as it is by default: what nohup(1) starts ignores it, and so do its children.
    Hangup,
    /// A server of which each run gets a copy.
    CopiedServer,
}

impl Need {
    const ALL: [Self; 16] = [
        Self::Postgres,
        Self::Python,
        Self::Psycopg,
        Self::PsycopgPool,
        Self::Asyncpg,
        Self::Node,
        Self::NodePostgres,
        Self::PgBouncer,
        Self::Kubectl,
        Self::Containers,
        Self::Script,
        Self::Mounts,
        Self::Chromium,
        Self::Axe,
        Self::Hangup,
        Self::CopiedServer,
    ];

    /// Its name in `LOCKPROOF_REQUIRE`.
    fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Python => "python",
            Self::Psycopg => "psycopg",
            Self::PsycopgPool => "psycopg-pool",
            Self::Asyncpg => "asyncpg",
            Self::Node => "node",
            Self::NodePostgres => "node-postgres",
            Self::PgBouncer => "pgbouncer",
            Self::Kubectl => "kubectl",
            Self::Containers => "containers",
            Self::Script => "script",
            Self::Mounts => "mounts",
            Self::Chromium => "chromium",
            Self::Axe => "axe",
            Self::Hangup => "hangup",
            Self::CopiedServer => "copied-server",
        }
    }

    /// How to get it, behind "needs …: ".
    fn remedy(self) -> &'static str {
        match self {
            Self::Postgres => "`apt-get install postgresql`, or ./test",
            Self::Python => "`apt-get install python3`, or ./test",
            Self::Psycopg => "`apt-get install python3-psycopg`, or ./test",
            Self::PsycopgPool => "`apt-get install python3-psycopg-pool`, or ./test",
            Self::Asyncpg => "`apt-get install python3-asyncpg`, or ./test",
            Self::Node => "`apt-get install nodejs`, or ./test",
            Self::NodePostgres => "`apt-get install node-pg`, or ./test",
            Self::PgBouncer => "`apt-get install pgbouncer`, or ./test",
            Self::Kubectl => "`apt-get install kubernetes-client`, or ./test",
            Self::Containers => {
                "start a Docker engine, then `docker pull postgres:16-alpine` or .ci/make-image"
            }
            Self::Script => "`apt-get install bsdutils`, or ./test",
            Self::Mounts => "run as root, outside a container that forbids mounts",
            Self::Chromium => "`apt-get install chromium`, or ./test",
            Self::Axe => {
                "`.ci/install` (it takes axe.min.js from PyPI's axe-playwright-python), or ./test"
            }
            Self::Hangup => "run without nohup",
            Self::CopiedServer => "LOCKPROOF_SERVER=local",
        }
    }

    fn look(self) -> bool {
        let succeeds = |program: &str, arguments: &[&str]| {
            Command::new(program)
                .args(arguments)
                .env("NODE_PATH", NODE_PATH)
                .stdin(Stdio::null())
                .output()
                .is_ok_and(|output| output.status.success())
        };
        match self {
            Self::Postgres => succeeds("psql", &["--version"]),
            Self::Python => ["python3", PYTHON].iter().all(|one| succeeds(one, &["-V"])),
            Self::Psycopg => succeeds(PYTHON, &["-c", "import psycopg"]),
            Self::PsycopgPool => succeeds(PYTHON, &["-c", "import psycopg, psycopg_pool"]),
            Self::Asyncpg => succeeds(PYTHON, &["-c", "import asyncpg"]),
            Self::Node => succeeds("node", &["--version"]),
            Self::NodePostgres => succeeds("node", &["-e", "require('pg')"]),
            Self::PgBouncer => lockproof::internals::server::Pooler::program()
                .is_ok_and(|program| succeeds(&program.display().to_string(), &["--version"])),
            Self::Kubectl => succeeds("kubectl", &["version", "--client"]),
            Self::Containers => image().is_some(),
            Self::Script => succeeds("script", &["--version"]),
            Self::Mounts => tempfile::tempdir().is_ok_and(|folder| {
                let place = folder.path().display().to_string();
                succeeds("mount", &["-t", "tmpfs", "none", &place]) && succeeds("umount", &[&place])
            }),
            Self::Chromium => succeeds("chromium", &["--version"]),
            Self::Axe => axe().is_file(),
            Self::Hangup => std::fs::read_to_string("/proc/self/status").is_ok_and(|status| {
                let mask = status
                    .lines()
                    .find_map(|line| line.strip_prefix("SigIgn:"))
                    .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
                // SIGHUP is signal 1, the lowest bit.
                mask.is_some_and(|mask| mask & 1 == 0)
            }),
            Self::CopiedServer => {
                std::env::var("LOCKPROOF_SERVER").is_ok_and(|server| server == "local")
            }
        }
    }

    /// Whether it is there; looked for once in each test program.
    fn is_there(self) -> bool {
        static SEEN: Mutex<Vec<(Need, bool)>> = Mutex::new(Vec::new());
        let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, there)) = seen.iter().find(|(need, _)| *need == self) {
            return *there;
        }
        let there = self.look();
        seen.push((self, there));
        there
    }
}

/// Where `.ci/install` puts axe-core.
pub fn axe() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/axe/axe.min.js")
}

/// The image of PostgreSQL that tests start containers from: one that `.ci/make-image` made, else the
/// official one, if one of them is there.
pub fn image() -> Option<String> {
    let output = Command::new("docker")
        .args(["images", "--format", "{{.Repository}}:{{.Tag}}"])
        .stdin(Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let of = |beginning: &str| text.lines().find(|image| image.starts_with(beginning));
    of("lockproof/postgres:")
        .or_else(|| of("postgres:16-alpine"))
        .map(str::to_owned)
}

/// What ends a test that lacks something; `trials` makes of it that the test is ignored, or fails.
#[derive(Debug)]
pub struct Lacking {
    need: Need,
}

impl Lacking {
    /// What is needed, and how to get it.
    pub fn reason(&self) -> String {
        format!("needs {}: {}", self.need.name(), self.need.remedy())
    }

    /// Whether `LOCKPROOF_REQUIRE` asks for it.
    pub fn is_required(&self) -> bool {
        required().is_ok_and(|required| required.contains(&self.need))
    }
}

/// Ends the test here unless this is there. To be called on the test's own thread.
pub fn need(need: Need) {
    if !need.is_there() {
        std::panic::resume_unwind(Box::new(Lacking { need }));
    }
}

/// What `LOCKPROOF_REQUIRE` asks for, from left to right: `all`, names, and names behind a minus
/// (`all,-containers`).
///
/// # Errors
/// A word that is none of these.
pub fn required() -> Result<Vec<Need>, String> {
    let text = std::env::var("LOCKPROOF_REQUIRE").unwrap_or_default();
    parse(&text)
}

pub fn parse(text: &str) -> Result<Vec<Need>, String> {
    let mut required: Vec<Need> = Vec::new();
    for word in text.split([',', ' ']).filter(|word| !word.is_empty()) {
        if word == "all" {
            required = Need::ALL.to_vec();
            continue;
        }
        let name = word.strip_prefix('-').unwrap_or(word);
        let Some(need) = Need::ALL.into_iter().find(|need| need.name() == name) else {
            let names = Need::ALL.map(Need::name).join(", ");
            return Err(format!(
                "LOCKPROOF_REQUIRE has the word {word:?}; it takes `all`, and these names, with a minus \
                 before one that may be missing: {names}"
            ));
        };
        required.retain(|one| *one != need);
        if !word.starts_with('-') {
            required.push(need);
        }
    }
    Ok(required)
}

/// Ends the test here unless everything is there that the script of a command imports. A command's script
/// is the first of its words that is a file below `folder`.
pub fn need_all_of(command: &[String], folder: &Path) {
    let script = command
        .iter()
        .map(|word| folder.join(word))
        .find(|path| path.starts_with(folder) && path.is_file());
    let text = script
        .and_then(|path| std::fs::read_to_string(path).ok())
        .unwrap_or_default();
    let argv = command.first().map(String::as_str).unwrap_or_default();
    // A job in the shell speaks to its server by psql.
    let shell = argv.ends_with("sh");
    if shell || command.iter().any(|word| word.contains("psql")) {
        need(Need::Postgres);
    }
    if argv.ends_with("python3") {
        need(Need::Python);
    }
    if argv.ends_with("node") {
        need(Need::Node);
    }
    for (words, of) in [
        ("psql", Need::Postgres),
        ("import psycopg", Need::Psycopg),
        ("psycopg_pool", Need::PsycopgPool),
        ("import asyncpg", Need::Asyncpg),
        ("require(\"pg\")", Need::NodePostgres),
    ] {
        if text.contains(words) {
            need(of);
        }
    }
}

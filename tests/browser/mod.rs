//! A headless Chromium, spoken to by its DevTools protocol over a pipe: no port is opened, nothing has to be guessed.
//!
//! Owns its start, its end (with all its processes), and the few words that tests need. Every wait has a bound.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test program uses its own part"
)]

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Nothing that a page does here takes as long.
const LIMIT: Duration = Duration::from_secs(60);

/// A browser with one page.
pub struct Browser {
    child: Child,
    to: Option<ChildStdin>,
    from: Receiver<Value>,
    session: String,
    next: u64,
    events: VecDeque<Value>,
    _home: tempfile::TempDir,
}

impl Browser {
    /// Starts one with an empty page of this size.
    pub fn start(width: u32, height: u32) -> Self {
        let home = tempfile::tempdir().unwrap();
        // The protocol's pipe is expected at descriptors 3 and 4.
        let mut command = Command::new("sh");
        command
            .args([
                "-c",
                "exec chromium \"$@\" 3<&0 4>&1 0</dev/null 1>/dev/null",
                "chromium",
            ])
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
            ])
            .args([
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--remote-debugging-pipe",
            ])
            .args([
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ])
            .arg(format!("--user-data-dir={}", home.path().display()))
            .arg(format!("--window-size={width},{height}"))
            .env("HOME", home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0);
        let mut child = command.spawn().unwrap();
        let to = child.stdin.take().unwrap();
        let out = child.stdout.take().unwrap();
        let (send, from) = channel();
        std::thread::spawn(move || {
            let mut out = BufReader::new(out);
            let mut message = Vec::new();
            while out.read_until(0, &mut message).is_ok_and(|read| read > 0) {
                message.pop();
                let Ok(value) = serde_json::from_slice(&message) else {
                    break;
                };
                if send.send(value).is_err() {
                    break;
                }
                message.clear();
            }
        });
        let mut browser = Self {
            child,
            to: Some(to),
            from,
            session: String::new(),
            next: 0,
            events: VecDeque::new(),
            _home: home,
        };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = browser.call("Target.attachToTarget", attach);
        browser.session = session["sessionId"].as_str().unwrap().to_owned();
        for domain in [
            "Page",
            "Runtime",
            "Log",
            "Network",
            "Accessibility",
            "Performance",
        ] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Calls a method of the protocol, and gives what it answers.
    pub fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.next += 1;
        let id = self.next;
        let mut message = json!({"id": id, "method": method, "params": parameters});
        if !self.session.is_empty() {
            message["sessionId"] = self.session.clone().into();
        }
        let mut bytes = serde_json::to_vec(&message).unwrap();
        bytes.push(0);
        self.to.as_mut().unwrap().write_all(&bytes).unwrap();
        let begun = Instant::now();
        loop {
            let message = self.receive(begun, method);
            if message["id"] == id {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
            self.events.push_back(message);
        }
    }

    fn receive(&self, begun: Instant, what: &str) -> Value {
        let left = LIMIT.saturating_sub(begun.elapsed());
        match self.from.recv_timeout(left) {
            Ok(message) => message,
            Err(RecvTimeoutError::Timeout) => {
                panic!("the browser did not answer {what} within {LIMIT:?}")
            }
            Err(RecvTimeoutError::Disconnected) => panic!("the browser ended at {what}"),
        }
    }

    /// Opens a file and waits until it is loaded.
    pub fn open(&mut self, page: &Path, hash: &str) {
        self.events.clear();
        // Another hash alone loads nothing.
        self.call("Page.navigate", json!({"url": "about:blank"}));
        self.wait("Page.loadEventFired");
        let url = format!("file://{}{hash}", page.display());
        self.call("Page.navigate", json!({"url": url}));
        self.wait("Page.loadEventFired");
    }

    fn wait(&mut self, event: &str) {
        let begun = Instant::now();
        let known = self.events.iter().position(|one| one["method"] == event);
        if let Some(place) = known {
            self.events.remove(place);
            return;
        }
        loop {
            let message = self.receive(begun, event);
            if message["method"] == event {
                return;
            }
            self.events.push_back(message);
        }
    }

    /// What an expression of JavaScript is in the page; a promise is waited for.
    pub fn eval(&mut self, expression: &str) -> Value {
        let parameters =
            json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.call("Runtime.evaluate", parameters);
        assert!(
            answer["exceptionDetails"].is_null(),
            "{expression}: {}",
            answer["exceptionDetails"]
        );
        answer["result"]["value"].clone()
    }

    /// Presses a key.
    pub fn key(&mut self, key: &str) {
        let text = if key.chars().count() == 1 { key } else { "" };
        for kind in ["keyDown", "keyUp"] {
            let mut parameters = json!({"type": kind, "key": key});
            if kind == "keyDown" && !text.is_empty() {
                parameters["text"] = text.into();
            }
            self.call("Input.dispatchKeyEvent", parameters);
        }
    }

    /// Prefers dark or light, as a system setting does.
    pub fn prefer(&mut self, scheme: &str) {
        let feature = json!({"name": "prefers-color-scheme", "value": scheme});
        self.call("Emulation.setEmulatedMedia", json!({"features": [feature]}));
    }

    /// Lets pages have JavaScript, or not. From the next page on.
    pub fn scripts(&mut self, run: bool) {
        self.call(
            "Emulation.setScriptExecutionDisabled",
            json!({"value": !run}),
        );
    }

    /// What a screen reader gets of the page, in its order: names of what is not ignored.
    pub fn accessible_text(&mut self) -> Vec<String> {
        let tree = self.call("Accessibility.getFullAXTree", json!({}));
        let nodes = tree["nodes"].as_array().unwrap();
        let by_id: HashMap<&str, &Value> = nodes
            .iter()
            .filter_map(|node| Some((node["nodeId"].as_str()?, node)))
            .collect();
        // The tree comes level by level; it is read from top to bottom.
        let mut open: Vec<&Value> = nodes.first().into_iter().collect();
        let mut spoken = Vec::new();
        while let Some(node) = open.pop() {
            let role = node["role"]["value"].as_str().unwrap_or_default();
            let name = node["name"]["value"].as_str().unwrap_or_default().trim();
            let said = ["StaticText", "heading"].contains(&role) && !name.is_empty();
            if node["ignored"] == false && said {
                spoken.push(name.to_owned());
            }
            let children = node["childIds"].as_array().into_iter().flatten().rev();
            open.extend(children.filter_map(|id| by_id.get(id.as_str()?).copied()));
        }
        spoken
    }

    /// What the browser's own trace tells of this work: the tasks of the page's main thread, in milliseconds, the
    /// longest first.
    pub fn traced(&mut self, work: impl FnOnce(&mut Self)) -> Vec<f64> {
        const CATEGORIES: &str =
            "toplevel,devtools.timeline,disabled-by-default-devtools.timeline,__metadata";
        let config = json!({"categories": CATEGORIES, "transferMode": "ReportEvents"});
        self.call("Tracing.start", config);
        work(self);
        self.call("Tracing.end", json!({}));
        // The events of a trace come before the word that it is complete.
        self.wait("Tracing.tracingComplete");
        let mut all: Vec<Value> = Vec::new();
        self.events.retain(|event| {
            let collected = event["method"] == "Tracing.dataCollected";
            if collected {
                all.extend(
                    event["params"]["value"]
                        .as_array()
                        .into_iter()
                        .flatten()
                        .cloned(),
                );
            }
            !collected
        });
        let main: Vec<(&Value, &Value)> = all
            .iter()
            .filter(|one| one["name"] == "thread_name" && one["args"]["name"] == "CrRendererMain")
            .map(|one| (&one["pid"], &one["tid"]))
            .collect();
        let mut tasks: Vec<f64> = all
            .iter()
            .filter(|one| {
                one["name"]
                    .as_str()
                    .is_some_and(|name| name.ends_with("RunTask"))
            })
            .filter(|one| main.contains(&(&one["pid"], &one["tid"])))
            .filter_map(|one| Some(one["dur"].as_f64()? / 1000.0))
            .collect();
        tasks.sort_by(|one, other| other.total_cmp(one));
        tasks
    }

    /// A picture of what is in view, as PNG; of the whole page, if asked for.
    pub fn screenshot(&mut self, to: &Path, clip: Option<Value>) {
        let mut parameters = json!({"format": "png", "captureBeyondViewport": true});
        if let Some(clip) = clip {
            parameters["clip"] = clip;
        }
        let shot = self.call("Page.captureScreenshot", parameters);
        let bytes = base64_of(shot["data"].as_str().unwrap());
        std::fs::write(to, bytes).unwrap();
    }

    /// What went wrong in the page, and what it asked of the network besides itself.
    pub fn complaints(&mut self, page: &Path) -> Vec<String> {
        // A round through the page: what it has said by now has arrived.
        self.eval("0");
        let own = format!("file://{}", page.display());
        let mut all = Vec::new();
        for event in &self.events {
            let parameters = &event["params"];
            match event["method"].as_str().unwrap_or_default() {
                "Runtime.exceptionThrown" => all.push(parameters["exceptionDetails"].to_string()),
                "Runtime.consoleAPICalled" if parameters["type"] == "error" => {
                    all.push(parameters["args"].to_string());
                }
                "Log.entryAdded" => all.push(parameters["entry"]["text"].to_string()),
                "Network.requestWillBeSent" => {
                    let url = parameters["request"]["url"].as_str().unwrap_or_default();
                    let asks =
                        !url.starts_with(&own) && !url.starts_with("data:") && url != "about:blank";
                    if asks {
                        all.push(format!("it asks for {url}"));
                    }
                }
                _ => {}
            }
        }
        all
    }
}

/// The bytes behind base64.
fn base64_of(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD
        .decode(text)
        .unwrap()
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.to = None;
        let group = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

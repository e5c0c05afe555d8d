//! Enough of a Kubernetes API server for the playbook's commands: kubectl itself runs, unchanged, against this.
//!
//! Owns a store of objects and the pods that a Job gets at once. It runs nothing: what a pod's log says, and
//! with which code it ended, is given by whoever makes the cluster. It validates nothing either; that the
//! documents are what Kubernetes takes is checked in `tests/deploy`.

#[path = "discovery.rs"]
mod discovery;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use discovery::{discovery, kind_of};
use serde_json::{Value, json};

/// What a pod says and its exit code, from its Job's name and its index.
pub type Kubelet = Box<dyn Fn(&str, usize) -> (String, i32) + Send + Sync>;

/// The cluster. Its thread ends with the test program.
pub struct Cluster {
    state: Arc<State>,
    address: String,
}

struct State {
    /// By path, such as /apis/batch/v1/namespaces/N/jobs/NAME.
    objects: Mutex<BTreeMap<String, Value>>,
    /// The logs of pods, by the pod's path.
    logs: Mutex<BTreeMap<String, String>>,
    requests: Mutex<Vec<String>>,
    kubelet: Kubelet,
}

fn locked<T>(one: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    one.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cluster {
    pub fn start(kubelet: Kubelet) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address").to_string();
        let state = Arc::new(State {
            objects: Mutex::default(),
            logs: Mutex::default(),
            requests: Mutex::default(),
            kubelet,
        });
        let served = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&served);
                std::thread::spawn(move || state.serve(&stream));
            }
        });
        Self { state, address }
    }

    /// Writes a file for KUBECONFIG that leads here.
    pub fn write_config(&self, file: &Path) {
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{ "name": "c", "cluster": { "server": format!("http://{}", self.address) } }],
            "contexts": [{ "name": "c", "context": { "cluster": "c", "user": "u" } }],
            "users": [{ "name": "u", "user": {} }],
        });
        std::fs::write(file, config.to_string()).expect("a file");
    }

    /// The paths of the objects that there are.
    pub fn objects(&self) -> Vec<String> {
        locked(&self.state.objects).keys().cloned().collect()
    }

    /// What was asked, in order.
    pub fn requests(&self) -> Vec<String> {
        locked(&self.state.requests).clone()
    }
}

impl State {
    fn serve(&self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let mut length = 0;
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header).unwrap_or(0) == 0 || header.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = header.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let mut words = line.split(' ');
        let (method, target) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        locked(&self.requests).push(format!("{method} {target}"));
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let query = decoded(query);
        let body = match body.strip_prefix(PROTOBUF) {
            Some(message) => self.of_protobuf(path, message),
            None => serde_json::from_slice(&body).unwrap_or(Value::Null),
        };
        let (status, kind, text) = match self.answer(method, path, &query, body) {
            Answer::Json(value) => (200, "application/json", value.to_string()),
            Answer::Text(text) => (200, "text/plain", text),
            Answer::Missing => {
                let status = json!({
                    "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                    "message": format!("{path} not found"), "reason": "NotFound", "code": 404,
                });
                (404, "application/json", status.to_string())
            }
        };
        let _ = write!(
            &mut &*stream,
            "HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{text}",
            text.len()
        );
    }

    fn answer(&self, method: &str, path: &str, query: &str, body: Value) -> Answer {
        if let Some(found) = discovery(path) {
            return Answer::Json(found);
        }
        match method {
            "GET" if path.ends_with("/log") => {
                let logs = locked(&self.logs);
                let pod = path.trim_end_matches("/log");
                match logs.get(pod) {
                    Some(text) if query.contains("timestamps=true") => {
                        Answer::Text(stamped(pod, text))
                    }
                    Some(text) => Answer::Text(text.clone()),
                    None => Answer::Missing,
                }
            }
            "GET" if is_collection(path) => self.list(path, query),
            "GET" => self.one(path),
            "POST" => self.create(path, body),
            "PATCH" => {
                if let Some(object) = locked(&self.objects).get_mut(path) {
                    merge(object, &body);
                }
                self.one(path)
            }
            "DELETE" => {
                let gone = self.one(path);
                locked(&self.objects).retain(|known, _| {
                    let pods = path
                        .replace("/apis/batch/v1/", "/api/v1/")
                        .replace("/jobs/", "/pods/");
                    known != path && !known.starts_with(&format!("{pods}-"))
                });
                gone
            }
            _ => Answer::Missing,
        }
    }

    /// What `kubectl create` sends for kinds that it knows: of that only the name is read. The content of a
    /// Job is that of the namespace's CronJob, from which kubectl has copied it.
    fn of_protobuf(&self, path: &str, message: &[u8]) -> Value {
        // runtime.Unknown, field 2: the object; its field 1: the metadata; its field 1: the name.
        let name = [2, 1, 1]
            .into_iter()
            .try_fold(message, field)
            .unwrap_or_default();
        let mut object = json!({ "metadata": { "name": String::from_utf8_lossy(name) } });
        object["metadata"]["namespace"] = json!(path.split('/').rev().nth(1).unwrap_or_default());
        if let Some(namespace) = path.strip_suffix("/jobs") {
            let cronjobs = format!("{namespace}/cronjobs/");
            let objects = locked(&self.objects);
            let mut found = objects
                .iter()
                .filter(|(known, _)| known.starts_with(&cronjobs));
            if let Some((_, cronjob)) = found.next() {
                object["spec"] = cronjob["spec"]["jobTemplate"]["spec"].clone();
            }
        }
        object
    }

    fn one(&self, path: &str) -> Answer {
        locked(&self.objects)
            .get(path)
            .cloned()
            .map_or(Answer::Missing, Answer::Json)
    }

    fn list(&self, path: &str, query: &str) -> Answer {
        let parameter = |name: &str| {
            let mut all = query
                .split('&')
                .filter_map(|one| one.strip_prefix(name)?.strip_prefix('='));
            all.next().unwrap_or_default().to_owned()
        };
        let (labels, fields) = (parameter("labelSelector"), parameter("fieldSelector"));
        let objects = locked(&self.objects);
        let items: Vec<&Value> = objects
            .iter()
            .filter(|(known, _)| {
                known
                    .strip_prefix(path)
                    .is_some_and(|rest| rest.starts_with('/'))
            })
            .map(|(_, object)| object)
            .filter(|object| selects(&labels, &object["metadata"]["labels"]))
            .filter(|object| {
                let wanted = fields.strip_prefix("metadata.name=");
                wanted.is_none_or(|name| object["metadata"]["name"] == name)
            })
            .collect();
        let (version, kind) = kind_of(path);
        let kind = format!("{kind}List");
        Answer::Json(json!({ "kind": kind, "apiVersion": version, "metadata": {}, "items": items }))
    }

    fn create(&self, path: &str, mut object: Value) -> Answer {
        let name = object["metadata"]["name"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        object["metadata"]["uid"] = json!(format!("uid-{name}"));
        let (version, kind) = kind_of(path);
        object["apiVersion"] = json!(version);
        object["kind"] = json!(kind);
        if path.ends_with("/jobs") {
            object["status"] = self.run(path, &name, &object["spec"]);
        }
        locked(&self.objects).insert(format!("{path}/{name}"), object.clone());
        Answer::Json(object)
    }

    /// Makes the pods of a Job, all of which have ended; the Job's status.
    fn run(&self, path: &str, job: &str, spec: &Value) -> Value {
        let pods = path
            .replace("/apis/batch/v1/", "/api/v1/")
            .replace("/jobs", "/pods");
        let count = spec["completions"].as_u64().unwrap_or(1);
        let mut failed = false;
        for index in 0..usize::try_from(count).unwrap_or(1) {
            let (log, code) = (self.kubelet)(job, index);
            failed |= code != 0;
            let name = format!("{job}-{index}");
            let mut labels = spec["template"]["metadata"]["labels"].clone();
            labels["job-name"] = json!(job);
            labels["batch.kubernetes.io/job-name"] = json!(job);
            labels["batch.kubernetes.io/job-completion-index"] = json!(index.to_string());
            let container = spec["template"]["spec"]["containers"][0]["name"].clone();
            let pod = json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": { "name": name, "namespace": "x", "labels": labels },
                "spec": spec["template"]["spec"],
                "status": {
                    "phase": if code == 0 { "Succeeded" } else { "Failed" },
                    "containerStatuses": [{
                        "name": container, "state": { "terminated": { "exitCode": code } },
                        "image": "", "imageID": "", "ready": false, "restartCount": 0,
                    }],
                },
            });
            let mut pod = pod;
            pod["metadata"]["namespace"] = json!(pods.split('/').nth(4).unwrap_or_default());
            locked(&self.logs).insert(format!("{pods}/{name}"), log);
            locked(&self.objects).insert(format!("{pods}/{name}"), pod);
        }
        let kind = if failed { "Failed" } else { "Complete" };
        json!({ "conditions": [{ "type": kind, "status": "True" }] })
    }
}

enum Answer {
    Json(Value),
    Text(String),
    Missing,
}

/// How a body in Kubernetes' protobuf encoding begins.
const PROTOBUF: &[u8] = b"k8s\0";

/// A field of a protobuf message that holds bytes; none if the message has none, or is torn.
fn field(message: &[u8], wanted: u64) -> Option<&[u8]> {
    let mut rest = message;
    while !rest.is_empty() {
        let (tag, after) = varint(rest)?;
        let (length, after) = varint(after)?;
        if tag & 7 == 0 {
            rest = after;
            continue;
        }
        let (bytes, after) = after.split_at_checked(usize::try_from(length).ok()?)?;
        if tag >> 3 == wanted {
            return Some(bytes);
        }
        rest = after;
    }
    None
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let end = bytes.iter().position(|byte| byte & 0x80 == 0)?;
    let number = bytes[..=end]
        .iter()
        .rev()
        .fold(0, |sum, byte| sum << 7 | u64::from(byte & 0x7f));
    Some((number, &bytes[end + 1..]))
}

/// Whether a path names all objects of a kind, not one of them.
fn is_collection(path: &str) -> bool {
    path.split('/')
        .skip_while(|part| *part != "namespaces")
        .count()
        == 3
}

/// RFC 7396, as far as it is needed.
fn merge(object: &mut Value, patch: &Value) {
    match (object.as_object_mut(), patch.as_object()) {
        (Some(object), Some(patch)) => {
            for (name, value) in patch {
                merge(object.entry(name).or_insert(Value::Null), value);
            }
        }
        _ => *object = patch.clone(),
    }
}

/// Each line with a time stamp; those of a pod whose name sorts later are later.
fn stamped(pod: &str, log: &str) -> String {
    let minute = pod
        .bytes()
        .filter(u8::is_ascii_digit)
        .map(u32::from)
        .sum::<u32>()
        % 60;
    let lines = log.lines().enumerate();
    lines
        .map(|(second, line)| format!("2026-06-04T11:{minute:02}:{second:02}Z {line}\n"))
        .collect()
}

/// Whether labels are as a selector wants them: `a=b` and `a in (b, c)`, joined by commas.
fn selects(selector: &str, labels: &Value) -> bool {
    let has = |name: &str, value: &str| labels[name.trim()] == value.trim();
    let mut rest = selector;
    while !rest.is_empty() {
        let inside = rest
            .find('(')
            .filter(|at| rest.find(',').is_none_or(|comma| comma > *at));
        let met;
        (met, rest) = if let Some(open) = inside {
            let close = rest.find(')').unwrap_or(rest.len());
            let name = rest[..open].trim_end_matches(" in ").trim();
            let mut values = rest[open + 1..close].split(',');
            (
                values.any(|value| has(name, value)),
                rest.get(close + 1..).unwrap_or(""),
            )
        } else {
            let (one, more) = rest.split_once(',').unwrap_or((rest, ""));
            let (name, value) = one.split_once('=').unwrap_or((one, ""));
            (has(name, value), more)
        };
        rest = rest.trim_start_matches([',', ' ']);
        if !met {
            return false;
        }
    }
    true
}

fn decoded(query: &str) -> String {
    let mut bytes = query.bytes();
    let mut found = Vec::new();
    while let Some(byte) = bytes.next() {
        found.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [bytes.next().unwrap_or(0), bytes.next().unwrap_or(0)];
                let text = std::str::from_utf8(&digits).unwrap_or_default();
                u8::from_str_radix(text, 16).unwrap_or(b'?')
            }
            other => other,
        });
    }
    String::from_utf8_lossy(&found).into_owned()
}

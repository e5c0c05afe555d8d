//! What the stand-in for the API server says of itself: its kinds, and that it validates fields.

use serde_json::{Value, json};

/// Version and kind of the objects of a collection.
pub fn kind_of(path: &str) -> (&'static str, &'static str) {
    match path.rsplit('/').next() {
        Some("jobs") => ("batch/v1", "Job"),
        Some("cronjobs") => ("batch/v1", "CronJob"),
        Some("secrets") => ("v1", "Secret"),
        Some("pods") => ("v1", "Pod"),
        _ => ("v1", "PersistentVolumeClaim"),
    }
}

/// Which kinds there are.
pub fn discovery(path: &str) -> Option<Value> {
    let resources = |version: &str, kinds: &[(&str, &str)]| {
        let all: Vec<Value> = kinds
            .iter()
            .map(|(name, kind)| {
                json!({
                    "name": name, "singularName": kind.to_lowercase(), "namespaced": true, "kind": kind,
                    "verbs": ["create", "delete", "get", "list", "patch", "watch"],
                })
            })
            .collect();
        json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": all })
    };
    const BATCH: [(&str, &str); 2] = [("jobs", "Job"), ("cronjobs", "CronJob")];
    const CORE: [(&str, &str); 3] = [
        ("pods", "Pod"),
        ("secrets", "Secret"),
        ("persistentvolumeclaims", "PersistentVolumeClaim"),
    ];
    Some(match path {
        "/api" => json!({ "kind": "APIVersions", "versions": ["v1"] }),
        "/apis" => json!({
            "kind": "APIGroupList", "apiVersion": "v1",
            "groups": [{
                "name": "batch",
                "versions": [{ "groupVersion": "batch/v1", "version": "v1" }],
                "preferredVersion": { "groupVersion": "batch/v1", "version": "v1" },
            }],
        }),
        "/api/v1" => resources("v1", &CORE),
        "/apis/batch/v1" => resources("batch/v1", &BATCH),
        "/version" => json!({ "major": "1", "minor": "33", "gitVersion": "v1.33.0" }),
        "/openapi/v3" => json!({ "paths": {
            "api/v1": { "serverRelativeURL": "/openapi/v3/api/v1" },
            "apis/batch/v1": { "serverRelativeURL": "/openapi/v3/apis/batch/v1" },
        } }),
        "/openapi/v3/api/v1" => takes_field_validation("/api/v1", "", &CORE),
        "/openapi/v3/apis/batch/v1" => takes_field_validation("/apis/batch/v1", "batch", &BATCH),
        _ => return None,
    })
}

/// Tells kubectl that the server validates fields itself, so that kubectl need not.
fn takes_field_validation(root: &str, group: &str, kinds: &[(&str, &str)]) -> Value {
    let mut paths = serde_json::Map::new();
    for (name, kind) in kinds {
        paths.insert(
            format!("{root}/namespaces/{{namespace}}/{name}/{{name}}"),
            json!({ "patch": {
                "parameters": [{ "name": "fieldValidation", "in": "query", "schema": { "type": "string" } }],
                "responses": {},
                "x-kubernetes-action": "patch",
                "x-kubernetes-group-version-kind": { "group": group, "kind": kind, "version": "v1" },
            } }),
        );
    }
    json!({ "openapi": "3.0.0", "info": { "title": "x", "version": "x" }, "paths": paths })
}

//! The JSON schema of a scenario file, for editors.
//!
//! Owns one thing only: TOML has no null, so a key that may be left out has just its own type. The
//! rest is made from the types in `file.rs`.

use serde_json::Value;

use super::file::File;

/// The JSON schema of a scenario file.
#[must_use]
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(File).to_value();
    without_null(&mut schema);
    schema
}

/// Takes `null` out of every choice of types.
fn without_null(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(without_null),
        Value::Object(keys) => {
            keys.values_mut().for_each(without_null);
            if let Some(Value::Array(types)) = keys.get_mut("type") {
                types.retain(|one| one != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    keys.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(choices)) = keys.get_mut("anyOf") {
                choices.retain(|one| one["type"] != "null");
                if let [Value::Object(only)] = choices.as_slice() {
                    let only = only.clone();
                    keys.remove("anyOf");
                    keys.extend(only);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_knows_the_keys_and_forbids_all_others() {
        let schema = schema();
        let text = schema.to_string();
        for key in [
            "on_contention",
            "answers",
            "starting_deadline",
            "advance",
            "terminate-backend",
            "may_violate",
            "stagger",
            "whole-job",
            "faults-fired",
            "in-doubt",
            "pooler",
            "transaction",
        ] {
            assert!(text.contains(&format!("\"{key}\"")), "{key}");
        }
        assert!(!text.contains("\"null\""), "{text}");
        assert_eq!(schema["required"], serde_json::json!(["title", "subject"]));
        assert!(schema["properties"]["title"]["description"].is_string());
        assert_eq!(schema["additionalProperties"], false);
        for (name, one) in schema["$defs"].as_object().unwrap() {
            if one["properties"].is_object() {
                assert_eq!(one["additionalProperties"], false, "{name}");
            }
        }
    }

    #[test]
    fn each_fault_has_its_own_keys_and_points() {
        let schema = schema();
        let of = |name: &str| schema["$defs"]["Fault"]["properties"][name].clone();
        let keys = |name: &str| {
            let properties = of(name)["properties"].as_object().cloned().unwrap();
            properties.keys().cloned().collect::<Vec<_>>()
        };
        assert_eq!(keys("kill"), ["pod", "point"]);
        assert!(keys("error").contains(&"sqlstate".to_owned()));
        assert!(!keys("error").contains(&"every".to_owned()));
        assert!(keys("throttle").contains(&"every".to_owned()));
        assert_eq!(
            of("error")["required"],
            serde_json::json!(["sqlstate", "pod"])
        );
        assert_eq!(of("crash")["required"], serde_json::json!([]));
        assert_eq!(
            of("heal")["properties"]["point"]["enum"],
            serde_json::json!(["before"])
        );
        assert_eq!(
            of("restart")["properties"]["mode"],
            serde_json::json!({
                "type": "string",
                "enum": ["fast", "immediate"],
                "description": "How it is shut down (default: fast).",
            })
        );
    }
}

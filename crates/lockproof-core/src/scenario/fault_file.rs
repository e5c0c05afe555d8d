//! A fault as its table in a scenario file says it, and the JSON schema of that table.
//!
//! Owns the keys: which faults there are, and which parameters each has, is the catalogue's to say. What
//! the values mean is read elsewhere.

use std::borrow::Cow;
use std::fmt;
use std::sync::LazyLock;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};
use toml::Spanned;

use crate::schedule::{
    FaultEntry, FaultKind, LeftOut, Parameter, ParameterValue, Point, Sessions, Shape,
};

/// One fault: one of the names of the catalogue, and in free pacing `at`.
#[derive(Debug, Default)]
pub(super) struct FaultFile {
    /// In free pacing: this long after the run began.
    pub(super) at: Option<Spanned<String>>,
    /// The faults that are named: exactly one, if the file is right.
    pub(super) named: Vec<(&'static FaultEntry, Spanned<TargetFile>)>,
}

/// What a fault is done to, at which point, and its parameters.
#[derive(Debug, Default)]
pub(super) struct TargetFile {
    pub(super) pod: Option<Spanned<String>>,
    pub(super) point: Option<Spanned<String>>,
    pub(super) connection: Option<Spanned<String>>,
    pub(super) holding: Option<Spanned<String>>,
    pub(super) next: Option<Spanned<bool>>,
    pub(super) every: Option<Spanned<bool>>,
    /// Parameters of any fault, by their keys.
    pub(super) parameters: Vec<(&'static Parameter, Spanned<GivenValue>)>,
}

/// The value of a parameter, as TOML has it.
#[derive(Debug)]
pub(super) enum GivenValue {
    Text(String),
    Flag(bool),
    Number(i64),
}

/// `at` and the names of all faults.
static FAULT_KEYS: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let names = FaultKind::NAMES.iter().copied();
    std::iter::once("at").chain(names).collect()
});

/// The keys that name pod, point and session.
const TARGET_KEYS: [&str; 6] = ["pod", "point", "connection", "holding", "next", "every"];

/// These, and the keys of all parameters.
static ALL_TARGET_KEYS: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let keys = parameters().map(|(_, parameter)| parameter.key);
    TARGET_KEYS.into_iter().chain(keys).collect()
});

/// The parameters of all faults, each with its fault.
pub(super) fn parameters() -> impl Iterator<Item = (&'static FaultEntry, &'static Parameter)> {
    let entries = FaultKind::CATALOGUE.iter();
    entries.flat_map(|entry| entry.parameters.iter().map(move |one| (entry, one)))
}

/// A key of a table, refused at its own place if it is none of them.
struct Key(&'static str);

struct OneOf(&'static [&'static str]);

impl<'de> serde::de::DeserializeSeed<'de> for OneOf {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key, D::Error> {
        let given = String::deserialize(deserializer)?;
        let known = self.0.iter().find(|key| **key == given);
        known
            .map(|key| Key(key))
            .ok_or_else(|| D::Error::unknown_field(&given, self.0))
    }
}

struct FaultVisitor;

impl<'de> Visitor<'de> for FaultVisitor {
    type Value = FaultFile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table such as { kill = { pod = \"a\" } }")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<FaultFile, A::Error> {
        let mut file = FaultFile::default();
        while let Some(Key(key)) = map.next_key_seed(OneOf(&FAULT_KEYS))? {
            match FaultEntry::of_name(key) {
                Some(entry) => file.named.push((entry, map.next_value()?)),
                None => file.at = Some(map.next_value()?),
            }
        }
        Ok(file)
    }
}

impl<'de> Deserialize<'de> for FaultFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FaultVisitor)
    }
}

struct TargetVisitor;

impl<'de> Visitor<'de> for TargetVisitor {
    type Value = TargetFile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table such as { pod = \"a\" }")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TargetFile, A::Error> {
        let mut file = TargetFile::default();
        while let Some(Key(key)) = map.next_key_seed(OneOf(&ALL_TARGET_KEYS))? {
            match key {
                "pod" => file.pod = Some(map.next_value()?),
                "point" => file.point = Some(map.next_value()?),
                "connection" => file.connection = Some(map.next_value()?),
                "holding" => file.holding = Some(map.next_value()?),
                "next" => file.next = Some(map.next_value()?),
                "every" => file.every = Some(map.next_value()?),
                key => {
                    let Some((_, parameter)) = parameters().find(|(_, one)| one.key == key) else {
                        return Err(A::Error::unknown_field(key, &ALL_TARGET_KEYS));
                    };
                    file.parameters
                        .push((parameter, value(&mut map, parameter)?));
                }
            }
        }
        Ok(file)
    }
}

/// A value of the type that this parameter has.
fn value<'de, A: MapAccess<'de>>(
    map: &mut A,
    parameter: &Parameter,
) -> Result<Spanned<GivenValue>, A::Error> {
    fn given<T>(value: Spanned<T>, to: fn(T) -> GivenValue) -> Spanned<GivenValue> {
        let span = value.span();
        Spanned::new(span, to(value.into_inner()))
    }
    Ok(match parameter.shape {
        Shape::Duration | Shape::Word { .. } | Shape::Sqlstate => {
            given(map.next_value()?, GivenValue::Text)
        }
        Shape::Flag => given(map.next_value()?, GivenValue::Flag),
        Shape::Positive { .. } => given(map.next_value()?, GivenValue::Number),
    })
}

impl<'de> Deserialize<'de> for TargetFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TargetVisitor)
    }
}

/// Time passes for the lock row: `"lock"`, or what the fault `expire` can say.
#[derive(Debug)]
pub(super) struct ExpireFile(pub(super) TargetFile);

struct ExpireVisitor;

impl<'de> Visitor<'de> for ExpireVisitor {
    type Value = ExpireFile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"lock\", or a table such as { by = \"10s\" }")
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<ExpireFile, E> {
        match word {
            "lock" => Ok(ExpireFile(TargetFile::default())),
            _ => Err(E::invalid_value(serde::de::Unexpected::Str(word), &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ExpireFile, A::Error> {
        TargetVisitor.visit_map(map).map(ExpireFile)
    }
}

impl<'de> Deserialize<'de> for ExpireFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ExpireVisitor)
    }
}

impl JsonSchema for ExpireFile {
    fn schema_name() -> Cow<'static, str> {
        "Expire".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let entry = FaultEntry::of_name("expire").map(schema_of);
        json_schema!({
            "description": "Time passes for the lock row.",
            "anyOf": [{ "const": "lock" }, entry],
        })
    }
}

impl JsonSchema for FaultFile {
    fn schema_name() -> Cow<'static, str> {
        "Fault".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut properties = Map::new();
        properties.insert(
            "at".to_owned(),
            json!({
                "type": "string",
                "description": "In free pacing: this long after the run began, such as \"50ms\".",
            }),
        );
        for entry in FaultKind::CATALOGUE {
            properties.insert(entry.name.to_owned(), schema_of(entry));
        }
        json_schema!({
            "type": "object",
            "description": "One fault: one of the names below, and in free pacing `at`.",
            "properties": properties,
            "additionalProperties": false,
        })
    }
}

/// The schema of what a file can say of this fault.
fn schema_of(entry: &FaultEntry) -> Value {
    let mut properties = Map::new();
    let mut put = |key: &str, schema: Value| {
        properties.insert(key.to_owned(), schema);
    };
    let points: Vec<_> = entry
        .points
        .all()
        .iter()
        .filter_map(|one| one.name())
        .collect();
    let of_server = !entry.target.needs_pod();
    let pod = match of_server {
        true => "The pod at whose next step it comes.",
        false => "The pod.",
    };
    put("pod", json!({ "type": "string", "description": pod }));
    let description = "When (default: before the next step).";
    put(
        "point",
        json!({ "type": "string", "enum": points, "description": description }),
    );
    let one = entry.sessions != Sessions::Whole;
    if one {
        let description = "The session of this connection, such as \"a.0\".";
        put(
            "connection",
            json!({ "type": "string", "description": description }),
        );
        let description = "\"lock\": the session that holds an advisory lock.";
        put(
            "holding",
            json!({ "const": "lock", "description": description }),
        );
        let description = "true: the session whose step is next to be released.";
        put("next", json!({ "const": true, "description": description }));
    }
    if one && entry.sessions != Sessions::One {
        let description = "true: every session of the pod.";
        put(
            "every",
            json!({ "const": true, "description": description }),
        );
    }
    for parameter in entry.parameters {
        put(parameter.key, schema_of_parameter(parameter));
    }
    let needed = entry
        .parameters
        .iter()
        .filter(|parameter| matches!(parameter.left_out, LeftOut::Impossible { .. }));
    let mut required: Vec<&str> = needed.map(|parameter| parameter.key).collect();
    if !of_server {
        required.push("pod");
    }
    json!({
        "type": "object",
        "description": sentence(entry.doc),
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn schema_of_parameter(parameter: &Parameter) -> Value {
    let mut schema = match parameter.shape {
        Shape::Duration => json!({ "type": "string" }),
        Shape::Flag => json!({ "type": "boolean" }),
        Shape::Positive { .. } => json!({ "type": "integer", "minimum": 1 }),
        Shape::Word { words, .. } => json!({ "type": "string", "enum": words }),
        Shape::Sqlstate => json!({ "type": "string", "pattern": "^[0-9A-Z]{5}$" }),
    };
    let default = match &parameter.left_out {
        LeftOut::Is(ParameterValue::Flag(_)) | LeftOut::Impossible { .. } => String::new(),
        LeftOut::Is(value) => format!(" (default: {})", super::write::plain(value)),
    };
    schema["description"] = sentence(&format!("{}{default}", parameter.doc)).into();
    schema
}

/// A line of the catalogue as a sentence.
fn sentence(line: &str) -> String {
    let mut letters = line.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    format!("{}{}.", first.collect::<String>(), letters.as_str())
}

/// The names of the points, in the order in which they are listed.
pub(super) fn point_names() -> Vec<&'static str> {
    let points = [Point::Before, Point::InDoubt, Point::Waiting, Point::After];
    points.into_iter().filter_map(Point::name).collect()
}

//! One document as its Kubernetes type.
//!
//! Owns the list of types that `deploy/` may use. Unknown fields are found by serde_ignored, because the
//! types of k8s-openapi read over them.

use std::fmt;

use k8s_openapi::api::batch::v1::{CronJob, Job, JobSpec};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A document of a type that is known here.
#[derive(Debug, Clone)]
pub enum Object {
    /// `batch/v1` CronJob.
    CronJob(Box<CronJob>),
    /// `batch/v1` Job.
    Job(Box<Job>),
    /// `v1` PersistentVolumeClaim.
    PersistentVolumeClaim(Box<PersistentVolumeClaim>),
}

/// One document.
#[derive(Debug, Clone)]
pub struct Document {
    /// What it is.
    pub object: Object,
    /// The same before it was given a type.
    pub value: Value,
}

/// Why documents cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The text is no YAML.
    #[error("not YAML: {0}")]
    NotYaml(String),
    /// A document of a type that `deploy/` has no use for.
    #[error(
        "document {number}: {kind} of {version:?} is none of CronJob, Job, PersistentVolumeClaim"
    )]
    UnknownType {
        /// Its number, from 1.
        number: usize,
        /// `apiVersion`.
        version: String,
        /// `kind`.
        kind: String,
    },
    /// A document that does not fit its type.
    #[error("{name}: {why}")]
    WrongType {
        /// Kind and name.
        name: String,
        /// What does not fit.
        why: String,
    },
    /// Fields that the type does not have.
    #[error("{name} has unknown fields: {}", .fields.join(", "))]
    UnknownFields {
        /// Kind and name.
        name: String,
        /// Where they are.
        fields: Vec<String>,
    },
}

/// Reads every document of a text.
///
/// # Errors
/// At the first document that cannot be read.
pub fn read(text: &str) -> Result<Vec<Document>, ReadError> {
    let values: Vec<Value> =
        serde_saphyr::from_multiple(text).map_err(|error| ReadError::NotYaml(error.to_string()))?;
    let values = values.into_iter().filter(|value| !value.is_null());
    values
        .enumerate()
        .map(|(index, value)| {
            let text_of = |pointer: &str| {
                let found = value.pointer(pointer).and_then(Value::as_str);
                found.unwrap_or_default().to_owned()
            };
            let (version, kind) = (text_of("/apiVersion"), text_of("/kind"));
            let name = format!("{kind} {}", text_of("/metadata/name"));
            let object = match (version.as_str(), kind.as_str()) {
                ("batch/v1", "CronJob") => Object::CronJob(typed(&name, &value)?),
                ("batch/v1", "Job") => Object::Job(typed(&name, &value)?),
                ("v1", "PersistentVolumeClaim") => {
                    Object::PersistentVolumeClaim(typed(&name, &value)?)
                }
                _ => {
                    return Err(ReadError::UnknownType {
                        number: index + 1,
                        version,
                        kind,
                    });
                }
            };
            Ok(Document { object, value })
        })
        .collect()
}

fn typed<T: DeserializeOwned>(name: &str, value: &Value) -> Result<Box<T>, ReadError> {
    let mut fields = Vec::new();
    let object = serde_ignored::deserialize(value, |path| fields.push(path.to_string()));
    let object = object.map_err(|error| ReadError::WrongType {
        name: name.to_owned(),
        why: error.to_string(),
    })?;
    if fields.is_empty() {
        return Ok(Box::new(object));
    }
    // `?` stands for a field that may be left out; whoever wrote the file does not see it.
    let fields = fields
        .iter()
        .map(|field| field.replace("?.", "").replace(".?", ""))
        .collect();
    Err(ReadError::UnknownFields {
        name: name.to_owned(),
        fields,
    })
}

impl Document {
    /// Its name, namespace and labels.
    #[must_use]
    pub fn metadata(&self) -> &ObjectMeta {
        match &self.object {
            Object::CronJob(object) => &object.metadata,
            Object::Job(object) => &object.metadata,
            Object::PersistentVolumeClaim(object) => &object.metadata,
        }
    }

    /// What a Job made from it says, if any is.
    #[must_use]
    pub fn job(&self) -> Option<&JobSpec> {
        match &self.object {
            Object::CronJob(object) => object.spec.as_ref()?.job_template.spec.as_ref(),
            Object::Job(object) => object.spec.as_ref(),
            Object::PersistentVolumeClaim(_) => None,
        }
    }

    /// The pods that it makes, if any.
    #[must_use]
    pub fn pods(&self) -> Option<&PodTemplateSpec> {
        self.job().map(|job| &job.template)
    }
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.object {
            Object::CronJob(_) => "CronJob",
            Object::Job(_) => "Job",
            Object::PersistentVolumeClaim(_) => "PersistentVolumeClaim",
        };
        let metadata = self.metadata();
        let name = metadata.name.as_deref().unwrap_or_default();
        match metadata.namespace.as_deref() {
            Some(namespace) => write!(f, "{kind} {namespace}/{name}"),
            None => write!(f, "{kind} {name}"),
        }
    }
}

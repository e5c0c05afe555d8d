//! Reads what `deploy/` would give a cluster, without a cluster.
//!
//! [`render()`] asks `kubectl kustomize` for the documents of a directory. [`read`] reads each as its
//! Kubernetes type, and takes a field that the type does not have for an error, as an API server with strict
//! validation would. [`problems`] says what is wrong with documents that are well-formed.

mod document;
mod render;
mod rules;
mod settings;

pub use document::{Document, Object, ReadError, read};
pub use render::{RenderError, render};
pub use rules::problems;
pub use settings::{Entrypoint, NoEntrypoint, Settings, SettingsError};

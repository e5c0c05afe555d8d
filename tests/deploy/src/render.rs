//! The documents of a kustomization, as text.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Why there is no text.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// `kubectl` cannot be started.
    #[error(
        "kubectl cannot be started ({0}); Debian has it in the package kubernetes-client (.ci/install)"
    )]
    NoKubectl(#[source] std::io::Error),
    /// `kubectl kustomize` refuses the directory.
    #[error("kubectl kustomize {}: {why}", .directory.display())]
    Refused {
        /// The directory.
        directory: PathBuf,
        /// What kubectl said.
        why: String,
    },
}

/// What `kubectl kustomize` prints for this directory.
///
/// # Errors
/// When there is no kubectl, or it refuses the directory.
pub fn render(directory: &Path) -> Result<String, RenderError> {
    let output = Command::new("kubectl")
        .arg("kustomize")
        .arg(directory)
        .output()
        .map_err(RenderError::NoKubectl)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(RenderError::Refused {
        directory: directory.to_owned(),
        why: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

//! Pods and what they open: `a`, and its connections `a.0`, `a.1`, …
//!
//! Owns their text form, which is what a reader sees in reports and schedules. Knows nothing of
//! where they come from.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The name of one running copy of the subject: `a`, `b`, `c`, …
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct PodName(String);

impl PodName {
    /// The name of the pod with this index: 0 is `a`, 25 is `z`, 26 is `aa`.
    #[must_use]
    pub fn of_index(index: usize) -> Self {
        let mut rest = index;
        let mut name = String::new();
        loop {
            let letter = u8::try_from(rest % 26).unwrap_or(0);
            name.insert(0, char::from(b'a' + letter));
            rest /= 26;
            if rest == 0 {
                return Self(name);
            }
            rest -= 1;
        }
    }

    /// A pod of any name, as scenario files and the recovery pod have them.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PodName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a pod opened, as seen on the wire: `a.0`, `a.1`, … in order of arrival.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionName {
    /// The pod that opened it.
    pub pod: PodName,
    /// Its place in the order in which the pod's connections arrived, from 0.
    pub index: u32,
}

impl fmt::Display for ConnectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.pod, self.index)
    }
}

/// A text that is no connection name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no connection name; they look like \"a.0\"")]
pub struct NotAConnectionName(String);

impl FromStr for ConnectionName {
    type Err = NotAConnectionName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || NotAConnectionName(text.to_owned());
        let (pod, index) = text.rsplit_once('.').ok_or_else(wrong)?;
        if pod.is_empty() {
            return Err(wrong());
        }
        let index = index.parse().map_err(|_| wrong())?;
        Ok(Self {
            pod: PodName::new(pod),
            index,
        })
    }
}

impl Serialize for ConnectionName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ConnectionName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

//! The parameters of faults: what a scenario file can say of one besides its target and its point.
//!
//! Owns their types, and how a value of a fault becomes one of them and back. Knows nothing of TOML.

use std::time::Duration;

use super::parts::{OldPrimary, ShutdownMode};

/// What the catalogue says of a parameter.
#[derive(Debug)]
pub struct Parameter {
    /// Its key in scenario files.
    pub key: &'static str,
    /// What it says, in one line.
    pub doc: &'static str,
    /// Which values it can have.
    pub shape: Shape,
    /// What holds where it is left out.
    pub left_out: LeftOut,
    /// How a description of the fault tells it: `{}` stands for the value (of a time, its
    /// milliseconds). A flag is told where it is set.
    pub told: &'static str,
}

impl Parameter {
    /// The parameter with this value, as a description of the fault tells it.
    #[must_use]
    pub fn describe(&self, value: &ParameterValue) -> Option<String> {
        let value = match value {
            ParameterValue::Duration(time)
                if time.is_zero() && self.left_out == LeftOut::Is(value.clone()) =>
            {
                return None;
            }
            ParameterValue::Duration(time) => time.as_millis().to_string(),
            ParameterValue::Flag(false) => return None,
            ParameterValue::Flag(true) => String::new(),
            ParameterValue::Number(number) => number.to_string(),
            ParameterValue::Word(word) => (*word).to_owned(),
            ParameterValue::Sqlstate(sqlstate) => sqlstate.clone(),
        };
        Some(self.told.replace("{}", &value))
    }
}

/// Which values a parameter can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A time, such as `"20ms"`.
    Duration,
    /// `true` or `false`.
    Flag,
    /// A whole number from 1 on.
    Positive {
        /// What it counts.
        unit: &'static str,
        /// What to do instead of writing 0.
        instead_of_zero: &'static str,
    },
    /// One of these words.
    Word {
        /// What they are words for.
        what: &'static str,
        /// The words.
        words: &'static [&'static str],
    },
    /// A SQLSTATE of an error.
    Sqlstate,
}

/// What holds where a parameter is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeftOut {
    /// This.
    Is(ParameterValue),
    /// It cannot be left out.
    Impossible {
        /// What is then asked, such as "by how much".
        question: &'static str,
        /// A value as a scenario file has it, for an example.
        example: &'static str,
    },
}

/// The value of a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParameterValue {
    /// Of a [`Shape::Duration`].
    Duration(Duration),
    /// Of a [`Shape::Flag`].
    Flag(bool),
    /// Of a [`Shape::Positive`].
    Number(u64),
    /// Of a [`Shape::Word`].
    Word(&'static str),
    /// Of a [`Shape::Sqlstate`].
    Sqlstate(String),
}

/// A type of the parameters of [`FaultKind`](super::FaultKind).
pub(super) trait Typed: Sized {
    /// The value.
    fn to_value(&self) -> ParameterValue;
    /// From the value, if it is of this type.
    fn from_value(value: &ParameterValue) -> Option<Self>;
}

/// The value of this key, if it is there and of this type.
pub(super) fn parameter<T: Typed>(
    given: &[(&'static str, ParameterValue)],
    key: &str,
) -> Option<T> {
    let (_, value) = given.iter().find(|(name, _)| *name == key)?;
    T::from_value(value)
}

/// Declares that a type is told by a value of one variant.
macro_rules! typed {
    ($type:ty, $variant:ident) => {
        impl Typed for $type {
            fn to_value(&self) -> ParameterValue {
                ParameterValue::$variant(self.clone())
            }

            fn from_value(value: &ParameterValue) -> Option<Self> {
                match value {
                    ParameterValue::$variant(value) => Some(value.clone()),
                    _ => None,
                }
            }
        }
    };
}

typed!(Duration, Duration);
typed!(bool, Flag);
typed!(u64, Number);
typed!(String, Sqlstate);

/// Declares that a type is told by one of its words.
macro_rules! worded {
    ($type:ty) => {
        impl Typed for $type {
            fn to_value(&self) -> ParameterValue {
                ParameterValue::Word(self.name())
            }

            fn from_value(value: &ParameterValue) -> Option<Self> {
                match value {
                    ParameterValue::Word(word) => {
                        Self::ALL.into_iter().find(|one| one.name() == *word)
                    }
                    _ => None,
                }
            }
        }
    };
}

worded!(ShutdownMode);
worded!(OldPrimary);

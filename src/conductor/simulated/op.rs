//! What simulated pods do.
//!
//! Owns the steps, which of them commute, and how proptest draws them.

use proptest::prelude::*;

/// A step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    Read(u8),
    Add(u8),
    Set(u8, i8),
    /// Fails unless the variable has this value.
    Check(u8, i8),
    Lock(u8),
    /// Of a lock that is not held it does nothing.
    Unlock(u8),
    /// Asks for a lock once.
    Try(u8),
    /// Asks for a lock until it gets it.
    Poll(u8),
    /// Adds to the one, and then to the other: a step with a middle.
    Both(u8, u8),
    /// Goes on until the pod has its other answers.
    Copy,
    /// No step: the pod rests until the variable is not zero.
    Await(u8),
}

impl Op {
    pub fn text(self) -> String {
        match self {
            Self::Read(name) => format!("read v{name}"),
            Self::Add(name) => format!("add v{name}"),
            Self::Set(name, value) => format!("set v{name} {value}"),
            Self::Check(name, value) => format!("check v{name} {value}"),
            Self::Lock(name) => format!("lock l{name}"),
            Self::Unlock(name) => format!("unlock l{name}"),
            Self::Try(name) => format!("try l{name}"),
            Self::Poll(name) => format!("poll l{name}"),
            Self::Both(one, two) => format!("both v{one} v{two}"),
            Self::Copy => "copy".to_owned(),
            Self::Await(name) => format!("await v{name}"),
        }
    }

    pub fn only_asks(self) -> bool {
        matches!(
            self,
            Self::Read(_) | Self::Check(..) | Self::Try(_) | Self::Poll(_)
        )
    }

    /// Whether two steps commute, by what they touch.
    pub fn commutes(self, other: Self) -> bool {
        if let Self::Both(one, two) = self {
            return [one, two]
                .into_iter()
                .all(|name| Self::Add(name).commutes(other));
        }
        if matches!(other, Self::Both(..)) {
            return other.commutes(self);
        }
        let touches = |op| match op {
            Self::Read(name) | Self::Check(name, _) | Self::Await(name) => (name, false),
            Self::Copy => (200, true),
            Self::Add(name) | Self::Set(name, _) | Self::Both(name, _) => (name, true),
            Self::Lock(name) | Self::Unlock(name) | Self::Try(name) | Self::Poll(name) => {
                (100 + name, true)
            }
        };
        let ((one, writes), (two, also)) = (touches(self), touches(other));
        one != two || !(writes || also)
    }
}

/// Any step over a few variables and locks; `polls`: among them polling.
pub fn op(polls: bool) -> impl Strategy<Value = Op> {
    let poll = if polls { 1 } else { 0 };
    prop_oneof![
        2 => (0..3_u8).prop_map(Op::Read),
        2 => (0..3_u8).prop_map(Op::Add),
        1 => (0..2_u8, 0..2_i8).prop_map(|(name, value)| Op::Set(name, value)),
        2 => (0..2_u8, 0..3_i8).prop_map(|(name, value)| Op::Check(name, value)),
        2 => (0..2_u8).prop_map(Op::Lock),
        2 => (0..2_u8).prop_map(Op::Unlock),
        1 => (0..2_u8).prop_map(Op::Try),
        poll => (0..2_u8).prop_map(Op::Poll),
    ]
}

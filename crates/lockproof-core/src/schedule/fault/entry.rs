//! The shape of the catalogue of faults: the questions that every fault answers.
//!
//! Owns those questions and the macro by which the catalogue is written. Knows nothing of any single
//! fault, and nothing of how one is applied.

use super::parameter::{Parameter, ParameterValue};
use super::parts::{Point, SessionChoice};

/// What the catalogue says of one fault of kind `K`. Scenario keys, JSON schema, searches and docs come
/// from this.
#[derive(Debug)]
pub struct Entry<K: 'static> {
    /// Its name, as in scenario files.
    pub name: &'static str,
    /// What is done, in one line.
    pub doc: &'static str,
    /// What it is done to.
    pub target: FaultTarget,
    /// Which sessions of its pod can be named.
    pub sessions: Sessions,
    /// At which points of a step it can come.
    pub points: Points,
    /// The keys that a scenario file gives besides target and point.
    pub parameters: &'static [Parameter],
    /// What undoes it, or what it undoes.
    pub undo: Undo,
    /// Which server it needs.
    pub server: ServerNeed,
    /// What comes of it.
    pub consequence: Consequence,
    /// Whether and how searches do it.
    pub search: InSearch<K>,
    /// The fault with these parameters, which are named as in [`parameters`](Self::parameters); `None`
    /// if one is missing or of another type.
    pub make: fn(&[(&'static str, ParameterValue)]) -> Option<K>,
}

/// What kind of thing a fault is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultTarget {
    /// A pod with all its processes.
    Pod,
    /// One or every session of a pod.
    Session,
    /// The link between a pod and the server.
    Link,
    /// The server.
    Server,
    /// The row that the scenario names as the lock.
    Lock,
}

impl FaultTarget {
    /// All of them, in the order of the catalogue.
    pub const ALL: [Self; 5] = [
        Self::Pod,
        Self::Session,
        Self::Link,
        Self::Server,
        Self::Lock,
    ];

    /// Its name in docs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pod => "pod",
            Self::Session => "session",
            Self::Link => "link",
            Self::Server => "server",
            Self::Lock => "lock row",
        }
    }

    /// Whether it is done to something of a pod, so that one must be named.
    #[must_use]
    pub fn needs_pod(self) -> bool {
        match self {
            Self::Pod | Self::Session | Self::Link => true,
            Self::Server | Self::Lock => false,
        }
    }
}

/// Which sessions of its pod a fault can be told to hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sessions {
    /// None is named: it is done to its target as a whole.
    Whole,
    /// One: it is the answer to one step.
    One,
    /// One, or every one at once.
    OneOrEvery,
    /// Every one of the pod, those to come included, unless one is named.
    EveryOrOne,
}

/// At which points of a step a fault can come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Points {
    /// At each; in doubt in this way.
    Each(InDoubt),
    /// Where there is an answer whose place it can take: not while the step waits.
    OfAnAnswer,
    /// Before a step and after it: what the server does meanwhile does not concern it.
    Edges,
    /// It comes between two steps.
    Between,
}

impl Points {
    /// These points.
    #[must_use]
    pub fn all(self) -> &'static [Point] {
        match self {
            Self::Each(_) => &EVERY_POINT,
            Self::OfAnAnswer => &STEP_POINTS,
            Self::Edges => &EDGES,
            Self::Between => &[Point::Before],
        }
    }
}

/// Before, in doubt of and after a step.
pub const STEP_POINTS: [Point; 3] = [Point::Before, Point::InDoubt, Point::After];
/// Before and after a step.
pub const EDGES: [Point; 2] = [Point::Before, Point::After];
/// The three of a step, and while it waits.
pub const EVERY_POINT: [Point; 4] = [Point::Before, Point::InDoubt, Point::After, Point::Waiting];

/// How a fault comes in doubt of a step: the server has done the step, the pod does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InDoubt {
    /// The step is released and its answer dropped; then the fault comes.
    AnswerDropped,
    /// The fault keeps the answer from the pod itself: it comes before the step is released.
    KeepsAnswer,
    /// The fault is for a step that runs, and the pod hears of it.
    PodHears,
}

/// What undoes a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undo {
    /// Nothing: what it did is done.
    Nothing,
    /// The fault of this name, but what it slows comes to its end all the same.
    Possible(&'static str),
    /// The fault of this name, and without it what was stopped would not go on.
    Needed(&'static str),
    /// It undoes others itself.
    Undoes,
}

/// Which server a fault needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerNeed {
    /// One that other runs use at the same time will do.
    Shared,
    /// One that nobody else uses: it is done to the server, or to one of its processes from outside.
    Own,
    /// Such a one, and a standby.
    OwnWithStandby,
}

/// What comes of a fault, and so which errors it explains (SQLSTATEs, where it hits).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consequence {
    /// What it stops or slows for a while still has to end with success: it explains nothing.
    Holds,
    /// Nothing passes on the link, and neither side is told; else as [`Holds`](Self::Holds).
    CutsOff,
    /// It undoes what others did, and explains nothing.
    Restores,
    /// Time has passed, as it passes for every job: it explains nothing.
    Ages,
    /// The server answers with the SQLSTATE of its parameter. After a step, that ends the session.
    InjectsError,
    /// Something of the pod's fails with one of these, and its sessions go on.
    Fails(&'static [&'static str]),
    /// The session ends.
    EndsSession(&'static [&'static str]),
    /// The pod ends, and its sessions with it.
    TakesPod {
        /// What the server then reports.
        explains: &'static [&'static str],
        /// Whether the pod has time to tidy up.
        grace: bool,
    },
}

/// Whether and how searches do a fault.
#[derive(Debug)]
pub struct InSearch<K: 'static> {
    /// What `explore --strategy sweep` does, at each step.
    pub swept: &'static [Draw<K>],
    /// What `explore --strategy random` draws from.
    pub random: &'static [Draw<K>],
    /// What `explore --strategy sweep --faults NAME` does, at each step.
    pub by_name: Option<SweptByName<K>>,
}

impl<K> InSearch<K> {
    /// No search does it.
    pub const NEVER: Self = Self {
        swept: &[],
        random: &[],
        by_name: None,
    };
}

/// A fault with all that a search needs to know to do it.
#[derive(Debug)]
pub struct Draw<K> {
    /// What is done.
    pub kind: fn() -> K,
    /// To which session, where it is done to one.
    pub session: SessionChoice,
    /// At which points of a step.
    pub points: &'static [Point],
    /// The first step at which it is done, from 1.
    pub from: u32,
    /// Whether a sweep does it to the pod that waits.
    pub to_waiter: bool,
}

impl<K> Draw<K> {
    /// At these points of each step, to the session of the step.
    #[must_use]
    pub const fn at(points: &'static [Point], kind: fn() -> K) -> Self {
        Self::of(SessionChoice::Next, points, kind)
    }

    /// At these points of each step, to this session.
    #[must_use]
    pub const fn of(session: SessionChoice, points: &'static [Point], kind: fn() -> K) -> Self {
        Self {
            kind,
            session,
            points,
            from: 1,
            to_waiter: false,
        }
    }

    /// The same from the second step on: at the first, nothing is there that it could hit.
    #[must_use]
    pub const fn since_second_step(mut self) -> Self {
        self.from = 2;
        self
    }

    /// The same, done by a sweep to the pod that waits.
    #[must_use]
    pub const fn at_waiter(mut self) -> Self {
        self.to_waiter = true;
        self
    }
}

/// A fault that `explore --strategy sweep` knows by its name.
#[derive(Debug)]
pub struct SweptByName<K> {
    /// What is done, to which session.
    pub doc: &'static str,
    /// Whether it is done where no fault is named.
    pub usual: bool,
    /// The fault.
    pub draw: Draw<K>,
}

impl<K> Entry<K> {
    /// Whether nothing passes on a link from then on.
    #[must_use]
    pub fn cuts_off(&self) -> bool {
        self.consequence == Consequence::CutsOff
    }

    /// Whether a link is as it was from then on.
    #[must_use]
    pub fn heals(&self) -> bool {
        self.target == FaultTarget::Link && self.undo == Undo::Undoes
    }

    /// Whether the server stands still from then on (`true`) or goes on (`false`); `None`: neither.
    #[must_use]
    pub fn stops_server(&self) -> Option<bool> {
        match (self.target, self.undo) {
            (FaultTarget::Server, Undo::Needed(_)) => Some(true),
            (FaultTarget::Server, Undo::Undoes) => Some(false),
            (FaultTarget::Server, Undo::Nothing | Undo::Possible(_))
            | (
                FaultTarget::Pod | FaultTarget::Session | FaultTarget::Link | FaultTarget::Lock,
                _,
            ) => None,
        }
    }

    /// Whether it takes the pod but leaves it time to tidy up.
    #[must_use]
    pub fn leaves_time_to_tidy_up(&self) -> bool {
        matches!(self.consequence, Consequence::TakesPod { grace: true, .. })
    }

    /// Whether the error that it raises tells by its message that it was injected.
    #[must_use]
    pub fn injects_error(&self) -> bool {
        self.consequence == Consequence::InjectsError
    }

    /// Whether it ends sessions, and nothing else.
    #[must_use]
    pub fn ends_sessions(&self) -> bool {
        self.target == FaultTarget::Session
            && matches!(self.consequence, Consequence::EndsSession(_))
    }

    /// Whether it stops a pod, or something of it, in the middle of its work for good.
    #[must_use]
    pub fn breaks_off(&self) -> bool {
        matches!(
            self.consequence,
            Consequence::InjectsError
                | Consequence::Fails(_)
                | Consequence::EndsSession(_)
                | Consequence::TakesPod { .. }
        )
    }

    /// The session that is meant where none is named.
    #[must_use]
    pub fn session_by_default(&self) -> SessionChoice {
        match (self.sessions, self.target) {
            (Sessions::EveryOrOne, _) | (Sessions::Whole, FaultTarget::Link) => {
                SessionChoice::Every
            }
            (Sessions::Whole | Sessions::One | Sessions::OneOrEvery, _) => SessionChoice::Next,
        }
    }
}

/// Declares the enum of faults with one row for each fault: its doc comment, its variant with its
/// parameters (each with its doc comment, its type, and what the catalogue says of it), its name, and
/// the other fields of its [`Entry`]. There is no default for any of them.
macro_rules! catalogue {
    (
        $(#[$outer:meta])*
        $vis:vis enum $enum:ident {
            $(
                $(#[doc = $doc:literal])+
                $kind:ident $({ $(
                    $(#[doc = $key_doc:literal])+
                    $key:ident: $type:ty = $shape:expr, $left_out:expr, $told:expr;
                )+ })? = $name:literal { $($field:ident: $value:expr,)+ }
            )+
        }
    ) => {
        $(#[$outer])*
        $vis enum $enum {
            $(
                $(#[doc = $doc])+
                $kind $({
                    $(
                        $(#[doc = $key_doc])+
                        $key: $type,
                    )+
                })?,
            )+
        }

        impl $enum {
            /// The names of all faults, as in scenario files.
            pub const NAMES: &'static [&'static str] = &[$($name,)+];

            /// What there is to say of each fault.
            pub const CATALOGUE: &'static [FaultEntry] = &[$(
                FaultEntry {
                    name: $name,
                    doc: concat!($($doc),+).trim_ascii(),
                    parameters: &[$($(Parameter {
                        key: stringify!($key),
                        doc: concat!($($key_doc),+).trim_ascii(),
                        shape: $shape,
                        left_out: $left_out,
                        told: $told,
                    },)+)?],
                    make: |_given| Some(Self::$kind {
                        $($($key: parameter(_given, stringify!($key))?,)+)?
                    }),
                    $($field: $value,)+
                },
            )+];

            /// What the catalogue says of it.
            #[must_use]
            pub fn entry(&self) -> &'static FaultEntry {
                /// Each fault's place in the catalogue.
                enum Place { $($kind,)+ }
                let place = match self {
                    $(Self::$kind { .. } => Place::$kind,)+
                };
                &Self::CATALOGUE[place as usize]
            }

            /// Its parameters, in the order of its entry.
            #[must_use]
            pub fn parameters(&self) -> Vec<ParameterValue> {
                match self {
                    $(Self::$kind { $($($key,)+)? } => vec![$($($key.to_value(),)+)?],)+
                }
            }
        }
    };
}
pub(super) use catalogue;

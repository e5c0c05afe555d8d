//! Faults of a link: nothing passes, or late, or little, or nobody new is let in, until it is healed.
//!
//! Owns what they mean for the run: what is held on a link that is cut cannot be let go. How bytes
//! are kept back is `wire`'s.

use std::time::Duration;

use super::error::RunError;
use super::real::Run;
use crate::conductor::Outcome;
use crate::conductor::{Aim, World};
use crate::name::PodName;
use crate::schedule::SessionChoice;
use crate::wire::{Shape, Upstream};

/// What becomes of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LinkChange {
    /// Nothing passes any more.
    CutOff,
    /// What passes comes so much later.
    Delay(Duration),
    /// So many bytes pass in a second.
    Throttle(u64),
    /// What is open stays as it is, and nothing new is let in.
    Refuse,
    /// It is as it was.
    Heal,
}

impl LinkChange {
    fn apply(self, shape: &mut Shape) {
        match self {
            Self::CutOff => shape.cut = true,
            Self::Delay(by) => shape.delay = by,
            Self::Throttle(rate) => shape.bytes_per_second = Some(rate),
            Self::Refuse => {}
            Self::Heal => *shape = Shape::default(),
        }
    }

    fn words(self) -> String {
        match self {
            Self::CutOff => "nothing passes any more between pod and proxy".to_owned(),
            Self::Delay(by) => format!(
                "what passes comes {} ms later in each direction",
                by.as_millis()
            ),
            Self::Throttle(rate) => format!("{rate} bytes a second pass in each direction"),
            Self::Refuse => "new connections lead to a port at which nobody listens".to_owned(),
            Self::Heal => "everything passes as it comes".to_owned(),
        }
    }

    /// Where new connections lead from then on; `None`: where they led before.
    fn way(self, way_in: &Upstream) -> Option<Upstream> {
        match self {
            // No socket can listen at port 0: the kernel refuses whoever asks for it.
            Self::Refuse => Some(Upstream {
                host: "127.0.0.1".to_owned(),
                port: 0,
                server: way_in.server,
            }),
            Self::Heal => Some(way_in.clone()),
            Self::CutOff | Self::Delay(_) | Self::Throttle(_) => None,
        }
    }
}

impl Run<'_> {
    pub(super) async fn shape(
        &mut self,
        aim: &Aim<'_>,
        name: &PodName,
        change: LinkChange,
    ) -> Result<Outcome, RunError> {
        // Asked before: what heals is told of the pod's end, and the sessions go.
        let on_server = self.open_on_server(name).await?;
        let way = change.way(&self.world.way_in());
        let body = self.world.bodies.get(name);
        let (Some(member), Some(body)) = (self.members.get_mut(name), body) else {
            let why = format!("pod {name} is not there");
            return Ok(self.note_fault(aim, Outcome::missed(why)));
        };
        let one = match (&aim.fault.session, &aim.connection) {
            (SessionChoice::Every, _) => None,
            (_, Some(connection)) => Some(connection.clone()),
            (_, None) => {
                let why = format!("pod {name} has no such connection now");
                return Ok(self.note_fault(aim, Outcome::missed(why)));
            }
        };
        let open = member
            .links
            .values()
            .filter(|link| !link.finished && !link.gone)
            .filter(|link| one.as_ref().is_none_or(|one| *one == link.name));
        let open = open.count();
        let before: Vec<Shape> = member
            .links
            .values()
            .filter(|link| one.as_ref().is_none_or(|one| *one == link.name))
            .map(|link| body.proxy.shape_of(&link.name))
            .collect();
        let is_wrong = |shape: &Shape| !shape.is_plain();
        let was_wrong = !member.link_faults.is_empty() || before.iter().any(is_wrong);
        body.proxy.shape(one.as_ref(), |shape| change.apply(shape));
        if one.is_none() {
            if let Some(way) = way {
                body.proxy.route(Some(way));
            }
            match change {
                LinkChange::Heal => member.link_faults.clear(),
                LinkChange::CutOff
                | LinkChange::Delay(_)
                | LinkChange::Throttle(_)
                | LinkChange::Refuse => {
                    member.link_faults.push(aim.fault.kind.clone());
                }
            }
        }
        let what = change.words();
        let outcome = if change == LinkChange::Heal && !was_wrong {
            Outcome::missed("there was nothing to heal")
        } else {
            Outcome::fired(format!(
                "{what}; {open} connection(s) of the pod are open, and the server shows {on_server} \
                 session(s) of theirs"
            ))
        };
        let outcome = self.note_fault(aim, outcome);
        self.look_again().await?;
        Ok(outcome)
    }

    /// How many of a pod's sessions the server still has.
    async fn open_on_server(&mut self, name: &PodName) -> Result<usize, RunError> {
        let pids: Vec<i32> = self
            .members
            .get(name)
            .into_iter()
            .flat_map(|member| member.links.values())
            .filter(|link| !link.gone)
            .filter_map(|link| link.pid)
            .collect();
        if pids.is_empty() || !self.world.can_look() {
            return Ok(0);
        }
        Ok(self.world.watchers.activity(&pids).await?.len())
    }
}

//! Faults of a link: nothing passes, or late, or little, until it is healed.
//!
//! Owns what they mean for the run: what is held on a link that is cut cannot be let go. How bytes
//! are kept back is `wire`'s.

use super::conductor::Conductor;
use super::error::RunError;
use super::faulting::{Aim, Outcome};
use crate::name::PodName;
use crate::schedule::{FaultKind, SessionChoice};
use crate::wire::Shape;

impl Conductor<'_> {
    pub(super) async fn shape(&mut self, aim: &Aim<'_>, name: &PodName) -> Result<(), RunError> {
        // Asked before: what heals is told of the pod's end, and the sessions go.
        let on_server = self.open_on_server(name).await?;
        let Some(member) = self.members.get_mut(name) else {
            return Ok(());
        };
        let one = match (&aim.fault.session, &aim.connection) {
            (SessionChoice::Every, _) => None,
            (_, Some(connection)) => Some(connection.clone()),
            (_, None) => {
                let why = format!("pod {name} has no such connection now");
                self.note_fault(aim, &Outcome::missed(why));
                return Ok(());
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
            .map(|link| member.proxy.shape_of(&link.name))
            .collect();
        let was_shaped = member.shaped || before.iter().any(|shape| !shape.is_plain());
        let kind = aim.fault.kind.clone();
        member.proxy.shape(one.as_ref(), |shape| match &kind {
            FaultKind::Blackhole => shape.cut = true,
            FaultKind::Delay { by } => shape.delay = *by,
            FaultKind::Throttle { bytes_per_second } => {
                shape.bytes_per_second = Some(*bytes_per_second);
            }
            _ => *shape = Shape::default(),
        });
        if one.is_none() {
            member.shaped = kind != FaultKind::Heal;
            member.cut = kind == FaultKind::Blackhole || (member.cut && member.shaped);
        }
        let what = match &kind {
            FaultKind::Blackhole => "nothing passes any more between pod and proxy".to_owned(),
            FaultKind::Delay { by } => format!(
                "what passes comes {} ms later in each direction",
                by.as_millis()
            ),
            FaultKind::Throttle { bytes_per_second } => {
                format!("{bytes_per_second} bytes a second pass in each direction")
            }
            _ => "everything passes as it comes".to_owned(),
        };
        let outcome = if kind == FaultKind::Heal && !was_shaped {
            Outcome::missed("there was nothing to heal")
        } else {
            Outcome::fired(format!(
                "{what}; {open} connection(s) of the pod are open, and the server shows {on_server} \
                 session(s) of theirs"
            ))
        };
        self.note_fault(aim, &outcome);
        self.look_again().await
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
        if pids.is_empty() || !self.can_ask() {
            return Ok(0);
        }
        Ok(self.watchers.activity(&pids).await?.len())
    }
}

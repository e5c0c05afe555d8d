//! Which pods can do nothing but wait.
//!
//! Owns that answer while a timeline is gone through in its order.

use std::collections::{BTreeMap, BTreeSet};

use super::moments::Happening;
use crate::history::Ending;
use crate::name::{PodName, StepId};

/// What each pod has at the gate and on the server.
#[derive(Debug, Default)]
pub struct Waiting<'a> {
    pods: BTreeMap<&'a PodName, Pod>,
}

#[derive(Debug, Default)]
struct Pod {
    /// Steps that the gate holds, driver look-ups left out.
    held: BTreeSet<StepId>,
    /// Steps that wait on the server.
    waiting: BTreeSet<StepId>,
}

impl<'a> Waiting<'a> {
    /// Takes in what happened next.
    pub fn take(&mut self, happening: Happening<'_, 'a>) {
        match happening {
            Happening::Held(step) if !step.request.look_up => {
                self.pod(step.pod()).held.insert(step.id);
            }
            Happening::Released(step) | Happening::Dropped(step) => {
                self.pod(step.pod()).held.remove(&step.id);
            }
            Happening::Ended(step, end) => {
                let waiting = &mut self.pod(step.pod()).waiting;
                match end.ending {
                    Ending::Blocked | Ending::NeedsPod => waiting.insert(step.id),
                    Ending::Done | Ending::Gone => waiting.remove(&step.id),
                    // Its pod's next turn brings it on.
                    Ending::Inside => false,
                };
            }
            _ => {}
        }
    }

    fn pod(&mut self, name: &'a PodName) -> &mut Pod {
        self.pods.entry(name).or_default()
    }

    /// The pods that can do nothing but wait: they have steps that wait on the server, and none that
    /// could be let go.
    pub fn pods(&self) -> BTreeSet<PodName> {
        let only_waits = |pod: &Pod| !pod.waiting.is_empty() && pod.held.is_empty();
        let waiting = self.pods.iter().filter(|(_, pod)| only_waits(pod));
        waiting.map(|(name, _)| (*name).clone()).collect()
    }

    /// The steps that the gate holds, pod by pod.
    pub fn held(&self) -> impl Iterator<Item = StepId> {
        self.pods.values().flat_map(|pod| pod.held.iter().copied())
    }
}

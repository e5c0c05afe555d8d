//! All schedules with at most c preemptions, after Musuvathi and Qadeer, "Iterative Context Bounding
//! for Systematic Testing of Multithreaded Programs", PLDI 2007.
//!
//! Owns the enumeration, level by level (all schedules with no preemption, then with one, …), and
//! what is left out of it as equivalent. Knows nothing of how a schedule is run.
//!
//! # What is enumerated
//! A switch away from a pod that could go on is a preemption. Where the running pod is blocked, has
//! ended or makes way because it only polls, a switch costs nothing, and every pod that can go on is
//! tried. The tree grows from what runs did: a schedule follows the run that it is derived from up
//! to one step and then lets another pod go on; what comes after that (each pod as far as it can, in
//! the order that the conductor has for the rest of a run) is again where schedules are derived
//! from. Each order of steps within the bound is derived exactly once: from the one that agrees
//! with it up to its last choice that was not the conductor's own.
//!
//! A run that does not begin as the run that it is derived from has *diverged*: nothing is derived
//! from it. From a run that was stopped at a violation schedules are derived up to there only: an
//! extension of a failed prefix has failed. Where this deviates from the paper: a step that will
//! block must be released for that to be seen, so a pod counts as able to go on before it.
//!
//! What is left out as equivalent is argued for in `reduction`.
//!
//! The tests compare the enumeration with brute force, and the reduced one with the unreduced.

use crate::search::strategy::Why;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::reduction::{Exchange, exchange};
use super::tree::{Fate, Kid, Left, Tree};
use super::walk::{Choice, Walk, choices, name};
use super::{Candidate, Explored, Kind, Shard, Space, Strategy};
use crate::name::StepId;
use crate::schedule::{Move, Schedule};
use crate::search::executed::Executed;

/// How many places of a turn are at most in one chain.
pub const CHAIN: usize = 16;

/// Schedules that preempt the same turn for the same pod, each one step later.
struct Chain {
    /// The run that they are derived from.
    parent: Arc<Walk>,
    /// Whether that was stopped before its end.
    cut: bool,
    /// After how many steps, and which node.
    members: VecDeque<(usize, usize)>,
    then: u8,
    level: u32,
    family: u64,
}

/// All schedules with at most so many preemptions.
pub struct Preemptions {
    pods: u8,
    most: u32,
    reduced: bool,
    sampled: bool,
    shard: Shard,
    tree: Tree,
    /// Chains of this level, and of the next.
    active: Vec<Chain>,
    later: Vec<Chain>,
    /// What was handed out and not told yet: the schedule's text, and its chain.
    out: HashMap<String, usize>,
    diverged: u64,
}

impl Preemptions {
    /// All schedules of this many pods (1 to 26) with at most so many preemptions; `reduced`: without
    /// those that are equivalent to one that is run. Of a sharded search it hands out and counts
    /// what the shard needs and owns.
    #[must_use]
    pub fn new(pods: usize, most: u32, reduced: bool, shard: Shard) -> Self {
        let mut strategy = Self {
            pods: u8::try_from(pods.clamp(1, 26)).unwrap_or(26),
            most,
            reduced,
            sampled: false,
            shard,
            tree: Tree::default(),
            active: Vec::new(),
            later: Vec::new(),
            out: HashMap::new(),
            diverged: 0,
        };
        let root = strategy.tree.add(0);
        strategy.active.push(Chain {
            parent: Arc::default(),
            cut: false,
            members: VecDeque::from([(0, root)]),
            then: 0,
            level: 0,
            family: 0,
        });
        strategy
    }

    /// The same with preemptions only at some steps of a repetition: see `sampled`.
    #[must_use]
    pub fn sampled(mut self) -> Self {
        self.sampled = true;
        self
    }

    fn candidate(&self, chain: &Chain, at: usize) -> Candidate {
        let root = chain.parent.steps.is_empty();
        let (moves, why) = if root {
            (Vec::new(), "one pod after the other".to_owned())
        } else {
            let then = name(chain.then);
            let why = match at
                .checked_sub(1)
                .map(|last| name(chain.parent.steps[last].pod))
            {
                None => format!("{then} goes first"),
                Some(last) => format!("{then} goes on after step {at} of the run, one of {last}"),
            };
            (chain.parent.moves_to(at, chain.then), why)
        };
        Candidate {
            schedule: Schedule::Controlled(moves),
            why: Why::Words(match chain.level {
                0 => why,
                1 => format!("{why} (1 preemption)"),
                more => format!("{why} ({more} preemptions)"),
            }),
            needed: chain.level < self.most,
            index: chain.family,
        }
    }

    /// Takes in a run that was handed out as the first of this chain.
    fn take_in(&mut self, index: usize, explored: &Explored<'_>) {
        let Some((at, node)) = self.active[index].members.pop_front() else {
            return;
        };
        let (level, family) = (self.active[index].level, self.active[index].family);
        let moves: &[Move] = match &explored.candidate.schedule {
            Schedule::Controlled(moves) => moves,
            _ => &[],
        };
        self.tree.nodes[node].fate = Fate::Ran;
        let executed = Executed::of(explored.lines);
        let cut = explored.violated || executed.limit_hit || !explored.conclusive;
        let walk = Walk::of(&executed, moves, self.pods, cut);
        let chain = &self.active[index];
        let followed = walk.as_ref().is_some_and(|walk| {
            let before = walk.steps.iter().zip(&chain.parent.steps).take(at);
            walk.steps.len() >= at && before.into_iter().all(|(did, was)| did.is_as(was))
        });
        let root = chain.parent.steps.is_empty();
        let begins = walk
            .as_ref()
            .and_then(|walk| walk.steps.get(at))
            .is_some_and(|step| step.pod == chain.then);
        let Some(walk) = walk.filter(|_| followed && (begins || root)) else {
            if followed && chain.cut {
                self.tree.nodes[node].fate = Fate::Void;
            } else if self.shard.owns(family) {
                self.diverged += 1;
            }
            return;
        };
        let walk = Arc::new(walk);
        if self.reduced {
            self.leave_out(index, node, at, &walk, cut, explored.independent);
        }
        let from = if root { None } else { Some(at) };
        self.derive(node, &walk, from, (level, family), cut, |_| true);
    }

    /// Leaves out those of the chain that are this run with steps moved forward.
    fn leave_out(
        &mut self,
        index: usize,
        twin: usize,
        at: usize,
        walk: &Arc<Walk>,
        cut: bool,
        independent: &dyn Fn(StepId, StepId) -> bool,
    ) {
        let Some(exchange) = exchange(&self.active[index].parent, walk, at, independent) else {
            return;
        };
        let Exchange { pod, others, .. } = exchange;
        for moved in 1..=exchange.most {
            let Some((later, node)) = self.active[index].members.front().copied() else {
                return;
            };
            if later != at + moved {
                return;
            }
            self.active[index].members.pop_front();
            self.tree.nodes[node].fate = Fate::Left(Left {
                twin,
                pod,
                at,
                others,
                moved,
            });
            if self.pods > 2 {
                let same = Arc::new(walk.commuted(at, others, moved));
                let (level, family) = (self.active[index].level, self.active[index].family);
                let within = later + 1..=later + others;
                self.derive(node, &same, Some(later), (level, family), cut, |choice| {
                    within.contains(&choice.at) && choice.then != pod
                });
            }
        }
    }

    /// Adds what is derived from a run: after its last choice that was not the conductor's own (`from`;
    /// `None`: from the very start).
    fn derive(
        &mut self,
        node: usize,
        walk: &Arc<Walk>,
        from: Option<usize>,
        (level, family): (u32, u64),
        cut: bool,
        wanted: impl Fn(&Choice) -> bool,
    ) {
        let mut open: Vec<Chain> = Vec::new();
        for choice in choices(walk, from, level < self.most, self.sampled) {
            if !wanted(&choice) {
                continue;
            }
            let kid_level = level + u32::from(choice.preempts);
            let follows = |chain: &Chain| {
                choice.preempts
                    && self.reduced
                    && chain.then == choice.then
                    && chain.level == kid_level
                    && chain.members.len() < CHAIN
                    && chain
                        .members
                        .back()
                        .is_some_and(|(at, _)| at + 1 == choice.at)
            };
            let place = open.iter().rposition(follows).unwrap_or_else(|| {
                // What comes of runs that other shards do not make stays with its owner.
                let new = if level < self.most {
                    family_of(walk, &choice)
                } else {
                    family
                };
                open.push(Chain {
                    parent: Arc::clone(walk),
                    cut,
                    members: VecDeque::new(),
                    then: choice.then,
                    level: kid_level,
                    family: new,
                });
                open.len() - 1
            });
            let kid = self.tree.add(open[place].family);
            open[place].members.push_back((choice.at, kid));
            self.tree.nodes[node].kids.push(Kid {
                at: choice.at,
                then: choice.then,
                node: kid,
            });
        }
        for chain in open {
            if chain.level == level {
                self.active.push(chain);
            } else {
                self.later.push(chain);
            }
        }
    }
}

/// The family of a chain that begins here: made from what is run, so that shards agree on it even
/// where one of them could leave out what another could not.
fn family_of(walk: &Walk, first: &Choice) -> u64 {
    let schedule = Schedule::Controlled(walk.moves_to(first.at, first.then));
    let hash = blake3::hash(schedule.key().as_bytes());
    let mut start = [0; 8];
    start.copy_from_slice(&hash.as_bytes()[..8]);
    u64::from_le_bytes(start)
}

impl Strategy for Preemptions {
    fn name(&self) -> &'static str {
        "preemptions"
    }

    fn round(&mut self) -> Vec<Candidate> {
        self.out.clear();
        loop {
            let (shard, most) = (self.shard, self.most);
            self.active.retain(|chain| {
                !chain.members.is_empty() && (chain.level < most || shard.owns(chain.family))
            });
            let mut round = Vec::new();
            for (index, chain) in self.active.iter().enumerate() {
                if let Some((at, _)) = chain.members.front() {
                    let candidate = self.candidate(chain, *at);
                    self.out.insert(candidate.schedule.key(), index);
                    round.push(candidate);
                }
            }
            if !round.is_empty() || self.later.is_empty() {
                return round;
            }
            self.active = std::mem::take(&mut self.later);
        }
    }

    fn learn(&mut self, explored: &[Explored<'_>]) {
        for one in explored {
            if let Some(index) = self.out.remove(&one.candidate.schedule.key()) {
                self.take_in(index, one);
            }
        }
    }

    fn space(&self) -> Space {
        let (total, pruned) = self.tree.count(|family| self.shard.owns(family));
        let left = |chain: &Chain| {
            let own = chain.level < self.most || self.shard.owns(chain.family);
            own && !chain.members.is_empty()
        };
        let over =
            self.out.is_empty() && !self.active.iter().any(left) && !self.later.iter().any(left);
        Space {
            total: over.then_some(total),
            pruned,
            diverged: self.diverged,
            sampled: self.sampled,
            draws: 0,
        }
    }

    fn kind(&self) -> Kind {
        Kind::Enumeration
    }
}

//! The tree of schedules: each derived from one that was run, by one other choice.
//!
//! Owns how many schedules there are, those included that were left out because an equivalent one
//! was run. Knows nothing of runs.

/// A schedule.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// What decides which shard counts it.
    pub family: u64,
    pub fate: Fate,
    pub kids: Vec<Kid>,
}

/// A schedule that follows another for so many steps and then lets another pod run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kid {
    pub at: usize,
    pub then: u8,
    pub node: usize,
}

/// What became of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Not run yet, or run by another shard.
    Pending,
    /// Run.
    Ran,
    /// There is no such schedule: the pod had nothing left to do.
    Void,
    /// Left out.
    Left(Left),
}

/// Why a schedule was left out: it is another one (its twin, which was run), with `moved` steps of a
/// pod, at `at + others` there, moved before the `others` steps of other pods at `at`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Left {
    pub twin: usize,
    pub pod: u8,
    pub at: usize,
    pub others: usize,
    pub moved: usize,
}

/// All schedules that are known.
#[derive(Debug, Clone, Default)]
pub(super) struct Tree {
    pub nodes: Vec<Node>,
}

impl Tree {
    /// Adds a schedule; its number.
    pub fn add(&mut self, family: u64) -> usize {
        self.nodes.push(Node {
            family,
            fate: Fate::Pending,
            kids: Vec::new(),
        });
        self.nodes.len() - 1
    }

    /// How many schedules of the families that count there are: all, and those of them that were
    /// left out.
    pub fn count(&self, counts: impl Fn(u64) -> bool) -> (u64, u64) {
        let weights: Vec<u64> = self
            .nodes
            .iter()
            .map(|node| u64::from(node.fate != Fate::Void && counts(node.family)))
            .collect();
        let mut counting = Counting {
            tree: self,
            weights,
            sizes: vec![None; self.nodes.len()],
        };
        let total = if self.nodes.is_empty() {
            0
        } else {
            counting.size(0)
        };
        let real: u64 = self
            .nodes
            .iter()
            .zip(&counting.weights)
            .filter(|(node, _)| !matches!(node.fate, Fate::Left(_)))
            .map(|(_, weight)| weight)
            .sum();
        (total, total.saturating_sub(real))
    }
}

struct Counting<'a> {
    tree: &'a Tree,
    weights: Vec<u64>,
    sizes: Vec<Option<u64>>,
}

impl Counting<'_> {
    /// How many schedules a node and all that are derived from it are.
    fn size(&mut self, node: usize) -> u64 {
        if let Some(size) = self.sizes[node] {
            return size;
        }
        let kids = self.kids(node);
        let size = self.weights[node] + kids.iter().map(|(.., size)| size).sum::<u64>();
        self.sizes[node] = Some(size);
        size
    }

    /// Place, pod and size of each schedule derived from a node. Those of a schedule that was left
    /// out are the twin's, place by place:
    /// * after the steps that were exchanged the two runs are in the same state, so what is
    ///   derived there is equivalent, and as much;
    /// * within the other pods' steps, a switch to the pod whose steps were moved lets it do, in the
    ///   twin, the moved steps first; from then on the two are in the same state. What is derived
    ///   in the twin between and right after the moved steps has no counterpart;
    /// * within the other pods' steps, a switch to a third pod is a schedule of its own: that is
    ///   not left out.
    fn kids(&mut self, node: usize) -> Vec<(usize, u8, u64)> {
        let tree = self.tree;
        let mut kids: Vec<(usize, u8, u64)> = tree.nodes[node]
            .kids
            .iter()
            .map(|kid| (kid.at, kid.then, self.size(kid.node)))
            .collect();
        let Fate::Left(left) = tree.nodes[node].fate else {
            return kids;
        };
        let exchanged = left.at + left.others;
        for kid in &tree.nodes[left.twin].kids {
            if kid.at > exchanged + left.moved {
                kids.push((kid.at, kid.then, self.size(kid.node)));
            } else if kid.at <= exchanged && kid.then == left.pod {
                let without: u64 = self
                    .kids(kid.node)
                    .iter()
                    .filter(|(at, ..)| *at > kid.at && *at <= kid.at + left.moved)
                    .map(|(.., size)| size)
                    .sum();
                let size = self.size(kid.node).saturating_sub(without);
                kids.push((kid.at + left.moved, kid.then, size));
            }
        }
        kids
    }
}

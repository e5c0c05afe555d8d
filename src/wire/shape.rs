//! What is wrong with a link: nothing passes, or late, or little.
//!
//! Owns the shape of a pod's links and the lane on which bytes wait for their time. Knows nothing
//! of messages.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::watch;

/// How bytes pass between pod and proxy, in each direction. By default: at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shape {
    /// Nothing passes, and neither side is told.
    pub cut: bool,
    /// How much later bytes come.
    pub delay: Duration,
    /// How much passes, in bytes a second; `None`: whatever there is.
    pub bytes_per_second: Option<u64>,
}

impl Shape {
    /// Whether bytes pass as they come.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

/// The shapes of a pod's links: one for all, and those of single connections.
#[derive(Debug, Clone, Default)]
pub(super) struct Shapes {
    all: Shape,
    single: BTreeMap<u32, Shape>,
}

impl Shapes {
    /// The shape of this connection.
    pub fn of(&self, index: u32) -> Shape {
        self.single.get(&index).copied().unwrap_or(self.all)
    }

    fn change(&mut self, index: Option<u32>, change: &impl Fn(&mut Shape)) {
        match index {
            Some(index) => {
                let mut shape = self.of(index);
                change(&mut shape);
                self.single.insert(index, shape);
            }
            None => {
                change(&mut self.all);
                self.single.values_mut().for_each(change);
            }
        }
    }
}

/// Where a pod's shapes are set, and where its connections see them.
#[derive(Debug, Clone)]
pub(super) struct Shaping(watch::Sender<Shapes>);

impl Default for Shaping {
    fn default() -> Self {
        Self(watch::channel(Shapes::default()).0)
    }
}

impl Shaping {
    /// Changes the shape of one connection or, without, of all, those to come included.
    pub fn change(&self, index: Option<u32>, change: impl Fn(&mut Shape)) {
        self.0.send_modify(|shapes| shapes.change(index, &change));
    }

    /// The shape of a connection at this moment.
    pub fn of(&self, index: u32) -> Shape {
        self.0.borrow().of(index)
    }

    /// To be told of changes.
    pub fn watch(&self) -> watch::Receiver<Shapes> {
        self.0.subscribe()
    }
}

/// Bytes of one direction that wait for their time, in their order.
#[derive(Debug, Default)]
pub(super) struct Lane {
    waiting: VecDeque<(Instant, Bytes)>,
    bytes: usize,
    /// When the last of them will have passed.
    free_at: Option<Instant>,
}

impl Lane {
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many bytes wait.
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// Puts bytes on it that have come now.
    pub fn push(&mut self, bytes: Bytes, shape: &Shape, now: Instant) {
        let begin = self.free_at.map_or(now, |free| free.max(now));
        let passes = shape.bytes_per_second.map_or(Duration::ZERO, |rate| {
            Duration::from_secs_f64(bytes.len() as f64 / rate.max(1) as f64)
        });
        self.free_at = Some(begin + passes);
        // Bytes never overtake others, even if the delay has become less.
        let due =
            (begin + passes + shape.delay).max(self.waiting.back().map_or(now, |(last, _)| *last));
        self.bytes += bytes.len();
        self.waiting.push_back((due, bytes));
    }

    /// When the first of them is due.
    pub fn due(&self) -> Option<Instant> {
        self.waiting.front().map(|(due, _)| *due)
    }

    /// The first of them, if its time has come or `plain` says that nothing holds it any more.
    pub fn pop(&mut self, now: Instant, plain: bool) -> Option<Bytes> {
        if self.due()? > now && !plain {
            return None;
        }
        let (_, bytes) = self.waiting.pop_front()?;
        self.bytes -= bytes.len();
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_late_in_their_order() {
        let now = Instant::now();
        let delay = Shape {
            delay: Duration::from_millis(20),
            ..Shape::default()
        };
        let mut lane = Lane::default();
        lane.push(Bytes::from_static(b"one"), &delay, now);
        lane.push(Bytes::from_static(b"two"), &Shape::default(), now);
        assert_eq!(lane.len(), 6);
        assert_eq!(lane.pop(now, false), None);
        let later = now + Duration::from_millis(20);
        assert_eq!(lane.pop(later, false).as_deref(), Some(&b"one"[..]));
        assert_eq!(lane.pop(later, false).as_deref(), Some(&b"two"[..]));
        assert!(lane.is_empty());
        assert_eq!(lane.bytes, 0);
    }

    #[test]
    fn no_more_than_the_rate_passes() {
        let now = Instant::now();
        let slow = Shape {
            bytes_per_second: Some(1000),
            ..Shape::default()
        };
        let mut lane = Lane::default();
        lane.push(Bytes::from(vec![0; 100]), &slow, now);
        lane.push(Bytes::from(vec![0; 100]), &slow, now);
        assert_eq!(lane.due(), Some(now + Duration::from_millis(100)));
        assert!(lane.pop(now + Duration::from_millis(100), false).is_some());
        assert_eq!(lane.due(), Some(now + Duration::from_millis(200)));
    }

    #[test]
    fn a_healed_lane_lets_all_go() {
        let now = Instant::now();
        let slow = Shape {
            delay: Duration::from_secs(60),
            ..Shape::default()
        };
        let mut lane = Lane::default();
        lane.push(Bytes::from_static(b"one"), &slow, now);
        assert!(lane.pop(now, true).is_some());
    }

    #[test]
    fn a_connection_has_its_own_shape_or_that_of_all() {
        let shaping = Shaping::default();
        shaping.change(Some(1), |shape| shape.cut = true);
        assert!(shaping.of(1).cut && !shaping.of(0).cut);
        shaping.change(None, |shape| shape.delay = Duration::from_millis(1));
        assert!(shaping.of(1).cut && !shaping.of(1).delay.is_zero());
        shaping.change(None, |shape| *shape = Shape::default());
        assert!(shaping.of(1).is_plain() && shaping.of(7).is_plain());
    }
}

//! What the wire reports, in the order in which it was seen.
//!
//! Owns that order only. Must not know what a report means.

use std::time::Instant;

use tokio::sync::mpsc;

use crate::wire::WireEvent;

/// The wire's reports that have not been taken in yet.
pub(super) struct Reports {
    receiver: mpsc::UnboundedReceiver<WireEvent>,
    /// The first of them, if it was looked at and left.
    first: Option<WireEvent>,
}

impl Reports {
    pub fn new(receiver: mpsc::UnboundedReceiver<WireEvent>) -> Self {
        Self {
            receiver,
            first: None,
        }
    }

    /// The next one, once there is one. May be dropped while it waits: nothing is lost.
    pub async fn next(&mut self) -> Option<WireEvent> {
        match self.first.take() {
            Some(event) => Some(event),
            None => self.receiver.recv().await,
        }
    }

    /// The next one, if it is there.
    pub fn next_at_once(&mut self) -> Option<WireEvent> {
        self.first.take().or_else(|| self.receiver.try_recv().ok())
    }

    /// Whether there is one that the wire saw by this time. It stays.
    pub fn has_until(&mut self, at: Instant) -> bool {
        self.first = self.next_at_once();
        self.first.as_ref().is_some_and(|event| event.at <= at)
    }

    /// The next one, if it is there and the wire saw it by this time.
    pub fn next_until(&mut self, at: Instant) -> Option<WireEvent> {
        let event = self.next_at_once()?;
        if event.at <= at {
            return Some(event);
        }
        self.first = Some(event);
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::name::{ConnectionName, PodName};
    use crate::wire::ConnectionEvent;

    #[tokio::test]
    async fn what_came_later_stays_for_later_and_in_order() {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut reports = Reports::new(receiver);
        let begun = Instant::now();
        for second in [1, 2, 3] {
            let sent = sender.send(WireEvent {
                connection: ConnectionName {
                    pod: PodName::of_index(0),
                    index: second,
                },
                at: begun + Duration::from_secs(u64::from(second)),
                event: ConnectionEvent::Opened,
            });
            assert!(sent.is_ok());
        }
        let number = |event: Option<WireEvent>| event.map(|event| event.connection.index);
        let until = begun + Duration::from_millis(1500);
        assert!(reports.has_until(until) && reports.has_until(until));
        assert_eq!(number(reports.next_until(until)), Some(1));
        assert!(!reports.has_until(until));
        assert_eq!(number(reports.next_until(until)), None);
        assert_eq!(number(reports.next_until(until)), None);
        assert_eq!(number(reports.next().await), Some(2));
        assert_eq!(number(reports.next_at_once()), Some(3));
        assert_eq!(number(reports.next_at_once()), None);
    }
}

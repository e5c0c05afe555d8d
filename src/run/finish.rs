//! The end of a run: what remains, the log to its sentinel, the final rows.
//!
//! Owns the order in which the last evidence is read, and to which step each line of the log
//! belongs.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::error::RunError;
use super::pooled::Pooled;
use super::real::{Outage, Run, wall_us};
use super::trace::trace_hash;
use super::witnessing::{is_silenced, witnessed};
use crate::conductor::{Step, World};
use crate::evidence::{ServerLog, Witnessed, final_state, read_witness, snapshot};
use crate::history::{DropReason, Event, HeldLock, LogLine, RemainingSession};
use crate::name::{ConnectionName, Session, StepId};
use crate::state::LeftOut;

/// How long sessions of ended pods may take to be gone.
const SESSIONS_LIMIT: Duration = Duration::from_secs(5);

impl Run<'_> {
    /// Kills what still runs (after a limit was hit) and waits for its end.
    pub(super) async fn stop_everything(&mut self) -> Result<(), RunError> {
        self.undo_all().await?;
        self.absorb_all().await?;
        for body in self.world.bodies.values() {
            if let Some(pod) = &body.pod
                && pod.is_running()
            {
                pod.kill();
                pod.gone(Duration::from_secs(10)).await?;
            }
        }
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(2) {
            self.absorb_all().await?;
            let reported = self
                .members
                .values()
                .all(|member| !member.started || member.exited.is_some());
            if reported {
                break;
            }
            self.next_event(Duration::from_millis(2)).await?;
        }
        // After a limit nobody looks at these again.
        let answered: Vec<StepId> = self
            .steps
            .values()
            .filter(|step| self.limit_hit && step.answer.is_some() && !step.ended)
            .map(|step| step.id)
            .collect();
        for id in answered {
            self.note_done(id);
        }
        let names: Vec<_> = self.members.keys().cloned().collect();
        for name in names {
            self.write_exit(&name);
        }
        let held: Vec<ConnectionName> = self
            .members
            .values()
            .flat_map(|member| member.links.values())
            .filter(|link| link.held.is_some())
            .map(|link| link.name.clone())
            .collect();
        for name in held {
            self.world.drop_held(&name);
            self.drop_held(&name, &DropReason::RunEnded);
        }
        Ok(())
    }

    /// Reads the last evidence and writes the last lines; the trace hash.
    pub(super) async fn gather(&mut self) -> Result<String, RunError> {
        if self.stopped_early {
            return Ok(self.close());
        }
        self.note_remains().await?;
        if self.world.outage == Some(Outage::Dead) {
            // For its log alone: all pods have ended.
            self.bring_back().await?;
        }
        if self.world.watchers.has_log() {
            let (mut logs, lost) = self
                .world
                .watchers
                .finish_logs(&self.world.database.name)
                .await?;
            self.note_logs(&mut logs, lost).await?;
        }
        self.note_created().await?;
        self.note_rows().await?;
        self.note_witness().await?;
        Ok(self.close())
    }

    /// The final rows: their digests, and themselves if the digests are not those of the serial run of all
    /// pods.
    async fn note_rows(&mut self) -> Result<(), RunError> {
        let client = self.world.watchers.client()?;
        let Some(baseline) = &self.world.plan.baseline else {
            // What serial runs left is read when they are compared.
            let state = final_state(client, &LeftOut::default()).await?;
            self.note(Event::FinalState(state));
            return Ok(());
        };
        let state = final_state(client, &baseline.left_out).await?;
        let started = self.members.values().filter(|one| one.started).count();
        let serial = started
            .checked_sub(1)
            .and_then(|place| baseline.serial.get(place));
        if serial != Some(&state) {
            let rows = snapshot(client).await?;
            self.note(Event::FinalRows(rows));
        }
        self.note(Event::FinalState(state));
        Ok(())
    }

    /// The last lines; the trace hash.
    fn close(&mut self) -> String {
        // What the books say of steps stands in the history, and a long run's take as much room.
        self.steps.clear();
        let settling = self.settling.clone();
        self.note(Event::Settling(settling));
        let hash = trace_hash(self.writer.lines());
        self.note(Event::RunEnded {
            trace_hash: hash.clone(),
        });
        hash
    }

    /// What the server still has of the pods once they have had time to go.
    async fn note_remains(&mut self) -> Result<(), RunError> {
        let begun = Instant::now();
        loop {
            self.look_again().await?;
            let names: Vec<_> = self.members.keys().cloned().collect();
            for name in names {
                self.note_if_ended(&name);
            }
            let sessions = self
                .world
                .watchers
                .sessions_of(&self.world.database.name)
                .await?;
            let (_, locks) = self.world.watchers.locks().await?;
            let locks: Vec<HeldLock> = locks
                .into_iter()
                .filter(|lock| lock.key.database == self.world.database.oid)
                .collect();
            // A backend at rest is the pooler's; what it holds it goes on holding.
            let mut sessions = sessions;
            let at_rest = |pid: i32, pooled: &Option<Pooled>| {
                pooled.as_ref().is_some_and(|pooled| pooled.is_at_rest(pid))
            };
            sessions.retain(|pid, seen| seen.state != "idle" || !at_rest(*pid, &self.world.pooled));
            // What a prepared transaction holds nobody is going to give back.
            let stays = |lock: &HeldLock| lock.pid <= 0 || at_rest(lock.pid, &self.world.pooled);
            let kept = locks.iter().all(stays);
            let clear = sessions.is_empty() && (locks.is_empty() || kept);
            if clear {
                // What has gone since the look above is taken in as well.
                self.look_again().await?;
                let names: Vec<_> = self.members.keys().cloned().collect();
                for name in names {
                    self.note_if_ended(&name);
                }
            }
            if clear || begun.elapsed() > SESSIONS_LIMIT {
                let sessions = sessions
                    .into_values()
                    .map(|activity| RemainingSession {
                        session: activity.session,
                        connection: self.connection_of(activity.session),
                        state: activity.state,
                        query: activity.query,
                    })
                    .collect();
                self.note(Event::Remains {
                    locks,
                    sessions,
                    waited_us: micros(begun.elapsed()),
                });
                return Ok(());
            }
            self.next_event(Duration::from_millis(5)).await?;
        }
    }

    /// Writes down what the logs tell, in the order of the servers. Only if none is lost does the
    /// log count as complete.
    async fn note_logs(
        &mut self,
        logs: &mut [(usize, ServerLog)],
        lost: usize,
    ) -> Result<(), RunError> {
        let offset = self.clock_offset().await?;
        let mut lines = 0;
        for (server, log) in logs {
            lines += self.note_log(*server, log, offset).await?;
        }
        if lost == 0 {
            self.note(Event::LogComplete { lines });
        }
        Ok(())
    }

    /// Writes down what this log tells; how many records it has.
    async fn note_log(
        &mut self,
        server: usize,
        log: &mut ServerLog,
        offset: i64,
    ) -> Result<u64, RunError> {
        let fates = self.fates_of(server, log).await?;
        let mut by_connection: HashMap<ConnectionName, Vec<Span>> = HashMap::new();
        for step in self.steps.values() {
            let spans = by_connection.entry(step.connection.clone()).or_default();
            spans.extend(Span::of(step));
        }
        let began = wall_us(self.world.begun_wall);
        let mut records = 0;
        for record in log.records()? {
            let record = &record?;
            records += 1;
            if record.message.starts_with("lockproof-sentinel") {
                continue;
            }
            let session = Session {
                pid: record.pid,
                started_us: record.started_s * 1_000_000,
            };
            let at = UNIX_EPOCH + Duration::from_micros(clock(record.server_us - offset));
            let connection = match &self.world.pooled {
                Some(pooled) => pooled.connection_of_record(record, at),
                None => self.connection_of(session),
            };
            let own = connection.is_none() && self.world.watchers.is_own(record.pid);
            let seen = read_witness(record);
            // What lockproof does to the lock row is a version of it.
            if own && !matches!(seen, Some(Witnessed::Row { .. })) {
                continue;
            }
            if let Some(mut seen) = seen {
                if let Witnessed::Row { change, .. } = &mut seen {
                    change.by_lockproof = own;
                }
                let step = |time: i64| {
                    let own = by_connection.get(connection.as_ref()?)?;
                    step_at(own, began, time - offset, 0, None)
                };
                let session = self.full_session(record.pid, connection.as_ref());
                if is_silenced(&seen) {
                    self.world.silenced.extend(connection.clone());
                }
                let event = witnessed(
                    seen,
                    server,
                    (&fates, |lock: &HeldLock| {
                        self.world.watchers.is_of_gate(lock)
                    }),
                    session,
                    connection.clone(),
                    step,
                );
                self.note(event);
                continue;
            }
            let step = connection
                .as_ref()
                // The log has milliseconds only.
                .and_then(|name| {
                    let told = Some(record.sqlstate.as_str());
                    step_at(
                        by_connection.get(name)?,
                        began,
                        record.server_us - offset,
                        1_000,
                        told,
                    )
                });
            let event = Event::ServerLog(LogLine {
                server_us: record.server_us,
                pid: record.pid,
                connection,
                step,
                severity: record.severity.clone(),
                sqlstate: record.sqlstate.clone(),
                message: record.message.clone(),
                detail: record.detail.clone(),
                statement: record.statement.clone(),
            });
            self.note(event);
        }
        Ok(records)
    }

    /// Which connection a session belongs to.
    pub(super) fn connection_of(&self, session: Session) -> Option<ConnectionName> {
        if let Some(pooled) = &self.world.pooled {
            return pooled.served_by(session.pid).cloned();
        }
        self.members
            .values()
            .flat_map(|member| member.links.values())
            .find(|link| link.is_of(session))
            .map(|link| link.name.clone())
    }

    /// How far the server's clock is ahead of ours, in microseconds. The answer was given at some
    /// moment between question and receipt: if it can be ours, it is ours (a question may take
    /// long on a busy machine, and half of that is no difference of clocks).
    async fn clock_offset(&self) -> Result<i64, RunError> {
        let before = wall_us(SystemTime::now());
        let (server, _) = self.world.watchers.locks().await?;
        let after = wall_us(SystemTime::now());
        Ok(if (before..=after).contains(&server) {
            0
        } else {
            server - i64::midpoint(before, after)
        })
    }
}

/// When a step was under way, and the SQLSTATE that it was answered.
struct Span {
    id: StepId,
    released: Duration,
    answered: Option<Duration>,
    sqlstate: Option<String>,
}

impl Span {
    /// Of a step that was released.
    fn of(step: &Step) -> Option<Self> {
        let error = step
            .answer
            .as_ref()
            .and_then(|answer| answer.error.as_ref());
        Some(Self {
            id: step.id,
            released: step.released?,
            answered: step.answered,
            sqlstate: error.map(|error| error.sqlstate.clone()),
        })
    }
}

/// Which of a connection's steps was under way at this time (by our clock, in microseconds; the run
/// began at `began`).
/// `early`: how much too early the time may be, for want of digits; of several steps within that, the one
/// that was answered this SQLSTATE.
fn step_at(
    steps: &[Span],
    began: i64,
    time: i64,
    early: i64,
    told: Option<&str>,
) -> Option<StepId> {
    let wall = |at: Duration| began + i64::try_from(at.as_micros()).unwrap_or(i64::MAX - began);
    // Steps of a connection are released one after the other.
    let until = steps.partition_point(|step| wall(step.released) <= time + early);
    let mut near = steps[..until]
        .iter()
        .rev()
        .take_while(|step| step.answered.is_none_or(|answered| time <= wall(answered)));
    let own = near
        .clone()
        .find(|step| told.is_some() && step.sqlstate.as_deref() == told);
    own.or_else(|| near.next()).map(|step| step.id)
}

fn clock(us: i64) -> u64 {
    u64::try_from(us).unwrap_or(0)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

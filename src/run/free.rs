//! Free pacing: pods in real time, with a random stagger.
//!
//! Owns the clock of such a run: when pods start, when faults come, how often locks are sampled.
//! Absence of a lock in the samples proves nothing; what the witness logged with each write does.

use crate::history::Awaited;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::error::RunError;
use super::real::Run;
use crate::conductor::Aim;
use crate::conductor::Outcome;
use crate::name::PodName;
use crate::schedule::{Fault, FreeSchedule, Point};

/// How often the locks are sampled.
const SAMPLE: Duration = Duration::from_millis(2);

/// A time between the two, in steps of 1 µs.
fn draw(random: &mut ChaCha8Rng, between: (Duration, Duration)) -> Duration {
    let (low, high) = between;
    let span = u64::try_from(high.saturating_sub(low).as_micros()).unwrap_or(u64::MAX);
    let offset = if span == 0 {
        0
    } else {
        random.next_u64() % (span + 1)
    };
    low + Duration::from_micros(offset)
}

impl Run<'_> {
    /// Starts the pods and lets them run to their ends.
    pub(super) async fn run_free(&mut self, free: &FreeSchedule) -> Result<(), RunError> {
        let mut random = ChaCha8Rng::seed_from_u64(free.seed);
        let begun = Instant::now();
        let mut starts: Vec<(Duration, PodName)> = Vec::new();
        let mut time = Duration::ZERO;
        for (index, name) in self.world.plan.first_pods().into_iter().enumerate() {
            if index > 0 {
                time += draw(&mut random, free.stagger);
            }
            starts.push((time, name));
        }
        let mut faults: Vec<(Duration, &Fault)> = free
            .faults
            .iter()
            .map(|fault| match fault.point {
                Point::At(time) => (time, fault),
                _ => (Duration::ZERO, fault),
            })
            .collect();
        faults.sort_by_key(|(time, _)| *time);
        starts.reverse();
        faults.reverse();
        while !starts.is_empty() || !faults.is_empty() {
            let now = begun.elapsed();
            if let Some((time, name)) = starts.last().cloned()
                && time <= now
            {
                starts.pop();
                self.start(&name).await?;
                continue;
            }
            if let Some((time, fault)) = faults.last().copied()
                && time <= now
            {
                faults.pop();
                self.fault_now(fault).await?;
                continue;
            }
            if self.time_is_up() {
                self.hit_limit(Awaited::LastOfSchedule);
            }
            if self.limit_hit {
                for (_, fault) in faults {
                    let late = Outcome::missed("the run's time was up before");
                    self.note_fault(&Aim::of(fault), late);
                }
                return Ok(());
            }
            let next = starts
                .last()
                .map(|(time, _)| *time)
                .into_iter()
                .chain(faults.last().map(|(time, _)| *time))
                .min()
                .unwrap_or_default();
            self.sample(next.saturating_sub(begun.elapsed()).min(SAMPLE))
                .await?;
        }
        self.free_until_ended().await
    }

    /// Watches until every started pod has ended.
    pub(super) async fn free_until_ended(&mut self) -> Result<(), RunError> {
        loop {
            let names: Vec<PodName> = self.members.keys().cloned().collect();
            let mut all = true;
            for name in &names {
                all &= self.note_if_ended(name);
            }
            if all || self.limit_hit {
                return Ok(());
            }
            if self.time_is_up() {
                self.hit_limit(Awaited::EveryPod);
                return Ok(());
            }
            self.sample(SAMPLE).await?;
        }
    }

    async fn sample(&mut self, pause: Duration) -> Result<(), RunError> {
        let until = Instant::now() + pause;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            self.next_event(left.max(Duration::from_micros(100)))
                .await?;
            if Instant::now() >= until {
                break;
            }
        }
        self.end_graces().await?;
        self.await_gone().await?;
        self.note_locks().await
    }

    /// Kills the pods whose grace is over and that have not ended.
    async fn end_graces(&mut self) -> Result<(), RunError> {
        let now = Instant::now();
        let (due, rest) = std::mem::take(&mut self.world.graces)
            .into_iter()
            .partition(|(until, _)| *until <= now);
        self.world.graces = rest;
        let due: Vec<(Instant, PodName)> = due;
        for (_, name) in due {
            self.end_grace(&name).await?;
        }
        Ok(())
    }
}

//! WHO STARTS WHOM: the controller of a CronJob as Kubernetes has it.
//!
//! Owns when a Job is made, what `concurrencyPolicy` does to the ones that still run, when a pod gets
//! SIGTERM and SIGKILL, and when a failed one is tried again. Pure: its clock goes on only when it is
//! told to, and what it decides is done by others. It follows Kubernetes' own controllers
//! (pkg/controller/cronjob/cronjob_controllerv2.go, `syncCronJob`, and pkg/controller/job), for a Job
//! of one pod with `restartPolicy: Never`; where it knows less than they do, `controller.rs` says so.

mod controller;
mod job;
mod spec;
mod timetable;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub use controller::Controller;
pub use spec::{CronJob, Policy};
pub use timetable::{NotATimetable, Timetable, clock};

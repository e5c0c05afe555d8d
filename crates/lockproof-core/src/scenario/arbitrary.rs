//! Any scenario, for tests: every value that a file can hold, and no other.

use crate::name::{InvariantName, LockMode, TableName};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::*;
use crate::cronjob::{CronJob, Policy, Timetable};
use crate::history::{
    Done, Expiry, LockRow, NamedError, OnContention, PoolMode, PoolerSettings, Release,
};
use crate::name::{ConnectionName, PodName};
use crate::schedule::{
    EVERY_POINT, Fault, FaultKind, FaultTarget, FreeSchedule, InnerPoint, Move, Parameter,
    ParameterValue, PermittedFaults, Point, Schedule, SessionChoice, Sessions, Shape, SqlPattern,
    Stop, Turn,
};

/// A file that exists, for `schema`.
const SCHEMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");

/// Text of all kinds, never blank.
fn words() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,8}",
        "[ -~]{0,12}x[\"'\\\\\n\t]{0,3}",
        "\\PC{0,6}é\u{7f}\u{1}\\PC{0,6}",
        Just("'''\"\"\"\\".to_owned()),
    ]
}

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (0..100_000_u64).prop_map(Duration::from_millis),
        any::<u64>().prop_map(Duration::from_nanos),
    ]
}

fn sqlstate() -> impl Strategy<Value = String> {
    "[1-9A-Z][0-9A-Z]{4}"
}

fn command() -> impl Strategy<Value = Vec<String>> {
    vec(words(), 1..4)
}

fn program() -> impl Strategy<Value = Program> {
    let settings = (
        select(SEEDER_LOCKS.to_vec()),
        select(SEEDER_PROFILES.to_vec()),
        any::<(bool, bool)>(),
        of(any::<u64>()),
        of(duration()),
    )
        .prop_map(
            |(lock, profile, (reset, known_users), seed, linger)| SeederSettings {
                lock: lock.to_owned(),
                profile: profile.to_owned(),
                reset,
                known_users,
                seed,
                linger,
            },
        );
    prop_oneof![
        settings.prop_map(Program::Seeder),
        command().prop_map(Program::Command),
    ]
}

fn subject() -> impl Strategy<Value = Subject> {
    let prepare = prop_oneof![
        words().prop_map(Prepare::Shell),
        command().prop_map(Prepare::Command),
    ];
    let lock = prop_oneof![
        any::<i64>().prop_map(LockName::Key),
        any::<[i32; 2]>().prop_map(LockName::Keys),
        Just(LockName::Serializable),
        words().prop_map(|table| LockName::Rows(TableName::new(table.trim()))),
        (
            words(),
            of(proptest::sample::select(vec![
                LockMode::ShareUpdateExclusive,
                LockMode::ShareRowExclusive,
                LockMode::Exclusive,
                LockMode::AccessExclusive,
            ])),
        )
            .prop_map(|(table, mode)| LockName::Relation {
                table: TableName::new(table.trim()),
                mode,
            }),
    ];
    let lock = prop_oneof![2 => lock, 1 => lock_row()].boxed();
    // Of one that protects all nothing is written but the lock.
    let several = vec((lock.clone(), vec(words(), 0..2)), 1..3).prop_filter_map(
        "locks are named once, and one alone protects less than all",
        |all| {
            let twice = matches!(all.as_slice(), [(one, _), (other, _)] if one == other);
            let plain = matches!(all.as_slice(), [(_, protect)] if protect.is_empty());
            let all = all
                .into_iter()
                .map(|(lock, protect)| ProtectingLock { lock, protect });
            (!twice && !plain).then(|| LockName::Several(all.collect()))
        },
    );
    let lock = prop_oneof![3 => lock, 1 => several.boxed()].boxed();
    let env = vec(("[A-Z a-z.é\"]{1,6}", "\\PC{0,5}[\n\"]?"), 0..3);
    (
        program(),
        (
            of(Just(PathBuf::from(SCHEMA))),
            of(Just(PathBuf::from(env!("CARGO_MANIFEST_DIR")))),
        ),
        of(prepare),
        (
            of(proptest::string::string_regex("[a-z]{1,9}").expect("a pattern")),
            env,
        ),
        (
            of(vec(words(), 1..4)),
            vec("[a-z]{1,5}(\\.[a-z é]{0,4}[a-z])?", 0..3),
        ),
        of(lock),
        (0..3_usize, any::<bool>(), any::<bool>()),
        of(duration().prop_filter("a limit is not nothing", |time| !time.is_zero())),
        (vec(answer(), 0..3), vec(endpoint(), 0..3)),
    )
        .prop_map(
            |(
                program,
                (schema, dir),
                prepare,
                (database, env),
                (protect, ignore),
                lock,
                flags,
                time_limit,
                (answers, isolate),
            )| Subject {
                program,
                schema,
                prepare,
                dir,
                database,
                env: env.into_iter().collect::<BTreeMap<_, _>>(),
                protect,
                ignore,
                lock,
                release: [Release::Unlock, Release::Process, Release::Any][flags.0],
                on_contention: if flags.1 {
                    OnContention::Skip
                } else {
                    OnContention::Wait
                },
                answers,
                isolate,
                witness: flags.2,
                time_limit,
            },
        )
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    ("[a-z][a-z0-9.-]{0,9}[a-z]", 1..=u16::MAX).prop_map(|(host, port)| Endpoint { host, port })
}

fn lock_row() -> impl Strategy<Value = LockName> {
    let expiry = prop_oneof![
        words().prop_map(|column| Expiry::Until(column.trim().to_owned())),
        (
            words(),
            duration().prop_filter("a lease is not nothing", |time| !time.is_zero())
        )
            .prop_map(|(column, lease)| Expiry::Since {
                column: column.trim().to_owned(),
                lease,
            }),
    ];
    let row = vec(("[a-z é\"]{1,4}x", "\\PC{0,5}"), 0..3);
    let name = || words().prop_map(|word| word.trim().to_owned());
    // Of another table than any that is protected.
    (
        name(),
        row,
        of(name()),
        of(expiry),
        of(name()),
        of(name()),
        any::<bool>(),
        of(of(name())),
        any::<bool>(),
    )
        .prop_map(
            |(table, row, owner, expiry, held, token, fencing, queue, claim)| {
                if claim {
                    return LockName::Row(Box::new(claims(&table, held)));
                }
                if let Some(done) = queue {
                    return LockName::Row(Box::new(LockRow {
                        table: format!("é{table}"),
                        row: BTreeMap::new(),
                        owner,
                        expiry,
                        held: Some(format!("{table} = 1")),
                        token: None,
                        fencing: false,
                        place: 0,
                        claim: None,
                        queue: Some(match done {
                            Some(done) => Done::When(format!("{done} = 2")),
                            None => Done::Deleted,
                        }),
                    }));
                }

                let told = owner.is_some() || expiry.is_some() || held.is_some();
                LockName::Row(Box::new(LockRow {
                    table: format!("é{table}"),
                    row: row.into_iter().collect(),
                    owner: owner.or((!told).then(|| "owner".to_owned())),
                    expiry,
                    held,
                    token,
                    fencing,
                    queue: None,
                    claim: None,
                    place: 0,
                }))
            },
        )
}

fn claims(table: &str, held: Option<String>) -> LockRow {
    let columns = vec![format!("{table}1"), table.to_owned()];
    LockRow {
        held,
        ..LockRow::of_claims(format!("é{table}"), columns)
    }
}

fn answer() -> impl Strategy<Value = NamedError> {
    (sqlstate(), of(words()), of(words())).prop_map(|(sqlstate, constraint, table)| NamedError {
        sqlstate,
        constraint,
        table,
    })
}

/// One of the pods `a`, `b`, `c`.
fn pod() -> impl Strategy<Value = PodName> {
    (0..3_usize).prop_map(PodName::of_index)
}

fn stop() -> impl Strategy<Value = Stop> {
    let sql = || {
        prop_oneof![
            "[a-z ]{0,10}x".prop_filter_map("no pattern", |text| SqlPattern::new(&text).ok()),
            "\\PC{1,8}".prop_filter_map("no pattern", |text| SqlPattern::new(&text).ok()),
            Just(SqlPattern::new(r#"/^insert\s+into "?x/"#).unwrap()),
        ]
    };
    prop_oneof![
        (sql(), 1..=u32::MAX).prop_map(|(sql, nth)| Stop::Before { sql, nth }),
        (sql(), 1..3_u32).prop_map(|(sql, nth)| Stop::After { sql, nth }),
        (sql(), 1..3_u32, "[a-zé.]{1,8}", of(1..=10_000_u32)).prop_map(|(sql, nth, table, row)| {
            Stop::Inside {
                sql,
                nth,
                at: InnerPoint { table, row },
            }
        }),
        (1..=u32::MAX).prop_map(Stop::Steps),
        Just(Stop::Blocked),
        Just(Stop::End),
    ]
}

/// Any fault of the catalogue, its parameters of any value that their shapes allow.
fn fault_kind() -> impl Strategy<Value = FaultKind> {
    (
        select(FaultKind::CATALOGUE.iter().collect::<Vec<_>>()),
        duration(),
        any::<bool>(),
        1..=1_000_000_u64,
        any::<prop::sample::Index>(),
        sqlstate(),
    )
        .prop_map(|(entry, duration, flag, number, word, sqlstate)| {
            let value = |parameter: &Parameter| match parameter.shape {
                Shape::Duration => ParameterValue::Duration(duration),
                Shape::Flag => ParameterValue::Flag(flag),
                Shape::Positive { .. } => ParameterValue::Number(number),
                Shape::Word { words, .. } => ParameterValue::Word(words[word.index(words.len())]),
                Shape::Sqlstate => ParameterValue::Sqlstate(sqlstate.clone()),
            };
            let parameters = entry.parameters.iter();
            let values: Vec<_> = parameters.map(|one| (one.key, value(one))).collect();
            (entry.make)(&values).unwrap()
        })
}

fn fault(point: impl Strategy<Value = Point>) -> impl Strategy<Value = Fault> {
    (fault_kind(), of(pod()), 0..4_u32, point).prop_map(|(kind, pod, session, point)| {
        let entry = kind.entry();
        let pod = match pod {
            None if entry.target.needs_pod() => Some(PodName::of_index(0)),
            pod => pod,
        };
        let session = match (entry.sessions, session, &pod) {
            (Sessions::Whole, _, _) | (_, _, None) => entry.session_by_default(),
            (_, 0, _) => SessionChoice::Next,
            (_, 1, _) => SessionChoice::HoldingLock,
            (Sessions::OneOrEvery | Sessions::EveryOrOne, 2, _) => SessionChoice::Every,
            (_, index, Some(pod)) => SessionChoice::Connection(ConnectionName {
                pod: pod.clone(),
                index,
            }),
        };
        let point = match point {
            Point::At(_) => point,
            _ if pod.is_none() || !entry.points.all().contains(&point) => Point::Before,
            _ => point,
        };
        Fault {
            kind,
            pod,
            session,
            point,
        }
    })
}

fn schedule() -> impl Strategy<Value = Schedule> {
    let points = EVERY_POINT.to_vec();
    let a_move = prop_oneof![
        2 => (pod(), stop()).prop_map(|(pod, until)| Move::Turn(Turn { pod, until })),
        1 => subsequence(vec!["a", "b", "c"], 2..=3)
            .prop_map(|names| Move::Together(names.into_iter().map(PodName::new).collect())),
        1 => fault(select(points)).prop_map(Move::Fault),
    ];
    let free = (
        duration(),
        duration(),
        any::<u64>(),
        vec(fault(duration().prop_map(Point::At)), 0..3),
    )
        .prop_map(|(one, other, seed, faults)| FreeSchedule {
            stagger: (one.min(other), one.max(other)),
            seed,
            faults,
        });
    prop_oneof![
        3 => vec(a_move, 0..6).prop_map(Schedule::Controlled),
        1 => free.prop_map(Schedule::Free),
    ]
    .prop_map(possible)
}

fn cronjob() -> impl Strategy<Value = CronJob> {
    let schedules = vec![
        "*/10 * * * *",
        "@hourly",
        "0,30 8-18 1 jan MON",
        "5/7 * ? * *",
    ];
    let seconds = |from: u64| (from..100_000).prop_map(Duration::from_secs);
    (
        select(schedules),
        select(Policy::ALL.to_vec()),
        seconds(0),
        of(seconds(1)),
        0..=i32::MAX.unsigned_abs(),
        any::<bool>(),
    )
        .prop_map(
            |(schedule, policy, grace, starting_deadline, backoff_limit, pid1)| CronJob {
                policy,
                grace,
                starting_deadline,
                backoff_limit,
                pid1,
                ..CronJob::new(Timetable::new(schedule).unwrap())
            },
        )
}

/// A schedule with a CronJob, and with moves for it; or neither.
fn schedule_and_cronjob() -> impl Strategy<Value = (Schedule, Option<CronJob>)> {
    let advance = (1..=86_400_000_u64).prop_map(|ms| Move::Advance(Duration::from_millis(ms)));
    let of_controller = prop_oneof![Just(Move::Tick), Just(Move::Manual), advance];
    let put = (any::<prop::sample::Index>(), of_controller);
    (schedule(), of((cronjob(), vec(put, 1..4)))).prop_map(|(schedule, cronjob)| {
        match (schedule, cronjob) {
            (Schedule::Controlled(mut moves), Some((cronjob, puts))) => {
                for (place, one) in puts {
                    moves.insert(place.index(moves.len() + 1), one);
                }
                (Schedule::Controlled(moves), Some(cronjob))
            }
            (schedule, _) => (schedule, None),
        }
    })
}

fn expect() -> impl Strategy<Value = Expect> {
    (
        select(ExpectedVerdict::ALL.to_vec()),
        subsequence(InvariantName::ALL.to_vec(), 0..=3),
        subsequence(InvariantName::ALL.to_vec(), 0..=3),
        (of(sqlstate()), of(words()), of(words())),
        of(vec(sqlstate(), 1..3)),
        subsequence(DemandedGuard::ALL.to_vec(), 0..=3),
    )
        .prop_map(
            |(verdict, violates, may_violate, error, only_sqlstates, guards)| {
                let verdict = match verdict {
                    ExpectedVerdict::Holds if !violates.is_empty() => ExpectedVerdict::Violated,
                    other => other,
                };
                let errors = verdict != ExpectedVerdict::Holds
                    || may_violate.contains(&InvariantName::NoErrors);
                Expect {
                    verdict,
                    violates,
                    may_violate,
                    sqlstate: error.0.filter(|_| errors),
                    constraint: error.1.filter(|_| errors),
                    table: error.2.filter(|_| errors),
                    only_sqlstates,
                    guards,
                }
            },
        )
}

fn pooler() -> impl Strategy<Value = PoolerSettings> {
    let modes = [
        PoolMode::Session,
        PoolMode::Transaction,
        PoolMode::Statement,
    ];
    (select(modes.to_vec()), 1..=MOST_SERVER_CONNECTIONS)
        .prop_map(|(mode, size)| PoolerSettings { mode, size })
}

fn promotes(schedule: &Schedule) -> bool {
    schedule.faults().any(|fault| fault.kind.needs_standby())
}

/// No turn while the server is paused, no stop inside a step where a fault takes the server, and in free pacing nothing that is not undone.
fn possible(schedule: Schedule) -> Schedule {
    let undo = |fault: &Fault| fault.kind.undone_by().is_some();
    match schedule {
        Schedule::Controlled(mut moves) => {
            moves.retain(|one| match one {
                Move::Fault(fault) => fault.kind.entry().stops_server() != Some(true),
                _ => true,
            });
            let of_server = |one: &Move| matches!(one, Move::Fault(fault) if fault.kind.target() == FaultTarget::Server);
            if moves.iter().any(of_server) {
                moves.retain(|one| match one {
                    Move::Turn(turn) => !matches!(turn.until, Stop::Inside { .. }),
                    _ => true,
                });
            }
            Schedule::Controlled(moves)
        }
        Schedule::Free(mut free) => {
            free.faults.retain(|fault| !undo(fault));
            Schedule::Free(free)
        }
        other => other,
    }
}

/// Any scenario of at least three pods.
pub(super) fn scenario() -> impl Strategy<Value = Scenario> {
    (
        words(),
        vec(words(), 0..3),
        subject(),
        (3..=MOST_PODS, any::<bool>()),
        (any::<(bool, bool)>(), of(pooler())),
        schedule_and_cronjob(),
        expect(),
        (
            of(subsequence(FaultKind::NAMES.to_vec(), 0..=4)),
            any::<bool>(),
        ),
    )
        .prop_map(
            |(
                title,
                tags,
                subject,
                (count, recovery),
                (server, pooler),
                timing,
                expect,
                (faults, redact),
            )| {
                let (own, standby) = server;
                Scenario {
                    title,
                    tags,
                    subject,
                    pods: Pods { count, recovery },
                    server: Surroundings {
                        own,
                        standby: standby || promotes(&timing.0),
                        pooler: pooler.filter(|_| timing.0.inner_points().next().is_none()),
                    },
                    cronjob: timing.1,
                    schedule: timing.0,
                    expect,
                    redact,
                    search: SearchRules {
                        faults: faults.map_or_else(PermittedFaults::default, |names| {
                            PermittedFaults::only(names.into_iter().map(str::to_owned).collect())
                        }),
                    },
                }
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, max_shrink_time: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_again(scenario in scenario()) {
        let text = scenario.to_toml();
        let read = parse(&text, Path::new("any.toml"));
        prop_assert_eq!(read.map_err(|error| format!("{error}\n{text}")), Ok(scenario));
    }
}

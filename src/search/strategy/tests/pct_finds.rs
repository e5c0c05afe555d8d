//! PCT finds planted bugs of depth d at least as often as it promises.

use crate::conductor::simulated::{Op, run};
use crate::search::strategy::Pct;

fn rate(programs: &[Vec<Op>], pct: &Pct, draws: u64) -> f64 {
    let hits = (0..draws)
        .filter(|index| !run(programs, &pct.draw(*index), false).failures.is_empty())
        .count();
    f64::from(u32::try_from(hits).unwrap()) / f64::from(u32::try_from(draws).unwrap())
}

#[test]
fn bugs_are_found_at_least_as_often_as_promised() {
    // Depth 1: b begins before a has done its step.
    let one = vec![
        vec![Op::Set(0, 1), Op::Add(1)],
        vec![Op::Check(0, 1), Op::Add(1)],
    ];
    // Depth 2: b's step falls between two of a's.
    let mut a = vec![Op::Add(1); 10];
    a[4] = Op::Set(0, 1);
    a[5] = Op::Check(0, 1);
    let mut b = vec![Op::Add(2); 10];
    b[3] = Op::Set(0, 0);
    let two = vec![a, b];
    // Depth 3: b reads what a has half done, in the middle of its own work.
    let mut a = vec![Op::Add(2); 6];
    a[2] = Op::Set(0, 1);
    a[3] = Op::Set(0, 0);
    let b = vec![Op::Add(1), Op::Check(0, 0), Op::Add(1)];
    let three = vec![a, b];
    for (programs, depth) in [(one, 1), (two, 2), (three, 2)] {
        let steps = programs.iter().map(Vec::len).sum::<usize>();
        let pct = Pct::new(2, u64::try_from(steps).unwrap(), depth, 0, 11);
        let rate = rate(&programs, &pct, 6_000);
        // Less three standard deviations of 6,000 draws.
        let bound = pct.bound();
        let least = bound - 3.0 * (bound * (1.0 - bound) / 6_000.0).sqrt();
        assert!(rate >= least, "depth {depth}: {rate} < {bound}");
    }
}

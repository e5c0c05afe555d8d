//! What a sleeping thread waits for, as /proc/PID/task/TID/syscall tells it.
//!
//! Owns the table of system calls and the reading of their arguments. Knows nothing of pods. A
//! thread of a 32-bit program on a 64-bit machine has other numbers and is misread.

use std::time::Duration;

use super::syscalls::{Clock, Form, form_of};

/// What a thread waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Nothing: it runs, or will as soon as a processor is free.
    Running,
    /// Something that only others can bring; no timer.
    Untimed,
    /// Like `Untimed` if it sleeps; if it is in an uninterruptible sleep, for a disk.
    File,
    /// A timer of this length, counted from the beginning of the wait, unless something else comes first.
    After(Duration),
    /// A clock to show this, unless something else comes first.
    At(Clock, Duration),
    /// It is not in a system call: stopped, or in a page fault.
    Outside,
    /// What its call waits for cannot be told.
    Unknown,
}

/// Reads the memory of the thread's process: address, and where to put the bytes; whether it could.
pub type Memory<'a> = &'a mut dyn FnMut(u64, &mut [u8]) -> bool;

/// Reads the line of a `syscall` file.
pub fn classify(line: &[u8], memory: Memory<'_>) -> Wait {
    let Ok(line) = str::from_utf8(line) else {
        return Wait::Unknown;
    };
    let mut words = line.split_ascii_whitespace();
    let number = match words.next() {
        Some("running") => return Wait::Running,
        Some("-1") => return Wait::Outside,
        Some(word) => word.parse::<u32>(),
        None => return Wait::Unknown,
    };
    let mut arguments = [0_u64; 6];
    for argument in &mut arguments {
        let word = words.next().and_then(|word| word.strip_prefix("0x"));
        match word.and_then(|word| u64::from_str_radix(word, 16).ok()) {
            Some(value) => *argument = value,
            None => return Wait::Unknown,
        }
    }
    match number {
        Ok(number) => timed(form_of(number), &arguments, memory),
        Err(_) => Wait::Unknown,
    }
}

/// The descriptor from which the thread with this `syscall` file reads, if it does.
pub fn reads_from(line: &[u8]) -> Option<u64> {
    let mut words = str::from_utf8(line).ok()?.split_ascii_whitespace();
    let form = form_of(words.next()?.parse().ok()?);
    let first = u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok()?;
    (form == Form::File).then_some(first)
}

fn timed(form: Form, arguments: &[u64; 6], memory: Memory<'_>) -> Wait {
    match form {
        Form::Untimed => Wait::Untimed,
        Form::File => Wait::File,
        Form::Milliseconds(place) => match u64::try_from(low_half(arguments[place])) {
            Ok(milliseconds) => Wait::After(Duration::from_millis(milliseconds)),
            Err(_) => Wait::Untimed,
        },
        Form::Relative(place) => {
            span(arguments[place], 1, memory).map_or_else(|wait| wait, Wait::After)
        }
        Form::RelativeMicros(place) => {
            span(arguments[place], 1000, memory).map_or_else(|wait| wait, Wait::After)
        }
        Form::Absolute(place, clock) => absolute(arguments[place], clock, memory),
        Form::AbsoluteOn(place, clock) => match clock_of(arguments[clock]) {
            Some(clock) => absolute(arguments[place], clock, memory),
            None => Wait::Unknown,
        },
        Form::ClockNanosleep => {
            if arguments[1] & 1 == 0 {
                return span(arguments[2], 1, memory).map_or_else(|wait| wait, Wait::After);
            }
            match clock_of(arguments[0]) {
                Some(clock) => absolute(arguments[2], clock, memory),
                None => Wait::Unknown,
            }
        }
        Form::Futex => futex(arguments, memory),
        Form::Unknown => Wait::Unknown,
    }
}

/// futex(2): which of its operations waits, and whether its time is a span or a moment.
fn futex(arguments: &[u64; 6], memory: Memory<'_>) -> Wait {
    let operation = arguments[1];
    let clock = if operation & 256 == 0 {
        Clock::Monotonic
    } else {
        Clock::Realtime
    };
    match operation & 0x7f {
        // WAIT
        0 => span(arguments[3], 1, memory).map_or_else(|wait| wait, Wait::After),
        // LOCK_PI, always by the time of day
        6 => absolute(arguments[3], Clock::Realtime, memory),
        // WAIT_BITSET, WAIT_REQUEUE_PI, LOCK_PI2
        9 | 11 | 13 => absolute(arguments[3], clock, memory),
        _ => Wait::Unknown,
    }
}

fn absolute(address: u64, clock: Clock, memory: Memory<'_>) -> Wait {
    span(address, 1, memory).map_or_else(|wait| wait, |moment| Wait::At(clock, moment))
}

/// The `struct timespec` (or, with a unit of 1000 ns, `struct timeval`) at the address; no address
/// means no timer.
fn span(address: u64, unit: u64, memory: Memory<'_>) -> Result<Duration, Wait> {
    if address == 0 {
        return Err(Wait::Untimed);
    }
    let mut bytes = [0; 16];
    if !memory(address, &mut bytes) {
        return Err(Wait::Unknown);
    }
    let (seconds, rest) = bytes.split_at(8);
    let number = |part: &[u8]| part.try_into().map(u64::from_ne_bytes);
    match (number(seconds), number(rest)) {
        // A negative time has passed already; the sleeper is about to find out.
        (Ok(seconds), _) if seconds.cast_signed() < 0 => Ok(Duration::ZERO),
        (Ok(seconds), Ok(rest)) if rest < 1_000_000_000 / unit => {
            Ok(Duration::from_secs(seconds) + Duration::from_nanos(rest * unit))
        }
        _ => Err(Wait::Unknown),
    }
}

fn clock_of(number: u64) -> Option<Clock> {
    match low_half(number) {
        0 => Some(Clock::Realtime),
        // MONOTONIC and BOOTTIME differ by the time the machine was suspended.
        1 | 7 => Some(Clock::Monotonic),
        _ => None,
    }
}

/// An `int` argument: the upper half of its register is undefined.
fn low_half(argument: u64) -> i64 {
    let low = u32::try_from(argument & 0xffff_ffff).unwrap_or(0);
    i64::from(low.cast_signed())
}

#[cfg(test)]
#[cfg(target_arch = "x86_64")]
mod tests {
    use super::*;

    fn memory_of(seconds: i64, rest: i64) -> impl FnMut(u64, &mut [u8]) -> bool {
        move |address, bytes| {
            assert_eq!(address, 0x7000);
            bytes[..8].copy_from_slice(&seconds.to_ne_bytes());
            bytes[8..].copy_from_slice(&rest.to_ne_bytes());
            true
        }
    }

    fn read(line: &str, seconds: i64, rest: i64) -> Wait {
        classify(line.as_bytes(), &mut memory_of(seconds, rest))
    }

    #[test]
    fn an_epoll_wait_tells_its_timer_in_its_registers() {
        let line = |timeout| format!("232 0xb 0x7ffe 0x400 {timeout} 0x0 0x0 0x7ffe 0x7f01\n");
        assert_eq!(read(&line("0xffffffff"), 0, 0), Wait::Untimed);
        assert_eq!(read(&line("0xffffffffffffffff"), 0, 0), Wait::Untimed);
        assert_eq!(
            read(&line("0xa"), 0, 0),
            Wait::After(Duration::from_millis(10))
        );
        let junk_above = line("0xdead00000000000a");
        assert_eq!(
            read(&junk_above, 0, 0),
            Wait::After(Duration::from_millis(10))
        );
    }

    #[test]
    fn a_futex_waits_for_ever_for_a_span_or_until_a_moment() {
        let line =
            |operation, time| format!("202 0x1 {operation} 0x0 {time} 0x0 0xffffffff 0x1 0x2\n");
        assert_eq!(read(&line("0x80", "0x0"), 0, 0), Wait::Untimed);
        let ten = Duration::from_millis(10);
        assert_eq!(
            read(&line("0x80", "0x7000"), 0, 10_000_000),
            Wait::After(ten)
        );
        assert_eq!(
            read(&line("0x189", "0x7000"), 5, 0),
            Wait::At(Clock::Realtime, Duration::from_secs(5))
        );
        assert_eq!(
            read(&line("0x89", "0x7000"), 5, 0),
            Wait::At(Clock::Monotonic, Duration::from_secs(5))
        );
    }

    #[test]
    fn a_sleep_is_a_span_or_a_moment() {
        let line = |flags| format!("230 0x1 {flags} 0x7000 0x0 0x0 0x0 0x1 0x2\n");
        assert_eq!(
            read(&line("0x0"), 1, 0),
            Wait::After(Duration::from_secs(1))
        );
        assert_eq!(
            read(&line("0x1"), 9, 1),
            Wait::At(Clock::Monotonic, Duration::new(9, 1))
        );
    }

    #[test]
    fn select_counts_microseconds_and_pselect_nanoseconds() {
        let line = |number| format!("{number} 0x1 0x2 0x3 0x4 0x7000 0x0 0x1 0x2\n");
        let want = Wait::After(Duration::from_millis(5));
        assert_eq!(read(&line(23), 0, 5_000), want);
        assert_eq!(read(&line(270), 0, 5_000_000), want);
    }

    #[test]
    fn what_cannot_be_read_is_unknown() {
        let line = b"230 0x1 0x1 0x7000 0x0 0x0 0x0 0x1 0x2\n";
        assert_eq!(classify(line, &mut |_, _| false), Wait::Unknown);
        assert_eq!(
            read("99999 0x1 0x1 0x7000 0x0 0x0 0x0 0x1 0x2\n", 0, 0),
            Wait::Unknown
        );
        assert_eq!(read("230 0x1\n", 0, 0), Wait::Unknown);
        assert_eq!(read("", 0, 0), Wait::Unknown);
        assert_eq!(read("running\n", 0, 0), Wait::Running);
        assert_eq!(read("-1 0x7ffe 0x7f01\n", 0, 0), Wait::Outside);
    }
}

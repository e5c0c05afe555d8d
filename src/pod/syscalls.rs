//! The system calls in which threads sleep, and where each keeps its timer.
//!
//! Owns the numbers of x86_64 and of the generic table (aarch64, riscv64). Pure.

/// A clock of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// Time of day.
    Realtime,
    /// Time since boot.
    Monotonic,
}

/// Where a call keeps its timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// It has none.
    Untimed,
    /// It has none, and its first argument is a descriptor, which may be a file's.
    File,
    /// This argument is milliseconds; negative: no timer.
    Milliseconds(usize),
    /// This argument points to a span in seconds and nanoseconds.
    Relative(usize),
    /// This argument points to a span in seconds and microseconds.
    RelativeMicros(usize),
    /// This argument points to a moment of this clock.
    Absolute(usize, Clock),
    /// The first argument points to a moment of the clock that the second names.
    AbsoluteOn(usize, usize),
    /// clock_nanosleep(2).
    ClockNanosleep,
    /// futex(2).
    Futex,
    /// Not in the table, or its timer is nowhere to be seen (io_uring_enter, restart_syscall).
    Unknown,
}

/// The form of the call with this number.
pub fn form_of(number: u32) -> Form {
    TABLE
        .iter()
        .find(|(known, _)| *known == number)
        .map_or(Form::Unknown, |(_, form)| *form)
}

#[cfg(target_arch = "x86_64")]
const TABLE: &[(u32, Form)] = &[
    (202, Form::Futex),
    (232, Form::Milliseconds(3)),              // epoll_wait
    (281, Form::Milliseconds(3)),              // epoll_pwait
    (441, Form::Relative(3)),                  // epoll_pwait2
    (7, Form::Milliseconds(2)),                // poll
    (271, Form::Relative(2)),                  // ppoll
    (23, Form::RelativeMicros(4)),             // select
    (270, Form::Relative(4)),                  // pselect6
    (35, Form::Relative(0)),                   // nanosleep
    (230, Form::ClockNanosleep),               // clock_nanosleep
    (61, Form::Untimed),                       // wait4
    (247, Form::Untimed),                      // waitid
    (34, Form::Untimed),                       // pause
    (130, Form::Untimed),                      // rt_sigsuspend
    (128, Form::Relative(2)),                  // rt_sigtimedwait
    (0, Form::File),                           // read
    (2, Form::File),                           // open
    (257, Form::File),                         // openat
    (16, Form::File),                          // ioctl
    (1, Form::File),                           // write
    (17, Form::File),                          // pread64
    (18, Form::File),                          // pwrite64
    (19, Form::File),                          // readv
    (20, Form::File),                          // writev
    (40, Form::File),                          // sendfile
    (72, Form::File),                          // fcntl
    (73, Form::File),                          // flock
    (275, Form::File),                         // splice
    (276, Form::File),                         // tee
    (42, Form::Untimed),                       // connect
    (43, Form::Untimed),                       // accept
    (288, Form::Untimed),                      // accept4
    (44, Form::Untimed),                       // sendto
    (45, Form::Untimed),                       // recvfrom
    (46, Form::Untimed),                       // sendmsg
    (47, Form::Untimed),                       // recvmsg
    (307, Form::Untimed),                      // sendmmsg
    (299, Form::Relative(4)),                  // recvmmsg
    (65, Form::Untimed),                       // semop
    (220, Form::Relative(3)),                  // semtimedop
    (69, Form::Untimed),                       // msgsnd
    (70, Form::Untimed),                       // msgrcv
    (242, Form::Absolute(4, Clock::Realtime)), // mq_timedsend
    (243, Form::Absolute(4, Clock::Realtime)), // mq_timedreceive
    (208, Form::Relative(4)),                  // io_getevents
    (333, Form::Relative(4)),                  // io_pgetevents
    (449, Form::AbsoluteOn(3, 4)),             // futex_waitv
    (455, Form::AbsoluteOn(4, 5)),             // futex_wait
];

#[cfg(any(target_arch = "aarch64", target_arch = "riscv64"))]
const TABLE: &[(u32, Form)] = &[
    (98, Form::Futex),
    (22, Form::Milliseconds(3)),               // epoll_pwait
    (441, Form::Relative(3)),                  // epoll_pwait2
    (73, Form::Relative(2)),                   // ppoll
    (72, Form::Relative(4)),                   // pselect6
    (101, Form::Relative(0)),                  // nanosleep
    (115, Form::ClockNanosleep),               // clock_nanosleep
    (260, Form::Untimed),                      // wait4
    (95, Form::Untimed),                       // waitid
    (133, Form::Untimed),                      // rt_sigsuspend
    (137, Form::Relative(2)),                  // rt_sigtimedwait
    (63, Form::File),                          // read
    (56, Form::File),                          // openat
    (29, Form::File),                          // ioctl
    (64, Form::File),                          // write
    (65, Form::File),                          // readv
    (66, Form::File),                          // writev
    (67, Form::File),                          // pread64
    (68, Form::File),                          // pwrite64
    (71, Form::File),                          // sendfile
    (25, Form::File),                          // fcntl
    (32, Form::File),                          // flock
    (76, Form::File),                          // splice
    (77, Form::File),                          // tee
    (203, Form::Untimed),                      // connect
    (202, Form::Untimed),                      // accept
    (242, Form::Untimed),                      // accept4
    (206, Form::Untimed),                      // sendto
    (207, Form::Untimed),                      // recvfrom
    (211, Form::Untimed),                      // sendmsg
    (212, Form::Untimed),                      // recvmsg
    (269, Form::Untimed),                      // sendmmsg
    (243, Form::Relative(4)),                  // recvmmsg
    (193, Form::Untimed),                      // semop
    (192, Form::Relative(3)),                  // semtimedop
    (189, Form::Untimed),                      // msgsnd
    (188, Form::Untimed),                      // msgrcv
    (182, Form::Absolute(4, Clock::Realtime)), // mq_timedsend
    (183, Form::Absolute(4, Clock::Realtime)), // mq_timedreceive
    (4, Form::Relative(4)),                    // io_getevents
    (292, Form::Relative(4)),                  // io_pgetevents
    (449, Form::AbsoluteOn(3, 4)),             // futex_waitv
    (455, Form::AbsoluteOn(4, 5)),             // futex_wait
];

#[cfg(not(any(
    target_arch = "x86_64",
    target_arch = "aarch64",
    target_arch = "riscv64"
)))]
const TABLE: &[(u32, Form)] = &[];

/// In what kind of call a thread sleeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sleep {
    /// For a lock on a file.
    FileLock,
    /// In the reading, writing or opening of its first argument, a descriptor.
    Descriptor,
    /// For a child to end.
    Child,
    /// For a time to pass, and nothing else.
    Timer,
    /// For something to happen on one of several descriptors, or on a socket.
    Sockets,
}

/// In what kind of call a thread sleeps that is in the call with this number; `None`: it tells nothing.
pub fn sleep_of(number: u32) -> Option<Sleep> {
    let kind = SLEEPS.iter().find(|(numbers, _)| numbers.contains(&number));
    kind.map(|(_, sleep)| *sleep)
}

#[cfg(target_arch = "x86_64")]
const SLEEPS: &[(&[u32], Sleep)] = &[
    (&[72, 73], Sleep::FileLock),
    (&[0, 1, 2, 17, 18, 19, 20, 257, 275, 276], Sleep::Descriptor),
    (&[61, 247], Sleep::Child),
    (&[35, 230], Sleep::Timer),
    (
        &[7, 23, 42, 43, 44, 45, 46, 47, 232, 270, 271, 281, 288, 441],
        Sleep::Sockets,
    ),
];

#[cfg(any(target_arch = "aarch64", target_arch = "riscv64"))]
const SLEEPS: &[(&[u32], Sleep)] = &[
    (&[25, 32], Sleep::FileLock),
    (&[56, 63, 64, 65, 66, 67, 68, 76, 77], Sleep::Descriptor),
    (&[95, 260], Sleep::Child),
    (&[101, 115], Sleep::Timer),
    (
        &[22, 72, 73, 202, 203, 206, 207, 211, 212, 441],
        Sleep::Sockets,
    ),
];

#[cfg(not(any(
    target_arch = "x86_64",
    target_arch = "aarch64",
    target_arch = "riscv64"
)))]
const SLEEPS: &[(&[u32], Sleep)] = &[];

//! A pause shorter than tokio's own, whose clock has steps of a millisecond.
//!
//! Owns a timer of the kernel's (about 70 µs of error, no spinning, no thread). Where the kernel has
//! none, or gives none, it is tokio's sleep.

use std::time::Duration;

/// A timer for pauses.
#[derive(Debug)]
pub struct Ticker {
    #[cfg(target_os = "linux")]
    timer: Option<linux::Timer>,
}

impl Ticker {
    /// A timer of the runtime that this is called in.
    pub fn new() -> Self {
        Self {
            #[cfg(target_os = "linux")]
            timer: linux::Timer::new().ok(),
        }
    }

    /// Lets others run for this long.
    pub async fn pause(&self, span: Duration) {
        #[cfg(target_os = "linux")]
        if let Some(timer) = &self.timer
            && timer.pause(span).await.is_ok()
        {
            return;
        }
        tokio::time::sleep(span).await;
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::os::fd::{AsFd, AsRawFd, RawFd};
    use std::time::Duration;

    use nix::sys::time::TimeSpec;
    use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    #[derive(Debug)]
    pub struct Timer(AsyncFd<Raw>);

    #[derive(Debug)]
    struct Raw(TimerFd);

    impl AsRawFd for Raw {
        fn as_raw_fd(&self) -> RawFd {
            self.0.as_fd().as_raw_fd()
        }
    }

    impl Timer {
        #[expect(
            deprecated,
            reason = "its successor is unsafe; the timer owns its descriptor and never gives it away"
        )]
        pub fn new() -> io::Result<Self> {
            let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
            let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
            AsyncFd::with_interest(Raw(timer), Interest::READABLE).map(Self)
        }

        pub async fn pause(&self, span: Duration) -> io::Result<()> {
            let alarm = Expiration::OneShot(TimeSpec::from_duration(span));
            self.0.get_ref().0.set(alarm, TimerSetTimeFlags::empty())?;
            loop {
                let mut ready = self.0.readable().await?;
                // Err: it had not gone off after all.
                if let Ok(done) = ready.try_io(|timer| timer.get_ref().0.wait().map_err(Into::into))
                {
                    return done;
                }
            }
        }
    }
}

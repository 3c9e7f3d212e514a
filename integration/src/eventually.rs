//! Waiting for a state, never for a time: the only place that sleeps between polls.

use std::fmt::{Debug, Display};
use std::time::{Duration, Instant};

use anyhow::Result;

/// How long a test waits for a state: `TENBIN_TEST_PATIENCE_SECS`, 30 seconds when unset.
pub fn patience() -> Duration {
    let seconds = std::env::var("TENBIN_TEST_PATIENCE_SECS").ok().and_then(|it| it.parse().ok());
    Duration::from_secs(seconds.unwrap_or(30))
}

/// The time of a test's own stopwatch.
#[expect(clippy::disallowed_methods, reason = "the harness measures real processes in real time")]
pub fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "the one sleep, between two looks at a state")]
fn pause(looks: u32) {
    std::thread::sleep(Duration::from_millis(u64::from(looks.clamp(1, 10)) * 10));
}

/// Looks until `look` yields `Ok`, and returns that; after `patience`, its last error.
pub fn until<T>(patience: Duration, mut look: impl FnMut() -> Result<T>) -> Result<T> {
    let began = now();
    let mut looks = 0;
    loop {
        match look() {
            Ok(value) => return Ok(value),
            Err(error) if began.elapsed() >= patience => {
                return Err(error.context(format!("waited {:.1} s", began.elapsed().as_secs_f64())));
            }
            Err(_) => {}
        }
        looks += 1;
        pause(looks);
    }
}

/// What one look at the world saw: a success, or something to show when patience ends.
pub trait Observed {
    /// What the success holds.
    type Value;
    /// The success, or what to print of the failure.
    fn observed(self) -> Result<Self::Value, String>;
}

impl Observed for bool {
    type Value = ();
    fn observed(self) -> Result<(), String> {
        if self { Ok(()) } else { Err("false".to_owned()) }
    }
}

impl<T> Observed for Option<T> {
    type Value = T;
    fn observed(self) -> Result<T, String> {
        self.ok_or_else(|| "None".to_owned())
    }
}

impl<T, E: Display> Observed for Result<T, E> {
    type Value = T;
    fn observed(self) -> Result<T, String> {
        self.map_err(|error| format!("{error:#}"))
    }
}

/// The engine of [`eventually!`](crate::eventually!).
///
/// # Panics
/// At the caller, with what was seen last, when [`patience`] ends.
#[track_caller]
#[expect(clippy::panic, reason = "an assertion of tests")]
pub fn assert_eventually<O: Observed>(
    what: &str,
    mut look: impl FnMut() -> O,
    holds: impl Fn(&O::Value) -> Result<(), String>,
) -> O::Value {
    let seen = until(patience(), || {
        let value = look().observed().map_err(anyhow::Error::msg)?;
        holds(&value).map_err(anyhow::Error::msg)?;
        Ok(value)
    });
    match seen {
        Ok(value) => value,
        Err(error) => panic!("never happened: {what}\n{error:#}"),
    }
}

/// Looks again and again until the state holds, then evaluates to what was seen; panics with the
/// last sight when [`patience`] ends. Everything in it must be synchronous.
///
/// `eventually!(look)` wants `true`, `Some` or `Ok`; `eventually!(look, |it| predicate)` also wants
/// the predicate of that value (inside the `Some` or `Ok`).
#[macro_export]
macro_rules! eventually {
    ($look:expr $(,)?) => {
        $crate::eventually::assert_eventually(stringify!($look), || $look, |_| Ok(()))
    };
    ($look:expr, $holds:expr $(,)?) => {
        $crate::eventually::assert_eventually(
            concat!(stringify!($look), " with ", stringify!($holds)),
            || $look,
            |value| $crate::eventually::check(value, $holds),
        )
    };
}

/// A predicate of [`eventually!`](crate::eventually!): the value is the message when it is false.
pub fn check<T: Debug>(value: &T, holds: impl FnOnce(&T) -> bool) -> Result<(), String> {
    if holds(value) { Ok(()) } else { Err(format!("last seen: {value:#?}")) }
}

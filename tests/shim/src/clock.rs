//! How long the module's own work takes, and a network that a call would have to cross.

use std::{
    collections::BTreeMap,
    env, fs,
    path::PathBuf,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

/// How often a function was called, and how long it took in all.
type Spent = BTreeMap<&'static str, (usize, Duration)>;

/// The clock of one process.
pub struct Clock {
    /// Where it is written, once the module is finalized: per line a function, its calls, its
    /// nanoseconds.
    times: PathBuf,
    /// Added to each call.
    latency: Duration,
    spent: Mutex<Spent>,
}

impl Clock {
    /// From the environment; `None` where it says nothing.
    pub fn of_environment() -> Result<Option<Clock>, String> {
        let Some(times) = env::var_os("KEYFERRY_SHIM_TIMES") else {
            return Ok(None);
        };
        let latency = env::var("KEYFERRY_SHIM_LATENCY").unwrap_or_else(|_| "0".into());
        let latency =
            latency.parse().map_err(|error| format!("KEYFERRY_SHIM_LATENCY {latency}: {error}"))?;
        Ok(Some(Clock {
            times: times.into(),
            latency: Duration::from_micros(latency),
            spent: Mutex::default(),
        }))
    }

    /// Makes a call.
    pub fn time<T>(&self, name: &'static str, make: impl FnOnce() -> T) -> T {
        if !self.latency.is_zero() {
            thread::sleep(self.latency);
        }
        let begun = Instant::now();
        let answer = make();
        if let Ok(mut spent) = self.spent.lock() {
            let one = spent.entry(name).or_default();
            *one = (one.0 + 1, one.1 + begun.elapsed());
            if name == "C_Finalize" {
                let line = |(name, (calls, time)): (&&str, &(usize, Duration))| {
                    format!("{name} {calls} {}\n", time.as_nanos())
                };
                let lines: String = spent.iter().map(line).collect();
                // A time that cannot be written fails the bench that reads it.
                let _ = fs::write(&self.times, lines);
            }
        }
        answer
    }
}

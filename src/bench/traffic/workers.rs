//! Runs one thread per connection and collects the first failure.

use std::{
    thread::{self, Builder, Scope, ScopedJoinHandle},
    time::{Duration, Instant},
};

use crate::bench::{
    error::{BenchError, Result},
    figures::{
        measure::{Figures, Snapshot},
        series::{self, Series},
    },
    options::Options,
    traffic::progress::Progress,
};

/// Starts a named thread whose failure ends the run.
pub fn spawn<'scope, 'env, T: Default + Send + 'scope>(
    scope: &'scope Scope<'scope, 'env>,
    progress: &'scope Progress,
    name: String,
    work: impl FnOnce() -> Result<T> + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>> {
    let guarded = move || {
        work().unwrap_or_else(|error| {
            progress.fail(error);
            T::default()
        })
    };
    Builder::new().name(name).spawn_scoped(scope, guarded).map_err(|error| {
        // The threads started before would otherwise never end, nor would their scope.
        progress.fail(BenchError::Options(format!("cannot start a thread: {error}")));
        error.into()
    })
}

/// Waits for all; a panic among them goes on here.
pub fn join<T>(handles: Vec<ScopedJoinHandle<'_, T>>) -> Vec<T> {
    handles.into_iter().map(|handle| handle.join().expect("a worker panicked")).collect()
}

/// Does `work` while another thread looks on; whatever came of it, all threads are told to stop.
pub fn watched<T>(
    options: &Options,
    progress: &Progress,
    work: impl FnOnce() -> Result<T>,
) -> Result<(T, Series)> {
    thread::scope(|scope| {
        let watching = spawn(scope, progress, "watch".to_owned(), || Ok(series::watch(options, progress)))?;
        let done = work();
        progress.stop_producing();
        progress.stop_consuming();
        let series = watching.join().expect("the watch does not panic");
        match progress.take_failure() {
            Some(failure) => Err(failure),
            None => done.map(|done| (done, series)),
        }
    })
}

/// Looks at everything now.
pub fn snapshot(options: &Options, progress: &Progress) -> Result<Snapshot> {
    let taken = Snapshot::take(progress.published(), progress.consumed(), options.broker_pid);
    taken.map_err(|error| match options.broker_pid {
        Some(pid) => BenchError::Options(format!("cannot look at process {pid}: {error}")),
        None => error.into(),
    })
}

/// When something was sent, or was to be, and how long it took.
pub type Timed = (Instant, Duration);

/// What was measured, and when that began and ended.
pub type Window = (Figures, Instant, Instant);

/// Warms up, measures for the time asked for.
pub fn measure_window(options: &Options, progress: &Progress) -> Result<Window> {
    progress.rest(options.warm_up());
    let (before, start) = (snapshot(options, progress)?, Instant::now());
    progress.begin_window(start);
    progress.rest(options.seconds());
    let end = Instant::now();
    progress.end_window(end);
    let after = snapshot(options, progress)?;
    Ok((Figures::between(&before, &after), start, end))
}

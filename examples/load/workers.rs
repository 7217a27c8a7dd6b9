//! Runs one thread per connection and collects the first failure.

use std::{
    thread::{Builder, Scope, ScopedJoinHandle},
    time::Instant,
};

use crate::{
    error::{LoadError, Result},
    measure::{Figures, Snapshot},
    options::Options,
    progress::Progress,
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
        progress.fail(LoadError::Options(format!("cannot start a thread: {error}")));
        error.into()
    })
}

/// Waits for all; a panic among them goes on here.
pub fn join<T>(handles: Vec<ScopedJoinHandle<'_, T>>) -> Vec<T> {
    handles.into_iter().map(|handle| handle.join().expect("a worker panicked")).collect()
}

/// Looks at everything now.
pub fn snapshot(options: &Options, progress: &Progress) -> Result<Snapshot> {
    let taken = Snapshot::take(progress.published(), progress.consumed(), options.broker_pid);
    taken.map_err(|error| match options.broker_pid {
        Some(pid) => LoadError::Options(format!("cannot look at process {pid}: {error}")),
        None => error.into(),
    })
}

/// Warms up, measures for the time asked for; returns the figures and when measuring began and ended.
pub fn measure_window(options: &Options, progress: &Progress) -> Result<(Figures, Instant, Instant)> {
    progress.rest(options.warm_up());
    let (before, start) = (snapshot(options, progress)?, Instant::now());
    progress.begin_window(start);
    progress.rest(options.seconds());
    let end = Instant::now();
    progress.end_window(end);
    let after = snapshot(options, progress)?;
    Ok((Figures::between(&before, &after), start, end))
}

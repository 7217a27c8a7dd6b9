//! The one way these tests wait.

use std::{future::IntoFuture, time::Duration};

/// How long any single event may take before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Awaits an event, and fails the test by name of the event if it does not come.
pub async fn within<F: IntoFuture>(event: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future.into_future()).await {
        Ok(output) => output,
        Err(_) => panic!("not within {PATIENCE:?}: {event}"),
    }
}

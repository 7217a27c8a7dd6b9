//! The broker under attack, in this process, and the watch for panics in it.

use std::{
    future::IntoFuture,
    net::SocketAddr,
    sync::{Mutex, Once},
    time::Duration,
};

use leveret::{Broker, Config, LimitReport};

/// How long any single event may take before a test fails; generous, since all tests run at once.
const PATIENCE: Duration = Duration::from_secs(30);

/// Panics of this process that are not failures of tests.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// A broker of one test.
pub struct Target {
    pub broker: Broker,
}

impl Target {
    /// A broker with default settings.
    pub async fn start() -> Target {
        Target::configured(|_| {}).await
    }

    /// A broker with settings of its own.
    pub async fn configured(configure: impl FnOnce(&mut Config)) -> Target {
        watch_panics();
        let broker = Broker::builder().configure(configure).start().await.expect("the broker starts");
        Target { broker }
    }

    pub fn address(&self) -> SocketAddr {
        self.broker.amqp_addr()
    }

    /// How often a limit refused something so far.
    pub fn refusals(&self, limit: &str) -> u64 {
        self.report(limit).refusals
    }

    /// Where a limit stands.
    pub fn report(&self, limit: &str) -> LimitReport {
        let found = self.broker.limits().into_iter().find(|report| report.name == limit);
        found.unwrap_or_else(|| panic!("no limit has the name {limit}"))
    }

    pub fn uri(&self) -> String {
        self.broker.uri()
    }
}

/// Awaits an event, and fails the test by name of the event if it does not come.
pub async fn within<F: IntoFuture>(event: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future.into_future()).await {
        Ok(output) => output,
        Err(_) => panic!("not within {PATIENCE:?}: {event}"),
    }
}

/// Looks again and again for what nobody announces, until it is so.
pub async fn eventually(event: &str, is_so: impl Fn() -> bool) {
    within(event, async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// Fails when anything outside of the tests panicked, in whichever test's broker it was.
pub fn assert_no_panic() {
    let panics = PANICS.lock().unwrap();
    assert!(panics.is_empty(), "the broker panicked: {panics:?}");
}

/// A panic in a connection's task would go unnoticed otherwise: the task ends, the broker goes on.
fn watch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let in_test = panic.location().is_some_and(|location| location.file().starts_with("tests/"));
            if !in_test {
                PANICS.lock().unwrap().push(panic.to_string());
            }
            report(panic);
        }));
    });
}

//! Runs the broker until it is told to stop.

use std::{
    fmt::Display,
    io::{self, Write},
    net::SocketAddr,
    time::Instant,
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

use super::{port_file::PortFile, progress::Bar, settings::Settings};
use crate::{Broker, server::logging};

/// Starts the broker and returns once it was stopped, or with the sentence why it could not run.
pub fn serve(settings: Settings, launched: Instant) -> Result<(), String> {
    logging::init(&settings.config.log).map_err(|error| error.to_string())?;
    for file in &settings.files {
        info!("configuration read from {}", file.display());
    }
    for warning in &settings.warnings {
        warn!("{warning}");
    }
    raise_descriptor_limit();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if let Some(workers) = settings.config.workers {
        runtime.worker_threads(workers);
    }
    let runtime = runtime
        .thread_name("leveret")
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start the worker threads: {error}"))?;
    runtime.block_on(run(settings, launched))
}

async fn run(settings: Settings, launched: Instant) -> Result<(), String> {
    // Installed first: a signal that comes while the broker starts must not be lost.
    let mut signals = Signals::new().map_err(|error| format!("cannot listen for signals: {error}"))?;
    let port_file = settings.config.port_file.clone();
    let mut builder = Broker::builder().config(settings.config);
    if let Some(bar) = Bar::on_terminal("replaying the log") {
        builder = builder.on_replay(move |done, total| bar.show(done, total));
    }
    let start = builder.start();
    let broker = tokio::select! {
        broker = start => broker.map_err(|error| error.to_string())?,
        name = signals.next() => {
            info!("stopped by {name} while starting");
            return Ok(());
        }
    };
    let addresses = [broker.amqp_addrs(), broker.amqps_addrs()].concat();
    let management = [broker.management_addrs(), broker.management_tls_addrs()].concat();
    let _port_file = match &port_file {
        Some(path) => Some(
            PortFile::write(path, &broker)
                .map_err(|error| format!("cannot write the port file {}: {error}", path.display()))?,
        ),
        None => None,
    };
    announce(&addresses, &management, launched);

    let name = tokio::select! {
        name = signals.next_to_stop(|| broker.reload_certificates()) => name,
        reason = broker.failed() => {
            // Connections get a moment to hear of it.
            broker.shutdown().await;
            return Err(format!("the message log cannot be written: {reason}"));
        }
    };
    info!("stopping on {name}");
    tokio::select! {
        () = broker.shutdown() => info!("stopped"),
        name = signals.next() => return Err(format!("stopped at once by a second signal ({name})")),
    }
    Ok(())
}

/// Tells whoever waits for it, fixtures above all, that clients are accepted.
fn announce(addresses: &[SocketAddr], management: &[SocketAddr], launched: Instant) {
    let http = if management.is_empty() { String::new() } else { format!("; HTTP on {}", join(management)) };
    let line = format!(
        "leveret {}: Server startup complete; AMQP on {}{http}; {} ms",
        env!("CARGO_PKG_VERSION"),
        join(addresses),
        launched.elapsed().as_millis()
    );
    // Standard output may be closed, which is no reason to stop.
    let mut stdout = io::stdout();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
    info!("ready; AMQP on {}{http}", join(addresses));
}

fn join(items: &[impl Display]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// What the broker is asked to do by signals.
struct Signals {
    hang_up: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Signals> {
        Ok(Signals {
            hang_up: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The name of the next one that asks to stop; before it, SIGHUP asks to reload.
    async fn next_to_stop(&mut self, reload: impl Fn()) -> &'static str {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.hang_up.recv() => {
                    info!("reading certificates again on SIGHUP");
                    reload();
                }
            }
        }
    }

    /// The name of the next one that asks to stop.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Every client is a descriptor, and the usual soft limit of 1024 is meant for other programs.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current < limit.maximum || limit.maximum.is_none() {
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            warn!("the limit of file descriptors stays at {:?}: {error}", limit.current);
        }
    }
}

//! Publishing at a fixed rate with confirms: one thread writes on schedule, another one reads the confirms.
//!
//! One thread could not do both: while it sleeps until the next message is due, confirms would wait, and
//! would look slow.

use std::{
    net::Shutdown,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crate::bench::{
    client::{
        connection::{Connection, send_close},
        inbound::{Fill, Inbound},
        wire::{CHANNEL, METHOD, id},
    },
    error::{BenchError, Result},
    figures::histogram::Histogram,
    traffic::{
        confirms::Confirms,
        producer::{Writer, take_confirm},
        progress::Progress,
    },
};

/// How often a writer that waits for confirms looks whether the run has failed.
const POLL: Duration = Duration::from_millis(100);

/// What both threads look at.
#[derive(Default)]
struct Shared {
    confirms: Mutex<Confirms>,
    confirmed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Confirms> {
        self.confirms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until fewer than `most` messages are unconfirmed; false when the run has failed.
    fn wait_below(&self, most: u64, progress: &Progress) -> bool {
        let mut confirms = self.lock();
        while confirms.open() >= most && !progress.has_failed() {
            confirms = self.confirmed.wait_timeout(confirms, POLL).unwrap_or_else(PoisonError::into_inner).0;
        }
        confirms.open() < most
    }
}

/// Publishes with at most `window` unconfirmed messages, then closes the connection.
pub fn run(
    mut connection: Connection,
    mut writer: Writer,
    progress: &Progress,
    window: u64,
) -> Result<Histogram> {
    let shared = Shared::default();
    let Connection { out, inbound, .. } = &mut connection;
    thread::scope(|scope| {
        let reader = scope.spawn(|| read(inbound, &shared, progress).map_err(|error| progress.fail(error)));
        let mut publish = || -> Result<()> {
            while shared.wait_below(window, progress) {
                let room = window - shared.lock().open();
                // They are entered before they are written, as the confirm may be faster than the writer.
                if !writer.burst(out, room, progress, |times| shared.lock().sent(times))? {
                    break;
                }
            }
            shared.wait_below(1, progress);
            send_close(out, CHANNEL, id::CHANNEL_CLOSE)
        };
        let published = publish();
        if published.is_err() {
            // The reader would wait for an answer that cannot come.
            let _ = out.shutdown(Shutdown::Both);
        }
        let read = reader.join().expect("the reader does not panic");
        // A failed read has been reported, and explains a failed write.
        if read.is_err() { Ok(()) } else { published }
    })?;
    if !progress.has_failed() {
        connection.finish()?;
    }
    Ok(shared.confirms.into_inner().unwrap_or_else(PoisonError::into_inner).into_ages())
}

/// Takes confirms until the channel is closed.
fn read(inbound: &mut Inbound, shared: &Shared, progress: &Progress) -> Result<()> {
    loop {
        if inbound.fill()? == Fill::End {
            return Err(BenchError::Unexpected("end of a producer's connection".to_owned()));
        }
        let now = Instant::now();
        let mut confirms = shared.lock();
        while let Some(frame) = inbound.take_frame() {
            if frame.kind == METHOD && frame.method_id() == id::CHANNEL_CLOSE_OK {
                return Ok(());
            }
            take_confirm(frame, &mut confirms, now, progress)?;
        }
        drop(confirms);
        shared.confirmed.notify_all();
    }
}

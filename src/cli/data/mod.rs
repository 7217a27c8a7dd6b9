//! Commands that look into the data directory of a stopped broker. They change nothing in it.

mod check;
mod dump;
mod show;
mod streams;
pub mod units;

use std::{
    collections::BTreeMap,
    io::{self, BufWriter, StdoutLock, Write},
    path::Path,
    process::ExitCode,
};

use super::args::Dump;
use crate::{
    server::{data_dir::DataDir, logging},
    store::{Definitions, QueueId, disk::RealDisk},
};

/// Something is damaged, or the queue asked for is not there.
const FOUND_WRONG: u8 = 1;
/// The directory cannot be read at all.
const UNREADABLE: u8 = 2;

/// Why a command stopped.
enum Stop {
    Failed(String, u8),
    Output(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        Stop::Output(error)
    }
}

fn unreadable(error: impl ToString) -> Stop {
    Stop::Failed(error.to_string(), UNREADABLE)
}

/// Says what is there and what is damaged. Exit codes: 0 nothing, 1 something, 2 it cannot be read.
pub fn check(directory: &Path, json: bool) -> ExitCode {
    look(directory, |disk, out| check::check(disk, directory, json, out))
}

/// Prints messages or records. Exit codes: 0 printed, 1 no such queue, 2 the directory cannot be read.
pub fn dump(what: &Dump, vhost: Option<&str>) -> ExitCode {
    look(&what.directory, |disk, out| dump::dump(disk, what, vhost, out))
}

fn look(
    directory: &Path,
    act: impl FnOnce(&RealDisk, &mut BufWriter<StdoutLock<'static>>) -> Result<u8, Stop>,
) -> ExitCode {
    let locked = DataDir::inspect(directory).map_err(unreadable);
    let mut out = BufWriter::new(io::stdout().lock());
    let acted = locked.and_then(|_lock| {
        let code = act(&RealDisk::new(directory.to_owned()), &mut out)?;
        out.flush()?;
        Ok(code)
    });
    match acted {
        Ok(code) => ExitCode::from(code),
        // A reader that has seen enough closes the pipe.
        Err(Stop::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            // What is still buffered would only fail again.
            drop(out.into_parts());
            ExitCode::SUCCESS
        }
        Err(Stop::Output(error)) => super::complain(error, UNREADABLE),
        Err(Stop::Failed(reason, code)) => {
            let _ = out.flush();
            super::complain(reason, code)
        }
    }
}

/// What queues are called, by their ids.
#[derive(Debug, Default)]
struct Names(BTreeMap<QueueId, (String, String)>);

impl Names {
    fn of(definitions: &BTreeMap<String, Definitions>) -> Names {
        let queues = definitions.iter().flat_map(|(vhost, definitions)| {
            definitions.queues.iter().map(move |queue| (queue.id, (vhost.clone(), queue.name.clone())))
        });
        Names(queues.collect())
    }

    fn name(&mut self, id: QueueId, vhost: &str, name: &str) {
        self.0.insert(id, (vhost.to_owned(), name.to_owned()));
    }

    /// Vhost and name.
    fn get(&self, id: QueueId) -> Option<(&str, &str)> {
        self.0.get(&id).map(|(vhost, name)| (&**vhost, &**name))
    }

    /// For people.
    fn show(&self, id: QueueId) -> String {
        match self.get(id) {
            Some((vhost, name)) => format!("'{}' in vhost '{}'", safe(name), safe(vhost)),
            None => format!("#{id}, which is not there any more"),
        }
    }
}

/// Text that cannot disturb a terminal.
fn safe(text: &str) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = logging::escape(text, &mut out);
    out
}

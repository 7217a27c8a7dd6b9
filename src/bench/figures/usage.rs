//! CPU time and memory of processes and of our own threads, from /proc.

use std::{collections::BTreeMap, fs, io, time::Duration};

/// What one process has used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessUsage {
    /// User and system time of all threads, ended ones included.
    pub cpu: Duration,
    pub resident_bytes: u64,
}

impl ProcessUsage {
    pub fn of(pid: u32) -> io::Result<ProcessUsage> {
        ProcessUsage::read(&format!("/proc/{pid}"))
    }

    pub fn of_ourselves() -> io::Result<ProcessUsage> {
        ProcessUsage::read("/proc/self")
    }

    fn read(directory: &str) -> io::Result<ProcessUsage> {
        let cpu = cpu_time(&fs::read_to_string(format!("{directory}/stat"))?);
        let resident = resident_bytes(&fs::read_to_string(format!("{directory}/status"))?);
        match (cpu, resident) {
            (Some(cpu), Some(resident_bytes)) => Ok(ProcessUsage { cpu, resident_bytes }),
            _ => Err(io::Error::other(format!("{directory} is not readable as a process"))),
        }
    }
}

/// Name and CPU time of every thread of this process, by thread id.
pub fn our_threads() -> io::Result<BTreeMap<String, (String, Duration)>> {
    let mut threads = BTreeMap::new();
    for entry in fs::read_dir("/proc/self/task")? {
        let path = entry?.path();
        // A thread may end between the listing and the look.
        let Ok(stat) = fs::read_to_string(path.join("stat")) else { continue };
        let name = thread_name(&stat).unwrap_or_default().to_owned();
        let cpu = cpu_time(&stat).unwrap_or_default();
        threads.insert(path.to_string_lossy().into_owned(), (name, cpu));
    }
    Ok(threads)
}

fn thread_name(stat: &str) -> Option<&str> {
    Some(stat.split_once('(')?.1.rsplit_once(')')?.0)
}

/// Fields 14 and 15 of a stat line; the name before them may hold spaces and parentheses.
fn cpu_time(stat: &str) -> Option<Duration> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    let nanos_per_tick = 1_000_000_000 / rustix::param::clock_ticks_per_second();
    Some(Duration::from_nanos((user + system) * nanos_per_tick))
}

fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// Asks the kernel to wake our sleeping threads on time; threads started later inherit it.
pub fn wake_precisely() {
    // Where it is not allowed, wake-ups are some 50 us late, which 'Pacer' does not bill to the broker.
    let _ = fs::write("/proc/self/timerslack_ns", "1000");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_past_a_strange_name() {
        let line = "7 (a ) (b) S 1 7 7 0 -1 4194560 5 0 0 0 250 50 9 9 20 0 3 0 100";
        assert_eq!(thread_name(line), Some("a ) (b"));
        let ticks = cpu_time(line).unwrap().as_nanos() as u64 * rustix::param::clock_ticks_per_second();
        assert_eq!(ticks, 300 * 1_000_000_000);
    }

    #[test]
    fn resident_memory_is_in_kilobytes() {
        assert_eq!(resident_bytes("Name:\tx\nVmRSS:\t    1234 kB\nThreads:\t1\n"), Some(1234 * 1024));
        assert_eq!(resident_bytes("Name:\tkernel-thread\n"), None);
    }

    #[test]
    fn we_exist() {
        assert!(ProcessUsage::of_ourselves().unwrap().resident_bytes > 0);
        assert!(!our_threads().unwrap().is_empty());
    }
}

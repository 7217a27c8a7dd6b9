//! What the operating system says of this process. Where it does not, zeros.

use std::fs;

/// The machine's name.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Open file descriptors, and how many of them are sockets.
pub fn descriptors() -> (u64, u64) {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else { return (0, 0) };
    let (mut all, mut sockets) = (0, 0);
    for entry in entries.flatten() {
        all += 1;
        let is_socket =
            fs::read_link(entry.path()).is_ok_and(|to| to.to_string_lossy().starts_with("socket:"));
        sockets += u64::from(is_socket);
    }
    (all, sockets)
}

pub fn descriptors_max() -> u64 {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX >> 1)
}

/// A number of `/proc/self/status`.
fn status(name: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Octets of resident memory.
pub fn resident_bytes() -> u64 {
    status("VmRSS") * 1024
}

/// Octets of the program itself.
pub fn code_bytes() -> u64 {
    let text = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = text.split_whitespace().nth(3).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages.saturating_mul(rustix::param::page_size() as u64)
}

/// What the process moved from and to disks.
#[derive(Debug, Clone, Copy, Default)]
pub struct Io {
    pub read_octets: u64,
    pub written_octets: u64,
}

pub fn io() -> Io {
    let text = fs::read_to_string("/proc/self/io").unwrap_or_default();
    let number = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|line| line.trim().parse().ok()).unwrap_or(0)
    };
    Io { read_octets: number("read_bytes"), written_octets: number("write_bytes") }
}

pub fn threads() -> u64 {
    status("Threads")
}

/// Seconds of processor time used.
pub fn cpu_seconds() -> f64 {
    let usage = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The command's name may hold anything, so fields are counted behind its closing parenthesis.
    let fields = usage.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
    let ticks = |at: usize| fields.split_whitespace().nth(at).and_then(|text| text.parse::<u64>().ok());
    let total = ticks(11).unwrap_or(0) + ticks(12).unwrap_or(0);
    total as f64 / rustix::param::clock_ticks_per_second() as f64
}

pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

//! How much memory there is: the machine's, or the container's limit.

use super::config::Memory;

/// Files in which a control group's limit stands, version 2 first.
const CGROUP_LIMITS: [&str; 2] = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];

/// Octets that this process may use at most.
pub fn available() -> u64 {
    let info = rustix::system::sysinfo();
    let machine = (info.totalram as u64).saturating_mul(u64::from(info.mem_unit));
    let limits = CGROUP_LIMITS.iter().filter_map(|file| std::fs::read_to_string(file).ok());
    // "max" and the huge number of an unlimited group both mean no limit.
    limits.filter_map(|text| text.trim().parse().ok()).fold(machine, u64::min)
}

/// The watermark in octets.
pub fn watermark(memory: Memory) -> u64 {
    match memory {
        Memory::Absolute(octets) => octets,
        Memory::Relative(part) => (available() as f64 * part) as u64,
    }
}

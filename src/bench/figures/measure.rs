//! Two looks at broker, tool and counters, and what the time between them cost.

use std::{
    collections::BTreeMap,
    io, thread,
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::bench::figures::usage::{ProcessUsage, our_threads};

/// One of our threads this busy leaves the broker waiting.
const BUSY_THREAD: f64 = 0.9;
/// All cores together this busy means that broker and tool compete for them.
const BUSY_MACHINE: f64 = 0.9;

/// One look.
#[derive(Debug)]
pub struct Snapshot {
    at: Instant,
    published: u64,
    consumed: u64,
    broker: Option<ProcessUsage>,
    tool: ProcessUsage,
    threads: BTreeMap<String, (String, Duration)>,
}

impl Snapshot {
    pub fn take(published: u64, consumed: u64, broker_pid: Option<u32>) -> io::Result<Snapshot> {
        Ok(Snapshot {
            at: Instant::now(),
            published,
            consumed,
            broker: broker_pid.map(ProcessUsage::of).transpose()?,
            tool: ProcessUsage::of_ourselves()?,
            threads: our_threads()?,
        })
    }
}

/// The figures of one measured window.
#[derive(Debug, Default, Serialize)]
pub struct Figures {
    pub seconds: f64,
    pub published: u64,
    pub consumed: u64,
    pub published_per_second: f64,
    pub consumed_per_second: f64,
    /// Per delivery; per publish where nothing is consumed.
    pub broker_cpu_us_per_message: Option<f64>,
    pub broker_cpu_us_per_publish: Option<f64>,
    pub tool_cpu_us_per_message: Option<f64>,
    pub broker_cores: Option<f64>,
    pub tool_cores: f64,
    pub busiest_thread: String,
    pub busiest_thread_share: f64,
    pub broker_resident_before: Option<u64>,
    pub broker_resident_after: Option<u64>,
    /// Why the figures may show the tool and not the broker.
    pub tool_was_bottleneck: Option<String>,
}

impl Figures {
    pub fn between(before: &Snapshot, after: &Snapshot) -> Figures {
        let seconds = after.at.duration_since(before.at).as_secs_f64();
        let published = after.published - before.published;
        let consumed = after.consumed - before.consumed;
        let messages = if consumed > 0 { consumed } else { published };
        let per = |cpu: Duration, count: u64| (count > 0).then(|| cpu.as_secs_f64() * 1e6 / count as f64);
        let broker_cpu =
            before.broker.zip(after.broker).map(|(before, after)| after.cpu.saturating_sub(before.cpu));
        let tool_cpu = after.tool.cpu.saturating_sub(before.tool.cpu);
        let (busiest_thread, busiest) = busiest(&before.threads, &after.threads);
        let mut figures = Figures {
            seconds,
            published,
            consumed,
            published_per_second: published as f64 / seconds,
            consumed_per_second: consumed as f64 / seconds,
            broker_cpu_us_per_message: broker_cpu.and_then(|cpu| per(cpu, messages)),
            broker_cpu_us_per_publish: broker_cpu.and_then(|cpu| per(cpu, published)),
            tool_cpu_us_per_message: per(tool_cpu, messages),
            broker_cores: broker_cpu.map(|cpu| cpu.as_secs_f64() / seconds),
            tool_cores: tool_cpu.as_secs_f64() / seconds,
            busiest_thread,
            busiest_thread_share: busiest.as_secs_f64() / seconds,
            broker_resident_before: before.broker.map(|usage| usage.resident_bytes),
            broker_resident_after: after.broker.map(|usage| usage.resident_bytes),
            tool_was_bottleneck: None,
        };
        let cores = thread::available_parallelism().map_or(1, usize::from);
        figures.tool_was_bottleneck = figures.bottleneck(cores as f64);
        figures
    }

    fn bottleneck(&self, cores: f64) -> Option<String> {
        let broker_cores = self.broker_cores.unwrap_or(0.0);
        if self.busiest_thread_share >= BUSY_THREAD {
            let (name, percent) = (&self.busiest_thread, self.busiest_thread_share * 100.0);
            return Some(format!("the tool's thread {name} used {percent:.0} % of a core"));
        }
        let full = (broker_cores + self.tool_cores) / cores >= BUSY_MACHINE;
        (full && self.tool_cores > broker_cores).then(|| {
            format!(
                "all {cores} cores are busy and the tool uses more of them than the broker ({:.2} to {broker_cores:.2})",
                self.tool_cores
            )
        })
    }
}

/// The thread that used most between two looks.
fn busiest(
    before: &BTreeMap<String, (String, Duration)>,
    after: &BTreeMap<String, (String, Duration)>,
) -> (String, Duration) {
    after
        .iter()
        .map(|(id, (name, cpu))| {
            let start = before.get(id).map_or(Duration::ZERO, |(_, cpu)| *cpu);
            (name.clone(), cpu.saturating_sub(start))
        })
        .max_by_key(|(_, cpu)| *cpu)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(at: Instant, messages: u64, broker_ms: u64, tool_ms: u64, thread_ms: u64) -> Snapshot {
        let usage =
            |millis| ProcessUsage { cpu: Duration::from_millis(millis), resident_bytes: 1000 + millis };
        let thread = ("consumer-0".to_owned(), Duration::from_millis(thread_ms));
        Snapshot {
            at,
            published: messages,
            consumed: messages * 2,
            broker: Some(usage(broker_ms)),
            tool: usage(tool_ms),
            threads: BTreeMap::from([("7".to_owned(), thread)]),
        }
    }

    #[test]
    fn cost_is_per_delivery_and_the_window_alone_counts() {
        let start = Instant::now();
        let before = snapshot(start, 500, 100, 50, 10);
        let after = snapshot(start + Duration::from_secs(2), 100_500, 700, 250, 60);
        let figures = Figures::between(&before, &after);
        assert_eq!((figures.published, figures.consumed), (100_000, 200_000));
        assert!((figures.published_per_second - 50_000.0).abs() < 1e-6);
        assert!((figures.broker_cpu_us_per_message.unwrap() - 3.0).abs() < 1e-6);
        assert!((figures.broker_cpu_us_per_publish.unwrap() - 6.0).abs() < 1e-6);
        assert!((figures.tool_cpu_us_per_message.unwrap() - 1.0).abs() < 1e-6);
        assert_eq!(figures.broker_resident_after, Some(1700));
        assert_eq!(figures.tool_was_bottleneck, None);
    }

    #[test]
    fn a_busy_thread_or_a_full_machine_is_named() {
        let busy = Figures {
            busiest_thread: "producer-0".to_owned(),
            busiest_thread_share: 0.95,
            ..Figures::default()
        };
        assert!(busy.bottleneck(8.0).unwrap().contains("producer-0"));
        let full = Figures { broker_cores: Some(0.8), tool_cores: 1.1, ..Figures::default() };
        assert!(full.bottleneck(2.0).unwrap().contains("all 2 cores"));
        assert_eq!(full.bottleneck(8.0), None);
        let broker = Figures { broker_cores: Some(1.5), tool_cores: 0.4, ..Figures::default() };
        assert_eq!(broker.bottleneck(2.0), None);
    }
}

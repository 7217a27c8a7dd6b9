//! Counters as operators see them: each with its rate, and with samples for charts if they are asked for.

use serde_json::{Map, Value, json};

use super::{answer::Refusal, call::Call, path::Query};
use crate::{
    broker::Millis,
    engine::stats::{Figure, Figures, History, Spacing},
};

/// Samples of one chart.
const SAMPLES_MAX: u64 = 500;

type Shown = (&'static str, &'static [Figure]);

/// Everything that is delivered, in whichever way.
pub const DELIVER_GET: Shown =
    ("deliver_get", &[Figure::Deliver, Figure::DeliverNoAck, Figure::Get, Figure::GetNoAck]);
/// What is said of a queue.
pub const QUEUE: &[Shown] = &[
    ("publish", &[Figure::Publish]),
    ("deliver", &[Figure::Deliver]),
    ("deliver_no_ack", &[Figure::DeliverNoAck]),
    DELIVER_GET,
    ("get", &[Figure::Get]),
    ("get_no_ack", &[Figure::GetNoAck]),
    ("get_empty", &[Figure::GetEmpty]),
    ("redeliver", &[Figure::Redeliver]),
    ("ack", &[Figure::Ack]),
    ("disk_reads", &[Figure::DiskReads]),
    ("disk_writes", &[Figure::DiskWrites]),
];
/// What is said of a channel.
pub const CHANNEL: &[Shown] = &[
    ("publish", &[Figure::Publish]),
    ("confirm", &[Figure::Confirm]),
    ("return_unroutable", &[Figure::ReturnUnroutable]),
    ("drop_unroutable", &[Figure::DropUnroutable]),
    ("deliver", &[Figure::Deliver]),
    ("deliver_no_ack", &[Figure::DeliverNoAck]),
    DELIVER_GET,
    ("get", &[Figure::Get]),
    ("get_no_ack", &[Figure::GetNoAck]),
    ("get_empty", &[Figure::GetEmpty]),
    ("redeliver", &[Figure::Redeliver]),
    ("ack", &[Figure::Ack]),
];
/// What is said of vhosts and the node: the same, and the disk.
pub const DISK: &[Shown] = &[("disk_reads", &[Figure::DiskReads]), ("disk_writes", &[Figure::DiskWrites])];

/// What waits.
pub const LENGTHS: &[Shown] = &[
    ("messages", &[Figure::Ready, Figure::Unacknowledged]),
    ("messages_ready", &[Figure::Ready]),
    ("messages_unacknowledged", &[Figure::Unacknowledged]),
];

/// How a request wants its rates.
#[derive(Debug, Clone, Copy)]
pub struct Rates {
    now: Millis,
    interval: Millis,
    messages: Option<Spacing>,
    lengths: Option<Spacing>,
    data: Option<Spacing>,
}

/// Which of the parameters of a request say how samples are spaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chart {
    Messages,
    Lengths,
    Data,
}

impl Rates {
    pub fn of(call: &Call) -> Result<Rates, Refusal> {
        Ok(Rates {
            now: call.now(),
            interval: call.node().stats.interval(),
            messages: spacing(&call.query, "msg_rates")?,
            lengths: spacing(&call.query, "lengths")?,
            data: spacing(&call.query, "data_rates")?,
        })
    }

    pub fn now(&self) -> Millis {
        self.now
    }

    /// The figures as counters with rates.
    pub fn put<const N: usize>(
        &self,
        fields: &mut Map<String, Value>,
        chart: Chart,
        (history, current): (&History<N>, &[u64; N]),
        name: &str,
        sum: impl Fn(&[u64; N]) -> u64,
    ) {
        fields.insert(name.to_owned(), json!(sum(current)));
        fields.insert(format!("{name}_details"), self.details(chart, history, current, sum));
    }

    fn details<const N: usize>(
        &self,
        chart: Chart,
        history: &History<N>,
        current: &[u64; N],
        sum: impl Fn(&[u64; N]) -> u64,
    ) -> Value {
        let rate = history.rate(self.now, current, self.interval, &sum);
        let spacing = match chart {
            Chart::Messages => self.messages,
            Chart::Lengths => self.lengths,
            Chart::Data => self.data,
        };
        let Some(spacing) = spacing else { return json!({ "rate": rate }) };
        let samples = history.samples(self.now, current, spacing, sum);
        let all: f64 = samples.iter().map(|(_, value)| *value as f64).sum();
        let ends = samples.first().zip(samples.last());
        let grown = ends.map_or(0.0, |((_, newest), (_, oldest))| *newest as f64 - *oldest as f64);
        let shown: Vec<Value> =
            samples.iter().map(|(at, value)| json!({ "sample": value, "timestamp": at })).collect();
        json!({
            "rate": rate,
            "avg": all / samples.len().max(1) as f64,
            "avg_rate": grown * 1000.0 / spacing.age.max(1) as f64,
            "samples": shown,
        })
    }

    /// Puts some of the figures.
    pub fn put_all(
        &self,
        fields: &mut Map<String, Value>,
        chart: Chart,
        history: &History<{ Figure::COUNT }>,
        figures: &Figures,
        shown: &[Shown],
    ) {
        for (name, of) in shown {
            let sum = |figures: &[u64; Figure::COUNT]| {
                of.iter().filter_map(|figure| figures.get(*figure as usize)).sum()
            };
            self.put(fields, chart, (history, &figures.0), name, sum);
        }
    }

    /// The `message_stats` of an object; `None` without any traffic yet.
    pub fn message_stats(
        &self,
        history: &History<{ Figure::COUNT }>,
        figures: &Figures,
        shown: &[&[Shown]],
    ) -> Option<Value> {
        let all = shown.iter().copied().flatten();
        let is_used = all.clone().any(|(_, of)| of.iter().any(|figure| figures.get(*figure) != 0));
        let mut stats = Map::new();
        shown.iter().for_each(|shown| self.put_all(&mut stats, Chart::Messages, history, figures, shown));
        is_used.then_some(Value::Object(stats))
    }
}

/// `NAME_age` and `NAME_incr`, in seconds.
fn spacing(query: &Query, name: &str) -> Result<Option<Spacing>, Refusal> {
    let given = |suffix: &str| query.get(&format!("{name}_{suffix}"));
    let (Some(age), Some(step)) = (given("age"), given("incr")) else { return Ok(None) };
    let invalid = || Refusal::bad_request(format!("{name}_age and {name}_incr are invalid"));
    let number = |text: &str| text.parse::<u64>().map_err(|_| invalid());
    let (age, step) = (number(age)?, number(step)?);
    if step == 0 || SAMPLES_MAX < age / step {
        return Err(invalid());
    }
    let millis = |seconds: u64| seconds.checked_mul(1000).ok_or_else(invalid);
    Ok(Some(Spacing { age: millis(age)?, step: millis(step)? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spacings_are_bounded() {
        let of = |query: &str| spacing(&Query::parse(query), "lengths").map_err(|refusal| refusal.reason);
        assert_eq!(of("lengths_age=60"), Ok(None));
        assert_eq!(of("lengths_age=60&lengths_incr=5"), Ok(Some(Spacing { age: 60_000, step: 5_000 })));
        for query in ["60&lengths_incr=0", "501&lengths_incr=1", "x&lengths_incr=1"] {
            assert!(of(&format!("lengths_age={query}")).is_err(), "{query}");
        }
    }
}

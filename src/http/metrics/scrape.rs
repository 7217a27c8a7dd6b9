//! The text format of Prometheus, version 0.0.4.

use std::fmt::Write;

/// The text of a scrape.
#[derive(Debug, Default)]
pub struct Scrape {
    text: String,
    /// What comes after `rabbitmq_` in the names of families.
    infix: &'static str,
}

/// The head of a family.
#[derive(Debug, Clone, Copy)]
pub struct Head {
    /// Without `rabbitmq_`.
    pub name: &'static str,
    pub kind: &'static str,
    pub help: &'static str,
}

/// A family of counters.
pub const fn counter(name: &'static str, help: &'static str) -> Head {
    Head { name, kind: "counter", help }
}

/// A family of gauges.
pub const fn gauge(name: &'static str, help: &'static str) -> Head {
    Head { name, kind: "gauge", help }
}

/// A family that is neither.
pub const fn untyped(name: &'static str, help: &'static str) -> Head {
    Head { name, kind: "untyped", help }
}

/// Labels as they are written, with their braces; nothing for none.
pub fn labels(pairs: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (at, (label, value)) in pairs.iter().enumerate() {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let _always_ok = write!(text, "{}{label}=\"{value}\"", if at == 0 { '{' } else { ',' });
    }
    if !text.is_empty() {
        text.push('}');
    }
    text
}

impl Scrape {
    /// Families from here on are called `rabbitmq_`, this, and their name.
    pub fn call(&mut self, infix: &'static str) {
        self.infix = infix;
    }

    pub fn into_octets(self) -> Vec<u8> {
        self.text.into_bytes()
    }

    /// One family of ours, whose name is written as it is.
    pub fn plain(&mut self, head: Head, samples: impl IntoIterator<Item = (String, f64)>) {
        self.write("", "", head, samples);
    }

    /// One family with its samples, by their labels; nothing at all without samples.
    pub fn family(&mut self, head: Head, samples: impl IntoIterator<Item = (String, f64)>) {
        self.write("rabbitmq_", self.infix, head, samples);
    }

    fn write(
        &mut self,
        prefix: &str,
        infix: &str,
        head: Head,
        samples: impl IntoIterator<Item = (String, f64)>,
    ) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return;
        }
        let Head { name, kind, help } = head;
        let text = &mut self.text;
        let _ok = writeln!(text, "# TYPE {prefix}{infix}{name} {kind}\n# HELP {prefix}{infix}{name} {help}");
        for (labels, value) in samples {
            let _ok = writeln!(text, "{prefix}{infix}{name}{labels} {value}");
        }
    }

    /// One family with one sample.
    pub fn one(&mut self, head: Head, value: f64) {
        self.family(head, [(String::new(), value)]);
    }

    /// Several families over the same rows of labels and values, column by column.
    pub fn table(&mut self, heads: &[Head], rows: &[(String, Vec<f64>)]) {
        for (at, head) in heads.iter().enumerate() {
            let value =
                |(labels, values): &(String, Vec<f64>)| Some((labels.clone(), values.get(at).copied()?));
            self.family(*head, rows.iter().filter_map(value));
        }
    }

    /// A histogram: counts of each class by its upper bound, the last one without a bound.
    pub fn histogram(&mut self, head: Head, label: (&str, &str), classes: &[(Option<u64>, u64)], sum: u64) {
        let Head { name, help, .. } = head;
        let name = format!("rabbitmq_{}{name}", self.infix);
        let text = &mut self.text;
        let _ok = writeln!(text, "# TYPE {name} histogram\n# HELP {name} {help}");
        let mut count = 0;
        for (bound, more) in classes {
            count += more;
            let bound = bound.map_or_else(|| "+Inf".to_owned(), |bound| bound.to_string());
            let labels = labels(&[label, ("le", &bound)]);
            let _ok = writeln!(text, "{name}_bucket{labels} {count}");
        }
        let labels = labels(&[label]);
        let _ok = writeln!(text, "{name}_count{labels} {count}\n{name}_sum{labels} {sum}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_labels_and_values_are_written_as_prometheus_reads_them() {
        let mut scrape = Scrape::default();
        scrape.call("detailed_");
        let rows = [(labels(&[("queue", "a\"\\\n")]), vec![1.0, f64::NAN])];
        scrape.table(&[gauge("x", "An x"), counter("y_total", "Ys")], &rows);
        scrape.family(gauge("none", "Nothing"), []);
        let text = String::from_utf8(scrape.into_octets()).unwrap();
        assert_eq!(
            text,
            "# TYPE rabbitmq_detailed_x gauge\n# HELP rabbitmq_detailed_x An x\n\
             rabbitmq_detailed_x{queue=\"a\\\"\\\\\\n\"} 1\n\
             # TYPE rabbitmq_detailed_y_total counter\n# HELP rabbitmq_detailed_y_total Ys\n\
             rabbitmq_detailed_y_total{queue=\"a\\\"\\\\\\n\"} NaN\n"
        );
    }

    #[test]
    fn histograms_are_cumulative() {
        let mut scrape = Scrape::default();
        let head = Head { name: "size", kind: "histogram", help: "Sizes" };
        scrape.histogram(head, ("protocol", "p"), &[(Some(10), 2), (None, 1)], 30);
        let text = String::from_utf8(scrape.into_octets()).unwrap();
        assert!(text.ends_with(
            "rabbitmq_size_bucket{protocol=\"p\",le=\"10\"} 2\nrabbitmq_size_bucket{protocol=\"p\",le=\"+Inf\"} 3\n\
             rabbitmq_size_count{protocol=\"p\"} 3\nrabbitmq_size_sum{protocol=\"p\"} 30\n"
        ));
    }
}

//! A report as one page: its tables, and its plots over time and over percentiles.

use std::fmt::Write as _;

use crate::bench::figures::{
    numbers::micros,
    plot::{Axis, Line, plot},
    report::{Latency, Report},
    series::Sample,
};

/// More points than this would only show the noise between them.
const POINTS_MAX: usize = 100;

const STYLE: &str = "\
:root{color-scheme:light dark;--back:#fff;--text:#1d2330;--faint:#667;--grid:#dde1e8;--c0:#0b62c4;--c1:#c2410c;--warn:#b42318}
@media(prefers-color-scheme:dark){:root{--back:#14171d;--text:#e6e9ef;--faint:#9aa3b2;--grid:#2b313c;--c0:#6cb0ff;--c1:#ffa15c;--warn:#ff8b80}}
body{background:var(--back);color:var(--text);font:15px/1.5 system-ui,sans-serif;max-width:760px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.4rem}h2{font-size:1.05rem;margin-top:2rem}code,pre{font-family:ui-monospace,monospace;font-size:.85rem}
pre{white-space:pre-wrap;color:var(--faint)}table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.25rem .75rem .25rem 0;border-bottom:1px solid var(--grid);vertical-align:top}
th{font-weight:500;color:var(--faint);white-space:nowrap}td{font-variant-numeric:tabular-nums}
svg{width:100%;height:auto}svg text{fill:var(--faint);font-size:11px}.x{text-anchor:middle}.y{text-anchor:end}
.grid{stroke:var(--grid);stroke-width:1}.curve{fill:none;stroke-width:2;stroke-linejoin:round}
.c0{stroke:var(--c0);background:var(--c0)}.c1{stroke:var(--c1);background:var(--c1)}
.legend i{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin-right:.4em}.legend span{margin-right:1.2em}
.warn{color:var(--warn);font-weight:600}";

/// The whole page. `command` is what was typed.
pub fn page(report: &Report, command: &str) -> String {
    let title = format!("leveret bench {}", report.mode);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>\n{STYLE}\n</style>\n</head>\n<body>\n<h1>{title}</h1>\n<pre>{}</pre>\n",
        escape(command)
    );
    for caution in report.cautions() {
        let _ = writeln!(page, "<p class=\"warn\">{}</p>", escape(&caution));
    }
    for section in report.sections() {
        let _ = writeln!(page, "<h2>{}</h2>\n<table>", escape(&section.title));
        for (name, value) in &section.rows {
            let _ = writeln!(page, "<tr><th>{}</th><td>{}</td></tr>", escape(name), escape(value));
        }
        page.push_str("</table>\n");
    }
    add_plots(&mut page, report);
    page.push_str("</body>\n</html>\n");
    page
}

fn add_plots(page: &mut String, report: &Report) {
    let mut add = |title: &str, drawn: Option<String>| {
        if let Some(drawn) = drawn {
            let _ = writeln!(page, "<h2>{title}</h2>\n{drawn}");
        }
    };
    add(&format!("Rate over time, {} per second", report.unit), rates(&report.series));
    add("Latency by percentile", report.latency.as_ref().and_then(percentiles));
    add("Time to confirm by percentile", report.confirm_latency.as_ref().and_then(percentiles));
    add("The broker's resident memory over time, MiB", memory(&report.series));
}

fn rates(samples: &[Sample]) -> Option<String> {
    let samples: Vec<&Sample> = samples.iter().step_by(samples.len().div_ceil(POINTS_MAX).max(1)).collect();
    let last = samples.last()?;
    let rate = |count: fn(&Sample) -> u64| -> Vec<(f64, f64)> {
        let pairs = samples.windows(2).filter(|pair| pair[0].seconds < pair[1].seconds);
        pairs
            .map(|pair| {
                let (from, to) = (pair[0], pair[1]);
                let rate = count(to).saturating_sub(count(from)) as f64 / (to.seconds - from.seconds);
                ((from.seconds + to.seconds) / 2.0, rate)
            })
            .collect()
    };
    let mut lines = vec![Line { name: "published", points: rate(|sample| sample.published) }];
    if last.consumed > 0 {
        lines.push(Line { name: "consumed", points: rate(|sample| sample.consumed) });
    }
    over_time(last.seconds, &lines)
}

fn memory(samples: &[Sample]) -> Option<String> {
    let points: Vec<(f64, f64)> = samples
        .iter()
        .filter_map(|sample| Some((sample.seconds, sample.resident_bytes? as f64 / f64::from(1 << 20))))
        .collect();
    over_time(points.last()?.0, &[Line { name: "resident", points }])
}

fn over_time(seconds: f64, lines: &[Line]) -> Option<String> {
    let most = lines.iter().flat_map(|line| &line.points).map(|(_, value)| *value).reduce(f64::max)?;
    Some(plot(&Axis::linear("seconds", seconds), &Axis::linear("", most), lines))
}

/// The highest is drawn where the last percentile is that the number of samples can tell from it.
fn percentiles(latency: &Latency) -> Option<String> {
    let known = 100.0 - 100.0 / latency.samples.max(1) as f64;
    let points: Vec<(f64, f64)> = latency
        .percentiles
        .iter()
        .filter(|(percent, _)| *percent <= known)
        .map(|(percent, value)| (*percent, value.max(0.1)))
        .chain([(known.min(99.999), latency.max_us.max(0.1))])
        .collect();
    let least = points.first()?.1;
    let most = points.last()?.1;
    let (x, y) = (Axis::nines("percentile", known), Axis::logarithmic("", least, most, micros));
    (latency.samples > 1).then(|| plot(&x, &y, &[Line { name: "latency", points }]))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser;

    use super::*;
    use crate::bench::{figures::histogram::Histogram, options::Options};

    #[test]
    fn a_page_has_tables_and_plots_and_needs_nothing_beside_it() {
        let options = Options::parse_from(["leveret bench", "latency"]);
        let mut ages = Histogram::default();
        (1..=2000).for_each(|micros| ages.record(Duration::from_micros(micros)));
        let mut report = Report::new(&options, None);
        report.latency = Some(Latency::from(&ages));
        report.series = (0..400_u64)
            .map(|number| Sample {
                seconds: number as f64 / 20.0,
                published: number * 100,
                consumed: number * 90,
                resident_bytes: Some(30 << 20),
            })
            .collect();
        report.server = Some("<Broker> & 1".to_owned());
        let page = page(&report, "leveret bench latency --name \"a<b\"");
        assert_eq!(page.matches("<svg").count(), 3);
        assert!(page.contains("&lt;Broker&gt; &amp; 1") && page.contains("a&lt;b"));
        for outside in ["http", "<script", "<link", "src=", "NaN", "inf"] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn what_was_not_measured_is_not_drawn() {
        let options = Options::parse_from(["leveret bench"]);
        assert!(!page(&Report::new(&options, None), "").contains("<svg"));
    }
}

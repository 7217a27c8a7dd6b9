//! Line plots as SVG, drawn by hand: a page that holds them needs nothing beside it.

use std::fmt::Write as _;

use crate::bench::figures::numbers::grouped;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 280.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 40.0;
/// About so many ticks on an axis.
const TICKS: f64 = 6.0;

/// A curve; its place in the list says its colour.
pub struct Line {
    pub name: &'static str,
    pub points: Vec<(f64, f64)>,
}

/// One direction of a plot.
pub struct Axis {
    pub label: String,
    /// Values and their texts; the first and the last are the ends of the axis.
    ticks: Vec<(f64, String)>,
    scale: fn(f64) -> f64,
}

impl Axis {
    /// From zero to at least `most`, in steps that are 1, 2 or 5 times a power of ten.
    pub fn linear(label: &str, most: f64) -> Axis {
        let rough = (most / TICKS).max(f64::MIN_POSITIVE);
        let magnitude = 10_f64.powf(rough.log10().floor());
        let step =
            [1.0, 2.0, 5.0, 10.0].map(|factor| factor * magnitude).into_iter().find(|step| rough <= *step);
        let step = step.unwrap_or(rough);
        let count = (most / step).ceil().max(1.0) as u32;
        let ticks = (0..=count).map(|number| f64::from(number) * step);
        Axis {
            label: label.to_owned(),
            ticks: ticks.map(|at| (at, grouped(at))).collect(),
            scale: |value| value,
        }
    }

    /// Powers of ten around `least` and `most`, both above zero.
    pub fn logarithmic(label: &str, least: f64, most: f64, text: fn(f64) -> String) -> Axis {
        let first = least.log10().floor() as i32;
        let last = (most.log10().ceil() as i32).max(first + 1);
        let ticks = (first..=last).map(|power| 10_f64.powi(power)).map(|at| (at, text(at))).collect();
        Axis { label: label.to_owned(), ticks, scale: f64::log10 }
    }

    /// Percentiles below 100, each nine as far from the last as the one before.
    pub fn nines(label: &str, most: f64) -> Axis {
        let all = [0.0, 90.0, 99.0, 99.9, 99.99, 99.999];
        let count = all.iter().position(|at| most <= *at).unwrap_or(all.len() - 1).max(1);
        let ticks = all[..=count].iter().map(|at| (*at, format!("{at} %"))).collect();
        Axis { label: label.to_owned(), ticks, scale: |percent| -(1.0 - percent / 100.0).log10() }
    }

    /// Where between its ends a value lies.
    fn place(&self, value: f64) -> f64 {
        let (Some(first), Some(last)) = (self.ticks.first(), self.ticks.last()) else { return 0.0 };
        let (low, high) = ((self.scale)(first.0), (self.scale)(last.0));
        (((self.scale)(value) - low) / (high - low)).clamp(0.0, 1.0)
    }
}

/// The curves in their axes, and their names if there are several.
pub fn plot(x: &Axis, y: &Axis, lines: &[Line]) -> String {
    let across = |value: f64| LEFT + x.place(value) * (WIDTH - LEFT - RIGHT);
    let up = |value: f64| HEIGHT - BOTTOM - y.place(value) * (HEIGHT - TOP - BOTTOM);
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">\n");
    let (left, right, bottom) = (LEFT, WIDTH - RIGHT, HEIGHT - BOTTOM);
    for (value, text) in &y.ticks {
        let at = up(*value);
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{left}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>"
        );
        let _ = writeln!(svg, "<text class=\"y\" x=\"{}\" y=\"{:.1}\">{text}</text>", left - 8.0, at + 4.0);
    }
    for (value, text) in &x.ticks {
        let at = across(*value);
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>"
        );
        let _ = writeln!(svg, "<text class=\"x\" x=\"{at:.1}\" y=\"{}\">{text}</text>", bottom + 16.0);
    }
    let middle = (left + right) / 2.0;
    let _ = writeln!(svg, "<text class=\"x\" x=\"{middle}\" y=\"{}\">{}</text>", HEIGHT - 6.0, x.label);
    for (number, line) in lines.iter().enumerate() {
        let points: Vec<String> =
            line.points.iter().map(|(at, value)| format!("{:.1},{:.1}", across(*at), up(*value))).collect();
        let _ = writeln!(svg, "<polyline class=\"curve c{number}\" points=\"{}\"/>", points.join(" "));
    }
    svg.push_str("</svg>\n");
    if lines.len() > 1 {
        svg.push_str("<p class=\"legend\">");
        for (number, line) in lines.iter().enumerate() {
            let _ = write!(svg, "<span><i class=\"c{number}\"></i>{}</span> ", line.name);
        }
        svg.push_str("</p>\n");
    }
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, text)| text.as_str()).collect()
    }

    #[test]
    fn ticks_are_round_and_reach_beyond_the_most() {
        assert_eq!(labels(&Axis::linear("s", 5.2)), ["0", "1", "2", "3", "4", "5", "6"]);
        let axis = Axis::linear("msgs/s", 1_234_567.0);
        assert_eq!((labels(&axis)[1], axis.ticks.len()), ("500,000", 4));
        assert_eq!(labels(&Axis::linear("nothing", 0.0)).len(), 2);
        let axis = Axis::logarithmic("us", 34.0, 2_000.0, |value| format!("{value}"));
        assert_eq!(labels(&axis), ["10", "100", "1000", "10000"]);
        assert_eq!(labels(&Axis::nines("", 99.95)), ["0 %", "90 %", "99 %", "99.9 %", "99.99 %"]);
    }

    #[test]
    fn each_nine_is_as_wide_as_the_last() {
        let axis = Axis::nines("", 99.999);
        let places = [0.0, 90.0, 99.0, 99.9, 99.99, 99.999].map(|percent| axis.place(percent));
        for (number, place) in places.iter().enumerate() {
            assert!((place - number as f64 / 5.0).abs() < 1e-6, "{places:?}");
        }
    }

    #[test]
    fn a_curve_runs_from_corner_to_corner() {
        let line = Line { name: "a", points: vec![(0.0, 0.0), (10.0, 100.0)] };
        let svg = plot(&Axis::linear("s", 10.0), &Axis::linear("msgs", 100.0), &[line]);
        assert!(svg.contains("points=\"80.0,240.0 706.0,12.0\""), "{svg}");
        assert!(!svg.contains("legend"));
    }
}

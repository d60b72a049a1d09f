//! Line plots as SVG: enough for what benchmarks have to show, with every number's place worked out
//! here and nothing left to a viewer.

use std::fmt::Write as _;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 46.0;
const COLOURS: [&str; 6] = ["#1f6fb4", "#d95f02", "#1b9e77", "#7b3294", "#a6761d", "#666666"];

/// One line.
#[derive(Debug, Clone)]
pub struct Line {
    /// What it is.
    pub name: String,
    /// In order of x.
    pub points: Vec<(f64, f64)>,
    /// Whether it is drawn broken, as bounds are.
    pub is_dashed: bool,
}

/// One plot.
#[derive(Debug, Clone)]
pub struct Plot {
    /// What it shows.
    pub title: String,
    /// What is to the right, with its unit.
    pub x: String,
    /// What is upwards, with its unit.
    pub y: String,
    /// Whether both axes are logarithmic.
    pub is_log: bool,
    /// The lines.
    pub lines: Vec<Line>,
}

struct Axis {
    from: f64,
    until: f64,
    is_log: bool,
}

impl Axis {
    fn of(values: impl Iterator<Item = f64>, is_log: bool) -> Self {
        let (mut from, mut until) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|value| value.is_finite() && (!is_log || *value > 0.0)) {
            (from, until) = (from.min(value), until.max(value));
        }
        if from > until {
            (from, until) = (1.0, 10.0);
        }
        if is_log {
            return Self { from: from.log10().floor(), until: until.log10().ceil(), is_log };
        }
        let step = step(until);
        Self { from: 0.0, until: (until / step).ceil() * step, is_log }
    }

    fn at(&self, value: f64) -> f64 {
        let value = if self.is_log { value.max(f64::MIN_POSITIVE).log10() } else { value };
        (value - self.from) / (self.until - self.from).max(f64::MIN_POSITIVE)
    }

    fn ticks(&self) -> Vec<f64> {
        let step = if self.is_log { 1.0 } else { step(self.until) };
        let mut ticks = Vec::new();
        let mut at = self.from;
        while at <= self.until + step / 1000.0 {
            ticks.push(if self.is_log { 10f64.powf(at) } else { at });
            at += step;
        }
        ticks
    }
}

/// A round distance of about a fifth.
fn step(until: f64) -> f64 {
    let rough = (until / 5.0).max(1e-9);
    let power = 10f64.powf(rough.log10().floor());
    let factors = [1.0, 2.0, 5.0, 10.0];
    factors.into_iter().map(|f| f * power).find(|step| *step >= rough).unwrap_or(power * 10.0)
}

fn number(value: f64) -> String {
    match value.abs() {
        v if v >= 1e9 => format!("{}G", value / 1e9),
        v if v >= 1e6 => format!("{}M", value / 1e6),
        v if v >= 1e4 => format!("{}k", value / 1e3),
        _ => format!("{}", (value * 1e6).round() / 1e6),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Several plots below one another as one picture; `note` stands at its foot: the command that made it.
#[must_use]
pub fn svg(plots: &[Plot], note: &str) -> String {
    let height = HEIGHT * plots.len() as f64 + 24.0;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for (at, plot) in plots.iter().enumerate() {
        one(&mut out, plot, HEIGHT * at as f64);
    }
    text(&mut out, (LEFT, height - 9.0), "fill=\"#555\" font-size=\"11\"", note);
    out.push_str("</svg>\n");
    out
}

fn text(out: &mut String, (x, y): (f64, f64), style: &str, words: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" {style}>{}</text>", escaped(words));
}

fn one(out: &mut String, plot: &Plot, top: f64) {
    let all = || plot.lines.iter().flat_map(|line| &line.points);
    let x = Axis::of(all().map(|point| point.0), plot.is_log);
    let y = Axis::of(all().map(|point| point.1), plot.is_log);
    let px = |value: f64| LEFT + x.at(value) * (WIDTH - LEFT - RIGHT);
    let py = |value: f64| top + HEIGHT - BOTTOM - y.at(value) * (HEIGHT - TOP - BOTTOM);
    text(out, (LEFT, top + 18.0), "font-weight=\"bold\" fill=\"#222\"", &plot.title);
    for tick in y.ticks() {
        let at = py(tick);
        let right = WIDTH - RIGHT;
        let _ = writeln!(
            out,
            "<line x1=\"{LEFT}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>"
        );
        text(out, (LEFT - 6.0, at + 4.0), "text-anchor=\"end\" fill=\"#444\"", &number(tick));
    }
    for tick in x.ticks() {
        let place = (px(tick), top + HEIGHT - BOTTOM + 16.0);
        text(out, place, "text-anchor=\"middle\" fill=\"#444\"", &number(tick));
    }
    let middle = (LEFT + (WIDTH - LEFT - RIGHT) / 2.0, top + HEIGHT - 12.0);
    text(out, middle, "text-anchor=\"middle\" fill=\"#222\"", &plot.x);
    text(out, (8.0, top + 34.0), "fill=\"#222\"", &plot.y);
    let mut legend = LEFT + 90.0;
    for (line, colour) in plot.lines.iter().zip(COLOURS.iter().cycle()) {
        let points: Vec<String> =
            line.points.iter().map(|(x, y)| format!("{:.1},{:.1}", px(*x), py(*y))).collect();
        let dash = if line.is_dashed { " stroke-dasharray=\"6 4\"" } else { "" };
        let _ = writeln!(
            out,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.8\"{dash} points=\"{}\"/>",
            points.join(" ")
        );
        text(out, (legend, top + 34.0), &format!("fill=\"{colour}\""), &line.name);
        legend += 14.0 + 6.6 * line.name.len() as f64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_lie_within_the_picture_and_axes_have_round_numbers() {
        let points = vec![(0.0, 0.0), (30.0, 731.0), (60.0, 12.0)];
        let line = Line { name: "a < b".into(), points, is_dashed: true };
        let (title, x, y) = ("memory".into(), "s".into(), "MiB".into());
        let plot = Plot { title, x, y, is_log: false, lines: vec![line] };
        let picture = svg(&[plot.clone(), Plot { is_log: true, ..plot }], "made & drawn");
        for wanted in [">800<", ">200<", "a &lt; b", "made &amp; drawn", "stroke-dasharray"] {
            assert!(picture.contains(wanted), "{wanted}: {picture}");
        }
        assert!(!picture.contains("NaN") && !picture.contains("inf"), "{picture}");
        assert_eq!((step(731.0), step(60.0), step(1.0)), (200.0, 20.0, 0.2));
    }
}

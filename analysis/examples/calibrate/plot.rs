//! The same as pictures.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

/// How often anything is reported where nothing changed.
pub struct Quiet {
    pub fleet: String,
    /// Runs with any finding, in percent.
    pub any: f64,
    /// Runs in which a naive test calls anything changed, in percent.
    pub naive: f64,
}

/// What has been measured.
#[derive(Default)]
pub struct Plots {
    pub quiet: Vec<Quiet>,
    /// Fleet, size of the change in printed minimums, runs in which it was found in percent.
    pub changed: Vec<(String, f64, f64)>,
}

const OURS: RGBColor = RGBColor(0, 114, 178);
const NAIVE: RGBColor = RGBColor(213, 94, 0);
/// The bound of false alarms, in percent.
const BOUND: f64 = 1.0;
/// The lower end of the logarithmic scale, where what is less, and nothing, is drawn.
const LEAST: f64 = 0.05;
/// Colours that colour-blind people tell apart (Okabe and Ito).
const COLOURS: [RGBColor; 4] = [OURS, NAIVE, RGBColor(0, 158, 115), RGBColor(204, 121, 167)];
const ROW: u32 = 24;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

impl Plots {
    /// Writes the pictures into a folder, if one is given.
    pub fn write(&self, folder: Option<&String>) {
        let Some(folder) = folder.map(Path::new) else { return };
        let height = ROW * (self.quiet.len() as u32 + 5);
        let path = folder.join("calibration-alarms.svg");
        alarms(&SVGBackend::new(&path, (900, height)).into_drawing_area(), &self.quiet);
        if !self.changed.is_empty() {
            let path = folder.join("calibration-found.svg");
            found(&SVGBackend::new(&path, (900, 420)).into_drawing_area(), &self.changed);
        }
    }
}

fn alarms(area: &Area<'_>, quiet: &[Quiet]) {
    area.fill(&WHITE).expect("a picture");
    let rows = quiet.len();
    let mut chart = ChartBuilder::on(area)
        .caption("Nothing changed: runs in which anything was reported, %", ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(280)
        .build_cartesian_2d((LEAST..100.0).log_scale(), 0.0..rows as f64)
        .expect("a chart");
    let name = |at: &f64| {
        let row = rows.checked_sub(1 + at.floor() as usize);
        row.and_then(|row| quiet.get(row)).map_or(String::new(), |one| one.fleet.clone())
    };
    chart
        .configure_mesh()
        .max_light_lines(0)
        .disable_y_mesh()
        .y_labels(rows + 1)
        .y_label_offset(-14)
        .y_label_formatter(&name)
        .x_desc("logarithmic; the line is the 1 % that is promised")
        .draw()
        .expect("a mesh");
    let line = LineSeries::new([(BOUND, 0.0), (BOUND, rows as f64)], BLACK.stroke_width(1));
    chart.draw_series(line).expect("a line");
    let middle = |row: usize| rows as f64 - row as f64 - 0.5;
    for (colour, label, of) in [
        (OURS, "stoker diff", (|one| one.any) as fn(&Quiet) -> f64),
        (NAIVE, "z-test on samples", |one| one.naive),
    ] {
        let points = quiet.iter().enumerate();
        let points = points.map(|(row, one)| (of(one).max(LEAST), middle(row)));
        let dots = points.map(|at| Circle::new(at, 5, colour.filled()));
        let series = chart.draw_series(dots).expect("dots");
        series.label(label).legend(move |(x, y)| Circle::new((x + 8, y), 5, colour.filled()));
    }
    legend(&mut chart);
}

fn found(area: &Area<'_>, changed: &[(String, f64, f64)]) {
    area.fill(&WHITE).expect("a picture");
    let mut chart = ChartBuilder::on(area)
        .caption(
            "A function of 5 % became slower: runs in which it was found, %",
            ("sans-serif", 18),
        )
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(44)
        .build_cartesian_2d(0.8..4.2, 60.0..101.0)
        .expect("a chart");
    chart
        .configure_mesh()
        .max_light_lines(0)
        .x_desc("size of the change, in minimums that the comparison printed")
        .draw()
        .expect("a mesh");
    let promised = LineSeries::new([(0.8, 95.0), (4.2, 95.0)], BLACK.stroke_width(1));
    chart.draw_series(promised).expect("a line");
    let mut fleets: Vec<&str> = changed.iter().map(|(fleet, ..)| &**fleet).collect();
    fleets.dedup();
    for (at, fleet) in fleets.into_iter().enumerate() {
        let of_fleet = || changed.iter().filter(|(name, ..)| name == fleet);
        let points = of_fleet().map(|(_, times, found)| (*times, *found));
        let colour = COLOURS[at % COLOURS.len()];
        let series = LineSeries::new(points, colour.stroke_width(2)).point_size(3);
        let series = chart.draw_series(series).expect("a line");
        let key = move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2));
        series.label(fleet).legend(key);
    }
    legend(&mut chart);
}

fn legend<'a, X, Y>(chart: &mut ChartContext<'a, SVGBackend<'a>, Cartesian2d<X, Y>>)
where
    X: Ranged,
    Y: Ranged,
{
    let mut labels = chart.configure_series_labels();
    let labels = labels.position(SeriesLabelPosition::LowerRight).background_style(WHITE);
    labels.border_style(BLACK.mix(0.3)).draw().expect("a legend");
}

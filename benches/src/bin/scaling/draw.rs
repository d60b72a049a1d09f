//! The picture.

use stoker_benches::plot::{Line, Plot, svg};

use super::step::Step;

/// Bytes and latencies by number of rows.
pub(crate) fn draw(steps: &[Step], most: u64) -> String {
    let line = |name: &str, of: &dyn Fn(&Step) -> f64| {
        let points = steps.iter().map(|step| (step.rows as f64, of(step))).collect();
        Line { name: name.into(), points, is_dashed: false }
    };
    let names = steps.first().map(|step| step.latencies.iter().map(|(name, _)| *name));
    let latencies = names.into_iter().flatten().enumerate();
    let latencies = latencies.map(|(at, name)| line(name, &move |step| step.latencies[at].1));
    let plot = |title: &str, y: &str, lines| {
        let (title, x, y) = (title.to_owned(), "rows".to_owned(), y.to_owned());
        Plot { title, x, y, is_log: true, lines }
    };
    let (mut flame, mut rest): (Vec<Line>, Vec<Line>) =
        latencies.partition(|l| l.name.contains("of all"));
    flame.retain(|line| line.name.starts_with("flame"));
    rest.truncate(2);
    let plots = [
        plot("Flame graph of everything, 8,192 boxes as JSON", "ms", flame),
        plot("Flame graph of one service of 200", "ms", rest),
        plot(
            "At rest, merged",
            "bytes",
            vec![
                line("bytes per row, the whole folder", &|step| step.bytes_per_row),
                line("bytes per node, stacks", &|step| step.bytes_per_node),
            ],
        ),
    ];
    let note = format!("cargo run --release -p stoker-benches --bin scaling -- --rows {most}");
    svg(&plots, &note)
}

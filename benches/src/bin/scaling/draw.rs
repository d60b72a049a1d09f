//! The picture.

use stoker_benches::plot::{Line, Plot, svg};

use super::step::Step;

/// Bytes and latencies by number of rows.
pub(crate) fn draw(steps: &[Step], most: u64) -> String {
    let line = |name: &str, of: &dyn Fn(&Step) -> Option<f64>| {
        let point = |step: &Step| Some((step.rows as f64, of(step)?));
        let points = steps.iter().filter_map(point).collect();
        Line { name: name.into(), points, is_dashed: false }
    };
    let names = steps.first().map(|step| step.latencies.iter().map(|(name, _)| *name));
    let latencies = names.into_iter().flatten().map(|name| {
        line(name, &move |step| {
            let found = step.latencies.iter().find(|(held, _)| *held == name);
            found.map(|(_, ms)| *ms)
        })
    });
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
                line("bytes per row, the whole folder", &|step| Some(step.bytes_per_row)),
                line("bytes per node, stacks", &|step| Some(step.bytes_per_node)),
            ],
        ),
    ];
    let note = format!("cargo run --release -p stoker-benches --bin scaling -- --rows {most}");
    svg(&plots, &note)
}

//! What the store is checked against: a few agents, and a map of all that they were told is stored.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use stoker_dag::{
    BuildId, BuildIdKind, Definition, DefinitionSource, Frame, KernelImage, LabelSet, Location,
    Module, NodeId, NodeIx, ProfileType, SampleRow, SpecialFrame, UnixNanos, WINDOW_NS,
};
use stoker_server::store::{
    Appended, BatchSource, DetailsView, GROUP_LABEL, HOUR_NS, Level, PartView, ROLLUP_KEYS,
    ReplicateGroup, SpoolId, Store, StoreError, StreamRebase, TenantId, TimeRange, Wanted,
};
use stoker_wire::{
    BatchBody, CgroupUsage, CpuId, DetailedSample, Details, Dictionary, HostFacts, LostSamples,
    RowGroup, ThreadId, WINDOW_US,
};

use crate::files::open;

/// When the first window of every test begins.
pub const EPOCH: u64 = 1_700_000_000 * 1_000_000_000;

/// Window, profile type, series, attributes, stack.
pub type Key = (u64, String, String, String, NodeId);

/// Thread, CPU, microseconds since the start of the window.
pub type Moment = (u32, u32, u32);

/// All rows, samples one by one, and the samples that facts speak of by window and host name.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Content {
    pub rows: BTreeMap<Key, (u64, u64)>,
    pub details: BTreeMap<(Key, Moment), (u64, u64)>,
    pub taken: BTreeMap<(u64, String), u64>,
}

/// One row of a batch that a test makes up.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    pub kind: u8,
    pub series: u8,
    pub attributes: u8,
    pub stack: u8,
    pub count: u16,
}

pub fn profile_type(kind: u8) -> ProfileType {
    let names = ["process_cpu:cpu:nanoseconds:cpu:nanoseconds", "memory:alloc:bytes:space:bytes"];
    ProfileType::parse(names[usize::from(kind % 2)]).unwrap()
}

pub fn build() -> BuildId {
    BuildId::new(BuildIdKind::Gnu, &[0xab; 20]).unwrap()
}

/// A frame of every kind, by number.
pub fn frame(number: u8) -> Frame {
    let offset = u64::from(number) * 16;
    match number % 5 {
        0 | 1 => Frame::Native { build_id: build(), offset },
        2 => Frame::Kernel {
            image: KernelImage::Release { release: "6.1.0".into(), module: "ext4".into() },
            offset,
        },
        3 => Frame::Interpreted {
            runtime: "python".into(),
            module: "app.py".into(),
            function: format!("f{number}").into(),
            line: number.into(),
        },
        _ => Frame::Special(SpecialFrame::Truncated),
    }
}

fn stack_frames(stack: u8) -> Vec<Frame> {
    (0..=stack % 6).map(|depth| frame(stack.wrapping_mul(depth + 1) % 40)).collect()
}

fn labels(kind: &str, number: u8) -> LabelSet {
    match number {
        0 => LabelSet::default(),
        _ => LabelSet::new([(kind.to_owned(), format!("v{number}")), ("zone".into(), "a".into())]),
    }
}

/// An agent: its stream's dictionary, its sequence, and its last batch.
pub struct Agent {
    pub source: BatchSource,
    pub dictionary: Dictionary,
    pub rebase: StreamRebase,
    pub sequence: u64,
    pub last: Option<BatchBody>,
    /// Whether it tells samples one by one; some do.
    pub detailed: bool,
}

impl Agent {
    pub fn new(number: u8) -> Self {
        let source = BatchSource {
            spool_id: SpoolId([number; 16]),
            host_id: [number + 100; 16],
            host_name: format!("host-{number}").into(),
        };
        let mut dictionary = Dictionary::default();
        let module = Module { main_executable: true, name: "app".into() };
        dictionary.modules.learn(&build(), module);
        let rebase = StreamRebase::default();
        let detailed = number.is_multiple_of(3);
        Self { source, dictionary, rebase, sequence: 0, last: None, detailed }
    }

    /// The stream breaks and a new one begins.
    pub fn reconnect(&mut self) {
        self.dictionary = Self::new(0).dictionary;
        self.rebase = StreamRebase::default();
    }

    /// The next batch.
    pub fn batch(&mut self, window: u64, rows: &[Row]) -> BatchBody {
        self.sequence += 1;
        let mut groups: BTreeMap<u8, Vec<SampleRow>> = BTreeMap::new();
        let mut definitions = Vec::new();
        for row in rows {
            let made = self.row(*row);
            if let Some(frame) = self.dictionary.nodes.frame(made.node) {
                definitions.push((frame, definition(row.stack)));
            }
            groups.entry(row.kind % 2).or_default().push(made);
        }
        let group = |(kind, rows): (u8, Vec<SampleRow>)| RowGroup {
            profile_type: profile_type(kind),
            period: if kind == 0 { 100 } else { 0 },
            rows,
        };
        let rows_by_type: Vec<RowGroup> = groups.into_iter().map(group).collect();
        let groups =
            rows_by_type.iter().enumerate().filter(|(_, of)| self.detailed && of.period > 0);
        let details = groups.map(|(group, of)| details(group, of)).collect();
        BatchBody {
            sequence: self.sequence,
            start: UnixNanos(EPOCH + window * WINDOW_NS + 5),
            duration_ns: WINDOW_NS / 2,
            definitions,
            rows: rows_by_type,
            details,
            facts: facts(rows),
        }
    }

    fn row(&mut self, row: Row) -> SampleRow {
        let dictionary = &mut self.dictionary;
        let mut node = NodeIx::ROOT;
        for frame in stack_frames(row.stack) {
            let frame = dictionary.frames.intern(&frame);
            node = dictionary.nodes.child(node, frame);
        }
        let count = u64::from(row.count);
        SampleRow {
            series: dictionary.labels.intern(&labels("service_name", row.series)),
            attributes: dictionary.labels.intern(&labels("pod", row.attributes)),
            node,
            value: if row.kind.is_multiple_of(2) { count * 100 } else { count * 3 + 1 },
            count,
        }
    }

    /// Sends a batch and enters it in the model.
    pub async fn send(&mut self, store: &Store, model: &mut Content, body: BatchBody) {
        assert_eq!(self.append(store, &body).await.unwrap(), Appended::Durable);
        model.add(&self.source.host_name, &self.dictionary, &body);
        self.last = Some(body);
    }

    pub async fn append(
        &mut self,
        store: &Store,
        body: &BatchBody,
    ) -> Result<Appended, StoreError> {
        let tenant = TenantId::default_tenant();
        store.append(&tenant, &self.source, &self.dictionary, body, &mut self.rebase).await
    }
}

/// At most three samples of each row, so that some rows count more than are told of.
fn details(group: usize, of: &RowGroup) -> Details {
    let mut samples = Vec::new();
    for (row, held) in (0u32..).zip(&of.rows) {
        for n in 0..u32::try_from(held.count.min(3)).unwrap() {
            samples.push(DetailedSample {
                cpu: CpuId(held.node.0 % 2),
                offset_us: (row * 1_010_101 + n * 10_101) % WINDOW_US,
                thread: ThreadId(1000 + held.node.0 % 5),
                row,
            });
        }
    }
    samples.sort_unstable();
    Details { group, samples }
}

pub fn definition(stack: u8) -> Definition {
    let location = Location { function: format!("fn{stack}").into(), file: "a.c".into(), line: 7 };
    Definition { source: DefinitionSource::AgentDwarf, locations: [location].into() }
}

fn facts(rows: &[Row]) -> HostFacts {
    HostFacts {
        observed_ns: WINDOW_NS / 2,
        cpus: 4,
        samples_taken: rows.iter().map(|row| u64::from(row.count)).sum(),
        lost: vec![LostSamples { reason: "ring full".into(), samples: 1 }],
        cgroup_usage: vec![CgroupUsage { path: "/a".into(), usage_usec: 9 }],
        sample_source: "cpu-clock".into(),
        frequency_hz: 99,
        stacks_complete: 3,
        ..HostFacts::default()
    }
}

impl Content {
    pub fn add(&mut self, host: &str, dictionary: &Dictionary, body: &BatchBody) {
        let window = body.start.window_start().0;
        for group in &body.rows {
            self.add_rows(window, &group.profile_type, dictionary, &group.rows);
        }
        for (group, sample) in
            body.details.iter().flat_map(|d| d.samples.iter().map(|s| (d.group, s)))
        {
            let RowGroup { profile_type, period, rows } = &body.rows[group];
            let row = SampleRow { value: *period, count: 1, ..rows[sample.row as usize] };
            let moment = (sample.thread.0, sample.cpu.0, sample.offset_us);
            self.add_sample(window, profile_type, dictionary, (&row, moment));
        }
        *self.taken.entry((window, host.to_owned())).or_default() += body.facts.samples_taken;
    }

    fn add_sample(
        &mut self,
        window: u64,
        profile_type: &ProfileType,
        dictionary: &Dictionary,
        (row, moment): (&SampleRow, Moment),
    ) {
        let mut alone = Self::default();
        alone.add_rows(window, profile_type, dictionary, std::slice::from_ref(row));
        for (key, (value, count)) in alone.rows {
            let held = self.details.entry((key, moment)).or_default();
            *held = (held.0 + value, held.1 + count);
        }
    }

    fn add_details(&mut self, view: DetailsView<'_>) {
        for held in view.windows {
            assert!(!held.samples.is_empty(), "a window without samples");
            for sample in &held.samples {
                let moment = (sample.thread.0, sample.cpu.0, sample.offset_us);
                let of = (&sample.row(), moment);
                self.add_sample(held.window.0, &held.profile_type, view.dictionary, of);
            }
        }
    }

    fn add_rows(
        &mut self,
        window: u64,
        profile_type: &ProfileType,
        dictionary: &Dictionary,
        rows: &[SampleRow],
    ) {
        let ids = dictionary.nodes.ids(&dictionary.frames);
        let text = |ix| dictionary.labels.get(ix).to_string();
        for row in rows {
            let (series, attributes) = (text(row.series), text(row.attributes));
            let id = ids[row.node.at()];
            let key = (window, profile_type.to_string(), series, attributes, id);
            let held = self.rows.entry(key).or_default();
            *held = (held.0 + row.value, held.1 + row.count);
        }
    }

    fn add_part(&mut self, part: PartView<'_>) {
        for held in part.windows {
            assert!(!held.rows.is_empty(), "a window without rows");
            self.add_rows(held.window.0, &held.profile_type, part.dictionary, &held.rows);
        }
        for held in part.facts {
            assert_eq!(held.facts.cgroup_usage.len(), usize::from(part.level == Level::Raw));
            let key = (held.window.0, held.host_name.to_string());
            *self.taken.entry(key).or_default() += held.facts.samples_taken;
        }
    }

    /// What a store answers.
    pub fn of(store: &Store) -> Self {
        Self::within(store, TimeRange::ALL, None)
    }

    /// What a store answers about a range and a profile type.
    pub fn within(store: &Store, range: TimeRange, profile_type: Option<&ProfileType>) -> Self {
        let mut content = Self::default();
        let tenant = TenantId::default_tenant();
        let wanted = Wanted { range, profile_type, ..Wanted::ALL };
        let visited = store.visit(&tenant, wanted, &mut |part| {
            content.add_part(part);
            ControlFlow::Continue(())
        });
        visited.unwrap();
        let visited = store.visit_details(&tenant, wanted, &mut |view| {
            content.add_details(view);
            ControlFlow::Continue(())
        });
        visited.unwrap();
        content
    }

    /// What is left of it in rollups: hours, the labels that are kept, a group for the host; and no
    /// stacks where functions are all that is kept; no sample by itself. What is reduced already stays as it is.
    pub fn reduced(&self, has_stacks: bool) -> Self {
        let hour = |window: u64| window / HOUR_NS * HOUR_NS;
        let mut reduced = Self::default();
        for ((window, kind, series, attributes, node), value) in &self.rows {
            let (series, attributes) = reduced_labels(series, attributes);
            let node = if has_stacks { *node } else { NodeId::from_bytes([0; 16]) };
            let key = (hour(*window), kind.clone(), series, attributes, node);
            let held = reduced.rows.entry(key).or_default();
            *held = (held.0 + value.0, held.1 + value.1);
        }
        for ((window, _), taken) in &self.taken {
            *reduced.taken.entry((hour(*window), String::new())).or_default() += taken;
        }
        reduced
    }

    /// The part of the model that lies in some windows and has some profile type.
    pub fn cut(&self, range: TimeRange, wanted: Option<&ProfileType>) -> Self {
        let mut cut = self.clone();
        cut.rows.retain(|(window, name, ..), _| {
            range.holds(UnixNanos(*window)) && wanted.is_none_or(|wanted| wanted.as_str() == name)
        });
        cut.details.retain(|((window, name, ..), _), _| {
            range.holds(UnixNanos(*window)) && wanted.is_none_or(|wanted| wanted.as_str() == name)
        });
        cut.taken.retain(|(window, _), _| range.holds(UnixNanos(*window)));
        cut
    }
}

fn reduced_labels(series: &str, attributes: &str) -> (String, String) {
    if attributes.contains(GROUP_LABEL) {
        return (series.to_owned(), attributes.to_owned());
    }
    let pairs = |text: &str| -> Vec<(String, String)> {
        let pairs = text.trim_matches(['{', '}']).split(',');
        let pairs = pairs.filter_map(|pair| pair.split_once('='));
        pairs.map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned())).collect()
    };
    let mut kept = [pairs(attributes), pairs(series)].concat();
    kept.retain(|(name, _)| ROLLUP_KEYS.contains(&name.as_str()));
    // Rows of the model do not say their host.
    let group = ReplicateGroup::of_name(&TenantId::default_tenant(), "");
    (LabelSet::new(kept).to_string(), group.attributes().to_string())
}

/// A few rows for tests that need some.
pub fn some_rows(from: u8) -> Vec<Row> {
    let row = |n: u8| Row {
        kind: n % 2,
        series: n % 3,
        attributes: n % 4,
        stack: n,
        count: u16::from(n) + 1,
    };
    (from..from + 6).map(row).collect()
}

/// A store in `dir` that has some batches of two agents, and what they are.
pub async fn filled(dir: &Path) -> (Store, Content, [Agent; 2]) {
    let store = open(dir);
    let mut model = Content::default();
    let mut agents = [Agent::new(1), Agent::new(2)];
    for window in 0..3 {
        for agent in &mut agents {
            let body = agent.batch(window, &some_rows(u8::try_from(window).unwrap() * 5));
            agent.send(&store, &mut model, body).await;
        }
    }
    (store, model, agents)
}

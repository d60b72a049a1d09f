//! Function tables: stacks become functions, with the value that ends in each and the value of all
//! samples that each has a part in. A function is known by module and normalised name, as in every
//! table; it counts once per sample, however often it stands on the stack.
//!
//! Functions are written as frames below the root. So their self values are a flat profile, whose
//! total is exact, and every query that sums stacks sums them.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use stoker_analysis::{FunctionName, Naming, function_names};
use stoker_dag::{
    Definition, DefinitionMap, Frame, FrameId, FrameIx, LabelIx, ModuleMap, NodeIx, SampleRow,
};
use stoker_wire::Dictionary;

use super::api::WindowRows;
use super::merge::Merged;

/// What came late of frames.
pub type LateDefinitions = Vec<(FrameId, Definition)>;

/// The tables of what `stacks` holds, named by its definitions, `modules`, and what came late.
pub fn function_tables(stacks: Merged, modules: &ModuleMap, late: LateDefinitions) -> Merged {
    let mut definitions = DefinitionMap::default();
    let frames = &stacks.dictionary.frames;
    for (frame, definition) in stacks.definitions {
        definitions.learn(frames.id(frame), definition);
    }
    for (frame, definition) in late {
        definitions.learn(frame, definition);
    }
    let mut known = stacks.dictionary.modules.clone();
    known.merge(modules);
    let naming = Naming { definitions: &definitions, modules: &known };
    let mut tables = Tables::new(&stacks.dictionary, naming);
    let (mut windows, mut totals) = (Vec::new(), Vec::new());
    for held in &stacks.windows {
        let (own, total) = tables.window(held);
        windows.push(own);
        totals.push(total);
    }
    let Tables { dictionary, .. } = tables;
    Merged { dictionary, definitions: Vec::new(), windows, totals, details: Vec::new() }
}

struct Tables<'a> {
    from: &'a Dictionary,
    naming: Naming<'a>,
    /// Functions, and label sets with the numbers that they had.
    dictionary: Dictionary,
    /// The functions of each frame, outermost first, once it was met.
    functions: Vec<Option<Arc<[NodeIx]>>>,
    /// Where functions stand.
    known: FxHashMap<FunctionName, NodeIx>,
    /// The last row that each function was counted for.
    counted: FxHashMap<NodeIx, u64>,
    row: u64,
}

type Cells = FxHashMap<(LabelIx, LabelIx, NodeIx), (u64, u64)>;

impl<'a> Tables<'a> {
    fn new(from: &'a Dictionary, naming: Naming<'a>) -> Self {
        let dictionary = Dictionary { labels: from.labels.clone(), ..Dictionary::default() };
        let functions = vec![None; from.frames.len()];
        let (known, counted) = Default::default();
        Self { from, naming, dictionary, functions, known, counted, row: 0 }
    }

    /// Self and total values of one window.
    fn window(&mut self, held: &WindowRows) -> (WindowRows, WindowRows) {
        let (mut own, mut totals) = (Cells::default(), Cells::default());
        for row in &held.rows {
            self.row += 1;
            let mut leaf = None;
            let mut at = row.node;
            while let Some(frame) = self.from.nodes.frame(at) {
                let functions = self.of_frame(frame);
                leaf = leaf.or_else(|| functions.last().copied());
                for &function in &*functions {
                    if self.counted.insert(function, self.row) != Some(self.row) {
                        add(&mut totals, row, function);
                    }
                }
                at = self.from.nodes.parent(at);
            }
            add(&mut own, row, leaf.unwrap_or(NodeIx::ROOT));
        }
        let rows = |cells: Cells| WindowRows {
            window: held.window,
            profile_type: held.profile_type.clone(),
            rows: cells
                .into_iter()
                .map(|((series, attributes, node), (value, count))| SampleRow {
                    series,
                    attributes,
                    node,
                    value,
                    count,
                })
                .collect(),
        };
        (rows(own), rows(totals))
    }

    fn of_frame(&mut self, ix: FrameIx) -> Arc<[NodeIx]> {
        if let Some(known) = &self.functions[ix.at()] {
            return Arc::clone(known);
        }
        let frame = self.from.frames.frame(ix);
        let names = function_names(self.naming, frame).into_iter();
        let functions: Arc<[NodeIx]> = names.map(|name| self.node(frame, name)).collect();
        self.functions[ix.at()] = Some(Arc::clone(&functions));
        functions
    }

    /// The node of a function that `frame` is a part of.
    fn node(&mut self, frame: &Frame, name: FunctionName) -> NodeIx {
        let Self { dictionary, known, .. } = self;
        *known.entry(name).or_insert_with_key(|FunctionName { module, name }| {
            let function = match frame {
                Frame::Special(_) => frame.clone(),
                _ => Frame::Interpreted {
                    runtime: Naming::function_runtime(frame).into(),
                    module: Arc::clone(module),
                    function: Arc::clone(name),
                    line: 0,
                },
            };
            let function = dictionary.frames.intern(&function);
            dictionary.nodes.child(NodeIx::ROOT, function)
        })
    }
}

fn add(cells: &mut Cells, row: &SampleRow, node: NodeIx) {
    let held = cells.entry((row.series, row.attributes, node)).or_default();
    *held = (held.0.saturating_add(row.value), held.1.saturating_add(row.count));
}

//! Where the two sides come from, and who compares them: files are compared here, selectors by the
//! server that holds them, with the same code.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use stoker_dag::CallTree;
use stoker_server::query::diff::{DiffAnswer, DiffOptions, Per};

use super::{By, DiffArgs, DiffFormat, PerWhat};
use crate::failure::Failure;
use crate::files::{FILE_LABEL, Files};
use crate::source::{Selection, Source};

/// Both sides, as they were written.
pub(super) struct Sides {
    base: Source,
    new: Source,
}

impl Sides {
    pub(super) fn read(args: &DiffArgs) -> Result<Self, Failure> {
        let words = |one: &Option<String>, several: &[String]| match one {
            Some(word) => vec![word.clone()],
            None => several.to_vec(),
        };
        let base = words(&args.base_source, &args.base);
        let new = words(&args.new_source, &args.new);
        if base.is_empty() || new.is_empty() {
            let message = "a comparison has two sides";
            let hint = "stoker diff BASE NEW, or stoker diff --base FILE… --new FILE…";
            return Err(Failure::new(message, hint));
        }
        let sides = Self { base: Source::read(&base)?, new: Source::read(&new)? };
        sides.refuse_twice()?;
        Ok(sides)
    }

    /// A file that is given twice would count as two replicates, or as no change.
    fn refuse_twice(&self) -> Result<(), Failure> {
        let files = |source: &Source| match source {
            Source::Files(paths) => paths.clone(),
            Source::Selection(_) => Vec::new(),
        };
        let mut seen: HashMap<PathBuf, PathBuf> = HashMap::new();
        for path in files(&self.base).into_iter().chain(files(&self.new)) {
            let real = fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
            if let Some(other) = seen.insert(real, path.clone()) {
                let message = format!(
                    "{} and {} are the same file: it would be compared with itself or count twice",
                    other.display(),
                    path.display()
                );
                return Err(Failure::new(message, "give each recording once"));
            }
        }
        Ok(())
    }

    pub(super) async fn compare(&self, args: &DiffArgs) -> Result<DiffAnswer, Failure> {
        match (&self.base, &self.new) {
            (Source::Selection(base), Source::Selection(new)) => asked(args, base, new).await,
            (base, new) => {
                let (base, new) = (files(args, base).await?, files(args, new).await?);
                if base.profile_type() != new.profile_type() {
                    return Err(different_types(&self.base, &base, &self.new, &new));
                }
                Files::compare(&base, &new, &options(args, &base, &new)?)
            }
        }
    }

    /// Both sides as call trees, for pictures.
    pub(super) async fn trees(&self, args: &DiffArgs) -> Result<[CallTree; 2], Failure> {
        let base = files(args, &self.base).await?.fold()?.tree();
        Ok([base, files(args, &self.new).await?.fold()?.tree()])
    }
}

fn different_types(
    base_source: &Source,
    base: &Files,
    new_source: &Source,
    new: &Files,
) -> Failure {
    let message = format!(
        "the two sides are of different types: {} has {}, {} has {}",
        shown(base_source),
        base.profile_type().short(),
        shown(new_source),
        new.profile_type().short()
    );
    Failure::new(message, "compare like with like; --type chooses among a file's")
}

fn shown(source: &Source) -> String {
    match source {
        Source::Files(paths) => match paths.as_slice() {
            [one] => one.display().to_string(),
            paths => format!("{} files", paths.len()),
        },
        Source::Selection(selection) => selection.selector.to_string(),
    }
}

/// A side read here: files, or one recording that a server adds up.
async fn files(args: &DiffArgs, source: &Source) -> Result<Files, Failure> {
    match source {
        Source::Files(paths) => {
            let files = Files::load(paths, args.range.profile_type.as_ref())?;
            files.warnings.iter().for_each(|text| crate::failure::warn(text));
            Ok(files)
        }
        Source::Selection(selection) => {
            let selector = selection.selector.to_string();
            let mut parameters = vec![("query", selector.clone()), ("format", "pprof".to_owned())];
            parameters.extend(args.range.parameters(selection)?);
            let bytes = args.server.open()?.bytes(&["flamegraph"], &parameters).await?;
            Files::of_bytes(&selector, &bytes, selection.selector.profile_type.as_ref())
        }
    }
}

fn options(args: &DiffArgs, base: &Files, new: &Files) -> Result<DiffOptions, Failure> {
    let per = match args.per {
        None => Per::Unknown,
        Some(PerWhat::Run) => Per::Run,
        Some(PerWhat::Second) => {
            let all: Vec<_> = base.durations.iter().chain(&new.durations).cloned().collect();
            if let Some((name, _)) = all.iter().find(|(_, duration)| *duration == 0) {
                let message = format!("{name} does not say how long it recorded");
                return Err(Failure::new(message, "leave --per second out, or say --per run"));
            }
            Per::Second(all)
        }
    };
    Ok(DiffOptions {
        by: args.by.table(),
        replicates: FILE_LABEL.to_owned(),
        per,
        rates: args.rates.as_deref().and_then(DiffOptions::rates),
        alpha: DiffOptions::ALPHA,
        min_share: args.min_share,
        is_paired: args.paired,
        has_time: false,
        gate: args.fail_on.clone(),
        limit: limit(args),
    })
}

/// Tables show some rows, programs and gates look at all that are asked for.
const fn limit(args: &DiffArgs) -> usize {
    match args.format {
        DiffFormat::Html | DiffFormat::Svg => 1,
        _ => args.limit,
    }
}

/// The answer of the server that holds both sides.
async fn asked(args: &DiffArgs, base: &Selection, new: &Selection) -> Result<DiffAnswer, Failure> {
    if args.per.is_some() || args.paired {
        let message = "--per and --paired are for files: hosts are compared per second";
        return Err(Failure::new(message, "leave them out; hosts on both sides are paired"));
    }
    let by = match args.by {
        By::Function => "function",
        By::Stack => "stack",
        By::Module => "module",
    };
    let mut parameters = vec![
        ("base", base.selector.to_string()),
        ("new", new.selector.to_string()),
        ("by", by.to_owned()),
        ("replicates", args.replicates.clone()),
        ("min_share", (100.0 * args.min_share).to_string()),
        ("limit", limit(args).to_string()),
    ];
    for (selection, names) in
        [(base, ["base_from", "base_until"]), (new, ["new_from", "new_until"])]
    {
        for (name, text) in args.range.parameters(selection)? {
            parameters.push((names[usize::from(name == "until")], text));
        }
    }
    parameters.extend(args.fail_on.as_ref().map(|gate| ("gate", gate.to_string())));
    parameters.extend(args.rates.as_ref().map(|rates| ("rates", rates.clone())));
    args.server.open()?.json(&["diff"], &parameters).await
}

//! Any format that is read into any that is written:
//! `cargo run -p stoker-formats --example convert -- FILE OUT`, by OUT's extension.

#![allow(clippy::print_stdout, reason = "a program for people")]

use std::error::Error;
use std::fs::File;
use std::io::BufWriter;

use stoker_analysis::{Naming, call_tree};
use stoker_formats::speedscope::SpeedscopeSource;
use stoker_formats::{ReadOptions, collapsed, html, pprof, read, speedscope, svg};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(from), Some(to)) = (arguments.next(), arguments.next()) else {
        return Err("usage: convert FILE OUT".into());
    };
    let options = ReadOptions { file_name: from.clone(), ..ReadOptions::default() };
    let imported = read(&std::fs::read(&from)?, &options)?;
    let profile_type = imported.default_profile().profile_type.clone();
    let mut out = BufWriter::new(File::create(&to)?);
    if to.ends_with(".pb.gz") {
        let naming = Naming { definitions: &imported.definitions, modules: &imported.modules };
        return Ok(pprof::write_imported(&imported, &|f| naming.module(f).into_owned(), out)?);
    }
    let at = imported.default;
    let (profile, modules) = imported.into_profile(at);
    let tree = call_tree(&profile, &modules);
    let titles = (from.as_str(), profile_type.as_str());
    match to.rsplit('.').next() {
        Some("collapsed") => collapsed::write(&tree, &mut out)?,
        Some("svg") => svg::write(&tree, &profile_type, titles, &mut out)?,
        Some("html") => html::write(&tree, &profile_type, titles, &mut out)?,
        Some("json") => {
            let source = SpeedscopeSource { profile_type: &profile_type, tree: &tree };
            speedscope::write(&[source], &from, &mut out)?;
        }
        _ => return Err("OUT is none of .pb.gz .collapsed .svg .html .speedscope.json".into()),
    }
    println!("{to}: {} {}", profile.total(), profile_type.unit());
    Ok(())
}

//! Reads profiles and says what is in them: `cargo run -p stoker-formats --example read -- FILE…`.

#![allow(clippy::print_stdout, reason = "a program for people")]

use stoker_formats::{ReadOptions, read};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for path in std::env::args().skip(1) {
        let options = ReadOptions { file_name: path.clone(), ..ReadOptions::default() };
        match read(&std::fs::read(&path)?, &options) {
            Err(error) => println!("{path}: {error}"),
            Ok(imported) => {
                let (frames, nodes) = (imported.frames.len(), imported.nodes.len());
                println!("{path}: {}, {frames} frames, {nodes} nodes", imported.format);
                for profile in &imported.profiles {
                    let (total, samples) = (profile.total(), profile.samples());
                    println!("  {} {total}, {samples} samples", profile.profile_type);
                }
                println!("  {:?}", imported.notes);
            }
        }
    }
    Ok(())
}

//! The same frame information as binutils' readelf understands it (`--debug-dump=frames-interp`), to
//! compare our tables with.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::ops::Range;
use std::path::Path;
use std::process::{Command, Stdio};

/// One row: from here on, up to the next row's start, this holds.
#[derive(Debug, Clone)]
pub struct Told {
    pub start: u64,
    pub end: u64,
    /// As readelf prints them: `rsp+8`, `exp`; `c-16`, `u`, `s`, `exp`, a register.
    pub cfa: String,
    pub rbp: String,
    pub ra: String,
    pub is_signal: bool,
}

/// One frame description entry.
#[derive(Debug)]
pub struct Function {
    pub pc: Range<u64>,
    pub rows: Vec<Told>,
}

/// The names of the columns, and the cells of a common entry.
#[derive(Debug, Clone, Default)]
struct Common {
    cells: HashMap<String, String>,
    is_signal: bool,
}

/// All frame description entries of a file, section by section. None where readelf fails.
pub fn read(file: &Path) -> Option<Vec<Function>> {
    let mut child = Command::new("readelf")
        .args(["--wide", "--debug-dump=frames-interp"])
        .arg(file)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let output = BufReader::new(child.stdout.take()?);
    let mut reader = Reader::default();
    for line in output.split(b'\n') {
        reader.line(&String::from_utf8_lossy(&line.ok()?));
    }
    reader.close();
    child.wait().ok()?;
    Some(reader.functions)
}

#[derive(Default)]
struct Reader {
    functions: Vec<Function>,
    commons: HashMap<String, Common>,
    /// The common entry that is being read, or that of the function that is.
    offset: Option<String>,
    common: Common,
    columns: Vec<String>,
}

impl Reader {
    fn line(&mut self, line: &str) {
        // A register's cell is its number and, in parentheses, its name.
        let words: Vec<&str> =
            line.split_whitespace().filter(|word| !word.starts_with('(')).collect();
        match words.as_slice() {
            ["Contents", "of", ..] => {
                self.close();
                self.commons.clear();
            }
            [offset, _, _, "CIE", augmentation, ..] => {
                self.close();
                self.offset = Some((*offset).to_owned());
                let is_signal = augmentation.contains('S');
                self.common = Common { is_signal, ..Common::default() };
            }
            [_, _, _, "FDE", cie, pc, ..] => {
                self.close();
                let cie = cie.trim_start_matches("cie=");
                self.common = self.commons.get(cie).cloned().unwrap_or_default();
                if let Some(pc) = range(pc.trim_start_matches("pc=")) {
                    self.functions.push(Function { pc, rows: Vec::new() });
                }
            }
            ["LOC", columns @ ..] => {
                self.columns = columns.iter().map(|&name| name.to_owned()).collect();
            }
            [_, "ZERO", "terminator"] => {}
            [location, cells @ ..]
                if !self.columns.is_empty() && cells.len() == self.columns.len() =>
            {
                self.row(location, cells);
            }
            _ => {}
        }
    }

    fn row(&mut self, location: &str, cells: &[&str]) {
        let cells = self.columns.iter().cloned().zip(cells.iter().map(|&cell| cell.to_owned()));
        let cells: HashMap<_, _> = cells.collect();
        if self.offset.is_some() {
            self.common.cells = cells;
        } else if let Ok(start) = u64::from_str_radix(location, 16) {
            let told = self.common.told(start, &cells);
            self.functions.last_mut().into_iter().for_each(|f| f.rows.push(told.clone()));
        }
    }

    /// The entry that was being read is complete.
    fn close(&mut self) {
        self.columns.clear();
        if let Some(offset) = self.offset.take() {
            self.commons.insert(offset, self.common.clone());
        } else if let Some(function) = self.functions.last_mut() {
            if function.rows.is_empty() {
                // readelf prints no rows where an entry adds nothing to its common entry.
                function.rows.push(self.common.told(function.pc.start, &self.common.cells));
            }
            let mut end = function.pc.end;
            for row in function.rows.iter_mut().rev() {
                row.end = end;
                end = row.start;
            }
        }
    }
}

impl Common {
    fn told(&self, start: u64, cells: &HashMap<String, String>) -> Told {
        let cell = |name| cells.get(name).map_or("-", String::as_str).to_owned();
        let (cfa, rbp, ra) = (cell("CFA"), cell("rbp"), cell("ra"));
        Told { start, end: start, cfa, rbp, ra, is_signal: self.is_signal }
    }
}

fn range(text: &str) -> Option<Range<u64>> {
    let (start, end) = text.split_once("..")?;
    Some(u64::from_str_radix(start, 16).ok()?..u64::from_str_radix(end, 16).ok()?)
}

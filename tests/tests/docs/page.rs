//! [`Page`]: a page of `docs/` taken apart: sections, tables, fenced blocks; and what the sources say.

use std::collections::HashMap;
use std::path::PathBuf;

/// The text of a page.
pub struct Page(String);

impl Page {
    pub fn new(text: String) -> Self {
        Page(text)
    }

    /// The page before a line, and from it on.
    #[track_caller]
    pub fn halves(&self, line: &str) -> (Page, Page) {
        let at = self.0.find(&format!("\n{line}\n")).unwrap_or_else(|| panic!("no line {line}"));
        (Page(self.0[..=at].to_owned()), Page(self.0[at + 1..].to_owned()))
    }

    /// Returns the lines under a heading, up to the next heading of any level.
    #[track_caller]
    pub fn section(&self, heading: &str) -> Vec<&str> {
        let is = |line: &str| line.starts_with('#') && line.trim_start_matches('#').trim() == heading;
        let mut fenced = false;
        let lines: Vec<_> = self
            .0
            .lines()
            .skip_while(|line| !is(line))
            .skip(1)
            .take_while(|line| {
                fenced ^= line.starts_with("```");
                fenced || !line.starts_with('#')
            })
            .collect();
        assert!(!lines.is_empty(), "no section {heading}");
        lines
    }

    /// The rows of the table in a section whose first column is called `first`, by column; code marks
    /// are taken off the cells.
    #[track_caller]
    pub fn table(&self, heading: &str, first: &str) -> Vec<HashMap<String, String>> {
        let lines = self.section(heading);
        let rows: Vec<Vec<String>> = lines
            .into_iter()
            .skip_while(|line| !line.starts_with('|') || cells(line)[0] != first)
            .take_while(|line| line.starts_with('|'))
            .map(cells)
            .collect();
        assert!(rows.len() > 2, "no table `{first}` in {heading}");
        let titles = &rows[0];
        rows[2..].iter().map(|row| titles.iter().cloned().zip(row.iter().cloned()).collect()).collect()
    }

    /// The fenced blocks of a section.
    #[track_caller]
    pub fn blocks(&self, heading: &str) -> Vec<Vec<&str>> {
        let mut blocks = Vec::new();
        let mut open = None;
        for line in self.section(heading) {
            match (&mut open, line.starts_with("```")) {
                (None, true) => open = Some(Vec::new()),
                (Some(_), true) => blocks.extend(open.take()),
                (Some(block), false) => block.push(line),
                (None, false) => {}
            }
        }
        blocks
    }
}

fn cells(line: &str) -> Vec<String> {
    line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect()
}

/// A number as the sources write them: `1 << 20`, `0x5348_4D43`, `56`.
#[track_caller]
pub fn number(text: &str) -> u64 {
    if let Some((value, shift)) = text.split_once(" << ") {
        return number(value) << number(shift);
    }
    let digits = text.replace('_', "");
    match digits.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => digits.parse(),
    }
    .unwrap_or_else(|error| panic!("`{text}`: {error}"))
}

/// A file below the root of the workspace.
pub fn source(path: &str) -> String {
    let path = [env!("CARGO_MANIFEST_DIR"), "..", path].iter().collect::<PathBuf>();
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the value of a constant in a source.
#[track_caller]
pub fn constant(source: &str, name: &str) -> String {
    let (_, rest) = source.split_once(&format!("const {name}: ")).unwrap_or_else(|| panic!("no {name}"));
    let (_, rest) = rest.split_once(" = ").expect("a value");
    rest.split_once(';').expect("an end").0.trim_matches('"').to_owned()
}

#[track_caller]
pub fn value(source: &str, name: &str) -> u64 {
    number(&constant(source, name))
}

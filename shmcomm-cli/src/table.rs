//! [`Table`]: rows under headings, fitted to a terminal or separated by tabs.
//!
//! Owns the widths of columns and the order in which columns give way. Calls nothing. Never prints.

use crate::tone::Tone;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Number of spaces between two columns.
const GAP: usize = 2;
/// Narrowest width that a column is cut to, in columns of the terminal.
const NARROWEST: usize = 8;

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub heading: &'static str,
    /// Numbers stand at the right.
    pub right: bool,
    /// Order in which columns are left out of a narrow terminal: the largest number first. 0: never.
    pub expendable: u8,
}

/// A field of a row.
#[derive(Clone, Debug, Default)]
pub struct Cell {
    /// Text for a terminal.
    shown: String,
    /// Text for a program.
    plain: String,
    tone: Tone,
}

impl Cell {
    /// Returns a field with the same text for people and programs.
    pub fn new(text: impl Into<String>) -> Self {
        let shown = text.into();
        Cell { plain: shown.clone(), shown, tone: Tone::Plain }
    }

    /// Returns a field with a text for people and another one for programs.
    pub fn both(shown: impl Into<String>, plain: impl ToString) -> Self {
        Cell { shown: shown.into(), plain: plain.to_string(), tone: Tone::Plain }
    }

    /// Returns a field without a value.
    pub fn none() -> Self {
        Cell::both("–", "-")
    }

    /// Returns the field with the colour of a meaning.
    pub fn tone(self, tone: Tone) -> Self {
        Cell { tone, ..self }
    }
}

/// A text of a fitted row.
#[derive(Clone, Debug)]
pub struct Piece {
    pub text: String,
    pub tone: Tone,
    /// Number of spaces after the text.
    pub after: usize,
}

/// Rows under headings.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub fn new(columns: impl Into<Vec<Column>>) -> Self {
        Table { columns: columns.into(), rows: Vec::new() }
    }

    pub fn push(&mut self, row: Vec<Cell>) {
        debug_assert_eq!(row.len(), self.columns.len());
        self.rows.push(row);
    }

    /// Returns the rows with a tab between fields, headings first.
    pub fn with_tabs(&self) -> String {
        let headings = self.columns.iter().map(|column| column.heading.to_owned()).collect();
        let rows = self
            .rows
            .iter()
            .map(|row| row.iter().map(|cell| cell.plain.replace(['\t', '\n'], " ")).collect());
        std::iter::once(headings).chain(rows).map(|fields: Vec<String>| fields.join("\t") + "\n").collect()
    }

    /// Returns the table for a terminal of that width, with the colours that `paint` gives.
    pub fn fitted(&self, width: usize, paint: impl Fn(Tone, &str) -> String) -> String {
        let mut text = String::new();
        for row in self.fit(width) {
            let line: String =
                row.iter().map(|piece| paint(piece.tone, &piece.text) + &" ".repeat(piece.after)).collect();
            text += line.trim_end();
            text.push('\n');
        }
        text
    }

    /// Returns the rows for a terminal of that width, headings first. Leaves out columns, then cuts texts.
    pub fn fit(&self, width: usize) -> Vec<Vec<Piece>> {
        let kept = self.kept(width);
        let headings = self.columns.iter().map(|column| (column.heading, Tone::Heading)).collect::<Vec<_>>();
        let rows =
            self.rows.iter().map(|row| row.iter().map(|cell| (cell.shown.as_str(), cell.tone)).collect());
        let fit = |row: Vec<(&str, Tone)>| {
            let mut line = Vec::new();
            for (at, &(index, width)) in kept.iter().enumerate() {
                let (shown, tone) = row[index];
                let gap = if at + 1 == kept.len() { 0 } else { GAP };
                let text = cut(shown, width);
                let pad = width.saturating_sub(text.width());
                if self.columns[index].right {
                    line.push(Piece { text: String::new(), tone: Tone::Plain, after: pad });
                    line.push(Piece { text, tone, after: gap });
                } else {
                    line.push(Piece { text, tone, after: pad + gap });
                }
            }
            line
        };
        std::iter::once(headings).chain(rows).map(fit).collect()
    }

    /// Returns the columns that fit into the width, each with its own width.
    fn kept(&self, width: usize) -> Vec<(usize, usize)> {
        let natural = |index: usize| {
            let cells = self.rows.iter().map(|row| row[index].shown.width());
            cells.fold(self.columns[index].heading.width(), usize::max)
        };
        let mut kept: Vec<(usize, usize)> =
            (0..self.columns.len()).map(|index| (index, natural(index))).collect();
        let total = |kept: &[(usize, usize)]| {
            kept.iter().map(|(_, width)| width + GAP).sum::<usize>().saturating_sub(GAP)
        };
        while total(&kept) > width {
            let first = kept.iter().enumerate().max_by_key(|(_, (index, _))| self.columns[*index].expendable);
            match first {
                Some((at, (index, _))) if self.columns[*index].expendable > 0 => {
                    kept.remove(at);
                }
                _ => break,
            }
        }
        while total(&kept) > width {
            let excess = total(&kept) - width;
            let Some(widest) =
                kept.iter_mut().max_by_key(|(_, width)| *width).filter(|(_, w)| *w > NARROWEST)
            else {
                break;
            };
            widest.1 = widest.1.saturating_sub(excess.min(widest.1 / 4 + 1)).max(NARROWEST);
        }
        kept
    }
}

/// Returns the text without what exceeds the width. The last character that fits becomes `…`.
pub fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut cut = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > width {
            break;
        }
        cut.push(c);
    }
    cut + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new([
            Column { heading: "NAME", right: false, expendable: 0 },
            Column { heading: "SENT", right: true, expendable: 1 },
            Column { heading: "STATE", right: false, expendable: 0 },
        ]);
        table.push(vec![Cell::new("robot/imu"), Cell::both("40 012", 40_012), Cell::new("live")]);
        table.push(vec![Cell::new("größe"), Cell::none(), Cell::new("stale for 3 min: shmcomm clean")]);
        table
    }

    #[test]
    fn narrow_tables_drop_columns_then_cut_texts() {
        let shown = |width| table().fitted(width, |_, text| text.to_owned());
        assert_eq!(
            shown(80),
            "NAME         SENT  STATE\nrobot/imu  40 012  live\ngröße           –  stale for 3 min: shmcomm clean\n"
        );
        assert_eq!(
            shown(42),
            "NAME       STATE\nrobot/imu  live\ngröße      stale for 3 min: shmcomm clean\n"
        );
        for width in 20..60 {
            assert!(shown(width).lines().all(|line| line.width() <= width), "{width}: {}", shown(width));
        }
    }

    #[test]
    fn programs_read_fields_between_tabs() {
        assert_eq!(
            table().with_tabs(),
            "NAME\tSENT\tSTATE\nrobot/imu\t40012\tlive\ngröße\t-\tstale for 3 min: shmcomm clean\n"
        );
    }
}

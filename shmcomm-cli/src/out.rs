//! [`Out`]: standard output, in the form that its reader can use.
//!
//! Owns the choice between a terminal, plain text and JSON Lines, the width, and the colours. Calls `table` and `tone`.
//! Never writes to standard error.

use crate::common::Common;
use crate::failure::Outcome;
use crate::table::Table;
use crate::tone::Tone;
use serde::Serialize;
use std::io::{self, BufWriter, IsTerminal as _, StdoutLock, Write};

/// Width of a terminal whose size is unknown, in columns.
const WIDTH: usize = 80;
/// Narrowest width that tables are made for, in columns.
const NARROWEST: usize = 20;

/// Form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Tables and colours, cut to the width.
    Terminal,
    /// Fields separated by tabs, numbers without units.
    Plain,
    /// An object per line.
    Json,
}

/// Standard output.
pub struct Out {
    form: Form,
    colour: bool,
    width: usize,
    to: BufWriter<StdoutLock<'static>>,
}

impl Out {
    /// Opens standard output in the form that the arguments and the environment ask for.
    pub fn new(common: &Common) -> Self {
        let stdout = io::stdout();
        let terminal = stdout.is_terminal();
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let form = match () {
            () if common.json => Form::Json,
            () if terminal => Form::Terminal,
            () => Form::Plain,
        };
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let size = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
        Out {
            form,
            colour: form == Form::Terminal && !set("NO_COLOR") && !dumb,
            width: size.filter(|&width| width > 0).unwrap_or(WIDTH).max(NARROWEST),
            to: BufWriter::with_capacity(1 << 16, stdout.lock()),
        }
    }

    pub fn form(&self) -> Form {
        self.form
    }

    /// Returns the width of the terminal in columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Returns the text in the colour of its meaning, if the output has colours.
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        let style = tone.style();
        if self.colour && tone != Tone::Plain && !text.is_empty() {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }

    /// Writes a line of text.
    pub fn line(&mut self, text: impl AsRef<str>) -> Outcome {
        self.to.write_all(text.as_ref().as_bytes())?;
        self.to.write_all(b"\n")?;
        Ok(())
    }

    /// Writes bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) -> Outcome {
        self.to.write_all(bytes)?;
        Ok(())
    }

    /// Writes a value as a line of JSON.
    pub fn json(&mut self, value: &impl Serialize) -> Outcome {
        serde_json::to_writer(&mut self.to, value).map_err(io::Error::from)?;
        self.to.write_all(b"\n")?;
        Ok(())
    }

    /// Writes a table: fitted to the terminal, or with tabs.
    pub fn table(&mut self, table: &Table) -> Outcome {
        let text = match self.form {
            Form::Terminal => table.fitted(self.width, |tone, text| self.paint(tone, text)),
            Form::Plain | Form::Json => table.with_tabs(),
        };
        self.raw(text.as_bytes())
    }

    /// Clears the terminal before a picture is painted again. In a pipe, one empty line separates pictures.
    pub fn repaint(&mut self, first: bool) -> Outcome {
        match self.form {
            Form::Terminal => self.raw(b"\x1b[H\x1b[J"),
            Form::Plain if !first => self.raw(b"\n"),
            Form::Plain | Form::Json => Ok(()),
        }
    }

    /// Hands everything that was written to the reader.
    pub fn flush(&mut self) -> Outcome {
        self.to.flush()?;
        Ok(())
    }
}

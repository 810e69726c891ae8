//! `cargo xtask picture`: a terminal with the command line at work, as an SVG for the pages.
//!
//! Owns the commands that the picture shows, and the conversion of a terminal's text to SVG. Runs the
//! quickstart and the command line in a directory of their own, on a terminal of the program `script`.

use super::names::ROOT;
use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// File of the picture, below the root of the repository.
const FILE: &str = "docs/plots/terminal.svg";
/// Width of the terminal in columns.
const COLUMNS: usize = 118;
/// Size of a character cell in pixels.
const CELL: (f64, f64) = (8.4, 19.0);
/// Space around the text in pixels.
const MARGIN: f64 = 16.0;

/// Runs the commands and writes the picture.
pub fn make() -> Result<(), Box<dyn Error>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let builds =
        [["-p", "shmcomm-cli", "--bin", "shmcomm"], ["-p", "shmcomm-examples", "--example", "quickstart"]];
    for build in builds {
        let built = Command::new(&cargo)
            .args(["build", "--quiet", "--release"])
            .args(build)
            .current_dir(ROOT)
            .status()?;
        if !built.success() {
            return Err("the programs of the picture do not build".into());
        }
    }
    let target = Path::new(ROOT).join("target/release");
    let world = World::new()?;
    let quickstart = world.start(&target.join("examples/quickstart"))?;
    // The channel exists, and some messages have been sent.
    std::thread::sleep(Duration::from_millis(700));
    let channel = format!("quickstart-{}/examples/quickstart", quickstart.0.id());
    let mut lines = vec!["\x1b[2m$ cargo run --release --example quickstart &\x1b[0m".to_owned()];
    for arguments in ["list".to_owned(), format!("echo {channel} -n 3")] {
        lines.push(format!("\x1b[2m$ shmcomm {arguments}\x1b[0m"));
        let shown = world.on_terminal(&format!("{} {arguments}", target.join("shmcomm").display()))?;
        lines.extend(shown.lines().map(str::to_owned));
    }
    drop(quickstart);
    std::fs::write(Path::new(ROOT).join(FILE), svg(&lines))?;
    println!("wrote {FILE}");
    Ok(())
}

/// A directory for segments; it is removed with this value.
struct World(PathBuf);

/// A process that ends with this value.
struct Running(Child);

impl World {
    fn new() -> std::io::Result<Self> {
        let dir = PathBuf::from(format!("/dev/shm/xtask-picture-{}", std::process::id()));
        std::fs::create_dir(&dir)?;
        Ok(World(dir))
    }

    fn start(&self, program: &Path) -> std::io::Result<Running> {
        let mut command = Command::new(program);
        command.env("SHMCOMM_DIR", &self.0).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().map(Running)
    }

    /// Runs a command on a terminal and returns what it printed.
    fn on_terminal(&self, command: &str) -> Result<String, Box<dyn Error>> {
        let output = Command::new("script")
            .args(["--quiet", "--return", "--command"])
            .arg(format!("stty cols {COLUMNS} rows 40; exec {command}"))
            .arg("/dev/null")
            .env("SHMCOMM_DIR", &self.0)
            .env("TERM", "xterm")
            .env_remove("SHMCOMM_NAMESPACE")
            .env_remove("NO_COLOR")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("cannot run `script` of util-linux: {error}"))?;
        let text = String::from_utf8(output.stdout)?.replace('\r', "");
        if output.status.success() { Ok(text) } else { Err(format!("`{command}` failed: {text}").into()) }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It ends by itself after some seconds, with its two processes.
        let _ = self.0.wait();
    }
}

/// Returns the picture of a terminal with these lines.
fn svg(lines: &[String]) -> String {
    let (width, height) =
        (CELL.0 * COLUMNS as f64 + 2.0 * MARGIN, CELL.1 * lines.len() as f64 + 2.0 * MARGIN);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" \
         font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"14\">\n\
         <title>A terminal: shmcomm list and shmcomm echo while the quickstart runs</title>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#16181d\"/>\n"
    );
    for (index, line) in lines.iter().enumerate() {
        let y = MARGIN + CELL.1 * (index as f64 + 0.75);
        let mut column = 0;
        for (style, part) in parts(line) {
            let shown = part.trim_end();
            if !shown.trim_start().is_empty() {
                let skipped = part.len() - part.trim_start().len();
                let x = MARGIN + CELL.0 * (column + skipped) as f64;
                let cells = shown.trim_start().chars().count();
                // The length keeps columns straight in any font.
                let _ = writeln!(
                    text,
                    "<text x=\"{x:.1}\" y=\"{y:.1}\" textLength=\"{:.1}\" lengthAdjust=\"spacingAndGlyphs\" xml:space=\"preserve\" {style}>{}</text>",
                    CELL.0 * cells as f64,
                    escape(shown.trim_start())
                );
            }
            column += part.chars().count();
        }
    }
    text + "</svg>\n"
}

/// Returns the parts of a line with their style. Colours are the escapes that the command line writes.
fn parts(line: &str) -> Vec<(&'static str, String)> {
    const PLAIN: &str = "fill=\"#d5d8df\"";
    let mut all = Vec::new();
    for (index, chunk) in line.split('\x1b').enumerate() {
        let (code, rest) = if index == 0 {
            ("0", chunk)
        } else {
            chunk[1.min(chunk.len())..].split_once('m').unwrap_or(("0", ""))
        };
        let style = match code {
            "1" => "fill=\"#ffffff\" font-weight=\"bold\"",
            "2" => "fill=\"#8b93a3\"",
            "31" => "fill=\"#ff7b72\"",
            "32" => "fill=\"#7ee787\"",
            "33" => "fill=\"#e3b341\"",
            _ => PLAIN,
        };
        if !rest.is_empty() {
            all.push((style, rest.to_owned()));
        }
    }
    all
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_become_styles() {
        let found = parts("a \x1b[1mB\x1b[0m <c>");
        let texts: Vec<&str> = found.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, ["a ", "B", " <c>"]);
        let picture = svg(&["a \x1b[1mB\x1b[0m <c>".to_owned()]);
        assert!(picture.contains("font-weight=\"bold\">B</text>") && picture.contains("&lt;c&gt;"));
    }
}

//! `shmcomm doctor`: finds what is wrong with the machine, the segments and their processes.
//!
//! Owns the form of a finding and the report. Calls the checks: `machine`, `files`, `nameless`, `processes`.
//! Never changes anything, except that one check opens a channel of its own for a moment.

mod files;
mod machine;
mod nameless;
mod processes;

use crate::channels;
use crate::common::Common;
use crate::failure::{Failure, Outcome};
use crate::out::{Form, Out};
use crate::procs::Procs;
use crate::tone::Tone;
use crate::units;
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;

/// Finds what is wrong on this machine, with cause, consequence and cure.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  shmcomm doctor
  shmcomm doctor --json | jq -r 'select(.level == \"error\").cure'
  shmcomm doctor --quiet && start-the-robot

Checks: size and free space of the directory, its file system and permissions, limits of the container,
/proc, futex_waitv, segments of other users, stale, damaged and nameless segments, Python older than
3.13 on a live channel, stopped processes and the locks that they hold, queues without a worker.

The exit code is 1 if there is an error, and 0 if there are only warnings and notes.

JSON: an object per finding, with check (a stable name), level (error, warning, note), what, cause,
consequence, cure and channel (null if it concerns none).")]
pub struct Arguments {
    /// Prints errors only
    #[arg(short, long)]
    quiet: bool,
    /// Directory in the form of /proc
    #[arg(long, hide = true, value_name = "DIR", default_value = "/proc")]
    proc: PathBuf,
    /// Directory in the form of /sys/fs/cgroup
    #[arg(long, hide = true, value_name = "DIR", default_value = "/sys/fs/cgroup")]
    cgroup: PathBuf,
}

/// Weight of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    /// Programs fail, hang or lose messages now.
    Error,
    /// Programs may fail later.
    Warning,
    /// A fact that may surprise.
    Note,
}

/// Something that is wrong.
#[derive(Clone, Debug, Serialize)]
struct Finding {
    check: &'static str,
    level: Level,
    what: String,
    cause: String,
    consequence: String,
    cure: String,
    channel: Option<String>,
}

impl Finding {
    fn new(check: &'static str, level: Level, what: impl Into<String>) -> Self {
        let (cause, consequence, cure) = Default::default();
        Finding { check, level, what: what.into(), cause, consequence, cure, channel: None }
    }

    fn cause(self, cause: impl Into<String>) -> Self {
        Finding { cause: cause.into(), ..self }
    }

    fn consequence(self, consequence: impl Into<String>) -> Self {
        Finding { consequence: consequence.into(), ..self }
    }

    fn cure(self, cure: impl Into<String>) -> Self {
        Finding { cure: cure.into(), ..self }
    }

    fn channel(self, channel: &str) -> Self {
        Finding { channel: Some(channel.to_owned()), ..self }
    }
}

pub fn run(common: &Common, args: &Arguments) -> Outcome {
    let directory = channels::directory();
    let procs = Procs::at(&args.proc);
    let mut findings = machine::check(&directory, &procs, &args.cgroup);
    match channels::all(common) {
        Ok(segments) => {
            let mapped = procs.mapped(&directory);
            findings.extend(files::check(&directory, &segments));
            findings.extend(nameless::check(&directory, &procs, &mapped));
            findings.extend(processes::check(&directory, &procs, &segments, &mapped));
            findings.extend(machine::memory(&args.cgroup, &segments));
        }
        Err(error) => findings.push(
            Finding::new("directory", Level::Error, error.to_string())
                .cause("the directory is missing, or this user may not read it")
                .consequence("no program of this user finds a channel")
                .cure("mount a tmpfs there, or set SHMCOMM_DIR to another directory in all processes"),
        ),
    }
    findings.sort_by_key(|finding| finding.level);
    let errors = findings.iter().filter(|finding| finding.level == Level::Error).count();
    let warnings = findings.iter().filter(|finding| finding.level == Level::Warning).count();
    let most = common.count.map_or(usize::MAX, |count| usize::try_from(count).unwrap_or(usize::MAX));
    let mut out = Out::new(common);
    let shown = findings.iter().filter(|finding| !args.quiet || finding.level == Level::Error);
    shown.take(most).try_for_each(|finding| show(&mut out, finding))?;
    out.flush()?;
    if errors > 0 {
        let (errors, warnings) =
            (units::count(errors as u64, "error"), units::count(warnings as u64, "warning"));
        return Err(Failure::Failed(format!("found {errors} and {warnings}")));
    }
    if !args.quiet && out.form() != Form::Json {
        match warnings {
            0 => eprintln!("shmcomm: found no errors"),
            _ => eprintln!("shmcomm: found {}", units::count(warnings as u64, "warning")),
        }
    }
    Ok(())
}

fn show(out: &mut Out, finding: &Finding) -> Outcome {
    if out.form() == Form::Json {
        return out.json(finding);
    }
    let (name, tone) = match finding.level {
        Level::Error => ("error", Tone::Bad),
        Level::Warning => ("warning", Tone::Warning),
        Level::Note => ("note", Tone::Good),
    };
    let head = out.paint(tone, name);
    paragraph(out, &format!("{name}: "), &format!("{head}: "), &finding.what, 2)?;
    for (name, text) in
        [("cause", &finding.cause), ("consequence", &finding.consequence), ("cure", &finding.cure)]
    {
        let label = format!("  {name}: ");
        let painted = out.paint(Tone::Faint, &label);
        paragraph(out, &label, &painted, text, 4)?;
    }
    Ok(())
}

/// Writes a text after its label. On a terminal the text is wrapped at the width.
fn paragraph(out: &mut Out, label: &str, painted: &str, text: &str, indent: usize) -> Outcome {
    let width = if out.form() == Form::Terminal { out.width() } else { usize::MAX };
    let mut line = painted.to_owned();
    let mut used = label.chars().count();
    let mut first = true;
    for word in text.split(' ') {
        let len = word.chars().count();
        if !first && used + 1 + len > width {
            out.line(&line)?;
            line = " ".repeat(indent);
            used = indent;
            first = true;
        }
        if !first {
            line.push(' ');
            used += 1;
        }
        line += word;
        used += len;
        first = false;
    }
    out.line(line)
}

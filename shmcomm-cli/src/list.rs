//! `shmcomm list`: a line for each channel.
//!
//! Owns the columns. Calls `channels`, `figures` and `rates`. Never opens an end of a channel.

use crate::channels;
use crate::common::Common;
use crate::failure::{Failure, Outcome};
use crate::figures::Figures;
use crate::out::{Form, Out};
use crate::pace::{self, Pace};
use crate::procs::Procs;
use crate::rates::Rates;
use crate::table::{Cell, Column, Table};
use crate::units;
use clap::Args;
use std::time::Duration;

/// Time between two pictures of `--watch`.
pub const REFRESH: Duration = Duration::from_secs(1);

/// Lists the channels of this user: messages, rates, ends and states.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  shmcomm list                         all channels
  shmcomm list 'robot/*' --watch       a picture each second, with the rate of that second
  shmcomm list --json | jq .channel    the names

RATE is the average since the senders joined. With --watch, or with --duration TIME, it is measured.
A damaged or foreign file is listed with its problem. -n limits the lines, or the pictures of --watch.

GROUP is the group of users that share the channel; the column is there if there is such a channel.
SLOT is the present size of a slot that grows, and its limit, in bytes; the column is there if a slot grows.

JSON: an object per channel, with channel, pattern, wire, group (null: of this user alone), message, codec,
state (live, stale, problem),
problem, slots, slot_size, grow (largest slot_size; 0: the slots do not grow), growths, size, sent, bytes, holes, rate (messages a second), rate_window_s (null: since
the senders joined), senders, receivers, lost, queue (null, or waiting, claimed, writing, answered,
oldest_s, redelivered, acknowledged), ends (role, process, pid, alive, joined, messages, bytes, lag,
lost, skipped, invalid, evictions, redelivered), created (Unix seconds), stale_at_most_s, fingerprint
and path.")]
pub struct Arguments {
    /// Names of channels; `*` stands for any characters [default: all]
    #[arg(value_name = "CHANNEL")]
    channels: Vec<String>,
    /// Repeats each second, until Ctrl-C, -n or --duration
    #[arg(short, long)]
    watch: bool,
}

pub fn run(common: &Common, args: &Arguments) -> Outcome {
    let mut out = Out::new(common);
    if args.watch {
        return watch(common, args, &mut out);
    }
    let mut rates = common.duration.map(|_| Rates::default());
    if let (Some(time), Some(rates)) = (common.duration, &mut rates) {
        rates.update(&channels::select(common, &args.channels)?);
        if time > REFRESH {
            pace::progress(&format!("measuring for {}", units::time(time)));
        }
        Pace::new(&Common::default()).sleep(time);
        pace::progress("");
    }
    let most = common.count.map_or(usize::MAX, |count| usize::try_from(count).unwrap_or(usize::MAX));
    let mut figures = collect(common, &args.channels, rates.as_mut())?;
    figures.truncate(most);
    show(&mut out, &figures)?;
    if figures.is_empty() && out.form() != Form::Json {
        let place = channels::directory();
        eprintln!(
            "shmcomm: there are no channels in {}; start a program, such as `cargo run --example publisher`",
            place.display()
        );
    }
    out.flush()
}

fn watch(common: &Common, args: &Arguments, out: &mut Out) -> Outcome {
    let mut pace = Pace::new(common);
    let mut rates = Rates::default();
    let mut first = true;
    loop {
        let figures = match collect(common, &args.channels, Some(&mut rates)) {
            // A channel that has gone may appear again.
            Err(Failure::NotFound(_)) if !first => Vec::new(),
            other => other?,
        };
        out.repaint(first)?;
        show(out, &figures)?;
        out.flush()?;
        first = false;
        if !pace.another() || !pace.sleep(REFRESH) {
            return Ok(());
        }
    }
}

/// Returns the facts about the selected channels, with the rates since the last call if they are measured.
pub fn collect(
    common: &Common,
    names: &[String],
    rates: Option<&mut Rates>,
) -> Result<Vec<Figures>, Failure> {
    let segments = channels::select(common, names)?;
    let measured = rates.map_or_else(|| vec![None; segments.len()], |rates| rates.update(&segments));
    // The processes are needed only for the segments of Python.
    let python = segments.iter().any(|segment| segment.version == 1);
    let mapped = if python { Procs::default().mapped(&channels::directory()) } else { Vec::new() };
    let figures = segments.iter().zip(measured).map(|(segment, rate)| {
        let mut figures = Figures::of(segment, &mapped);
        if let Some(rate) = rate {
            figures.rate = Some(rate.messages);
            figures.rate_window_s = Some(rate.window.as_secs_f64());
        }
        figures
    });
    Ok(figures.collect())
}

fn show(out: &mut Out, figures: &[Figures]) -> Outcome {
    if out.form() == Form::Json {
        return figures.iter().try_for_each(|figures| out.json(figures));
    }
    if figures.is_empty() {
        return Ok(());
    }
    out.table(&table(figures))
}

/// Returns the table of channels.
pub fn table(figures: &[Figures]) -> Table {
    let column = |heading, right, expendable| Column { heading, right, expendable };
    let shared = figures.iter().any(|one| one.group.is_some());
    let group = shared.then(|| column("GROUP", false, 1));
    let grows = figures.iter().any(|one| one.grow != 0);
    let slot = grows.then(|| column("SLOT", true, 10));
    let first = [Some(column("CHANNEL", false, 0)), group].into_iter().flatten();
    let kind = [
        Some(column("PATTERN", false, 6)),
        Some(column("MESSAGE", false, 5)),
        Some(column("SLOTS", true, 9)),
        slot,
    ];
    let rest = [
        column("SENT", true, 4),
        column("RATE", true, 2),
        column("PUBLISHER", false, 3),
        column("SUBS", true, 7),
        column("LOST", true, 8),
        column("STATE", false, 0),
    ];
    let columns = first.chain(kind.into_iter().flatten()).chain(rest);
    let mut table = Table::new(columns.collect::<Vec<_>>());
    for one in figures {
        let broken = one.problem.is_some();
        let number = |number: Option<u64>| match number.filter(|_| !broken) {
            Some(number) => Cell::both(units::grouped(number), number),
            None => Cell::none(),
        };
        let rate = match one.rate.filter(|_| one.state == "live") {
            Some(rate) => Cell::both(units::rate(rate), format!("{rate:.1}")),
            None => Cell::none(),
        };
        let text = |text: String| if text.is_empty() { Cell::none() } else { Cell::new(text) };
        let (state, tone) = one.shown_state();
        let group = shared.then(|| text(one.group.clone().unwrap_or_default()));
        let first = [Some(Cell::new(one.channel.clone())), group].into_iter().flatten();
        let kind = [
            Some(text(one.pattern.to_owned())),
            Some(text(one.message.clone())),
            Some(number(Some(one.slots))),
            grows.then(|| growth(one)),
        ];
        let rest = [
            number(Some(one.sent)),
            rate,
            text(one.sender()),
            number(one.receivers.map(u64::from)),
            number(one.lost),
            Cell::new(state).tone(tone),
        ];
        table.push(first.chain(kind.into_iter().flatten()).chain(rest).collect());
    }
    table
}

/// Returns the present size of the slots of a channel, and its limit.
fn growth(one: &Figures) -> Cell {
    if one.grow == 0 || one.problem.is_some() {
        return Cell::none();
    }
    let (now, limit) = (units::grouped(one.slot_size), units::grouped(one.grow));
    Cell::both(format!("{now} of {limit}"), format!("{}/{}", one.slot_size, one.grow))
}

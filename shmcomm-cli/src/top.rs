//! `shmcomm top`: the busiest channels, painted again each second.
//!
//! Owns the order and the sums. Calls `list` for the facts and the table, and `screen` for a terminal that also has
//! keys. Never opens an end of a channel.

#[cfg(feature = "tui")]
mod screen;

use crate::channels;
use crate::common::Common;
use crate::failure::{Failure, Outcome};
use crate::figures::Figures;
use crate::list::{self, REFRESH};
use crate::out::{Form, Out};
use crate::pace::Pace;
use crate::rates::Rates;
use crate::tone::Tone;
use crate::units;
use clap::{Args, ValueEnum};
use std::cmp::Reverse;

/// Shows the busiest channels, again each second.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  shmcomm top                      until Ctrl-C, by rate
  shmcomm top --sort lost          the channels that lose messages first
  shmcomm top -n 3 | tail -n 20    three pictures, for a log

On a terminal each picture replaces the last one. In a pipe an empty line separates pictures.
A program that is built with the feature `tui` has keys: q quit, s next order, p pause, arrows select
a channel, whose rate is drawn over time.

JSON: an object per channel and picture, as `shmcomm list --json` prints it.")]
pub struct Arguments {
    /// Names of channels; `*` stands for any characters [default: all]
    #[arg(value_name = "CHANNEL")]
    channels: Vec<String>,
    /// First criterion of the order
    #[arg(long, value_enum, default_value_t = Sort::Rate)]
    sort: Sort,
}

/// Criterion of the order, the largest value first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Sort {
    /// Messages per second
    Rate,
    /// Messages sent
    Sent,
    /// Messages that subscribers lost
    Lost,
    /// Bytes of the segment
    Size,
    /// Jobs and requests that wait
    Waiting,
    /// Name of the channel
    Name,
}

pub fn run(common: &Common, args: &Arguments) -> Outcome {
    let mut out = Out::new(common);
    #[cfg(feature = "tui")]
    if screen::serves(&out) {
        drop(out);
        return screen::run(common, args);
    }
    let mut pace = Pace::new(common);
    let mut rates = Rates::default();
    // The first picture needs two readings.
    list::collect(common, &args.channels, Some(&mut rates))?;
    let mut first = true;
    while pace.sleep(REFRESH) {
        let mut figures = match list::collect(common, &args.channels, Some(&mut rates)) {
            // A channel that has gone may appear again.
            Err(Failure::NotFound(_)) => Vec::new(),
            other => other?,
        };
        sort(&mut figures, args.sort);
        out.repaint(first)?;
        if out.form() == Form::Json {
            figures.iter().try_for_each(|figures| out.json(figures))?;
        } else {
            paint(&mut out, &figures)?;
        }
        out.flush()?;
        first = false;
        if !pace.another() {
            break;
        }
    }
    Ok(())
}

fn sort(figures: &mut [Figures], by: Sort) {
    match by {
        Sort::Rate => {
            figures.sort_by(|a, b| b.rate.unwrap_or(0.0).total_cmp(&a.rate.unwrap_or(0.0)));
        }
        Sort::Sent => figures.sort_by_key(|one| Reverse(one.sent)),
        Sort::Lost => figures.sort_by_key(|one| Reverse(one.lost)),
        Sort::Size => figures.sort_by_key(|one| Reverse(one.size)),
        Sort::Waiting => figures.sort_by_key(|one| Reverse(one.queue.map(|queue| queue.waiting))),
        Sort::Name => figures.sort_by(|a, b| a.channel.cmp(&b.channel)),
    }
}

/// Returns the sums over all channels.
fn summary(figures: &[Figures]) -> String {
    let live = figures.iter().filter(|one| one.state == "live");
    let rate: f64 = live.clone().filter_map(|one| one.rate).sum();
    let size: u64 = figures.iter().map(|one| one.size).sum();
    format!(
        "{}, {} live   {}   {} in {}",
        units::count(figures.len() as u64, "channel"),
        live.count(),
        units::rate(rate),
        units::bytes(size as f64),
        channels::directory().display()
    )
}

fn paint(out: &mut Out, figures: &[Figures]) -> Outcome {
    let summary = match out.form() {
        Form::Terminal => crate::table::cut(&summary(figures), out.width()),
        _ => summary(figures),
    };
    let summary = out.paint(Tone::Faint, &summary);
    out.line(summary)?;
    out.table(&list::table(figures))
}

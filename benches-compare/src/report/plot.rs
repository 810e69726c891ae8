//! Charts of the figures, as SVG that needs no font of this system.
//!
//! A chart has a line for each implementation, and a point for each case or entry. Never measures, never
//! rounds.

use super::{Done, Measured};
use crate::Result;
use crate::case::size;
use plotters::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;

type Series = BTreeMap<String, Vec<(f64, f64)>>;

const SIZES: [usize; 6] = [8, 64, 1 << 10, 64 << 10, 1 << 20, 4 << 20];

/// Writes all charts that have data.
pub fn write(all: &[Done], folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let p50: fn(&Measured) -> f64 = |way| way.at(0.5);
    let by_size = |work: &str, figure: fn(&Measured) -> f64| by_case(all, &SIZES, work, figure);
    let volume = |bytes: f64, ns: f64| bytes / ns;
    let chart = |file: &str, title: &str, x: &str, y: &str, series: Series| {
        draw(&folder.join(file), title, x, y, &series)
    };
    chart(
        "latency.svg",
        "One way, every byte touched, polling, p50",
        "bytes",
        "ns",
        by_size("latency", p50),
    )?;
    chart(
        "asleep.svg",
        "One way, every byte touched, both asleep, p50",
        "bytes",
        "ns",
        by_size("asleep", p50),
    )?;
    chart(
        "touched.svg",
        "One way in place, 8 bytes touched, polling, p50",
        "bytes",
        "ns",
        by_size("touched", p50),
    )?;
    let mut rates = by_size("throughput", Measured::median);
    rates.values_mut().flatten().for_each(|(bytes, ns)| *ns = volume(*bytes, *ns));
    chart("throughput.svg", "One to one, lossless", "bytes", "GB/s", rates)?;
    let fanout = by_entry(all, "fanout-64", Measured::median);
    chart("fanout.svg", "A call of send, 64 bytes", "subscribers that poll", "ns", fanout)?;
    chart(
        "load.svg",
        "Push/pull, 64 bytes, p99 from the intended time",
        "% of the maximum rate",
        "ns",
        by_entry(all, "load-64", |way| way.at(0.99)),
    )?;
    for (file, case, title, x) in [
        ("scale-subscribers.svg", "scale-subscribers", "A call of send, 64 bytes", "subscribers"),
        ("scale-slots.svg", "scale-slots", "One way, 64 bytes", "slots"),
        ("scale-size.svg", "scale-size", "One way in place, 8 bytes touched", "bytes"),
        ("scale-channels.svg", "scale-channels", "One way, 64 bytes, channels in turn", "channels"),
    ] {
        let mut series = Series::new();
        if let Some(done) = all.iter().find(|done| done.case.id == case) {
            series.insert("ns".into(), done.ways().iter().map(|way| (way.x, way.median())).collect());
            let bytes = |way: &Measured| (way.x, way.bytes() as f64 / 1024.0);
            series.insert("KiB of segments".into(), done.ways().iter().map(bytes).collect());
        }
        chart(file, title, x, "ns, KiB", series)?;
    }
    Ok(())
}

/// Collects the series of a work, with a case for each size.
fn by_case(all: &[Done], sizes: &[usize], work: &str, figure: impl Fn(&Measured) -> f64) -> Series {
    let mut series = Series::new();
    for bytes in sizes {
        let id = format!("{work}-{}", size(*bytes));
        for way in all.iter().filter(|done| done.case.id == id).flat_map(Done::ways) {
            series.entry(way.name.clone()).or_default().push((*bytes as f64, figure(way)));
        }
    }
    series
}

/// Collects the series of one case. The name of a way has a comma between its series and its position in the
/// chart.
fn by_entry(all: &[Done], id: &str, figure: impl Fn(&Measured) -> f64) -> Series {
    let mut series = Series::new();
    for way in all.iter().filter(|done| done.case.id == id).flat_map(Done::ways) {
        let name = way.name.split(',').next().unwrap_or_default();
        series.entry(name.into()).or_default().push((way.x, figure(way)));
    }
    series
}

const COLOURS: [RGBColor; 11] = [
    RGBColor(120, 120, 120),
    RGBColor(0, 90, 181),
    RGBColor(220, 50, 32),
    RGBColor(26, 133, 50),
    RGBColor(212, 139, 0),
    RGBColor(137, 59, 188),
    RGBColor(0, 150, 160),
    RGBColor(200, 70, 150),
    RGBColor(110, 80, 40),
    RGBColor(90, 150, 230),
    RGBColor(30, 30, 30),
];

fn draw(path: &Path, title: &str, x: &str, y: &str, series: &Series) -> Result<()> {
    let points = || series.values().flatten().filter(|(x, y)| x.is_finite() && y.is_finite() && *y > 0.0);
    if points().count() < 2 {
        return Ok(());
    }
    let span = |values: &mut dyn Iterator<Item = f64>| {
        values.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)))
    };
    let (left, right) = span(&mut points().map(|point| point.0));
    let (low, high) = span(&mut points().map(|point| point.1));
    let root = SVGBackend::new(path, (760, 420)).into_drawing_area();
    let mut chart = ChartBuilder::on(&root)
        .caption(title, ("sans-serif", 16))
        .margin(8)
        .margin_right(170)
        .x_label_area_size(40)
        .y_label_area_size(70)
        .build_cartesian_2d(
            (left.max(0.5) * 0.8..right * 1.25).log_scale(),
            (low * 0.7..high * 1.4).log_scale(),
        )?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc(x)
        .y_desc(y)
        .x_label_formatter(&|value| short(*value))
        .y_label_formatter(&|value| short(*value))
        .draw()?;
    let mut ends = Vec::new();
    for ((name, points), colour) in series.iter().zip(COLOURS.iter().cycle()) {
        let points: Vec<_> = points.iter().copied().filter(|(_, y)| *y > 0.0).collect();
        let Some(&last) = points.last() else { continue };
        let width = if name == "shmcomm" { 3 } else { 1 };
        chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(width)))?;
        chart.draw_series(points.iter().map(|point| Circle::new(*point, 3, colour.filled())))?;
        ends.push((chart.backend_coord(&last), name, *colour));
    }
    // Names stand beside the last points, from the top down, without overlap.
    ends.sort_by_key(|((_, y), ..)| *y);
    let mut free = 0;
    for ((_, y), name, colour) in ends {
        let y = (y - 6).max(free);
        free = y + 14;
        root.draw(&Text::new(name.as_str(), (600, y), ("sans-serif", 12).into_font().color(&colour)))?;
    }
    root.present()?;
    Ok(())
}

/// Returns a number in few characters.
fn short(value: f64) -> String {
    match value {
        v if v >= 1e9 => format!("{:.0}G", v / 1e9),
        v if v >= 1e6 => format!("{:.0}M", v / 1e6),
        v if v >= 1e3 => format!("{:.0}k", v / 1e3),
        v if v >= 1.0 => format!("{v:.0}"),
        v => format!("{v:.2}"),
    }
}

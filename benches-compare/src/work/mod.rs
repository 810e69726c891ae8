//! Workloads: each is a list of cases. Owns what is sent and how; calls the ends in `peer`; never prints.

pub mod alone;
pub mod call;
pub mod deliver;
pub mod fanout;
pub mod growth;
pub mod latency;
pub mod load;
pub mod memory;
pub mod python;
pub mod queue;
pub mod scale;
pub mod spread;
pub mod stream;
pub mod table;
pub mod throughput;

use crate::case::Case;

/// A work with its name.
type Work = (&'static str, fn() -> Vec<Case>);

/// The works, in the order in which they run.
pub const WORKS: &[Work] = &[
    ("latency", latency::busy),
    ("asleep", latency::asleep),
    ("touched", latency::touched),
    ("throughput", throughput::lossless),
    ("lossy", throughput::lossy),
    ("queue", queue::cases),
    ("call", call::cases),
    ("stream", stream::cases),
    ("fanout", fanout::cases),
    ("spread", spread::cases),
    ("alone", alone::cases),
    ("deliver", deliver::last),
    ("wake", deliver::wake),
    ("load", load::cases),
    ("memory", memory::cases),
    ("scale", scale::cases),
    ("table", table::cases),
    ("growth", growth::cases),
    ("python", python::cases),
];

/// Returns all cases that this build can run.
pub fn all() -> Vec<Case> {
    WORKS.iter().flat_map(|(_, cases)| cases()).collect()
}

pub fn find(id: &str) -> Option<Case> {
    let work = id.split('-').next()?;
    let (_, cases) = WORKS.iter().find(|(name, _)| *name == work)?;
    cases().into_iter().find(|case| case.id == id)
}

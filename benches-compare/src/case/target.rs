//! Bounds: the required figure of a way, absolute or relative to another way.

/// Required figure of one way.
pub struct Target {
    pub way: String,
    pub limit: Limit,
    pub beside: String,
}

/// Kind of a bound.
#[derive(Clone, Copy)]
pub enum Limit {
    /// Maximum ratio of the times.
    AtMost(f64),
    /// Maximum ratio of the times at a percentile of all messages.
    AtMostAt(f64, f64),
    /// Minimum ratio of the throughputs.
    AtLeast(f64),
    /// Minimum ratio of the throughputs, or minimum throughput in millions per second.
    AtLeastOr(f64, f64),
    /// Maximum of the figure itself: bound, unit in the figure's own unit, and name of the unit.
    Figure(f64, f64, &'static str),
}

impl Target {
    fn new(way: &str, limit: Limit, beside: &str) -> Self {
        Target { way: way.into(), limit, beside: beside.into() }
    }

    /// Requires that `way` takes at most `factor` times as long as `beside`.
    pub fn at_most(way: &str, factor: f64, beside: &str) -> Self {
        Self::new(way, Limit::AtMost(factor), beside)
    }

    /// Requires that at `quantile` `way` takes at most `factor` times as long as `beside`.
    pub fn at_most_at(quantile: f64, way: &str, factor: f64, beside: &str) -> Self {
        Self::new(way, Limit::AtMostAt(quantile, factor), beside)
    }

    /// Requires that `way` has at least `factor` times the throughput of `beside`.
    pub fn at_least(way: &str, factor: f64, beside: &str) -> Self {
        Self::new(way, Limit::AtLeast(factor), beside)
    }

    /// Requires at least `factor` times the throughput of `beside`, or `millions` of messages per second.
    pub fn at_least_or(way: &str, factor: f64, beside: &str, millions: f64) -> Self {
        Self::new(way, Limit::AtLeastOr(factor, millions), beside)
    }

    /// Requires that the figure of `way`, in `name`s of `unit` each, is at most `bound`.
    pub fn figure(way: &str, bound: f64, unit: f64, name: &'static str) -> Self {
        Self::new(way, Limit::Figure(bound, unit, name), "")
    }
}

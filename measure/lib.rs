//! Programs that measure: the examples `latency`, `fairness` and `observer`.

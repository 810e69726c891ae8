//! Programs that measure: the examples `latency`, `fairness`, `instructions` and `observer`.

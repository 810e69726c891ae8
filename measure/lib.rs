//! Programs that measure: the examples `latency`, `fairness`, `instructions`, `observer` and `writers`.

//! A program that measures with an async runtime: the example `wakeup`.

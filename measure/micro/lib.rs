//! Benchmarks of instructions in one thread: `codec`, `pubsub` and `table`.

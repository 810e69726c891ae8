//! Benchmarks of instructions in one thread: `codec` and `pubsub`.

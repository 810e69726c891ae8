//! A program with an async runtime: the example `tokio-service`.

//! Types of other crates in messages: see the tests.

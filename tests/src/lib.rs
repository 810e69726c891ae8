//! What the tests of this package share. Each test is a file in `tests/`.

pub mod python;

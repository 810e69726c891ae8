//! Nothing: this package holds the tests of compile errors.

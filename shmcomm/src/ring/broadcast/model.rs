//! The broadcast ring under the model checker.

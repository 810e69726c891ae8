//! The options that every command has.
//!
//! Owns their names and texts. Calls `units` to read times. Never decides what a command does with them.

use crate::units;
use clap::Args;
use std::time::Duration;

/// Options that every command has.
#[derive(Args, Debug, Default)]
pub struct Common {
    /// Prints JSON Lines: one object per line
    #[arg(long, global = true, help_heading = "Common options")]
    pub json: bool,
    /// Ends after this number of messages, reports or lines
    #[arg(short = 'n', long = "count", global = true, value_name = "N", help_heading = "Common options",
          value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// Ends after this time: `10s`, `500ms`, `2min`
    #[arg(long, global = true, value_name = "TIME", help_heading = "Common options",
          value_parser = units::parse_duration)]
    pub duration: Option<Duration>,
    /// Puts a namespace before the names of channels, as SHMCOMM_NAMESPACE does
    #[arg(
        long,
        global = true,
        value_name = "NS",
        env = "SHMCOMM_NAMESPACE",
        hide_env_values = true,
        help_heading = "Common options"
    )]
    pub namespace: Option<String>,
}

impl Common {
    /// Returns the namespace if there is one.
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref().filter(|namespace| !namespace.is_empty())
    }
}

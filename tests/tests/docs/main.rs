//! Pages, package metadata and prose: they are true, and they follow the rules.

mod declarations;
mod fingerprint;
mod format;
mod getting_started;
mod packaging;
mod page;
mod pages;
mod prose;
mod reliability;
mod troubleshooting;

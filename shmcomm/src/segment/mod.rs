//! Segments: the operating system's objects that hold a channel's region.

mod spec;

pub(crate) use spec::Spec;

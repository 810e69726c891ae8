//! Segments: listed, cleaned and removed.
//!
//! Owns the conversion of their descriptions. Calls the library without the GIL.

use crate::error::set_up;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use shmcomm::SegmentInfo;
use std::time::UNIX_EPOCH;

/// Returns the segments of a namespace as dictionaries; `None` and the empty namespace stand for all.
#[pyfunction]
#[pyo3(signature = (namespace = None))]
pub fn list_segments<'py>(py: Python<'py>, namespace: Option<&str>) -> PyResult<Bound<'py, PyList>> {
    let found = py.detach(|| match namespace {
        Some(namespace) => shmcomm::list_segments_in(namespace),
        None => shmcomm::list_segments(),
    });
    let list = PyList::empty(py);
    for segment in found.map_err(|error| set_up(py, &error))? {
        list.append(described(py, &segment)?)?;
    }
    Ok(list)
}

/// Removes the segments that no process uses. Returns the removed ones, and pairs of a spared one and the reason.
#[pyfunction]
#[pyo3(signature = (namespace = ""))]
pub fn clean<'py>(py: Python<'py>, namespace: &str) -> PyResult<(Bound<'py, PyList>, Bound<'py, PyList>)> {
    let done = py.detach(|| shmcomm::remove_stale(namespace)).map_err(|error| set_up(py, &error))?;
    let (removed, spared) = (PyList::empty(py), PyList::empty(py));
    for segment in &done.removed {
        removed.append(described(py, segment)?)?;
    }
    for one in &done.spared {
        spared.append((described(py, &one.segment)?, one.reason.to_string()))?;
    }
    Ok((removed, spared))
}

/// Removes a channel by force. Returns `False` if there is none.
#[pyfunction]
pub fn force_unlink(py: Python<'_>, channel: &str) -> PyResult<bool> {
    py.detach(|| shmcomm::force_unlink(channel)).map_err(|error| set_up(py, &error))
}

fn described<'py>(py: Python<'py>, segment: &SegmentInfo) -> PyResult<Bound<'py, PyDict>> {
    let facts = PyDict::new(py);
    facts.set_item("channel", &segment.channel)?;
    facts.set_item("version", segment.version)?;
    facts.set_item("path", segment.path.to_string_lossy())?;
    facts.set_item("group", segment.group.as_deref())?;
    facts.set_item("size", segment.size)?;
    facts.set_item("problem", segment.problem.as_deref())?;
    facts.set_item("stale", segment.stale)?;
    facts.set_item("pattern", segment.pattern)?;
    facts.set_item("codec", segment.codec)?;
    facts.set_item("slots", segment.slots)?;
    facts.set_item("slot_size", segment.slot_size)?;
    facts.set_item("grow", segment.grow)?;
    facts.set_item("growths", segment.growths)?;
    facts.set_item("seats", segment.seats)?;
    facts.set_item("fingerprint", segment.fingerprint)?;
    facts.set_item("schema", &segment.schema)?;
    let created = segment.created.duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64());
    facts.set_item("created", created)?;
    facts.set_item("messages", segment.messages)?;
    facts.set_item("bytes", segment.bytes)?;
    facts.set_item("holes", segment.holes)?;
    facts.set_item("publishers", segment.publishers)?;
    facts.set_item("waits", segment.waits)?;
    facts.set_item("queued_work", segment.queued_work())?;
    let participants = PyList::empty(py);
    for participant in &segment.participants {
        let one = PyDict::new(py);
        one.set_item("process", participant.pid)?;
        one.set_item("name", &participant.process)?;
        one.set_item("role", format!("{:?}", participant.role).to_lowercase())?;
        one.set_item("alive", participant.alive)?;
        participants.append(one)?;
    }
    facts.set_item("participants", participants)?;
    Ok(facts)
}

//! Layouts of messages: what a segment states, what a program declares, and the way from one to the other.
//!
//! Owns the forms of a schema in Python: `msgpack`, `pickle`, or the JSON array of the layouts, which is empty for bytes.
//! Calls the layouts of the library. Never opens an end.

use super::Settings;
use crate::error::{exception, set_up};
use crate::held::invalid;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use shmcomm::schema::{Layout, Plan};
use shmcomm::{Content, Declaration, ValueError};

/// Returns the facts that the segment of a channel states, or `None` if there is no such channel.
#[pyfunction]
pub fn describe<'py>(py: Python<'py>, channel: &str) -> PyResult<Option<Bound<'py, PyDict>>> {
    let Some(found) = py.detach(|| shmcomm::describe(channel)).map_err(|error| set_up(py, &error))? else {
        return Ok(None);
    };
    let facts = PyDict::new(py);
    facts.set_item("channel", &found.name)?;
    facts.set_item("version", if found.wire == shmcomm::Wire::Native { 2 } else { 1 })?;
    facts.set_item("pattern", found.pattern.name())?;
    facts.set_item("codec", found.codec.map(|codec| codec.name()))?;
    facts.set_item("slots", found.slots)?;
    facts.set_item("slot_size", found.slot_size)?;
    facts.set_item("fingerprint", found.fingerprint)?;
    facts.set_item("schema", &found.schema)?;
    Ok(Some(facts))
}

/// Checks a schema, and returns the fingerprint of each layout.
#[pyfunction]
pub fn fingerprints(py: Python<'_>, schema: &str) -> PyResult<Vec<u64>> {
    Ok(layouts(py, schema)?.iter().map(Layout::fingerprint).collect())
}

fn layouts(py: Python<'_>, schema: &str) -> PyResult<Vec<Layout>> {
    Layout::parse(schema).map_err(|error| exception(py, "SchemaError", error))
}

/// Returns the one layout of a text.
pub(super) fn of_json(py: Python<'_>, schema: &str) -> PyResult<Layout> {
    let mut layouts = layouts(py, schema)?;
    match (layouts.pop(), layouts.is_empty()) {
        (Some(layout), true) => Ok(layout),
        _ => Err(exception(py, "SchemaError", "a key of a table has one fixed layout")),
    }
}

/// Returns the JSON array of layouts.
pub(super) fn list(layouts: &[Layout]) -> String {
    format!("[{}]", layouts.iter().map(Layout::to_json).collect::<Vec<_>>().join(","))
}

/// Returns the contents of messages.
pub(super) fn content(py: Python<'_>, schema: &str) -> PyResult<Content> {
    match schema {
        "msgpack" => return Ok(Content::Msgpack),
        "pickle" => return Ok(Content::Pickle),
        _ => {}
    }
    let mut layouts = layouts(py, schema)?.into_iter();
    Ok(match (layouts.next(), layouts.next()) {
        (Some(header), Some(item)) => Content::Tail { header, item },
        (Some(layout), None) => Content::Fixed(layout),
        _ => Content::Bytes,
    })
}

/// Returns the schema of contents: the inverse of [`content`].
pub(super) fn stated(py: Python<'_>, content: Result<Content, ValueError>) -> PyResult<String> {
    Ok(match content.map_err(|error| exception(py, "TypeMismatchError", error))? {
        Content::Fixed(layout) => list(&[layout]),
        Content::Tail { header, item } => list(&[header, item]),
        Content::Msgpack => "msgpack".into(),
        Content::Pickle => "pickle".into(),
        _ => list(&[]),
    })
}

/// Returns the declaration of the channel of a group; `None` if there is no group.
pub(super) fn found(channel: &str, group: Option<&str>) -> Result<Option<Declaration>, shmcomm::Error> {
    let described = group.map(|group| shmcomm::describe_in_group(channel, group)).transpose()?;
    Ok(described.as_ref().map(Declaration::from))
}

pub(super) fn declared(
    mut declaration: Declaration,
    (slots, slot_size, seats): Settings,
    group: Option<String>,
) -> Declaration {
    if let Some(group) = group {
        declaration = declaration.group(group);
    }
    if let Some(slots) = slots {
        declaration = declaration.slots(slots);
    }
    if let Some(slot_size) = slot_size {
        declaration = declaration.slot_size(slot_size);
    }
    if let Some(seats) = seats {
        declaration = declaration.seats(seats);
    }
    declaration
}

/// Bytes from which on a conversion releases the GIL.
const LONG: usize = 16384;

/// Conversion of messages of a segment to another layout, by the rules of evolution.
#[pyclass(frozen, module = "shmcomm._native")]
pub struct NativePlan {
    plan: Plan,
}

#[pymethods]
impl NativePlan {
    /// Resolves the layout of a writer against that of a reader.
    #[new]
    fn new(py: Python<'_>, writer: &str, reader: &str) -> PyResult<Self> {
        let (writer, reader) = (layouts(py, writer)?, layouts(py, reader)?);
        let ([writer], [reader]) = (writer.as_slice(), reader.as_slice()) else {
            return Err(exception(
                py,
                "SchemaError",
                "a plan is for one layout of the writer and one of the reader",
            ));
        };
        let plan =
            Plan::between(writer, reader).map_err(|error| exception(py, "TypeMismatchError", error))?;
        Ok(NativePlan { plan })
    }

    /// `True` if the first bytes of the writer's message are a message of the reader.
    #[getter]
    fn in_place(&self) -> bool {
        self.plan.is_in_place()
    }

    /// The fields that are not the same, in lists: `ignored` and `widened`.
    #[getter]
    fn resolution<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let lists = PyDict::new(py);
        let found = self.plan.resolution();
        lists.set_item("ignored", &found.ignored)?;
        lists.set_item("widened", &found.widened)?;
        Ok(lists)
    }

    /// Converts the messages of which `payload` consists.
    fn convert<'py>(&self, py: Python<'py>, payload: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let (from, to) = (self.plan.writer().size().max(1), self.plan.reader().size());
        let converted = || {
            let mut out = Vec::with_capacity(payload.len().div_ceil(from) * to);
            for (index, message) in payload.chunks(from).enumerate() {
                out.extend(self.plan.convert(message).map_err(|error| (index, error))?);
            }
            Ok(out)
        };
        // `bytes` do not change, so other threads may run during a long conversion.
        let result = if payload.len() < LONG { converted() } else { py.detach(converted) };
        let several = payload.len() > from;
        match result {
            Ok(out) => Ok(PyBytes::new(py, &out)),
            Err((index, error)) if several => Err(invalid(py, format!("item {index}: {error}"))),
            Err((_, error)) => Err(invalid(py, error)),
        }
    }
}

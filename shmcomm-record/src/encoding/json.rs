//! Converts the messages of codecs to JSON and back.
//!
//! Owns the form: the object that the message is. A message that is no object, or whose only part is `value`, is
//! put into an object `{"value": …}`, because viewers expect objects. Bytes are lists of numbers. Calls the codecs
//! of `shmcomm`.

use super::Form;
use shmcomm::codec;
use shmcomm::schema::Value;

/// JSON schema of a message: an object.
pub(super) const SCHEMA: &str = r#"{"type":"object"}"#;
const WRAP: &str = "value";

/// Appends a message as JSON.
pub(super) fn write(form: &Form, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    let value = match form {
        Form::Msgpack => msgpack(bytes)?,
        Form::Pickle => pickle(bytes)?,
        _ => python(bytes),
    };
    let plain = |parts: &[(String, Value)]| !matches!(parts, [(name, _)] if name == WRAP);
    let value = if value.as_map().is_some_and(plain) { value } else { Value::from_iter([(WRAP, value)]) };
    serde_json::to_writer(out, &value).map_err(|error| error.to_string())
}

/// Returns the message that the JSON describes, in the format of the channel.
pub(super) fn read(form: &Form, json: &[u8]) -> Result<Vec<u8>, String> {
    let value: Value = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    let value = match value.as_map() {
        Some([(name, inner)]) if name == WRAP => inner.clone(),
        _ => value,
    };
    let coded = codec::Value::from(&value);
    let encoded = match form {
        Form::Msgpack => codec::msgpack::to_vec(&coded),
        _ => codec::pickle::to_vec(&coded),
    };
    encoded.map_err(|error| error.to_string())
}

fn msgpack(bytes: &[u8]) -> Result<Value, String> {
    let value: codec::Value = codec::msgpack::from_slice(bytes).map_err(|error| error.to_string())?;
    Ok(Value::from(&value))
}

fn pickle(bytes: &[u8]) -> Result<Value, String> {
    let options = codec::pickle::DecodeOptions::new().opaque(true);
    let value: codec::Value = options.decode(bytes).map_err(|error| error.to_string())?;
    Ok(Value::from(&value))
}

/// Reads a message whose segment does not say its format, as the library does: a pickle starts with its protocol
/// and ends with a period.
fn python(bytes: &[u8]) -> Value {
    let value = match bytes {
        [0x80, 2..=5, .., b'.'] => pickle(bytes),
        [_, _, ..] => msgpack(bytes),
        _ => return Value::from(bytes),
    };
    value.unwrap_or_else(|_| Value::from(bytes))
}

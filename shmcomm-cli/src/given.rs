//! Messages that users give: as an argument, or line by line on standard input.
//!
//! Owns the JSON, also in the form that `echo --json` prints. Calls nothing. Never sends.

use crate::failure::Failure;
use crate::pace::Pace;
use serde_json::Value as Json;
use shmcomm::schema::Value;
use std::io::BufRead as _;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

/// Lines that are read ahead of the channel.
const AHEAD: usize = 64;
/// Longest wait for a line before the end of the command is checked.
const SLICE: Duration = Duration::from_millis(100);

/// A message from a user.
#[derive(Debug, PartialEq)]
pub struct Given {
    pub content: Content,
    /// Channel that the message was printed from, if `echo --json` printed it.
    pub source: Option<String>,
}

/// Content of a message from a user.
#[derive(Debug, PartialEq)]
pub enum Content {
    Value(Value),
    /// Bytes that `echo --hex --json` printed.
    Bytes(Vec<u8>),
}

impl Given {
    /// Parses a text. `place` names it in errors.
    pub fn parse(text: &str, place: &str) -> Result<Self, Failure> {
        let json: Json = serde_json::from_str(text).map_err(|error| {
            Failure::Usage(format!("{place} is no JSON: {error}; write texts in double quotes"))
        })?;
        let printed = json.get("position").is_some() && json.get("channel").is_some_and(Json::is_string);
        let Some(object) = json.as_object().filter(|_| printed) else {
            return Ok(Given { content: Content::Value(Value::from(&json)), source: None });
        };
        let source = object["channel"].as_str().map(str::to_owned);
        let content = match (object.get("message"), object.get("hex").and_then(Json::as_str)) {
            (Some(message), _) => Content::Value(Value::from(message)),
            (None, Some(hex)) => Content::Bytes(bytes(hex).ok_or_else(|| {
                Failure::Usage(format!(
                    "{place} has a `hex` that is no hexadecimal number with two digits per byte"
                ))
            })?),
            // An object with these two names may be a message too.
            (None, None) if object.get("fields").is_none() => Content::Value(Value::from(&json)),
            (None, None) => {
                return Err(Failure::Usage(format!(
                    "{place} has some fields of a message only, as `echo --field` prints them; print it without --field"
                )));
            }
        };
        Ok(Given { content, source })
    }
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    if !hex.is_ascii() || !hex.len().is_multiple_of(2) {
        return None;
    }
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).ok()).collect()
}

/// Messages of a command, one after the other.
pub enum Source {
    /// An argument, which may be repeated.
    Argument(String),
    /// Lines of standard input, which another thread reads.
    Input { lines: Receiver<std::io::Result<String>>, number: u64 },
}

impl Source {
    /// Returns the source of an argument, or of standard input.
    pub fn new(argument: Option<&str>) -> Self {
        if let Some(text) = argument {
            return Source::Argument(text.to_owned());
        }
        let (sender, lines) = sync_channel(AHEAD);
        // It ends with the input, or with the process.
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines() {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Source::Input { lines, number: 0 }
    }

    /// Returns the next message. `None` if there is no other one, or the time is over.
    pub fn next(&mut self, pace: &Pace) -> Result<Option<Given>, Failure> {
        match self {
            Source::Argument(text) => Given::parse(text, "the message").map(Some),
            Source::Input { lines, number } => loop {
                if pace.is_over() {
                    return Ok(None);
                }
                match lines.recv_timeout(pace.at_most(SLICE)) {
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return Ok(None),
                    Ok(line) => {
                        let line =
                            line.map_err(|error| Failure::Failed(format!("cannot read the input: {error}")))?;
                        *number += 1;
                        if !line.trim().is_empty() {
                            return Given::parse(&line, &format!("line {number}")).map(Some);
                        }
                    }
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_objects_are_opened() {
        let given =
            Given::parse(r#"{"channel":"a","position":3,"observed":1.5,"message":{"x":1}}"#, "it").unwrap();
        let value = Value::from_iter([("x", Value::from(1))]);
        assert_eq!(given, Given { content: Content::Value(value.clone()), source: Some("a".into()) });
        let given = Given::parse(r#"{"x":1}"#, "it").unwrap();
        assert_eq!(given, Given { content: Content::Value(value), source: None });
        let given = Given::parse(r#"{"channel":"a","position":3,"hex":"00ff"}"#, "it").unwrap();
        assert_eq!(given.content, Content::Bytes(vec![0, 255]));
    }

    #[test]
    fn wrong_texts_are_explained() {
        for (text, word) in [
            ("{x: 1}", "is no JSON"),
            ("", "is no JSON"),
            (r#"{"channel":"a","position":3,"hex":"0"}"#, "two digits"),
            (r#"{"channel":"a","position":3,"hex":"zz"}"#, "two digits"),
            (r#"{"channel":"a","position":3,"fields":{}}"#, "some fields"),
        ] {
            let error = Given::parse(text, "line 7").unwrap_err();
            assert!(error.to_string().starts_with("line 7") && error.to_string().contains(word), "{error}");
            assert_eq!(error.code(), 2);
        }
    }
}

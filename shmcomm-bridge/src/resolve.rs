//! [`Ways`]: how messages cross between a channel of this host and the same channel of another host, if their layouts
//! differ.
//!
//! Owns the plans of both directions, made by the library's rules of evolution. For publish/subscribe there are none: the
//! importing host takes the layout of the exporting one, and its subscribers resolve it. Never touches a segment.

use crate::wire::Facts;
use shmcomm::schema::{Layout, Plan};
use shmcomm::{Declaration, Description, Pattern, describe};
use std::borrow::Cow;

/// Conversions of messages, and the declaration of the local end.
#[derive(Debug)]
pub struct Ways {
    /// Declaration of the channel on this host: as it exists, or as the other host has it.
    pub declaration: Declaration,
    /// Conversion of jobs and replies, which come in.
    incoming: Option<Plan>,
    /// Conversion of requests, which go out.
    outgoing: Option<Plan>,
}

impl Ways {
    /// Finds the ways for a channel that may exist on this host. An error is the reason why there are none.
    pub fn of(facts: &Facts, full: &str, most: u64) -> Result<Ways, String> {
        let there = facts.declaration(most)?;
        let Some(here) = describe(full).map_err(|error| error.to_string())? else {
            return Ok(Ways { declaration: there, incoming: None, outgoing: None });
        };
        if Some(here.pattern) != facts.pattern() || here.codec != facts.codec() {
            return Err(
                "this host has a channel of that name with another pattern or format; rename one of them"
                    .into(),
            );
        }
        let (incoming, outgoing) = match here.pattern {
            Pattern::PushPull => (plan(part(facts, 0).as_ref(), here.message(), "message")?, None),
            _ => {
                let reply = plan(part(facts, 1).as_ref(), here.reply(), "reply")?;
                (reply, plan(here.request(), part(facts, 0).as_ref(), "request")?)
            }
        };
        Ok(Ways { declaration: exact(&here), incoming, outgoing })
    }

    /// Converts a job or a reply that comes in.
    pub fn incoming<'b>(&self, bytes: Cow<'b, [u8]>) -> Result<Cow<'b, [u8]>, String> {
        converted(self.incoming.as_ref(), bytes)
    }

    /// Converts a request that goes out.
    pub fn outgoing(&self, bytes: Vec<u8>) -> Result<Vec<u8>, String> {
        converted(self.outgoing.as_ref(), bytes.into()).map(Cow::into_owned)
    }
}

/// Returns the declaration of a channel that exists.
fn exact(here: &Description) -> Declaration {
    Declaration::from(here)
}

fn part(facts: &Facts, index: usize) -> Option<Layout> {
    Layout::parse(&facts.schema).ok()?.into_iter().nth(index)
}

/// Returns the plan between two layouts, or `None` if they are equal or a codec defines the messages.
fn plan(writer: Option<&Layout>, reader: Option<&Layout>, what: &str) -> Result<Option<Plan>, String> {
    match (writer, reader) {
        (Some(writer), Some(reader)) => {
            // Two codecs of one value are an error of the plan, and not of the fingerprints.
            let plan = Plan::between(writer, reader)
                .map_err(|error| format!("the {what} has another layout on the other host: {error}"))?;
            Ok(Some(plan).filter(|_| writer.fingerprint() != reader.fingerprint()))
        }
        _ => Ok(None),
    }
}

fn converted<'b>(plan: Option<&Plan>, bytes: Cow<'b, [u8]>) -> Result<Cow<'b, [u8]>, String> {
    match plan {
        None => Ok(bytes),
        Some(plan) => plan.convert(&bytes).map(Cow::Owned).map_err(|error| error.to_string()),
    }
}

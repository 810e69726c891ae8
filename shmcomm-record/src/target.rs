//! [`Target`]: the channel that a recorded channel is replayed on.
//!
//! Owns the decision to create, join or replace the channel, and the conversion to the layout that the channel has.
//! Calls the dynamic publisher of `shmcomm`. Never replaces a live publisher unless that is forced.

use crate::PlayError;
use crate::encoding::Form;
use crate::facts::ChannelFacts;
use shmcomm::schema::{Layout, Plan};
use shmcomm::{Description, DynError, DynPublisher, Pattern, Role, Wire, describe, force_unlink};
use std::time::Duration;

/// Conversion from recorded messages to those of the channel.
enum Conversion {
    None,
    Fixed(Box<Plan>),
    Tail(Box<(Plan, Plan)>),
}

/// A channel that messages are replayed on.
pub(crate) struct Target {
    pub(crate) name: String,
    publisher: DynPublisher,
    conversion: Conversion,
}

impl Target {
    /// Opens the channel `name` for recorded messages.
    pub(crate) fn open(name: &str, facts: &ChannelFacts, force: bool) -> Result<Self, PlayError> {
        let found = describe(name)?;
        if let Some(found) = &found {
            let live = found.participants.iter().find(|one| one.alive && one.role == Role::Publisher);
            match live {
                Some(live) if !force => {
                    let publisher = format!("{}, process {}", live.process, live.pid);
                    return Err(PlayError::LivePublisher { channel: name.to_owned(), publisher });
                }
                Some(_) => {
                    force_unlink(name)?;
                }
                None => {}
            }
            if !force && let Some(conversion) = conversion(name, facts, found)? {
                let publisher = DynPublisher::open(name).map_err(|error| refused(name, error))?;
                return Ok(Target { name: name.to_owned(), publisher, conversion });
            }
        }
        let publisher =
            DynPublisher::create(name, &facts.declaration()).map_err(|error| refused(name, error))?;
        Ok(Target { name: name.to_owned(), publisher, conversion: Conversion::None })
    }

    /// Sends the bytes of a recorded message, waiting for at most `timeout` for subscribers. Returns `false` if the
    /// time is over.
    pub(crate) fn send(&mut self, bytes: &[u8], timeout: Duration) -> Result<bool, PlayError> {
        let invalid = |invalid: shmcomm::schema::Invalid| DynError::Other(invalid.into());
        let converted = match &self.conversion {
            Conversion::None => Ok(None),
            Conversion::Fixed(plan) => plan.convert(bytes).map(Some).map_err(invalid),
            Conversion::Tail(plans) => tail(&plans.0, &plans.1, bytes).map(Some).map_err(invalid),
        };
        let sent = converted.and_then(|converted| {
            self.publisher.send_bytes_timeout(converted.as_deref().unwrap_or(bytes), timeout)
        });
        match sent {
            Ok(()) => Ok(true),
            Err(DynError::Timeout | DynError::Full) => Ok(false),
            Err(source) => Err(PlayError::Send { channel: self.name.clone(), source }),
        }
    }

    /// Returns the number of subscribers that are alive.
    pub(crate) fn subscribers(&self) -> usize {
        self.publisher.subscribers()
    }
}

fn refused(name: &str, error: shmcomm::Error) -> PlayError {
    match error.kind() {
        shmcomm::ErrorKind::AlreadyPublished => PlayError::LivePublisher {
            channel: name.to_owned(),
            publisher: "another process, or this one".to_owned(),
        },
        _ => error.into(),
    }
}

/// Returns how recorded messages become messages of an existing channel. `None` if the channel is equal.
fn conversion(
    name: &str,
    facts: &ChannelFacts,
    found: &Description,
) -> Result<Option<Conversion>, PlayError> {
    let differs = |why: String| PlayError::TypeMismatch { channel: name.to_owned(), why };
    if found.pattern != Pattern::PubSub {
        return Err(differs("it is no publish/subscribe channel".to_owned()));
    }
    let form = Form::of(found).map_err(|error| differs(error.to_string()))?;
    let plan = |recorded: &Layout, there: &Layout| {
        Plan::between(recorded, there).map_err(|error| differs(error.to_string()))
    };
    match (&facts.form, &form) {
        (Form::Fixed(recorded), Form::Fixed(there)) if recorded != there => {
            Ok(Some(Conversion::Fixed(Box::new(plan(recorded, there)?))))
        }
        (Form::Tail { header, item }, Form::Tail { header: there, item: items }) if facts.form != form => {
            Ok(Some(Conversion::Tail(Box::new((plan(header, there)?, plan(item, items)?)))))
        }
        (recorded, there)
            if recorded == there && (facts.wire == Wire::Python) == (*there == Form::Python) =>
        {
            Ok(None)
        }
        _ => Err(differs("the recorded messages have another format".to_owned())),
    }
}

fn tail(header: &Plan, item: &Plan, bytes: &[u8]) -> Result<Vec<u8>, shmcomm::schema::Invalid> {
    let size = header.writer().size();
    let mut out = header.convert(bytes.get(..size).unwrap_or(bytes))?;
    let at = size.next_multiple_of(item.writer().align());
    out.resize(out.len().next_multiple_of(item.reader().align()), 0);
    for one in bytes.get(at..).unwrap_or(&[]).chunks_exact(item.writer().size().max(1)) {
        out.extend(item.convert(one)?);
    }
    Ok(out)
}

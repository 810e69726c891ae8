//! [`Target`]: the channel that a recorded channel is replayed on.
//!
//! Owns the decision to create, join or replace the channel, also if the recorded channel changes, and the conversion to
//! the layout that the channel has. Calls the dynamic publisher of `shmcomm`. Never replaces a live publisher unless that
//! is forced.

use crate::PlayError;
use crate::encoding::Form;
use crate::facts::ChannelFacts;
use crate::reader::RecordedChannel;
use shmcomm::schema::{Layout, Plan};
use shmcomm::{Description, DynError, DynPublisher, Pattern, Role, Wire, describe, force_unlink};
use std::sync::Arc;
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
    /// The publisher; `None` after an error.
    publisher: Option<DynPublisher>,
    conversion: Conversion,
    /// The recorded channel whose messages are sent now.
    recorded: Arc<RecordedChannel>,
    /// `true` if this replay made the channel, so that it has the recorded layout and settings.
    created: bool,
}

impl Target {
    /// Opens the channel `name` for recorded messages.
    pub(crate) fn open(name: &str, recorded: &Arc<RecordedChannel>, force: bool) -> Result<Self, PlayError> {
        let facts = &recorded.facts;
        let found = describe(name)?;
        let target = |publisher, conversion, created| Target {
            name: name.to_owned(),
            publisher: Some(publisher),
            conversion,
            recorded: recorded.clone(),
            created,
        };
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
                return Ok(target(publisher, conversion, false));
            }
        }
        // A channel that exists keeps its layout, also if the recorded one changes later.
        let created = force || found.is_none();
        Ok(target(create(name, facts)?, Conversion::None, created))
    }

    /// Changes the channel if the recorded channel has another layout or other settings than the one before: a channel
    /// with the recorded layout is created again, and messages for another channel are converted.
    pub(crate) fn follow(&mut self, recorded: &Arc<RecordedChannel>) -> Result<(), PlayError> {
        if Arc::ptr_eq(&self.recorded, recorded) {
            return Ok(());
        }
        let (before, facts) = (&self.recorded.facts, &recorded.facts);
        if self.created && !facts.same_channel(before) {
            // The seat of the publisher must be free.
            self.publisher = None;
            self.publisher = Some(create(&self.name, facts)?);
        } else if !self.created && facts.form != before.form {
            let found = describe(&self.name)?;
            let conversion = found.map(|found| conversion(&self.name, facts, &found)).transpose()?;
            self.conversion = conversion.flatten().unwrap_or(Conversion::None);
        }
        self.recorded = recorded.clone();
        Ok(())
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
        let sent = converted.and_then(|converted| match &mut self.publisher {
            Some(publisher) => publisher.send_bytes_timeout(converted.as_deref().unwrap_or(bytes), timeout),
            None => Err(DynError::Disconnected),
        });
        match sent {
            Ok(()) => Ok(true),
            Err(DynError::Timeout | DynError::Full) => Ok(false),
            Err(source) => Err(PlayError::Send { channel: self.name.clone(), source }),
        }
    }

    /// Returns the number of subscribers that are alive.
    pub(crate) fn subscribers(&self) -> usize {
        self.publisher.as_ref().map_or(0, DynPublisher::subscribers)
    }
}

/// Creates the recorded channel.
fn create(name: &str, facts: &ChannelFacts) -> Result<DynPublisher, PlayError> {
    DynPublisher::create(name, &facts.declaration()).map_err(|error| refused(name, error))
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

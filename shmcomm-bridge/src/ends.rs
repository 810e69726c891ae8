//! [`Out`] and [`In`]: exports and imports of all patterns, for the loop of the bridge.
//!
//! Owns the choice by pattern. Calls the modules of the patterns. Never decides whether a channel crosses.

use crate::call::Called;
use crate::config::Rule;
use crate::context::{Context, OwnPublishers};
use crate::drain::Drained;
use crate::export::{Export, Resume};
use crate::feed::Fed;
use crate::import::Import;
use crate::keys::Offer;
use crate::local::Local;
use crate::losses::Losses;
use crate::resolve::Ways;
use crate::serve::Served;
use crate::wire::Facts;
use shmcomm::{DynPublisher, Pattern};

/// An export.
pub enum Out {
    Messages(Export),
    Service(Served),
    Jobs(Drained),
}

impl Out {
    /// Opens an export. An error is the reason why it is refused.
    pub fn open(
        context: &Context<'_>,
        local: &Local,
        rule: &Rule,
        incarnation: u64,
        resume: Option<Resume>,
    ) -> Result<Out, String> {
        match local.pattern() {
            Some(Pattern::PubSub) => {
                Export::open(context, local, rule, incarnation, resume).map(Out::Messages)
            }
            Some(Pattern::ReqRep) => Served::open(context, local, rule, incarnation).map(Out::Service),
            Some(Pattern::PushPull) => Drained::open(context, local, incarnation).map(Out::Jobs),
            _ => Err(format!("this bridge does not know the pattern {}", local.info.pattern)),
        }
    }

    /// Returns the number of the segment.
    pub fn segment(&self) -> u64 {
        match self {
            Out::Messages(export) => export.segment,
            Out::Service(served) => served.segment,
            Out::Jobs(drained) => drained.segment,
        }
    }

    /// Returns `true` if the channel on this host has ended.
    pub fn is_finished(&self) -> bool {
        match self {
            Out::Messages(export) => export.is_finished(),
            Out::Service(_) => false,
            Out::Jobs(drained) => drained.is_finished(),
        }
    }

    /// Ends the export, and returns where it ended.
    pub fn close(self) -> Option<Resume> {
        match self {
            Out::Messages(export) => return Some(export.close()),
            Out::Service(served) => served.close(),
            Out::Jobs(drained) => drained.close(),
        }
        None
    }
}

/// An import.
pub enum In {
    Messages(Import),
    Service(Called),
    Jobs(Fed),
}

impl In {
    /// Opens an import. An error is the reason why it is refused.
    pub fn open(
        context: &Context<'_>,
        offer: &Offer,
        facts: &Facts,
        full: &str,
        rule: &Rule,
        (losses, most): (&mut Losses, u64),
    ) -> Result<In, String> {
        match facts.pattern() {
            Some(Pattern::PubSub) => {
                let declaration = facts.declaration(most)?;
                let track = losses.track(&offer.channel, facts.segment)?;
                let publisher =
                    DynPublisher::create(full, &declaration).map_err(|error| error.to_string())?;
                Import::open(context, offer, facts, publisher, track).map(In::Messages)
            }
            Some(Pattern::ReqRep) => {
                let ways = Ways::of(facts, full, most)?;
                Called::open(context, offer, facts, full, ways, rule).map(In::Service)
            }
            Some(Pattern::PushPull) => {
                let ways = Ways::of(facts, full, most)?;
                Fed::open(context, offer, facts, full, ways).map(In::Jobs)
            }
            // Refuses it with the name of the pattern.
            _ => Err(facts.declaration(most).err().unwrap_or_else(|| "its pattern is not known".into())),
        }
    }

    /// Returns `true` if no other process of this host can have this part in the channel: its one publisher, or its
    /// repliers.
    pub fn is_alone(&self) -> bool {
        match self {
            In::Messages(import) => import.is_alone(),
            In::Service(_) => true,
            In::Jobs(_) => false,
        }
    }

    /// Ends the import.
    pub fn close(self, channel: &str, losses: &mut Losses, own: &OwnPublishers) {
        match self {
            In::Messages(import) => import.close(channel, losses, own),
            In::Service(called) => called.close(),
            In::Jobs(fed) => fed.close(),
        }
    }
}

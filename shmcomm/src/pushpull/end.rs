//! [`End`]: what pusher and puller have in common, without the type of the messages.
//!
//! Owns the seat, the place in the ring, and the two waits: for a message, for room.
//! Calls `segment`, `ring` and `wait`. Never interprets a message.

use crate::counts::{self, Counts};
use crate::error::Error;
use crate::layout::{Geometry, Region, control};
use crate::os::Lineage;
use crate::ring::queue::Queue;
use crate::segment::{self, Attachment, Keeper, Role, Spec};
use crate::wait::{self, Await, Deadline, Event, Patience};
use crate::waitset::{Awaited, QueueWatch, Watched};

/// So many calls come between two looks for the dead, where nothing makes an end wait.
const PROBE: u32 = 1024;

const KEEPER: Keeper = Keeper { sweep, spent };

/// The dead one's jobs go back to the queue, and its counts to those of the channel.
fn sweep(region: &Region, geometry: &Geometry, index: u32) {
    Queue::new(*region, geometry, index).reap(index, false);
    counts::bury(region, geometry, index);
}

/// Jobs that nobody has finished keep the segment.
fn spent(region: &Region, geometry: &Geometry) -> bool {
    let backlog = Queue::new(*region, geometry, 0).backlog();
    backlog.ready == 0 && backlog.claimed == 0
}

pub(super) struct End {
    pub(super) attachment: Attachment,
    pub(super) queue: Queue,
    pub(super) counts: Counts,
    pub(super) wake: Wake,
    patience: Patience,
    calls: u32,
}

/// Those who sleep: pullers until there are items, pushers until there is room.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wake {
    pub(super) lineage: Lineage,
    pub(super) items: Event,
    pub(super) room: Event,
}

impl End {
    pub(super) fn open(spec: &Spec, role: Role) -> Result<Self, Error> {
        let attachment = segment::join(spec, role, KEEPER)?;
        let region = attachment.region();
        let queue = Queue::new(region, attachment.geometry(), attachment.seat());
        let wake = Wake {
            lineage: attachment.lineage(),
            items: Event::new(region, control::ITEMS),
            room: Event::new(region, control::ROOM),
        };
        let (counts, patience) = (Counts::default(), Patience::new());
        let end = End { attachment, queue, counts, wake, patience, calls: 0 };
        end.attachment.sweep();
        Ok(end)
    }

    /// For those who wait for it without using it.
    pub(super) fn watch(&self, awaited: Awaited) -> Result<Watched, Error> {
        Ok(Watched::new(QueueWatch::new(self.attachment.witness()?.clone(), awaited)))
    }

    /// Counts a call, and looks every so often for the dead, and for what was put back without a word.
    #[inline]
    pub(super) fn called(&mut self) {
        self.calls = self.calls.wrapping_add(1);
        if self.calls.is_multiple_of(PROBE) {
            self.attachment.sweep();
            self.queue.look_everywhere();
        }
    }

    /// What a wait waits for.
    pub(super) fn waiting(&mut self, what: What) -> Waiting<'_> {
        Waiting { end: self, what }
    }

    /// Waits for a message; false at the deadline.
    pub(super) fn wait_for_items(&mut self, deadline: Deadline) -> bool {
        wait::wait(&mut self.waiting(What::Items), deadline).is_some()
    }

    /// Waits for room; false at the deadline.
    pub(super) fn wait_for_room(&mut self, deadline: Deadline) -> bool {
        wait::wait(&mut self.waiting(What::Room), deadline).is_some()
    }

    /// Waits until all of this pusher's messages are acknowledged; false at the deadline.
    pub(super) fn wait_for_acknowledgement(&mut self, deadline: Deadline) -> bool {
        wait::wait(&mut self.waiting(What::Acknowledgement), deadline).is_some()
    }
}

#[derive(Clone, Copy)]
pub(super) enum What {
    /// A message.
    Items,
    /// Room for one.
    Room,
    /// That this pusher's messages are acknowledged.
    Acknowledgement,
}

pub(super) struct Waiting<'e> {
    end: &'e mut End,
    what: What,
}

impl Await for Waiting<'_> {
    type Output = ();

    fn look(&mut self) -> Option<()> {
        match self.what {
            What::Items => self.end.queue.has_ready(),
            What::Room => self.end.queue.has_room(),
            What::Acknowledgement => self.end.queue.outstanding() == 0,
        }
        .then_some(())
    }

    fn idle(&mut self) -> Option<()> {
        if self.end.attachment.forked() {
            // The caller finds out.
            return Some(());
        }
        self.end.attachment.sweep();
        self.end.queue.look_everywhere();
        self.look()
    }

    fn event(&self) -> Event {
        match self.what {
            What::Items => self.end.wake.items,
            What::Room | What::Acknowledgement => self.end.wake.room,
        }
    }

    fn announce(&mut self) {
        self.end.attachment.announce_sleeper();
    }

    fn patience(&mut self) -> &mut Patience {
        &mut self.end.patience
    }

    fn channel(&self) -> &str {
        self.end.attachment.channel()
    }

    fn forked(&self) -> bool {
        self.end.attachment.forked()
    }
}

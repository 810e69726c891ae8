//! Room: how a publisher that waits gets its next position.
//!
//! Owns the order in which a publisher at its limit looks: at the window, after the dead, at the patience of
//! those who stand still. Calls `ring::window`, `segment` and `wait`. Never touches a slot.
//!
//! ```text
//!   next position at the limit
//!     └─ scan ─ room ─────────────────────────────────────────────────────────→ take it
//!          └─ none ─ spin on whoever holds, until an eighth of the ring is free → scan
//!               └─ before each sleep, 50 ms apart at most, and when somebody's patience ends:
//!                    sweep the dead, cut loose who is out of patience, scan
//! ```
//!
//! A `try_send` that finds no room does once what is done before a sleep, but sweeps at most every
//! [`SWEEP`]: it may be called in a loop.

use super::publisher::Core;
use super::{PUBLISHER_SEAT, SendError};
use crate::layout::control;
use crate::os;
use crate::ring::Writer;
use crate::ring::window::Window;
use crate::segment::Attachment;
use crate::wait::{self, Await, Deadline, Event, Patience};
use std::time::Duration;

/// Time between two looks after the dead; each is a system call a participant.
const SWEEP: Duration = Duration::from_millis(20);

/// What a publisher has that waits for its subscribers.
pub(super) struct Room {
    window: Window,
    event: Event,
    patience: Patience,
    /// When it was last looked after the dead, in nanoseconds of the monotonic clock.
    swept: u64,
    /// When the first patience ends of those who hold the publisher up.
    due: Deadline,
}

impl Room {
    pub(super) fn new(attachment: &Attachment) -> Self {
        debug_assert_eq!(attachment.seat(), PUBLISHER_SEAT);
        let window = Window::new(attachment.region(), attachment.geometry());
        let event = Event::new(attachment.region(), control::ROOM);
        Room { window, event, patience: Patience::new(), swept: 0, due: Deadline::Never }
    }
}

/// A publisher at its limit.
struct Held<'c> {
    attachment: &'c Attachment,
    writer: &'c mut Writer,
    room: &'c mut Room,
}

impl Core {
    /// Whether this is the process that opened the publisher, and nobody has come for whom it would have to
    /// look before it goes on below its limit.
    #[inline(always)]
    pub(super) fn may_go_on(&self) -> bool {
        !self.attachment.forked() && self.room.as_ref().is_none_or(|room| room.window.is_current())
    }

    /// Whether a message can be sent now. With a deadline it waits for that; `false` at the deadline.
    pub(super) fn has_room(&mut self, deadline: Option<Deadline>) -> Result<bool, SendError> {
        if self.attachment.forked() {
            return Err(SendError::Forked);
        }
        match &self.room {
            None => Ok(true),
            Some(room) if self.writer.has_room() && room.window.is_current() => Ok(true),
            Some(_) => self.make_room(deadline),
        }
    }

    /// As [`Core::has_room`], for one that has none, or whose slots are all held in place.
    #[cold]
    pub(super) fn make_room(&mut self, deadline: Option<Deadline>) -> Result<bool, SendError> {
        let Core { attachment, writer, room: Some(room), .. } = self else {
            return Err(SendError::AllSlotsHeld);
        };
        let mut held = Held { attachment, writer, room };
        if held.scan() {
            return Ok(true);
        }
        let Some(deadline) = deadline else {
            held.move_others_along(SWEEP);
            return Ok(held.scan());
        };
        match wait::wait(&mut held, deadline) {
            Some(outcome) => outcome.map(|()| true),
            // There may be less than an eighth of the ring, for which nobody is woken.
            None => Ok(held.scan()),
        }
    }
}

#[cfg(feature = "async")]
impl Core {
    /// Waits in a task until there is room.
    pub(super) async fn room_async(&mut self) -> Result<(), SendError> {
        let Core { attachment, writer, room: Some(room), .. } = self else {
            return Err(SendError::AllSlotsHeld);
        };
        wait::task::ready(&mut Held { attachment, writer, room }).await
    }
}

impl Held<'_> {
    /// Looks how far the subscribers are, and whether there is room now.
    fn scan(&mut self) -> bool {
        self.writer.set_limit(self.room.window.limit(self.writer.next_position()));
        self.writer.has_room() && !self.writer.is_full()
    }

    /// Sweeps the dead, if that was not done within `pause`, and cuts loose who is out of patience.
    fn move_others_along(&mut self, pause: Duration) {
        let now = os::monotonic();
        if now.saturating_sub(self.room.swept) >= pause.as_nanos() as u64 {
            self.room.swept = now;
            self.attachment.sweep_dead();
        }
        let cut = self.room.window.cut(self.writer.next_position(), now);
        self.room.due = match self.room.window.cut_due() {
            Some(due) => Deadline::after(Duration::from_nanos(due.saturating_sub(now))),
            None => Deadline::Never,
        };
        if cut > 0 {
            log::warn!(
                target: "shmcomm",
                "channel `{}`: goes on without {cut} subscribers that have received nothing for all of their \
                 patience",
                self.attachment.channel()
            );
        }
    }
}

impl Await for Held<'_> {
    type Output = Result<(), SendError>;

    fn look(&mut self) -> Option<Self::Output> {
        (self.room.window.has_moved(self.writer.next_position()) && self.scan()).then_some(Ok(()))
    }

    fn idle(&mut self) -> Option<Self::Output> {
        if self.attachment.forked() {
            return Some(Err(SendError::Forked));
        }
        self.move_others_along(Duration::ZERO);
        self.scan().then_some(Ok(()))
    }

    fn due(&self) -> Deadline {
        self.room.due
    }

    fn event(&self) -> Event {
        self.room.event
    }

    fn forked(&self) -> bool {
        self.attachment.forked()
    }

    fn announce(&mut self) {
        self.attachment.announce_sleeper();
    }

    fn patience(&mut self) -> &mut Patience {
        &mut self.room.patience
    }

    fn channel(&self) -> &str {
        self.attachment.channel()
    }
}

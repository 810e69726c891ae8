//! The methods that both kinds of requesters have.
//!
//! Owns [`asking_end`]: what an asking end tells of its channel, and its waits for repliers and for room. Calls
//! `queue_end`, `segment` and `stats`. Never sends a request.

/// Implements the methods of a requester. `$pending` names its pending requests in the documentation.
macro_rules! asking_end {
    ($requester:ident, $pending:literal) => {
        impl<Q: ?Sized, R: ?Sized, F: ?Sized> $requester<Q, R, F> {
            /// Returns the full name of the channel, with its namespace.
            pub fn name(&self) -> &str {
                self.end.attachment.channel()
            }

            /// Returns the counts of the channel, the number of waiting requests, the age of the oldest, and one
            /// entry per participant. A stream of replies counts as one request.
            pub fn stats(&self) -> crate::stats::Stats {
                crate::stats::read_queue(&self.end.attachment, &self.end.state.borrow().queue)
            }

            /// Returns the number of repliers that are alive now.
            pub fn repliers(&self) -> usize {
                self.end.attachment.count_alive(crate::segment::Role::Replier)
            }

            /// Returns what this requester does with the fields of a reply whose layout is not its own: see
            /// `docs/evolution.md`. All lists are empty if the layouts are equal.
            pub fn resolution(&self) -> &crate::schema::Resolution {
                self.end.resolution()
            }

            #[doc = concat!("Returns the handle that stops the blocking calls of this requester and its ", $pending)]
            /// from another thread or from a signal handler.
            ///
            /// If the requester was [opened with](crate::Opener::stop) a handle, this is that handle.
            pub fn stop_handle(&self) -> crate::wait::StopHandle {
                self.end.stop.handle()
            }

            /// Waits until at least `count` repliers are alive, and returns `true` if they are. Checks every 2 ms,
            /// for at most `timeout`; a timeout of zero checks once. Returns `false` also if the requester is
            /// [stopped](crate::StopHandle).
            pub fn wait_for_repliers(&self, count: usize, timeout: std::time::Duration) -> bool {
                let deadline = crate::wait::Deadline::after(timeout);
                loop {
                    if self.repliers() >= count {
                        return true;
                    }
                    if deadline.has_passed() || self.end.stop.is_stopped() {
                        return false;
                    }
                    std::thread::sleep(std::time::Duration::from_millis(2));
                }
            }

            /// Waits until there is room for a request, for at most `timeout`, and returns `true` if there is.
            /// Another requester may take the room first. Returns `false` also if this requester is
            /// [stopped](crate::StopHandle).
            pub fn wait_for_room(&self, timeout: std::time::Duration) -> bool {
                let (room, deadline) =
                    (crate::queue_end::WaitTarget::Room, crate::wait::Deadline::after(timeout));
                !self.end.attachment.forked() && self.end.wait(room, deadline).unwrap_or(false)
            }
        }
    };
}

pub(super) use asking_end;

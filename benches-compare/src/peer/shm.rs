//! shmcomm, used as in its documentation: small messages by value, large messages in place.

use super::{Answerer, Caller, Receiver, Sender, Touch, Wait};
use crate::Result;
use shmcomm::{
    Channel, Overflow, PubSub, PushPull, ReqRep, TryPullError, TryPushError, TryRecvError, TryServeError,
};
use std::hint::spin_loop;

/// Number of words from which messages are written and read in place: more than 512 bytes.
const LARGE: usize = 65;
/// Number of words from which jobs are written and read in place.
pub const LARGE_JOB: usize = 512;
/// Name of a way with the default number of slots for its message.
pub const BY_DEFAULT: &str = "shmcomm, default slots";
/// Maximum number of words that fit on the stack; larger messages are never passed by value.
pub const HUGE: usize = 8192;

fn pubsub<const N: usize>(name: &str) -> Result<shmcomm::Opener<PubSub<[u64; N]>>> {
    Ok(Channel::<PubSub<[u64; N]>>::try_new(format!("benches-compare/{name}"))?)
}

pub struct Publisher<const N: usize> {
    publisher: shmcomm::Publisher<[u64; N]>,
    touch: Touch,
}

impl<const N: usize> Publisher<N> {
    pub fn open(name: &str, slots: usize, touch: Touch) -> Result<Self> {
        Ok(Publisher { publisher: pubsub(name)?.slots(slots).publisher()?, touch })
    }

    /// Opens one of the publishers of a channel that may have several.
    pub fn one_of(name: &str, slots: usize, publishers: usize) -> Result<Self> {
        let publisher = pubsub(name)?.slots(slots).publishers(publishers).publisher()?;
        Ok(Publisher { publisher, touch: Touch::All })
    }

    /// Opens a publisher with default settings.
    pub fn by_default(name: &str) -> Result<Self> {
        Ok(Publisher { publisher: pubsub(name)?.publisher()?, touch: Touch::All })
    }

    /// Opens a publisher that waits for its subscribers instead of overwriting.
    pub fn waiting(name: &str, slots: usize) -> Result<Self> {
        let publisher = pubsub(name)?.slots(slots).overflow(Overflow::Wait).publisher()?;
        Ok(Publisher { publisher, touch: Touch::All })
    }

    /// Opens a publisher that waits, with default settings otherwise.
    pub fn waiting_by_default(name: &str) -> Result<Self> {
        let publisher = pubsub(name)?.overflow(Overflow::Wait).publisher()?;
        Ok(Publisher { publisher, touch: Touch::All })
    }

    pub fn with_seats(name: &str, slots: usize, seats: usize, touch: Touch) -> Result<Self> {
        Ok(Publisher { publisher: pubsub(name)?.slots(slots).seats(seats).publisher()?, touch })
    }
}

impl<const N: usize> Sender for Publisher<N> {
    #[inline]
    fn send(&mut self, number: u64) -> Result<()> {
        if N >= LARGE {
            let mut loan = self.publisher.loan()?;
            self.touch.write(&mut *loan, number);
            loan.send()?;
        } else {
            self.publisher.send(&[number; N])?;
        }
        Ok(())
    }
}

pub struct Subscriber<const N: usize> {
    subscriber: shmcomm::Subscriber<[u64; N]>,
    wait: Wait,
    touch: Touch,
    /// `true` if messages may be lost.
    tolerant: bool,
}

impl<const N: usize> Subscriber<N> {
    pub fn open(name: &str, wait: Wait, touch: Touch) -> Result<Self> {
        Ok(Subscriber { subscriber: pubsub(name)?.subscriber()?, wait, touch, tolerant: false })
    }

    /// Makes a subscriber that continues after lost messages.
    pub fn tolerant(self) -> Self {
        Subscriber { tolerant: true, ..self }
    }
}

impl<const N: usize> Receiver for Subscriber<N> {
    #[inline]
    fn recv(&mut self) -> Result<u64> {
        if self.wait == Wait::Blocking {
            return Ok(if N >= LARGE {
                self.touch.read(&*self.subscriber.recv_ref()?)
            } else {
                self.touch.read(&self.subscriber.recv()?)
            });
        }
        if N >= LARGE {
            loop {
                match self.subscriber.try_recv_ref() {
                    Ok(sample) => return Ok(self.touch.read(&*sample)),
                    Err(TryRecvError::Empty) => spin_loop(),
                    Err(TryRecvError::Lagged(_)) if self.tolerant => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        loop {
            match self.subscriber.try_recv() {
                Ok(message) => return Ok(self.touch.read(&message)),
                Err(TryRecvError::Empty) => spin_loop(),
                Err(TryRecvError::Lagged(_)) if self.tolerant => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn pushpull<const N: usize>(name: &str, slots: usize) -> Result<shmcomm::Opener<PushPull<[u64; N]>>> {
    Ok(Channel::<PushPull<[u64; N]>>::try_new(format!("benches-compare/{name}"))?.slots(slots))
}

pub struct Pusher<const N: usize> {
    pusher: shmcomm::Pusher<[u64; N]>,
    wait: Wait,
    in_place: bool,
}

impl<const N: usize> Pusher<N> {
    pub fn open(name: &str, slots: usize, wait: Wait, in_place: bool) -> Result<Self> {
        Ok(Pusher { pusher: pushpull(name, slots)?.pusher()?, wait, in_place })
    }
}

impl<const N: usize> Sender for Pusher<N> {
    #[inline]
    fn send(&mut self, number: u64) -> Result<()> {
        if self.in_place || N > HUGE {
            loop {
                match self.pusher.try_loan() {
                    Ok(mut loan) => {
                        loan.fill(number);
                        return Ok(loan.send()?);
                    }
                    Err(TryPushError::Full) => spin_loop(),
                    Err(error) => return Err(error.into()),
                }
            }
        }
        let message = [number; N];
        if self.wait == Wait::Blocking {
            return Ok(self.pusher.send(&message)?);
        }
        loop {
            match self.pusher.try_send(&message) {
                Ok(()) => return Ok(()),
                Err(TryPushError::Full) => spin_loop(),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

pub struct Puller<const N: usize> {
    puller: shmcomm::Puller<[u64; N]>,
    wait: Wait,
    in_place: bool,
}

impl<const N: usize> Puller<N> {
    pub fn open(name: &str, slots: usize, wait: Wait, in_place: bool) -> Result<Self> {
        Ok(Puller { puller: pushpull(name, slots)?.puller()?, wait, in_place })
    }
}

impl<const N: usize> Receiver for Puller<N> {
    #[inline]
    fn recv(&mut self) -> Result<u64> {
        if self.in_place || N > HUGE {
            loop {
                match self.puller.try_claim() {
                    Ok(job) => {
                        let number = Touch::All.read(&*job);
                        job.done();
                        return Ok(number);
                    }
                    Err(TryPullError::Empty) => spin_loop(),
                    Err(error) => return Err(error.into()),
                }
            }
        }
        if self.wait == Wait::Blocking {
            return Ok(Touch::All.read(&self.puller.recv()?));
        }
        loop {
            match self.puller.try_recv() {
                Ok(message) => return Ok(Touch::All.read(&message)),
                Err(TryPullError::Empty) => spin_loop(),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn reqrep<const N: usize>(name: &str) -> Result<shmcomm::Opener<ReqRep<[u64; N], [u64; N]>>> {
    Ok(Channel::<ReqRep<[u64; N], [u64; N]>>::try_new(format!("benches-compare/{name}"))?)
}

pub struct Requester<const N: usize> {
    requester: shmcomm::Requester<[u64; N], [u64; N]>,
    wait: Wait,
}

impl<const N: usize> Requester<N> {
    pub fn open(name: &str, wait: Wait) -> Result<Self> {
        Ok(Requester { requester: reqrep(name)?.requester()?, wait })
    }
}

impl<const N: usize> Caller for Requester<N> {
    #[inline]
    fn call(&mut self, number: u64) -> Result<u64> {
        if self.wait == Wait::Blocking {
            return Ok(Touch::All.read(&self.requester.request(&[number; N])?));
        }
        let mut call = self.requester.call(&[number; N])?;
        loop {
            if let Some(reply) = call.poll() {
                return Ok(Touch::All.read(&reply?));
            }
            spin_loop();
        }
    }
}

pub struct Replier<const N: usize> {
    replier: shmcomm::Replier<[u64; N], [u64; N]>,
    wait: Wait,
}

impl<const N: usize> Replier<N> {
    pub fn open(name: &str, wait: Wait) -> Result<Self> {
        Ok(Replier { replier: reqrep(name)?.replier()?, wait })
    }
}

impl<const N: usize> Answerer for Replier<N> {
    #[inline]
    fn answer(&mut self) -> Result<u64> {
        if self.wait == Wait::Blocking {
            return reply(self.replier.recv()?);
        }
        loop {
            match self.replier.try_recv() {
                Ok(request) => return reply(request),
                Err(TryServeError::Empty) => spin_loop(),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[inline]
fn reply<const N: usize>(request: shmcomm::Request<'_, [u64; N], [u64; N]>) -> Result<u64> {
    let number = Touch::All.read(&*request);
    request.reply(&[number; N])?;
    Ok(number)
}

//! shmem-ipc: its shared ring, whose three descriptors are sent to the other end through a Unix socket.

use super::{Wait, unix};
use crate::Result;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::{IoSlice, IoSliceMut};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use shmem_ipc::sharedring;
use std::fs::File;
use std::mem::MaybeUninit;

/// Number of descriptors of a ring.
const FILES: usize = 3;

pub struct Sender<const N: usize>(sharedring::Sender<u64>);

impl<const N: usize> Sender<N> {
    /// Makes the ring, and waits until the receiver opens its end.
    pub fn open(name: &str, slots: usize) -> Result<Self> {
        let ring = sharedring::Sender::<u64>::new(slots * N)?;
        let socket = unix::Socket::<1>::listen(name)?;
        let files = [ring.memfd().as_file().as_fd(), ring.empty_signal().as_fd(), ring.full_signal().as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !control.push(SendAncillaryMessage::ScmRights(&files)) {
            return Err("no room for three descriptors".into());
        }
        sendmsg(&socket, &[IoSlice::new(b"!")], &mut control, SendFlags::NOSIGNAL)?;
        Ok(Sender(ring))
    }
}

impl<const N: usize> super::Sender for Sender<N> {
    #[inline]
    fn send(&mut self, number: u64) -> Result<()> {
        let mut left = N;
        while left > 0 {
            // SAFETY: the receiver reads only words that are counted as sent.
            let status = unsafe {
                self.0.send_trusted(|words| {
                    // The ring is as long as its pages, so a message may wrap around its end.
                    let count = left.min(words.len());
                    words[..count].fill(number);
                    left -= count;
                    count
                })
            };
            status?;
            if left > 0 {
                std::hint::spin_loop();
            }
        }
        Ok(())
    }
}

pub struct Receiver<const N: usize> {
    ring: sharedring::Receiver<u64>,
    wait: Wait,
}

impl<const N: usize> Receiver<N> {
    pub fn open(name: &str, slots: usize, wait: Wait) -> Result<Self> {
        let socket = unix::Socket::<1>::connect(name)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        recvmsg(&socket, &mut [IoSliceMut::new(&mut [0])], &mut control, RecvFlags::empty())?;
        let mut files: Vec<OwnedFd> = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(fds) = message {
                files.extend(fds);
            }
        }
        let [memory, empty, full] = <[OwnedFd; FILES]>::try_from(files).map_err(|_| "no descriptors")?;
        let (memory, empty, full) = (File::from(memory), File::from(empty), File::from(full));
        Ok(Receiver { ring: sharedring::Receiver::open(slots * N, memory, empty, full)?, wait })
    }
}

impl<const N: usize> super::Receiver for Receiver<N> {
    #[inline]
    fn recv(&mut self) -> Result<u64> {
        let (mut first, mut sum, mut left) = (0, 0u64, N);
        while left > 0 {
            let before = left;
            // SAFETY: the sender writes only words that are not counted as sent.
            let status = unsafe {
                self.ring.receive_trusted(|words| {
                    let count = left.min(words.len());
                    if left == N {
                        first = words[0];
                    }
                    sum = words[..count].iter().fold(sum, |sum, word| sum.wrapping_add(*word));
                    left -= count;
                    count
                })
            };
            status?;
            if left == before {
                match self.wait {
                    Wait::Polling => std::hint::spin_loop(),
                    Wait::Blocking => _ = self.ring.block_until_readable()?,
                }
            }
        }
        Ok(if sum == first.wrapping_mul(N as u64) { first } else { u64::MAX })
    }
}

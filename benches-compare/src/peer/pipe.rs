//! Named pipes. Messages larger than the pipe cross in parts.

use super::{Receiver, Sender, Touch, Wait, path};
use crate::Result;
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, open};
use rustix::io::{Errno, read, write};

/// An end of a pipe for messages of `N` words.
pub struct End<const N: usize> {
    fd: OwnedFd,
    words: Box<[u64]>,
}

impl<const N: usize> End<N> {
    /// Opens the pipe. Both ends create it: the second end finds it.
    pub fn open(name: &str, wait: Wait) -> Result<Self> {
        let path = path(name);
        match mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = if wait == Wait::Polling { OFlags::NONBLOCK } else { OFlags::empty() };
        // The pipe is open for both directions, so that neither end waits for the other in `open`.
        let fd = open(&path, OFlags::RDWR | OFlags::CLOEXEC | flags, Mode::empty())?;
        Ok(End { fd, words: vec![0; N].into() })
    }
}

impl<const N: usize> Sender for End<N> {
    #[inline]
    fn send(&mut self, number: u64) -> Result<()> {
        Touch::All.write(&mut self.words, number);
        // SAFETY: words without padding, read as bytes.
        let mut bytes: &[u8] = unsafe { std::slice::from_raw_parts(self.words.as_ptr().cast(), 8 * N) };
        while !bytes.is_empty() {
            bytes = &bytes[write(&self.fd, bytes)?..];
        }
        Ok(())
    }
}

impl<const N: usize> Receiver for End<N> {
    #[inline]
    fn recv(&mut self) -> Result<u64> {
        // SAFETY: any bytes may be written to words.
        let bytes: &mut [u8] =
            unsafe { std::slice::from_raw_parts_mut(self.words.as_mut_ptr().cast(), 8 * N) };
        let mut have = 0;
        while have < bytes.len() {
            match read(&self.fd, &mut bytes[have..]) {
                Ok(0) => return Err("the other end of the pipe is gone".into()),
                Ok(more) => have += more,
                // This occurs only when polling.
                Err(Errno::AGAIN) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Touch::All.read(&self.words))
    }
}

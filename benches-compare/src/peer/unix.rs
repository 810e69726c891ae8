//! Unix sockets that preserve message boundaries: `SEQPACKET`.

use super::{Answerer, Caller, Receiver, Sender, Touch, Wait, path};
use crate::Result;
use crate::case::Place;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketType, accept, bind, connect, listen, recv,
    send, socket,
};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(10);

/// A connection that sends or receives messages of `N` words.
pub struct Socket<const N: usize> {
    fd: OwnedFd,
    wait: Wait,
    words: Box<[u64]>,
}

impl<const N: usize> Socket<N> {
    /// Waits until the other end connects.
    pub fn listen(name: &str) -> Result<Self> {
        let listener = socket(AddressFamily::UNIX, SocketType::SEQPACKET, None)?;
        bind(&listener, &SocketAddrUnix::new(path(name))?)?;
        listen(&listener, 1)?;
        set_socket_timeout(&listener, Timeout::Recv, Some(PATIENCE))?;
        Ok(Self::new(accept(&listener)?))
    }

    /// Waits until the other end listens.
    pub fn connect(name: &str) -> Result<Self> {
        let address = SocketAddrUnix::new(path(name))?;
        let began = Instant::now();
        loop {
            let fd = socket(AddressFamily::UNIX, SocketType::SEQPACKET, None)?;
            match connect(&fd, &address) {
                Ok(()) => return Ok(Self::new(fd)),
                Err(error) if began.elapsed() > PATIENCE => return Err(error.into()),
                Err(_) => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    fn new(fd: OwnedFd) -> Self {
        Socket { fd, wait: Wait::Blocking, words: vec![0; N].into() }
    }
}

impl<const N: usize> AsFd for Socket<N> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl<const N: usize> Sender for Socket<N> {
    #[inline]
    fn send(&mut self, number: u64) -> Result<()> {
        Touch::All.write(&mut self.words[..], number);
        // SAFETY: words without padding, read as bytes.
        let bytes = unsafe { std::slice::from_raw_parts(self.words.as_ptr().cast(), 8 * N) };
        send(&self.fd, bytes, SendFlags::NOSIGNAL)?;
        Ok(())
    }
}

impl<const N: usize> Receiver for Socket<N> {
    #[inline]
    fn recv(&mut self) -> Result<u64> {
        let flags = match self.wait {
            Wait::Polling => RecvFlags::DONTWAIT,
            Wait::Blocking => RecvFlags::empty(),
        };
        // SAFETY: any bytes may be written to words.
        let bytes: &mut [u8] =
            unsafe { std::slice::from_raw_parts_mut(self.words.as_mut_ptr().cast(), 8 * N) };
        loop {
            match recv(&self.fd, &mut *bytes, flags) {
                Ok((_, len)) if len == bytes.len() => return Ok(Touch::All.read(&self.words[..])),
                Ok(_) => return Err("the other end of the socket is gone".into()),
                Err(Errno::AGAIN) if self.wait == Wait::Polling => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Both directions over one connection.
pub struct Duplex<const N: usize>(Socket<N>);

impl<const N: usize> Duplex<N> {
    pub fn open(place: &Place, wait: Wait) -> Result<Self> {
        let socket = if place.leads { Socket::listen(&place.name) } else { Socket::connect(&place.name) }?;
        Ok(Duplex(Socket { wait, ..socket }))
    }
}

impl<const N: usize> Sender for Duplex<N> {
    #[inline]
    fn send(&mut self, number: u64) -> Result<()> {
        self.0.send(number)
    }
}

impl<const N: usize> Receiver for Duplex<N> {
    #[inline]
    fn recv(&mut self) -> Result<u64> {
        self.0.recv()
    }
}

impl<const N: usize> Caller for Duplex<N> {
    #[inline]
    fn call(&mut self, number: u64) -> Result<u64> {
        self.send(number)?;
        self.recv()
    }
}

impl<const N: usize> Answerer for Duplex<N> {
    #[inline]
    fn answer(&mut self) -> Result<u64> {
        let number = self.recv()?;
        self.send(number)?;
        Ok(number)
    }
}

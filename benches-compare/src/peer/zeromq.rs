//! ZeroMQ over `ipc:`, used as in its own `local_thr` and `local_lat`. Each process has one context with one
//! I/O thread, default high-water marks, and a message object for each message.

use super::{Answerer, Caller, Receiver, Sender, Touch, Wait, path};
use crate::Result;
use crate::case::Place;
use zmq::{Context, DONTWAIT, Message, SocketType};

/// A socket that sends or receives messages of `N` words.
pub struct Socket<const N: usize> {
    socket: zmq::Socket,
    wait: Wait,
    words: Box<[u64]>,
    message: Message,
}

impl<const N: usize> Socket<N> {
    /// Opens the sending end of a queue, which binds.
    pub fn push(name: &str) -> Result<Self> {
        Self::open(name, zmq::PUSH, true, Wait::Blocking)
    }

    /// Opens the receiving end of a queue, which connects.
    pub fn pull(name: &str) -> Result<Self> {
        Self::open(name, zmq::PULL, false, Wait::Blocking)
    }

    /// Opens a receiving end that connects to all binding ends.
    pub fn pull_from(names: &[String]) -> Result<Self> {
        let (first, others) = names.split_first().ok_or("no pusher to pull from")?;
        let socket = Self::pull(first)?;
        for name in others {
            socket.socket.connect(&format!("ipc://{}", path(name).display()))?;
        }
        Ok(socket)
    }

    fn open(name: &str, kind: SocketType, binds: bool, wait: Wait) -> Result<Self> {
        let socket = Context::new().socket(kind)?;
        // Messages left at the end have no use.
        socket.set_linger(0)?;
        let address = format!("ipc://{}", path(name).display());
        if binds {
            socket.bind(&address)?
        } else {
            socket.connect(&address)?
        }
        Ok(Socket { socket, wait, words: vec![0; N].into(), message: Message::new() })
    }
}

impl<const N: usize> Sender for Socket<N> {
    #[inline]
    fn send(&mut self, number: u64) -> Result<()> {
        Touch::All.write(&mut self.words[..], number);
        // SAFETY: words without padding, read as bytes.
        let bytes: &[u8] = unsafe { std::slice::from_raw_parts(self.words.as_ptr().cast(), 8 * N) };
        Ok(self.socket.send(bytes, 0)?)
    }
}

impl<const N: usize> Receiver for Socket<N> {
    #[inline]
    fn recv(&mut self) -> Result<u64> {
        let flags = if self.wait == Wait::Polling { DONTWAIT } else { 0 };
        let mut looks = 0_u32;
        loop {
            match self.socket.recv(&mut self.message, flags) {
                Ok(()) => break,
                Err(zmq::Error::EAGAIN) if self.wait == Wait::Polling => {
                    looks += 1;
                    // When both ends poll, they leave no processor to the threads that carry the messages. On
                    // two processors a burst may then take for ever.
                    if looks.is_multiple_of(64) {
                        std::thread::yield_now();
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        super::read_bytes::<N>(&self.message)
    }
}

/// Both directions over one socket on each side: a pair, or a request and its reply.
pub struct Duplex<const N: usize>(Socket<N>);

impl<const N: usize> Duplex<N> {
    /// Opens a pair of sockets of the same kind.
    pub fn open(place: &Place, wait: Wait) -> Result<Self> {
        Ok(Duplex(Socket::open(&place.name, zmq::PAIR, !place.leads, wait)?))
    }

    /// Opens the requester, in the leading process, or the replier.
    pub fn calls(place: &Place, wait: Wait) -> Result<Self> {
        let kind = if place.leads { zmq::REQ } else { zmq::REP };
        Ok(Duplex(Socket::open(&place.name, kind, !place.leads, wait)?))
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

//! ipc-channel: its channel of bytes, whose other end is transferred through its one-shot server.

use super::{Touch, Wait, path};
use crate::Result;
use ipc_channel::TryRecvError;
use ipc_channel::ipc::{IpcBytesReceiver, IpcBytesSender, IpcOneShotServer, IpcSender, bytes_channel};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(10);

pub struct Sender<const N: usize> {
    sender: IpcBytesSender,
    words: Box<[u64]>,
}

impl<const N: usize> Sender<N> {
    /// Waits until the receiver has published the name of its server.
    pub fn open(name: &str) -> Result<Self> {
        let (path, began) = (path(name), Instant::now());
        let server = loop {
            match std::fs::read_to_string(&path) {
                Ok(server) => break server,
                Err(error) if began.elapsed() > PATIENCE => return Err(error.into()),
                Err(_) => std::thread::sleep(Duration::from_millis(1)),
            }
        };
        let (sender, receiver) = bytes_channel()?;
        IpcSender::<IpcBytesReceiver>::connect(server)?.send(receiver)?;
        Ok(Sender { sender, words: vec![0; N].into() })
    }
}

impl<const N: usize> super::Sender for Sender<N> {
    #[inline]
    fn send(&mut self, number: u64) -> Result<()> {
        Touch::All.write(&mut self.words, number);
        // SAFETY: words without padding, read as bytes.
        let bytes: &[u8] = unsafe { std::slice::from_raw_parts(self.words.as_ptr().cast(), 8 * N) };
        Ok(self.sender.send(bytes)?)
    }
}

pub struct Receiver<const N: usize> {
    receiver: IpcBytesReceiver,
    wait: Wait,
}

impl<const N: usize> Receiver<N> {
    /// Waits until the sender connects.
    pub fn open(name: &str, wait: Wait) -> Result<Self> {
        let (server, address) = IpcOneShotServer::<IpcBytesReceiver>::new()?;
        let (half, whole) = (path(&format!("{name}-half")), path(name));
        std::fs::write(&half, address)?;
        std::fs::rename(half, whole)?;
        let (_, receiver) = server.accept()?;
        Ok(Receiver { receiver, wait })
    }
}

impl<const N: usize> super::Receiver for Receiver<N> {
    #[inline]
    fn recv(&mut self) -> Result<u64> {
        let bytes = match self.wait {
            Wait::Blocking => self.receiver.recv()?,
            Wait::Polling => loop {
                match self.receiver.try_recv() {
                    Ok(bytes) => break bytes,
                    Err(TryRecvError::Empty) => {}
                    Err(error) => return Err(error.into()),
                }
            },
        };
        super::read_bytes::<N>(&bytes)
    }
}

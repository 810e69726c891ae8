//! [`Wire`]: the connection of a client, which never holds its thread up.
//!
//! Owns the socket, and the bytes that the client has not read. Calls nothing. Never waits for room: what the system
//! does not take at once waits in a queue. Never reads more than once in a turn, so that a client that sends single
//! bytes does not keep its thread in one call.
//!
//! The WebSocket of `tungstenite` writes texts and control frames into the queue. Messages of channels enter the queue
//! as they were encoded, without another copy.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Number of bytes of texts that wait for a client, with which no other text is taken. So one long text has room.
const TEXTS: usize = 8 << 20;
/// Largest number of bytes that one call hands to the system.
const PART: usize = 256 << 10;
/// Longest time that one flush takes, up to a call.
const FLUSH: Duration = Duration::from_millis(5);
/// Time between two attempts to write the last bytes of a connection.
const PAUSE: Duration = Duration::from_millis(2);
/// First byte of a binary frame that is complete: FIN, and opcode 2 (RFC 6455, 5.2).
const BINARY: u8 = 0x82;
/// Largest number of bytes before the body of a frame: 10 of the WebSocket, and 13 of the protocol.
const HEAD: usize = 23;

/// A connection.
pub struct Wire {
    stream: TcpStream,
    nonblocking: bool,
    /// `true` until the turn has read.
    may_read: bool,
    queue: VecDeque<Part>,
    /// Bytes of the first part that the system has taken.
    done: usize,
    /// Bytes of texts in the queue.
    texts: usize,
    /// Time of the last byte that the system took, or of the first byte that has waited since then.
    moved: Instant,
    /// Memory of a message that was sent.
    spare: Vec<u8>,
}

/// Bytes that wait: a text, or a message with its head.
struct Part {
    head: [u8; HEAD],
    head_len: usize,
    body: Vec<u8>,
}

impl Part {
    fn text(body: Vec<u8>) -> Part {
        Part { head: [0; HEAD], head_len: 0, body }
    }

    /// Makes a binary frame of a server. `head` is the start of its payload.
    fn binary(head: &[u8; 13], body: Vec<u8>) -> Part {
        let len = head.len() + body.len();
        let mut part = Part { head: [0; HEAD], head_len: 0, body };
        part.push(&[BINARY]);
        match (u8::try_from(len), u16::try_from(len)) {
            (Ok(len @ ..126), _) => part.push(&[len]),
            (_, Ok(len)) => {
                part.push(&[126]);
                part.push(&len.to_be_bytes());
            }
            _ => {
                part.push(&[127]);
                part.push(&(len as u64).to_be_bytes());
            }
        }
        part.push(head);
        part
    }

    fn push(&mut self, bytes: &[u8]) {
        self.head[self.head_len..self.head_len + bytes.len()].copy_from_slice(bytes);
        self.head_len += bytes.len();
    }

    fn is_text(&self) -> bool {
        self.head_len == 0
    }

    fn len(&self) -> usize {
        self.head_len + self.body.len()
    }
}

impl Wire {
    pub fn new(stream: TcpStream) -> io::Result<Wire> {
        stream.set_nodelay(true)?;
        Ok(Wire {
            stream,
            nonblocking: false,
            may_read: true,
            queue: VecDeque::new(),
            done: 0,
            texts: 0,
            moved: Instant::now(),
            spare: Vec::new(),
        })
    }

    /// Returns `true` if no bytes wait for the client.
    pub fn is_clear(&self) -> bool {
        self.queue.is_empty()
    }

    /// Returns the time for which the client has read nothing, while bytes wait for it.
    pub fn stalled(&self, now: Instant) -> Duration {
        if self.is_clear() { Duration::ZERO } else { now.saturating_duration_since(self.moved) }
    }

    /// Puts a message into the queue: its head and its body, as they are.
    pub fn message(&mut self, head: &[u8; 13], body: Vec<u8>) {
        self.enter(Part::binary(head, body));
    }

    /// Returns the memory of a message that was sent, for the next one.
    pub fn spare(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.spare)
    }

    fn enter(&mut self, part: Part) {
        if self.is_clear() {
            self.moved = Instant::now();
        }
        self.queue.push_back(part);
    }

    /// Hands waiting bytes to the system, as many as it takes at once, for about 5 ms at most.
    ///
    /// # Errors
    /// An error of the connection. A client that does not read is none.
    pub fn hand_over(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + FLUSH;
        while let Some(part) = self.queue.front() {
            let head = &part.head[self.done.min(part.head_len)..part.head_len];
            let body = &part.body[self.done.saturating_sub(part.head_len)..];
            let parts = [IoSlice::new(head), IoSlice::new(&body[..body.len().min(PART)])];
            if !self.nonblocking {
                self.stream.set_nonblocking(true)?;
                self.nonblocking = true;
            }
            match self.stream.write_vectored(&parts) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(len) => self.took(len),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if Instant::now() >= deadline {
                break;
            }
        }
        Ok(())
    }

    fn took(&mut self, len: usize) {
        self.moved = Instant::now();
        self.done += len;
        if self.queue.front().is_some_and(|part| self.done == part.len()) {
            self.done = 0;
            match self.queue.pop_front() {
                Some(part) if part.is_text() => self.texts -= part.body.len(),
                Some(part) => {
                    self.spare = part.body;
                    self.spare.clear();
                }
                None => {}
            }
        }
    }

    /// Starts a turn: the next read waits for bytes, for at most `wait`, and may be the only one of the turn.
    pub fn start_turn(&mut self, wait: Duration) -> io::Result<()> {
        self.may_read = true;
        if self.nonblocking {
            self.stream.set_nonblocking(false)?;
            self.nonblocking = false;
        }
        // Zero would mean no limit.
        self.stream.set_read_timeout(Some(wait.max(Duration::from_micros(100))))
    }

    /// Hands the last bytes over, for at most `time`, and ends the sending half of the connection.
    pub fn finish(&mut self, time: Duration) {
        let deadline = Instant::now() + time;
        while !self.is_clear() && self.hand_over().is_ok() && Instant::now() < deadline {
            if !self.is_clear() {
                std::thread::sleep(PAUSE);
            }
        }
        // The client may have left.
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !std::mem::take(&mut self.may_read) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.stream.read(buffer)
    }
}

/// Texts and control frames. All bytes are taken at once, so frames never mix.
impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.texts >= TEXTS {
            let waiting = self.texts;
            return Err(io::Error::other(format!(
                "the client does not read: {waiting} bytes of texts wait for it"
            )));
        }
        self.texts += bytes.len();
        // The first part ends when the client has read it: it does not grow while it is sent.
        let sending = self.queue.len() == 1 && self.done > 0;
        match self.queue.back_mut() {
            Some(last) if last.is_text() && !sending => last.body.extend_from_slice(bytes),
            _ => self.enter(Part::text(bytes.to_vec())),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn pair() -> (Wire, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (Wire::new(listener.accept().unwrap().0).unwrap(), client)
    }

    #[test]
    fn frames_have_the_lengths_of_the_rfc() {
        for (len, head) in [
            (112, &[BINARY, 125][..]),
            (113, &[BINARY, 126, 0, 126]),
            (65_522, &[BINARY, 126, 0xff, 0xff]),
            (65_523, &[BINARY, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let part = Part::binary(&[7; 13], vec![0; len]);
            assert_eq!(part.head[..part.head_len], [head, &[7; 13][..]].concat(), "{len}");
        }
    }

    #[test]
    fn message_is_sent_from_the_memory_it_was_encoded_in() {
        let (mut wire, mut client) = pair();
        let body = b"body".to_vec();
        let memory = body.as_ptr();
        wire.message(&[1; 13], body);
        assert!(!wire.is_clear());
        wire.hand_over().unwrap();
        let mut bytes = [0; 2 + 13 + 4];
        client.read_exact(&mut bytes).unwrap();
        assert_eq!((bytes[..2].to_vec(), &bytes[15..]), (vec![BINARY, 17], &b"body"[..]));
        let spare = wire.spare();
        assert!(spare.is_empty() && spare.as_ptr() == memory);
    }

    #[test]
    fn write_to_a_slow_client_takes_bounded_time() {
        let (mut wire, client) = pair();
        wire.write_all(b"text").unwrap();
        wire.message(&[1; 13], vec![9; 64 << 20]);
        // A client that reads little, again and again, as long as the server writes.
        let reading = std::thread::spawn(move || {
            let (mut client, mut bytes) = (client, vec![0; 16 << 10]);
            let mut read = 0;
            while let Ok(len @ 1..) = client.read(&mut bytes) {
                read += len;
                std::thread::sleep(Duration::from_micros(500));
                if read > 32 << 20 {
                    break;
                }
            }
            client
        });
        let mut longest = Duration::ZERO;
        while !reading.is_finished() {
            let start = Instant::now();
            wire.hand_over().unwrap();
            longest = longest.max(start.elapsed());
            std::thread::sleep(Duration::from_millis(1));
        }
        // The client reads for 1 s or more. A call takes 5 ms, and more on a busy machine.
        assert!(longest < Duration::from_millis(700), "{longest:?}");
        assert!(!wire.is_clear());
        drop(reading.join().unwrap());
    }

    #[test]
    fn turn_reads_once() {
        let (mut wire, mut client) = pair();
        client.write_all(b"ab").unwrap();
        let mut byte = [0];
        wire.start_turn(Duration::from_secs(10)).unwrap();
        assert_eq!(wire.read(&mut byte).unwrap(), 1);
        assert_eq!(wire.read(&mut byte).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        wire.start_turn(Duration::from_secs(10)).unwrap();
        assert_eq!(wire.read(&mut byte).unwrap(), 1);
    }

    #[test]
    fn texts_for_a_client_that_does_not_read_are_bounded() {
        let (mut wire, _client) = pair();
        let text = vec![0; 1 << 20];
        let taken = (0..100).take_while(|_| wire.write_all(&text).is_ok()).count();
        assert_eq!(taken, TEXTS >> 20);
    }
}

//! The head of an HTTP request, and the answers of HTTP: all except the WebSocket.
//!
//! Owns the limits of a request and its answer: size, time, and one value for the header fields that decide about the
//! connection. Calls `httparse`. Never reads a body.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};
use tungstenite::http::{self, HeaderName, HeaderValue};

/// Largest size of the head of a request in bytes.
const LONGEST: usize = 16 << 10;
/// Largest number of header fields.
const FIELDS: usize = 64;
/// Time in which a client must send its head, and in which it must receive an answer.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// Largest number of bytes that one call hands to the system.
const PART: usize = 64 << 10;
/// Time and bytes for which an ending connection is read, so that the client gets the answer and no reset.
const LINGER: Duration = Duration::from_millis(500);
const LINGER_BYTES: usize = 256 << 10;
/// Header fields that decide about the connection: a request with two of one name is refused.
const ONCE: [&str; 3] = ["host", "origin", "sec-websocket-key"];

/// A request, and the bytes that the client sent after its head.
pub struct Head {
    pub request: http::Request<()>,
    pub rest: Vec<u8>,
}

/// Reason why there is no request.
#[derive(Debug)]
pub enum NoHead {
    /// The client left, or was too slow.
    Gone,
    /// The bytes are not a request, or a request that is refused.
    Wrong(&'static str),
}

impl Head {
    /// Reads the head of a request, for at most 5 s.
    pub fn read(stream: &mut TcpStream) -> Result<Head, NoHead> {
        let deadline = Instant::now() + PATIENCE;
        let mut bytes = Vec::new();
        let mut part = [0; 2048];
        loop {
            if let Some(head) = Self::parse(&bytes)? {
                return Ok(head);
            }
            if bytes.len() >= LONGEST {
                return Err(NoHead::Wrong("the head of the request is longer than 16 KiB"));
            }
            let Ok(left) = left(deadline) else { return Err(NoHead::Gone) };
            if stream.set_read_timeout(Some(left)).is_err() {
                return Err(NoHead::Gone);
            }
            match stream.read(&mut part) {
                Ok(0) => return Err(NoHead::Gone),
                Ok(len) => bytes.extend_from_slice(&part[..len]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(NoHead::Gone),
            }
        }
    }

    /// Parses the head; `None` if it is not complete.
    fn parse(bytes: &[u8]) -> Result<Option<Head>, NoHead> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS];
        let mut parsed = httparse::Request::new(&mut fields);
        let len = match parsed.parse(bytes) {
            Ok(httparse::Status::Complete(len)) => len,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(NoHead::Wrong("the request is not HTTP/1.1")),
        };
        if parsed.version != Some(1) {
            return Err(NoHead::Wrong("the request is not HTTP/1.1"));
        }
        let mut request = http::Request::builder()
            .version(http::Version::HTTP_11)
            .method(parsed.method.unwrap_or(""))
            .uri(parsed.path.unwrap_or(""))
            .body(())
            .map_err(|_| NoHead::Wrong("the method or the path of the request is not valid"))?;
        for field in parsed.headers.iter() {
            let name = HeaderName::from_bytes(field.name.as_bytes());
            let value = HeaderValue::from_bytes(field.value);
            let (Ok(name), Ok(value)) = (name, value) else {
                return Err(NoHead::Wrong("a header field is not valid"));
            };
            if ONCE.contains(&name.as_str()) && request.headers().contains_key(&name) {
                return Err(NoHead::Wrong(
                    "the request has two values of `Host`, `Origin` or `Sec-WebSocket-Key`",
                ));
            }
            request.headers_mut().append(name, value);
        }
        Ok(Some(Head { request, rest: bytes[len..].to_vec() }))
    }

    /// Returns the text of a header field; `None` if it is missing or not ASCII.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.request.headers().get(name)?.to_str().ok()
    }

    /// Returns `true` if the client asks for a WebSocket.
    pub fn wants_socket(&self) -> bool {
        self.field("upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
    }
}

/// An answer of HTTP.
pub struct Answer<'a> {
    pub status: &'static str,
    pub kind: &'static str,
    pub fields: &'a [(&'a str, &'a str)],
    pub body: &'a [u8],
    /// `true` for HEAD: the answer has no body.
    pub head_only: bool,
}

/// Policy of the page: it runs its own scripts and connects to its own server. It may load nothing
/// else, and no other page may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

impl Answer<'_> {
    /// Returns an answer in plain text.
    pub fn text<'a>(status: &'static str, body: &'a str) -> Answer<'a> {
        Answer {
            status,
            kind: "text/plain; charset=utf-8",
            fields: &[],
            body: body.as_bytes(),
            head_only: false,
        }
    }

    /// Sends the answer and ends the connection, within `patience` however slowly the client reads.
    pub fn send(&self, stream: &mut TcpStream, patience: Duration) -> io::Result<()> {
        let deadline = Instant::now() + patience;
        let mut text = format!(
            "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\
             Content-Security-Policy: {POLICY}\r\nX-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\n\
             Referrer-Policy: no-referrer\r\nCross-Origin-Resource-Policy: same-origin\r\n\
             Cross-Origin-Opener-Policy: same-origin\r\nCache-Control: no-store\r\n",
            self.status,
            self.kind,
            self.body.len()
        );
        for (name, value) in self.fields {
            text += &format!("{name}: {value}\r\n");
        }
        text += "\r\n";
        write_until(stream, text.as_bytes(), deadline)?;
        if !self.head_only {
            write_until(stream, self.body, deadline)?;
        }
        stream.shutdown(Shutdown::Write)?;
        linger(stream, deadline.min(Instant::now() + LINGER));
        Ok(())
    }
}

/// Writes all bytes.
///
/// # Errors
/// `TimedOut` at the deadline, also for a client that reads single bytes; other errors of the connection.
pub fn write_until(stream: &mut TcpStream, mut bytes: &[u8], deadline: Instant) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.set_write_timeout(Some(left(deadline)?))?;
        match stream.write(&bytes[..bytes.len().min(PART)]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(len) => bytes = &bytes[len..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Returns the time until the deadline, which is not zero: zero would mean no limit.
fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// Reads what the client still sends, until it closes the connection. A connection that is closed with unread bytes is
/// reset, and the client may lose the answer.
fn linger(stream: &mut TcpStream, deadline: Instant) {
    let (mut part, mut read) = ([0; 2048], 0);
    while read < LINGER_BYTES {
        let Ok(left) = left(deadline) else { return };
        if stream.set_read_timeout(Some(left)).is_err() {
            return;
        }
        match stream.read(&mut part) {
            Ok(len @ 1..) => read += len,
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deciding_fields_stand_once() {
        let twice = b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n";
        assert!(matches!(Head::parse(twice), Err(NoHead::Wrong(_))));
        let once = b"GET / HTTP/1.1\r\nHost: a\r\nAccept: b\r\nAccept: c\r\n\r\nxyz";
        let head = Head::parse(once).unwrap().expect("complete");
        assert_eq!((head.field("host"), head.rest.as_slice()), (Some("a"), &b"xyz"[..]));
        assert!(Head::parse(b"GET / HTTP/1.1\r\nHost").unwrap().is_none());
    }

    #[test]
    fn answer_to_a_slow_client_has_a_deadline() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut server = listener.accept().unwrap().0;
        let reading = std::thread::spawn(move || {
            let mut part = [0; 4096];
            while matches!(client.read(&mut part), Ok(1..)) {
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let body = "x".repeat(256 << 20);
        let start = Instant::now();
        let error = Answer::text("200 OK", &body).send(&mut server, Duration::from_millis(300)).unwrap_err();
        assert!(matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock), "{error}");
        // The client needs a minute for the body.
        assert!(start.elapsed() < Duration::from_secs(20));
        drop(server);
        reading.join().unwrap();
    }

    #[test]
    fn other_bytes_are_refused() {
        for bytes in [&b"\x16\x03\x01\x02\x00"[..], b"GET / HTTP/1.0\r\n\r\n", b"GET\r\n\r\n", b"\0\0\0\0"] {
            assert!(matches!(Head::parse(bytes), Err(NoHead::Wrong(_))), "{bytes:?}");
        }
    }
}

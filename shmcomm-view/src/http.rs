//! The head of a request, and the answers that are no WebSocket.
//!
//! Owns the limits of a request: size, time, and one value for the headers that decide. Calls `httparse`. Never
//! reads a body.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use tungstenite::http::{self, HeaderName, HeaderValue};

/// Largest size of the head of a request in bytes.
const LONGEST: usize = 16 << 10;
/// Largest number of header fields.
const FIELDS: usize = 64;
/// Time in which a client must send its head.
const PATIENCE: Duration = Duration::from_secs(5);
/// Header fields that may stand once only: they decide about the connection.
const ONCE: [&str; 3] = ["host", "origin", "sec-websocket-key"];

/// A request, and the bytes that came behind its head.
pub struct Head {
    pub request: http::Request<()>,
    pub rest: Vec<u8>,
}

/// Reason why there is no request.
#[derive(Debug)]
pub enum NoHead {
    /// The client left, or was too slow.
    Gone,
    /// The client sent other bytes.
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
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
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
            Err(_) => return Err(NoHead::Wrong("the request is no HTTP/1.1")),
        };
        if parsed.version != Some(1) {
            return Err(NoHead::Wrong("the request is no HTTP/1.1"));
        }
        let mut request = http::Request::builder()
            .version(http::Version::HTTP_11)
            .method(parsed.method.unwrap_or(""))
            .uri(parsed.path.unwrap_or(""))
            .body(())
            .map_err(|_| NoHead::Wrong("the request has no valid method and path"))?;
        for field in parsed.headers.iter() {
            let name = HeaderName::from_bytes(field.name.as_bytes());
            let value = HeaderValue::from_bytes(field.value);
            let (Ok(name), Ok(value)) = (name, value) else {
                return Err(NoHead::Wrong("a header field is not valid"));
            };
            if ONCE.contains(&name.as_str()) && request.headers().contains_key(&name) {
                return Err(NoHead::Wrong("a header field stands twice"));
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

    /// Sends the answer, for at most 5 s, and ends the connection.
    pub fn send(&self, stream: &mut TcpStream) -> io::Result<()> {
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
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.write_all(text.as_bytes())?;
        if !self.head_only {
            stream.write_all(self.body)?;
        }
        stream.flush()?;
        stream.shutdown(std::net::Shutdown::Write)
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
    fn other_bytes_are_refused() {
        for bytes in [&b"\x16\x03\x01\x02\x00"[..], b"GET / HTTP/1.0\r\n\r\n", b"GET\r\n\r\n", b"\0\0\0\0"] {
            assert!(matches!(Head::parse(bytes), Err(NoHead::Wrong(_))), "{bytes:?}");
        }
    }
}

//! The checks that decide whether a connection may use the server.
//!
//! Owns three checks: the user of the process at the other end, the name by which a browser reached the server, and
//! the site of the page that opened the connection. Calls nothing of the library. Never reads a message.
//!
//! The loopback of a machine can be reached by all of its users, and segments belong to one user. A browser opens
//! connections to loopback for every page that it shows, and names the site of the page in `Origin`. With DNS
//! rebinding, a site gives its own name the address of loopback: then `Host` has the name of that site.

use crate::http::Head;
use crate::options::Options;
use std::net::{IpAddr, SocketAddr};

/// Checks the header fields of a request. An error is the reason for the client.
pub fn check(options: &Options, head: &Head) -> Result<(), String> {
    let host = head.field("host").ok_or("the request has no `Host`")?;
    if !host_is_ours(options, host) {
        return Err(format!(
            "the name `{}` is not a name of this server; use `localhost` or an IP address, or start the server with \
             --allow-host",
            host.escape_debug()
        ));
    }
    let Some(origin) = head.request.headers().get("origin") else {
        // Every browser sends `Origin` for a WebSocket. Other programs need not.
        return Ok(());
    };
    let origin = origin.to_str().map_err(|_| "the `Origin` is not a text")?;
    let own = origin.strip_prefix("http://").is_some_and(|it| it.eq_ignore_ascii_case(host));
    if own || options.allow_origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin)) {
        return Ok(());
    }
    Err(format!(
        "pages of the origin `{origin}` may not connect; if you trust that site with all messages, start the server \
         with --allow-origin '{origin}'",
        origin = origin.escape_debug()
    ))
}

/// Returns `true` if the name is `localhost`, an IP address, or allowed. DNS rebinding works with names only.
fn host_is_ours(options: &Options, host: &str) -> bool {
    if host.parse::<SocketAddr>().is_ok() || host.parse::<IpAddr>().is_ok() {
        return true;
    }
    if let Some(inner) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inner.parse::<IpAddr>().is_ok();
    }
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.parse::<u16>().is_ok() => name,
        Some(_) => return false,
        None => host,
    };
    name.eq_ignore_ascii_case("localhost")
        || options.allow_hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(name))
}

/// Checks that the process at the other end of a loopback connection belongs to this user.
#[cfg(target_os = "linux")]
pub fn check_user(peer: SocketAddr, local: SocketAddr) -> Result<(), String> {
    check_user_is(rustix::process::geteuid().as_raw(), peer, local)
}

#[cfg(target_os = "linux")]
fn check_user_is(own: u32, peer: SocketAddr, local: SocketAddr) -> Result<(), String> {
    if !peer.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    let mut read = false;
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let Ok(text) = std::fs::read_to_string(table) else { continue };
        read = true;
        match user_of(&text, peer, local) {
            Some(user) if user == own || user == 0 => return Ok(()),
            Some(user) => {
                return Err(format!(
                    "the connection comes from user {user}, and the channels belong to user {own}; to serve all users \
                     of this machine, start the server with --any-user"
                ));
            }
            None => {}
        }
    }
    let place = if read { "its socket is not in /proc/net/tcp" } else { "/proc/net/tcp cannot be read" };
    Err(format!(
        "the user of the connection is unknown: {place}; to serve all users of this machine, start the server with \
         --any-user"
    ))
}

#[cfg(not(target_os = "linux"))]
pub fn check_user(_: SocketAddr, _: SocketAddr) -> Result<(), String> {
    Ok(())
}

/// Returns the user of the socket at `peer` that is connected to `local`, from a table of the kernel. Returns `None` for
/// a socket that every process has closed: its inode is 0.
#[cfg(any(target_os = "linux", test))]
fn user_of(table: &str, peer: SocketAddr, local: SocketAddr) -> Option<u32> {
    let canonical = |at: SocketAddr| SocketAddr::new(at.ip().to_canonical(), at.port());
    let (peer, local) = (canonical(peer), canonical(local));
    table.lines().skip(1).find_map(|line| {
        let mut columns = line.split_whitespace();
        let from = address(columns.nth(1)?)?;
        let to = address(columns.next()?)?;
        // Columns: state, queues, timer, retransmissions, user, timeout, inode.
        let user = columns.nth(4)?.parse().ok()?;
        let inode: u64 = columns.nth(1)?.parse().ok()?;
        (from == peer && to == local && inode != 0).then_some(user)
    })
}

/// Parses an address of the table: words of 32 bits in the byte order of the machine, and the port.
#[cfg(any(target_os = "linux", test))]
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| Some(u32::from_str_radix(ip.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    let ip = match ip.len() {
        8 => IpAddr::from(word(0)?),
        32 => {
            let mut bytes = [0; 16];
            for (index, part) in bytes.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(index * 8)?);
            }
            IpAddr::from(bytes)
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip.to_canonical(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_loopback_addresses_or_allowed() {
        let options = Options { allow_hosts: vec!["robot.local".into()], ..Options::default() };
        for ours in [
            "localhost",
            "localhost:8765",
            "LocalHost:1",
            "127.0.0.1:8765",
            "[::1]:8765",
            "[::1]",
            "192.168.0.7:80",
            "robot.local:8765",
        ] {
            assert!(host_is_ours(&options, ours), "{ours}");
        }
        for other in [
            "evil.example",
            "evil.example:8765",
            "localhost.evil.example",
            "localhost:x",
            "",
            "[x]",
            "127.0.0.1.evil.example:8765",
            "a@localhost",
        ] {
            assert!(!host_is_ours(&options, other), "{other}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn connection_of_another_user_is_refused() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let local = listener.local_addr().unwrap();
        let client = std::net::TcpStream::connect(local).unwrap();
        let peer = client.local_addr().unwrap();
        let own = rustix::process::geteuid().as_raw();
        assert_eq!(check_user_is(own, peer, local), Ok(()));
        let result = check_user_is(own + 1, peer, local);
        if own == 0 {
            // The superuser can read every segment in any case.
            assert_eq!(result, Ok(()));
        } else {
            let reason = result.unwrap_err();
            assert!(
                reason.contains(&format!("from user {own}")) && reason.contains("--any-user"),
                "{reason}"
            );
        }
        drop(client);
        assert!(check_user_is(own, peer, local).unwrap_err().contains("is unknown"));
    }

    #[test]
    fn users_are_found_in_the_table_of_the_kernel() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
            0: 0100007F:223D 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 111 1\n   \
            1: 0100007F:A000 0100007F:223D 01 00000000:00000000 00:00000000 00000000  1001        0 222 1\n   \
            2: 0100007F:A001 0100007F:223D 04 00000000:00000000 00:00000000 00000000     0        0 0 1\n";
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        assert_eq!(user_of(table, at(0xA000), at(0x223D)), Some(1001));
        assert_eq!(user_of(table, at(0xA001), at(0x223D)), None);
        assert_eq!(user_of(table, at(0x223D), at(0xA000)), None);
        assert_eq!(user_of("", at(1), at(2)), None);
        let six = "head\n 0: 0000000000000000FFFF00000100007F:A000 0000000000000000FFFF00000100007F:223D 01 0:0 0:0 0 \
            7 0 5 1\n";
        assert_eq!(user_of(six, at(0xA000), at(0x223D)), Some(7));
    }
}

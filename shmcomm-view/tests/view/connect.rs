//! Pages, subprotocols, and the connections that are refused.

use crate::client::{Client, FOXGLOVE, PAGE, connect, get, start};
use shmcomm_tests::namespace;
use shmcomm_view::{Event, Options, Server, StartError};
use std::time::Duration;

#[test]
fn page_and_its_parts_are_served_with_a_policy() {
    let server = start(&namespace("page"), |_| {});
    let page = get(server.address(), "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
    assert!(page.contains("\r\nContent-Security-Policy: default-src 'none'; script-src 'self';"));
    let after = |mark: &'static str| page.split(mark).skip(1).filter_map(|rest| rest.split('"').next());
    let parts: Vec<_> = after("script src=\"").chain(after("stylesheet\" href=\"")).collect();
    assert!(parts.len() >= 5, "{parts:?}");
    for part in parts {
        let text = get(server.address(), &format!("GET /{part} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"));
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{part}: {text:.100}");
    }
    // No part of the page names another machine as a source.
    for outside in ["src=\"http", "href=\"http", "url(http", "import("] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn wrong_requests_get_an_answer_that_says_why() {
    let server = start(&namespace("requests"), |_| {});
    let long = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}", "y".repeat(20_000));
    for (request, status) in [
        ("GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n", "404"),
        ("GET /../Cargo.toml HTTP/1.1\r\nHost: localhost\r\n\r\n", "404"),
        ("POST / HTTP/1.1\r\nHost: localhost\r\n\r\n", "405"),
        ("GET / HTTP/1.1\r\n\r\n", "403"),
        ("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", "403"),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", "400"),
        ("GET / HTTP/1.0\r\n\r\n", "400"),
        ("\x16\x03\x01\x02\r\n\r\n", "400"),
        (&long, "400"),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\r\n", "400"),
    ] {
        let answer = get(server.address(), request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:.60}: {answer}");
    }
    let head = get(server.address(), "HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(head.ends_with("\r\n\r\n"));
}

#[test]
fn pages_of_other_origins_are_refused() {
    let allowed = "https://app.foxglove.dev";
    let server = start(&namespace("origins"), |options| options.allow_origins.push(allowed.into()));
    let address = server.address();
    let own = format!("http://{address}");
    for protocol in [FOXGLOVE, PAGE] {
        for origin in [own.as_str(), allowed] {
            assert!(connect(address, protocol, &[("origin", origin)]).is_ok(), "{origin}");
        }
        for origin in
            ["https://evil.example", "null", "http://localhost:1", "https://app.foxglove.dev.evil.example"]
        {
            let Err((status, _)) = connect(address, protocol, &[("origin", origin)]) else {
                panic!("{origin}")
            };
            assert_eq!(status, 403, "{origin}");
        }
    }
    // A name that was made to mean loopback: the page and its server agree, and the name is not ours.
    let rebound = [("origin", "http://evil.example"), ("host", "evil.example")];
    assert_eq!(connect(address, FOXGLOVE, &rebound).err().map(|(status, _)| status), Some(403));
    let reasons = std::iter::from_fn(|| server.event(Duration::from_secs(60)));
    let refused = reasons.filter(|event| matches!(event, Event::Refused { .. })).take(9);
    let texts: Vec<String> = refused.map(|event| format!("{event:?}")).collect();
    assert_eq!(texts.len(), 9);
    assert!(texts[0].contains("--allow-origin 'https://evil.example'"), "{}", texts[0]);
}

#[test]
fn clients_without_a_known_subprotocol_are_refused() {
    let server = start(&namespace("subprotocol"), |_| {});
    let (status, _) = connect(server.address(), "mqtt", &[]).err().expect("refused");
    assert_eq!(status, 400);
    let mut client = Client::new(&server, "foxglove.websocket.v1");
    let info = client.operation("serverInfo");
    assert_eq!(info["capabilities"], serde_json::json!([]));
}

#[test]
fn number_of_clients_is_limited() {
    let server = start(&namespace("limit"), |options| options.max_clients = 2);
    let mut first = Client::new(&server, FOXGLOVE);
    first.operation("serverInfo");
    let mut second = Client::new(&server, PAGE);
    second.operation("serverInfo");
    assert_eq!(connect(server.address(), FOXGLOVE, &[]).err().map(|(status, _)| status), Some(503));
    first.socket.close(None).unwrap();
    first.closed();
    // The server has noted the end before it reports it.
    loop {
        let event = server.event(Duration::from_secs(60)).expect("the end is reported");
        if matches!(event, Event::Disconnected { .. }) {
            break;
        }
    }
    assert!(connect(server.address(), FOXGLOVE, &[]).is_ok());
}

#[test]
fn stopped_server_closes_its_connections() {
    // An address of its own: another server may get a port of 127.0.0.1 as soon as it is free.
    let server = start(&namespace("stop"), |options| options.bind = "127.77.1.1:0".parse().unwrap());
    let mut client = Client::new(&server, PAGE);
    client.operation("figures");
    let address = server.address();
    server.stop();
    client.closed();
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[test]
fn used_port_is_an_error_with_a_cure() {
    let server = start(&namespace("port"), |_| {});
    let error = Server::start(Options { bind: server.address(), ..Options::default() }).expect_err("in use");
    assert!(matches!(error, StartError::Listen { .. }));
    assert!(error.to_string().contains("choose another port"), "{error}");
}

/// The superuser can connect as another user; without it, a test of `gate` checks the comparison.
#[cfg(target_os = "linux")]
#[test]
fn connection_of_another_user_is_refused() {
    use std::os::unix::process::CommandExt as _;
    const NOBODY: u32 = 65534;
    let get = |server: &Server| {
        let request = format!(
            "exec 3<>/dev/tcp/127.0.0.1/{} && printf 'GET / HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n' >&3 && cat <&3",
            server.address().port()
        );
        let mut command = std::process::Command::new("bash");
        let output = command.args(["-c", &request]).current_dir("/").uid(NOBODY).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let server = start(&namespace("user"), |_| {});
    let answer = match get(&server) {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            return eprintln!("skipped: only the superuser can start a process of another user");
        }
        answer => answer.expect("bash"),
    };
    assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{answer:?}");
    assert!(answer.contains("comes from user 65534") && answer.contains("--any-user"), "{answer}");
    let event = server.event(Duration::from_secs(60));
    assert!(matches!(&event, Some(Event::Refused { reason, .. }) if reason.contains("65534")), "{event:?}");
    let server = start(&namespace("any-user"), |options| options.any_user = true);
    let answer = get(&server).expect("bash");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer:.200}");
}

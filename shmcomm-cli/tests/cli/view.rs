//! `view`: its first lines, a page over its port, wrong arguments, and its end.

use crate::support::World;
use serde_json::Value as Json;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;

#[test]
fn view_serves_its_page_until_its_time_is_over() {
    let world = World::new();
    let mut command = world.command(&["view", "--port", "0", "--json", "--duration", "20s"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the command starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let first: Json = serde_json::from_str(&lines.next().expect("a line").expect("text")).expect("JSON");
    let address = first["address"].as_str().expect("an address");
    assert_eq!(first["url"], format!("http://{address}/"));
    assert_eq!(first["socket_url"], format!("ws://{address}"));
    let mut answer = String::new();
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.write_all(b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n").expect("sent");
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    let line: Json = serde_json::from_str(&lines.next().expect("a line").expect("text")).expect("JSON");
    assert_eq!(line["event"], "refused");
    assert!(line["reason"].as_str().is_some_and(|reason| reason.contains("--allow-host")), "{line}");
    child.kill().expect("it runs");
    child.wait().expect("it ends");

    let run = world.run(&["view", "--port", "0", "--duration", "100ms"]);
    assert_eq!(run.code, Some(0));
    assert!(run.out.starts_with("http://127.0.0.1:"), "{run:?}");
    assert!(run.err.contains("in Foxglove; Ctrl-C ends"), "{run:?}");
}

#[test]
fn wrong_settings_of_a_view_are_refused() {
    let world = World::new();
    for (option, value, reason) in [
        ("--rate", "-1", "the rate is -1"),
        ("--allow-origin", "null", "any web page can have it"),
        ("--allow-origin", "app.foxglove.dev", "is no origin"),
        ("--allow-host", "a:1", "is no name of a host"),
        ("--clients", "0", "at least 1 client"),
        ("--bind", "localhost", "invalid value"),
    ] {
        let run = world.run(&["view", "--port", "0", &format!("{option}={value}")]);
        assert!(run.code == Some(2) && run.err.contains(reason), "{option} {value}: {run:?}");
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port().to_string();
    let run = world.run(&["view", "--port", &port]);
    assert!(run.code == Some(1) && run.err.contains("choose another port"), "{run:?}");
}

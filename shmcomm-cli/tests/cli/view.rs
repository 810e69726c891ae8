//! `view`: its first lines, a page and messages over its port, wrong arguments, and its end.

use crate::support::World;
use serde_json::Value as Json;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Stdio};
use std::time::Duration;
use tungstenite::client::IntoClientRequest as _;
use tungstenite::http::HeaderValue;
use tungstenite::{Message, WebSocket};

/// The command while it runs, and its lines.
struct Viewing {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Viewing {
    fn start(world: &World, arguments: &[&str]) -> Self {
        let all = [&["view", "--port", "0", "--json", "--duration", "60s"], arguments].concat();
        let mut command = world.command(&all);
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the command starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        Viewing { child, lines }
    }

    fn line(&mut self) -> Json {
        serde_json::from_str(&self.lines.next().expect("a line").expect("text")).expect("JSON")
    }
}

fn get(address: &str, host: &str) -> String {
    let mut answer = String::new();
    let mut stream = TcpStream::connect(address).expect("it listens");
    write!(stream, "GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").expect("sent");
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

/// Returns what the condition finds in a frame. Other frames are left out.
fn until<T>(socket: &mut WebSocket<TcpStream>, mut find: impl FnMut(Message) -> Option<T>) -> T {
    loop {
        if let Some(found) = find(socket.read().expect("a frame")) {
            return found;
        }
    }
}

#[test]
fn view_serves_its_page_and_the_messages_of_channels() {
    let world = World::new();
    let _peer = world.start("world");
    let mut view = Viewing::start(&world, &["-n", "1", "robot/*"]);
    let first = view.line();
    let address = first["address"].as_str().expect("an address").to_owned();
    let page = get(&address, "localhost");
    assert!(
        page.starts_with("HTTP/1.1 200 OK\r\n") && page.contains("<title>shmcomm view</title>"),
        "{page}"
    );

    let stream = TcpStream::connect(&address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a time");
    let mut request = format!("ws://{address}/").into_client_request().expect("a request");
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("shmcomm.view.v1"));
    let (mut socket, _) = tungstenite::client(request, stream).expect("a client");
    let channels = until(&mut socket, |frame| {
        let json: Json = serde_json::from_str(frame.to_text().ok()?).ok()?;
        json["channels"].as_array().cloned()
    });
    let names: Vec<_> = channels.iter().map(|one| one["channel"].as_str().expect("a name")).collect();
    assert_eq!(names, ["robot/camera", "robot/imu", "robot/state"]);
    let imu = &channels[1];
    let facts = ["sent", "senders", "receivers", "lost", "lag"].map(|name| imu[name].as_u64());
    assert_eq!(facts, [Some(5), Some(1), Some(1), Some(0), Some(0)], "{imu}");
    let wanted = serde_json::json!({
        "op": "subscribe", "subscriptions": [{ "id": 3, "channelId": imu["id"] }],
    });
    socket.send(Message::text(wanted.to_string())).expect("sent");
    let message: Json = until(&mut socket, |frame| match frame {
        Message::Binary(bytes) => Some(serde_json::from_slice(&bytes[13..]).expect("JSON")),
        _ => None,
    });
    assert_eq!((&message["position"], &message["value"]["number"]), (&4.into(), &4.into()), "{message}");
    socket.close(None).expect("closed");
    while socket.read().is_ok() {}

    let connected = view.line();
    assert_eq!(
        (&connected["event"], &connected["protocol"]),
        (&"connected".into(), &"shmcomm.view.v1".into())
    );
    let left = view.line();
    assert_eq!(
        (&left["event"], &left["sent"], &left["dropped"]),
        (&"disconnected".into(), &1.into(), &0.into())
    );
    assert_eq!(view.child.wait().expect("it ends").code(), Some(0), "-n 1 ends the command");
}

#[test]
fn view_refuses_other_names_and_ends_with_its_time() {
    let world = World::new();
    let mut view = Viewing::start(&world, &[]);
    let first = view.line();
    let address = first["address"].as_str().expect("an address");
    assert_eq!(first["url"], format!("http://{address}/"));
    assert_eq!(first["socket_url"], format!("ws://{address}"));
    let answer = get(address, "evil.example");
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    let line = view.line();
    assert_eq!(line["event"], "refused");
    assert!(line["reason"].as_str().is_some_and(|reason| reason.contains("--allow-host")), "{line}");
    view.child.kill().expect("it runs");
    view.child.wait().expect("it ends");

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
        ("--allow-origin", "app.foxglove.dev", "is not an origin"),
        ("--allow-host", "a:1", "is not the name of a host"),
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

//! Clients whose list of channels the test makes, with less patience than a server has.

use super::*;
use serde_json::{Value as Json, json};
use shmcomm::codec::Bytes;
use shmcomm::{Channel, PubSub, list_segments_in};
use std::net::TcpListener;

type Socket = WebSocket<TcpStream>;

/// Serves one client, gives it the lists, and returns the reason of its end when `test` is over.
fn serve(patience: Duration, test: impl FnOnce(&Shared, Socket)) -> End {
    let shared = Shared {
        options: Options::default(),
        catalog: Catalog::new(),
        session: String::new(),
        stopped: AtomicBool::new(false),
        patience,
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let stream = listener.accept().unwrap().0;
    std::thread::scope(|scope| {
        let serving = scope.spawn(|| Client::serve(&shared, stream, Vec::new(), Dialect::Foxglove).0);
        test(&shared, WebSocket::from_raw_socket(client, Role::Client, None));
        serving.join().unwrap()
    })
}

/// Returns the next text frame with that operation.
fn operation(client: &mut Socket, op: &str) -> Json {
    loop {
        if let Message::Text(text) = client.read().unwrap() {
            let json: Json = serde_json::from_str(text.as_str()).unwrap();
            if json["op"] == op {
                return json;
            }
        }
    }
}

#[test]
fn problem_of_the_list_is_reported_and_removed() {
    let end = serve(PATIENCE, |shared, mut client| {
        operation(&mut client, "advertise");
        let error = || shmcomm::Observer::open("view/no-such-channel").expect_err("it does not exist");
        shared.catalog.set(Err(error()), &shared.options);
        let status = operation(&mut client, "status");
        assert_eq!((&status["level"], &status["id"]), (&json!(1), &json!(LIST)));
        assert!(status["message"].as_str().unwrap().contains("there is no such channel"), "{status}");
        // Once, also if it stays.
        shared.catalog.set(Err(error()), &shared.options);
        shared.catalog.set(Ok(Vec::new()), &shared.options);
        let removed = loop {
            let Message::Text(text) = client.read().unwrap() else { continue };
            break serde_json::from_str::<Json>(text.as_str()).unwrap();
        };
        assert_eq!(removed, json!({ "op": "removeStatus", "statusIds": [LIST] }));
    });
    assert!(end.contains("connection"), "{end}");
}

#[test]
fn client_that_reads_nothing_is_disconnected() {
    const LENGTH: usize = 32 << 20;
    let namespace = format!("view-patience-{}", std::process::id());
    let channel: Channel<PubSub<[u8], Bytes>> = Channel::new("long").slots(2).slot_size(LENGTH);
    let mut publisher = channel.open().namespace(&namespace).publisher().unwrap();
    let end = serve(Duration::from_millis(300), |shared, mut client| {
        operation(&mut client, "advertise");
        shared.catalog.set(list_segments_in(&namespace), &shared.options);
        let id = &operation(&mut client, "advertise")["channels"][0]["id"];
        let subscribe = json!({ "op": "subscribe", "subscriptions": [{ "id": 1, "channelId": id }] });
        client.send(Message::text(subscribe.to_string())).unwrap();
        publisher.send(&vec![7; LENGTH]).unwrap();
        // A client that reads, however slowly, stays for longer than the patience.
        let mut part = vec![0; 64 << 10];
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(1) {
            assert!(io::Read::read(client.get_mut(), &mut part).unwrap() > 0);
            std::thread::sleep(Duration::from_millis(10));
        }
        // Without a read, the server closes the connection: what it had handed to the system is left.
        std::thread::sleep(Duration::from_secs(2));
        while matches!(io::Read::read(client.get_mut(), &mut part), Ok(1..)) {}
    });
    assert_eq!(end, "the client read nothing for 0.3 s");
}

#[test]
fn subscriptions_of_a_client_are_limited() {
    let namespace = format!("view-many-{}", std::process::id());
    let channel: Channel<PubSub<u64>> = Channel::new("one");
    let publisher = channel.open().namespace(&namespace).publisher().unwrap();
    let end = serve(PATIENCE, |shared, mut client| {
        operation(&mut client, "advertise");
        // Many files of one name: each is a channel of the protocol, and all are observed as one.
        let one = list_segments_in(&namespace).unwrap().remove(0);
        let files = (0..=SUBSCRIPTIONS).map(|number| {
            let mut file = one.clone();
            file.path.push(number.to_string());
            file
        });
        shared.catalog.set(Ok(files.collect()), &shared.options);
        let channels = operation(&mut client, "advertise")["channels"].clone();
        let all: Vec<Json> = channels
            .as_array()
            .unwrap()
            .iter()
            .enumerate()
            .map(|(id, channel)| json!({ "id": id, "channelId": channel["id"] }))
            .collect();
        assert_eq!(all.len(), SUBSCRIPTIONS + 1);
        client.send(Message::text(json!({ "op": "subscribe", "subscriptions": all }).to_string())).unwrap();
        let status = operation(&mut client, "status");
        assert!(status["message"].as_str().unwrap().contains("may have 8 subscriptions"), "{status}");
        assert_eq!(status["id"], "subscription-8");
    });
    assert!(end.contains("connection"), "{end}");
    drop(publisher);
}

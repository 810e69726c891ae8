//! A node of the realm that sends anything: each message is refused and counted, and the bridge goes on.

use crate::support::*;
use shmcomm::{Declaration, DynPusher, DynReplier};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;
use zenoh::{Session, Wait};

/// Opens a zenoh node that connects to a bridge.
fn node(at: &str) -> Session {
    let mut config = zenoh::Config::default();
    for (key, value) in [
        ("mode", "\"peer\"".to_owned()),
        ("listen/endpoints", "[]".into()),
        ("connect/endpoints", format!("[\"{at}\"]")),
        ("scouting/multicast/enabled", "false".into()),
    ] {
        config.insert_json5(key, &value).unwrap();
    }
    wait_for("connection", || {
        let session = zenoh::open(config.clone()).wait().ok()?;
        (session.info().peers_zid().wait().count() > 0).then_some(session)
    })
}

#[test]
fn hostile_descriptions_are_refused() {
    let (b, at) = (Host::new("hostile-desc"), address());
    let mut bridge = b.bridge(&["--listen", &at, "--import", "*"]);
    let session = node(&at);
    let mut kept = Vec::new();
    let cases: [(&str, Vec<u8>); 5] = [
        ("empty", Vec::new()),
        ("noise", vec![0xff; 4096]),
        ("deep", "[".repeat(100_000).into_bytes()),
        ("long", vec![b' '; 2 << 20]),
        ("fields", br#"{"version":1,"pattern":"pubsub"}"#.to_vec()),
    ];
    for (name, text) in cases {
        let key = format!("shmcomm/1/default/desc/{}/1/{name}", session.zid());
        let answer = key.clone();
        let queryable = session
            .declare_queryable(key)
            .callback(move |query| {
                let _ = query.reply(answer.as_str(), text.clone()).wait();
            })
            .wait()
            .unwrap();
        let key = format!("shmcomm/1/default/alive/{}/1/{name}", session.zid());
        kept.push((queryable, session.liveliness().declare_token(key).wait().unwrap()));
        assert!(bridge.refusal(name).contains("its description"), "{}", bridge.refusal(name));
    }
    // Keys that no bridge declares.
    let keys = ["alive/zz/1/x", "alive/af/x/y", "alive/af", "alive/af/1/a%b"];
    let tokens = keys
        .map(|key| session.liveliness().declare_token(format!("shmcomm/1/default/{key}")).wait().unwrap());
    wait_until("count", || bridge.metric("hostile_total", &[]) >= 4 + 5);
    drop(tokens);
    assert!(bridge.runs());
    drop(kept);
}

#[test]
fn offer_of_a_channel_between_bridges_is_ignored() {
    let (b, at) = (Host::new("hostile-own"), address());
    let bridge = b.bridge(&["--listen", &at, "--import", "*"]);
    let session = node(&at);
    let asked = Arc::new(AtomicU32::new(0));
    // The second offer comes later, and its description is asked for.
    let kept = ["shmcomm-bridge/9", "y"].map(|name| {
        let (asked, counts) = (asked.clone(), name != "y");
        let queryable = session
            .declare_queryable(format!("shmcomm/1/default/desc/{}/1/{name}", session.zid()))
            .callback(move |_| _ = asked.fetch_add(u32::from(counts), Relaxed))
            .wait()
            .unwrap();
        let key = format!("shmcomm/1/default/alive/{}/1/{name}", session.zid());
        (queryable, session.liveliness().declare_token(key).wait().unwrap())
    });
    assert!(bridge.refusal("y").contains("does not describe it"), "{}", bridge.refusal("y"));
    assert_eq!(asked.load(Relaxed), 0);
    assert!(!bridge.metrics().contains("channel=\"shmcomm-bridge/"), "{}", bridge.metrics());
    drop(kept);
}

/// Sends a query, and returns the answer: `Ok` for a reply, and the text of an error.
fn query(
    session: &Session,
    key: &str,
    payload: Vec<u8>,
    attachment: Option<Vec<u8>>,
) -> Result<Vec<u8>, String> {
    let get = session.get(key).payload(payload).timeout(DEADLINE);
    let replies = match attachment {
        Some(attachment) => get.attachment(attachment).wait(),
        None => get.wait(),
    };
    match replies.unwrap().recv().map_err(|error| error.to_string())?.into_result() {
        Ok(sample) => Ok(sample.payload().to_bytes().into_owned()),
        Err(error) => Err(String::from_utf8_lossy(&error.payload().to_bytes()).into_owned()),
    }
}

/// Returns the token that names a channel, of an offer or of a taker.
fn token(session: &Session, kind: &str, channel: &str) -> String {
    wait_for("token", || {
        let replies = session.liveliness().get(format!("shmcomm/1/default/{kind}/**")).wait().unwrap();
        let tokens = replies.into_iter().filter_map(|reply| reply.into_result().ok());
        tokens.map(|token| token.key_expr().to_string()).find(|key| key.ends_with(&format!("/{channel}")))
    })
}

#[test]
fn hostile_requests_and_jobs_are_refused() {
    let (a, b, at, at_b) = (Host::new("hostile-q-a"), Host::new("hostile-q-b"), address(), address());
    let mut out = a.bridge(&["--listen", &at, "--export", "*"]);
    let mut to_b = b.bridge(&["--connect", &at, "--listen", &at_b, "--import", "*"]);
    let item = || numbers_content();
    let service = Declaration::req_rep(item(), item());
    let _replier = DynReplier::create(&a.full("service"), &service).unwrap();
    let _pusher = DynPusher::create(&a.full("jobs"), &Declaration::push_pull(item())).unwrap();
    let (to_exporter, to_importer) = (node(&at), node(&at_b));
    let request = token(&to_exporter, "alive", "service").replace("/alive/", "/req/");
    let job = token(&to_importer, "take", "jobs").replace("/take/", "/job/");
    for attachment in
        [None, Some(Vec::new()), Some(vec![0xff; 64]), Some(vec![0; 64]), Some(vec![1; 100_000])]
    {
        let why = query(&to_exporter, &request, vec![0; 8], attachment.clone()).unwrap_err();
        assert!(why.contains("no head"), "{why}");
        let why = query(&to_importer, &job, vec![0; 8], attachment).unwrap_err();
        assert!(why.contains("no head"), "{why}");
    }
    wait_until("count of requests", || out.metric("invalid_total", &["service"]) == 5);
    wait_until("count of jobs", || to_b.metric("invalid_total", &["jobs"]) == 5);
    assert!(out.runs() && to_b.runs());
}

#[test]
fn hostile_messages_are_counted_and_dropped() {
    let (a, b, at, at_b) = (Host::new("hostile-a"), Host::new("hostile-b"), address(), address());
    let _out = a.bridge(&["--listen", &at, "--export", "*"]);
    let mut to_b = b.bridge(&["--connect", &at, "--listen", &at_b, "--import", "*"]);
    let mut publisher = a.publisher("x", &numbers());
    let mut subscriber = b.subscriber("x");
    let (next, _) = until_received(&mut publisher, &mut subscriber, 0);
    drain(&mut subscriber);
    // The node learns key and head of the messages from one of them, and sends its own there.
    let (session, to_importer) = (node(&at), node(&at_b));
    let heard = session.declare_subscriber("shmcomm/1/default/msg/**").wait().unwrap();
    let sample = wait_for("message", || {
        publisher.send_bytes(&next.to_le_bytes()).unwrap();
        heard.recv_timeout(Duration::from_millis(50)).ok().flatten()
    });
    let key = sample.key_expr().to_string();
    let head = sample.attachment().unwrap().to_bytes().into_owned();
    drain(&mut subscriber);
    let other = {
        let mut head = head.clone();
        head[48] ^= 1;
        head
    };
    let later = |by: u64| {
        let mut head = head.clone();
        let number = u64::from_le_bytes(head[24..32].try_into().unwrap()) + by;
        head[24..32].copy_from_slice(&number.to_le_bytes());
        head
    };
    let bad: [(Vec<u8>, Option<Vec<u8>>); 7] = [
        (vec![0; 8], None),
        (vec![0; 8], Some(Vec::new())),
        (vec![0; 8], Some(vec![0xff; 1000])),
        (vec![0; 8], Some(head[..63].to_vec())),
        (vec![0; 8], Some(other)),
        (vec![0; 7], Some(later(1000))),
        (vec![0; 1 << 20], Some(later(1001))),
    ];
    for (payload, attachment) in &bad {
        let put = to_importer.put(key.as_str(), payload.clone());
        match attachment {
            Some(attachment) => put.attachment(attachment.clone()).wait().unwrap(),
            None => put.wait().unwrap(),
        }
    }
    wait_until("count", || to_b.metric("invalid_total", &["x"]) == bad.len() as u64);
    assert_eq!(drain(&mut subscriber), [0_u64; 0]);
    // Messages of the channel still come.
    until_received(&mut publisher, &mut subscriber, 50_000);
    assert!(to_b.runs());
}

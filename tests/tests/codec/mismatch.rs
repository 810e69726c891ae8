//! Messages in another format than the declared one: every receiving end names both formats; the errors
//! about paths and keys.

use serde::{Deserialize, Serialize};
use shmcomm::codec::pickle::{self, Protocol};
use shmcomm::codec::{
    Bytes, Codec, Decode, DecodeError, DecodeErrorKind as Kind, Msgpack, Pickle, Value, msgpack,
};
use shmcomm::python::{
    Options, Publisher, Puller, Pusher, RecvError, RecvTimeoutError, Replier, Requester, Subscriber,
    Unreadable,
};
use shmcomm::{Fixed, ShmMessage};
use shmcomm_tests::wire::{LONG, Name};
use std::time::Duration;

#[derive(Debug, Serialize, Deserialize)]
struct Job {
    id: i64,
    text: String,
}

fn job() -> Job {
    Job { id: 7, text: "weld".into() }
}

#[track_caller]
fn refused<C: Codec + Decode<Value> + Decode<Job>>(bytes: &[u8]) -> DecodeError {
    let error = <C as Decode<Job>>::decode(bytes).err().unwrap();
    assert_eq!(<C as Decode<Value>>::decode(bytes).err().unwrap().to_string(), error.to_string());
    error
}

#[test]
fn another_serialization_is_named() {
    let pickles = [
        (pickle::to_vec(&job()).unwrap(), "pickle of protocol 5"),
        (Protocol::V4.encode_vec(&job()).unwrap(), "pickle of protocol 4"),
        (b"\x80\x02}q\0X\x02\0\0\0idq\x01K\x07s.".to_vec(), "pickle of protocol 2"),
        (b"\x80\x03N.".to_vec(), "pickle of protocol 3"),
        (b"(dp0\nVid\np1\nI7\ns.".to_vec(), "pickle of protocol 0 or 1"),
    ];
    for (bytes, words) in &pickles {
        let error = refused::<Msgpack>(bytes);
        assert_eq!(error.kind(), Kind::Mismatch);
        let text = error.to_string();
        assert!(text.contains(&format!("this is a {words}; this channel is declared `Msgpack`")), "{text}");
    }
    let other = [
        (msgpack::to_vec(&job()).unwrap(), "msgpack"),
        (msgpack::to_vec(&vec![job(), job()]).unwrap(), "msgpack"),
        (msgpack::to_vec(&1.5).unwrap(), "msgpack"),
        (br#"{"id": 7, "text": "weld"}"#.to_vec(), "JSON"),
        (b" [1, 2]\n".to_vec(), "JSON"),
        ("größe in Text".into(), "plain text"),
    ];
    for (bytes, words) in &other {
        let error = refused::<Pickle>(bytes);
        assert_eq!(error.kind(), Kind::Mismatch, "{error}");
        let text = error.to_string();
        assert!(
            text.contains(&format!("this looks like {words}; this channel is declared `Pickle`")),
            "{text}"
        );
    }
    for (bytes, words) in &other[3..] {
        let text = refused::<Msgpack>(bytes).to_string();
        assert!(text.contains(&format!("looks like {words}; this channel is declared `Msgpack`")), "{text}");
    }
    // Raw bytes have no mark: the error says what is wrong with them, and how to receive them.
    for text in
        [refused::<Pickle>(b"\xff\xfe\0\x01").to_string(), refused::<Msgpack>(b"\xc1\0\xff").to_string()]
    {
        assert!(text.contains("declared `") && text.contains("`recv_bytes`"), "{text}");
    }
}

#[test]
fn an_error_about_the_type_names_no_other_format() {
    let wrong = |bytes: &[u8]| <Pickle as Decode<Vec<u64>>>::decode(bytes).unwrap_err();
    let error = wrong(&pickle::to_vec(&job()).unwrap());
    assert_eq!(error.kind(), Kind::Type);
    assert!(!error.to_string().contains("declared"), "{error}");
    let mut cut = pickle::to_vec(&job()).unwrap();
    cut.pop();
    assert_eq!(wrong(&cut).kind(), Kind::Truncated);
    let error = <Msgpack as Decode<Vec<u64>>>::decode(&msgpack::to_vec(&job()).unwrap()).unwrap_err();
    assert!(!error.to_string().contains("declared"), "{error}");
}

#[track_caller]
fn names_both(why: &Unreadable, declared: &str) {
    let text = why.to_string();
    assert!(text.contains("this is a pickle") && text.contains(&format!("declared `{declared}`")), "{text}");
}

/// A pickle of the size of a message of fixed layout would be taken for one: this one has another size.
#[derive(Clone, Copy, ShmMessage)]
#[repr(C)]
struct Three(u8, u8, u8);

#[test]
fn every_end_for_python_names_another_serialization() {
    let bytes = pickle::to_vec(&job()).unwrap();

    let name = Name::new("mismatch-pub");
    let mut publisher = Publisher::<[u8], Bytes>::open(name.pubsub()).unwrap();
    let mut msgpack = Subscriber::<Job, Msgpack>::open(name.pubsub()).unwrap();
    let mut fixed = Subscriber::<Three, Fixed>::open(name.pubsub()).unwrap();
    publisher.send(&bytes).unwrap();
    match msgpack.recv_timeout(LONG) {
        Err(RecvTimeoutError::Invalid(why)) => names_both(&why, "Msgpack"),
        other => panic!("{other:?}"),
    }
    match fixed.recv_timeout(LONG) {
        Err(RecvTimeoutError::Invalid(why)) => names_both(&why, "Fixed"),
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("was received"),
    }
    assert_eq!((msgpack.invalid(), fixed.invalid()), (1, 1));

    let name = Name::new("mismatch-push");
    let mut pusher =
        Pusher::<[u8], Bytes>::open(Options { linger: Duration::ZERO, ..name.pushpull() }).unwrap();
    let mut puller = Puller::<Job, Msgpack>::open(name.pushpull()).unwrap();
    pusher.send(&bytes).unwrap();
    match puller.recv() {
        Err(RecvError::Invalid(why)) => names_both(&why, "Msgpack"),
        other => panic!("{other:?}"),
    }

    let name = Name::new("mismatch-rep");
    let mut replier = Replier::<Job, Job, Msgpack>::open(name.reqrep()).unwrap();
    let client = std::thread::spawn({
        let options = name.reqrep();
        move || {
            let mut requester = Requester::<Job, Job, Pickle>::open(options).unwrap();
            requester.request(&job(), LONG).unwrap_err().to_string()
        }
    });
    match replier.recv_timeout(LONG) {
        Err(RecvTimeoutError::Invalid(why)) => names_both(&why, "Msgpack"),
        other => panic!("{other:?}"),
    }
    replier.send(&job()).unwrap();
    let error = client.join().unwrap();
    assert!(error.contains("msgpack") && error.contains("declared `Pickle`"), "{error}");
}

shmcomm::channel! {
    AsPickle: PubSub<Job, Pickle> { name: "mismatch/native", slot_size: 256 }
}

shmcomm::channel! {
    AsMsgpack: PubSub<Job, Msgpack> { name: "mismatch/native", slot_size: 256 }
}

#[test]
fn native_channel_of_another_codec_is_refused_by_name() {
    let namespace = format!("codec-{}", std::process::id());
    let _publisher = AsPickle::open().namespace(&*namespace).publisher().unwrap();
    let error = AsMsgpack::open().namespace(&*namespace).subscriber().err().unwrap().to_string();
    assert!(error.contains("pickle") && error.contains("msgpack"), "{error}");
}

#[test]
fn the_error_for_deep_nesting_is_short() {
    let mut bytes = vec![0x80, 5];
    bytes.extend(b"]".repeat(200));
    bytes.extend(b"a".repeat(199));
    bytes.push(b'.');
    let text = pickle::from_slice::<Value>(&bytes).unwrap_err().to_string();
    assert!(text.contains("deeper than 128 levels") && text.len() < 200, "{text}");
    let mut deep = Value::None;
    for _ in 0..300 {
        deep = Value::List(vec![deep]);
    }
    for text in
        [pickle::to_vec(&deep).unwrap_err().to_string(), msgpack::to_vec(&deep).unwrap_err().to_string()]
    {
        assert!(text.contains("nested deeper") && text.len() < 200, "{text}");
    }
}

#[test]
fn a_key_that_comes_again_keeps_its_last_value() {
    let python = b"\x80\x05}(\x8c\x01aK\x01\x8c\x01bK\x02\x8c\x01aK\x03u.";
    let want: Value = [("a", 3i64), ("b", 2)].into_iter().collect();
    assert_eq!(pickle::from_slice::<Value>(python).unwrap(), want);
    assert_eq!(msgpack::from_slice::<Value>(b"\x83\xa1a\x01\xa1b\x02\xa1a\x03").unwrap(), want);
    let numbers: Value = pickle::from_slice(b"\x80\x05}(K\x01N\x88K\x02u.").unwrap();
    assert_eq!(numbers.as_dict().unwrap().as_slice(), [(Value::Int(1), Value::Int(2))]);
}

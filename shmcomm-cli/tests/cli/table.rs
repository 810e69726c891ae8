//! `shmcomm list`, `info` and `echo` of a table.

use crate::support::World;

#[test]
fn list_and_info_show_keys_and_writers() {
    let world = World::new();
    let peer = world.start("table");
    let list = world.run(&["list", "table", "--json"]).objects().remove(0);
    assert_eq!((list["pattern"].as_str(), list["slots"].as_u64()), (Some("table"), Some(3)));
    assert_eq!((list["sent"].as_u64(), list["senders"].as_u64()), (Some(4), Some(2)));
    assert!(list["receivers"].is_null() && list["lost"].is_null(), "readers of a table take no seat: {list}");
    let info = world.run(&["info", "table", "--json"]).objects().remove(0);
    let keys = info["keys"].as_array().unwrap();
    let shown: Vec<_> = keys.iter().map(|key| (key["key"].as_str(), key["version"].as_u64())).collect();
    assert_eq!(shown, [(Some("charge"), Some(3)), (Some("mode"), Some(1)), (Some("pose"), Some(0))]);
    assert!(keys[0]["pid"].as_u64() == Some(peer.pid().into()) && keys[0]["alive"] == true, "{info}");
    assert!(keys[2]["pid"].is_null() && keys[2]["time"].is_null() && keys[2]["type"] == "[f64; 3]", "{info}");
    let info = world.run(&["info", "table"]);
    assert!(info.code == Some(0) && info.out.contains("keys\t3 in "), "{info:?}");
    assert!(info.out.contains("stored\t4 values") && info.out.contains("charge\tf32\t3\t"), "{info:?}");
    peer.kill();
    let info = world.run(&["info", "table"]);
    assert!(info.out.contains("dead") && !info.out.contains("alive"), "{info:?}");
}

#[test]
fn echo_shows_each_key_and_its_changes() {
    let world = World::new();
    let _peer = world.start("table");
    let once = world.run(&["echo", "table", "--once"]);
    assert_eq!((once.code, once.out.as_str()), (Some(0), "charge  #3  0.5\nmode  #1  Run\n"), "{}", once.err);
    let json = world.run(&["echo", "table", "--once", "--json"]).objects();
    assert_eq!((json[0]["key"].as_str(), json[0]["version"].as_u64()), (Some("charge"), Some(3)));
    assert_eq!((json[0]["value"].as_f64(), json[1]["value"].as_str()), (Some(0.5), Some("Run")));
    assert!(json[0]["time"].as_f64().unwrap() > 1.7e9, "{json:?}");
    let hex = world.run(&["echo", "table", "--once", "--hex", "--json"]).objects();
    assert_eq!(hex[1]["hex"].as_str(), Some("02"));
    let run = world.run(&["echo", "table", "-n", "50", "--duration", "200ms"]);
    assert!(run.code == Some(3) && run.err.contains("2 values of 50 came"), "{run:?}");
    let run = world.run(&["echo", "table", "--field", "charge"]);
    assert!(run.code == Some(2) && run.err.contains("is a table"), "{run:?}");
    let run = world.run(&["delay", "table"]);
    assert!(run.code == Some(1) && run.err.contains("is a table"), "{run:?}");
}

#[test]
fn encoded_values_are_decoded_and_faults_are_named() {
    let world = World::new();
    let _peer = world.start("encoded");
    let once = world.run(&["echo", "arm", "--once"]);
    let mut lines = once.out.lines();
    assert_eq!(lines.next(), Some("settings  #1  gain: [0.5, 2.0]"), "{once:?}");
    let fault = "<no value of codec `msgpack` in 3 bytes: ";
    let broken = lines.next().unwrap();
    assert!(once.code == Some(0) && broken.starts_with(&format!("broken  #1  {fault}")), "{broken}");
    let json = world.run(&["echo", "arm", "--once", "--json"]).objects();
    assert_eq!(json[0]["value"]["gain"][1].as_f64(), Some(2.0), "{json:?}");
    assert!(json[1]["key"] == "broken" && json[1]["value"].as_str().unwrap().starts_with(fault), "{json:?}");
    let info = world.run(&["info", "arm", "--json"]).objects().remove(0);
    assert_eq!(info["keys"][0]["type"].as_str(), Some("Encoded<_, Msgpack, 48>"), "{info}");
    // A field of a message is decoded too.
    let message = world.run(&["echo", "tunings", "--once"]);
    assert!(message.out.ends_with("number: 7  settings: {gain: [0.5, 2.0]}\n"), "{message:?}");
    let json = world.run(&["echo", "tunings", "--once", "--json"]).objects();
    assert_eq!(json[0]["message"]["settings"]["gain"][0].as_f64(), Some(0.5), "{json:?}");
}

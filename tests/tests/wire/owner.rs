//! A segment of version 1 of another user is refused before anything in it is read.

use shmcomm::ErrorKind;
use shmcomm::codec::Bytes;
use shmcomm::python::{Options, Publisher, Puller, Pusher, Replier, Requester, Subscriber};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::time::Duration;

#[test]
fn another_user_s_segment_is_refused() {
    let options = || Options {
        connect_timeout: Duration::ZERO,
        ..Options::pubsub(format!("owner-{}", std::process::id()))
    };
    let path = format!("/dev/shm/shmcomm_pub_{}", options().name);
    let _publisher = Publisher::<[u8], Bytes>::open(options()).unwrap();
    let refused = || Subscriber::<Vec<u8>, Bytes>::open(options()).map(|_| ()).unwrap_err();

    // Others may write to it: then it may be anybody's.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o622)).unwrap();
    let error = refused();
    assert_eq!(error.kind(), ErrorKind::Permission, "{error}");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();

    let user = std::fs::metadata(&path).unwrap().uid();
    if user != 0 {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "nothing is skipped in CI: run it as root");
        eprintln!("\n!!!! SKIPPED: only root can give a file away; the rest of this test did not run\n");
        return;
    }
    chown(&path, Some(65534), None).unwrap();
    let error = refused();
    assert_eq!(error.kind(), ErrorKind::Permission, "{error}");
    assert!(error.to_string().contains("65534"), "{error}");
    chown(&path, Some(0), None).unwrap();
    others_are_refused_in_other_roles();
    Subscriber::<Vec<u8>, Bytes>::open(options()).unwrap();
}

/// The other two patterns, as root.
fn others_are_refused_in_other_roles() {
    let name = format!("owner-roles-{}", std::process::id());
    let short = |options: Options| Options { connect_timeout: Duration::ZERO, ..options };
    // A service takes Python's name away as soon as a requester opens the file. The hidden name stays.
    let give = |kind: &str, user| chown(format!("/dev/shm/shmcomm_{kind}~{name}"), Some(user), None).unwrap();
    let refused = |error: shmcomm::Error| {
        assert_eq!(error.kind(), ErrorKind::Permission, "{error}");
        assert!(error.to_string().contains("65534"), "{error}");
    };
    let _pusher =
        Pusher::<[u8], Bytes>::open(Options { linger: Duration::ZERO, ..Options::pushpull(name.clone()) })
            .unwrap();
    give("push", 65534);
    refused(Puller::<Vec<u8>, Bytes>::open(short(Options::pushpull(name.clone()))).unwrap_err());
    give("push", 0);
    let _replier = Replier::<Vec<u8>, [u8], Bytes>::open(Options::reqrep(name.clone())).unwrap();
    give("req", 65534);
    refused(Requester::<[u8], Vec<u8>, Bytes>::open(short(Options::reqrep(name.clone()))).unwrap_err());
    give("req", 0);
}

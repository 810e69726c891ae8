//! TLS with a test authority: bridges with its certificates meet, and others do not.

use crate::support::*;
use std::process::Command;
use std::time::Duration;

/// Makes an authority with this name, and a certificate of it for loopback, in the directory of the host. Returns the
/// flags of a bridge; `None` without openssl, loudly.
fn certificates(host: &Host, authority: &str) -> Option<Vec<String>> {
    let file = |name: &str| host.file(&format!("{authority}-{name}"));
    std::fs::write(file("ext"), "subjectAltName=IP:127.0.0.1,DNS:localhost\n").unwrap();
    let (ca, ca_key, key, request, made) =
        (file("ca.pem"), file("ca.key"), file("key"), file("csr"), file("pem"));
    let subject = format!("/CN={authority}");
    let commands: [&[&str]; 3] = [
        &[
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", &subject, "-keyout",
            &ca_key, "-out", &ca,
        ],
        &["req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=bridge", "-keyout", &key, "-out", &request],
        &[
            "x509",
            "-req",
            "-in",
            &request,
            "-CA",
            &ca,
            "-CAkey",
            &ca_key,
            "-CAcreateserial",
            "-days",
            "2",
            "-extfile",
            &file("ext"),
            "-out",
            &made,
        ],
    ];
    for command in commands {
        match Command::new("openssl").args(command).output() {
            Ok(out) => assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr)),
            Err(error) => {
                missing(&format!("openssl: {error}"));
                return None;
            }
        }
    }
    let flags = ["--tls-root-ca", &ca, "--tls-certificate", &made, "--tls-key", &key, "--tls-mutual"];
    Some(flags.map(str::to_owned).to_vec())
}

#[test]
fn bridges_with_certificates_meet_and_others_do_not() {
    let (a, b, stranger) = (Host::new("tls-a"), Host::new("tls-b"), Host::new("tls-stranger"));
    let at = address().replace("tcp/", "tls/");
    let Some(ours) = certificates(&a, "ours") else { return };
    let Some(theirs) = certificates(&stranger, "theirs") else { return };
    let start = |host: &Host, rest: &[&str], tls: &[String]| {
        let all: Vec<&str> = rest.iter().copied().chain(tls.iter().map(String::as_str)).collect();
        host.bridge(&all)
    };
    let out = start(&a, &["--listen", &at, "--export", "*", "--compression"], &ours);
    let _in = start(&b, &["--connect", &at, "--import", "*", "--compression"], &ours);
    let refused = start(&stranger, &["--connect", &at, "--import", "*"], &theirs);
    let plain = at.replace("tls/", "tcp/");
    let unencrypted = stranger.bridge(&["--connect", &plain, "--import", "*"]);
    let mut publisher = a.publisher("x", &numbers());
    let mut subscriber = b.subscriber("x");
    until_received(&mut publisher, &mut subscriber, 0);
    std::thread::sleep(Duration::from_secs(2));
    wait_until("one peer", || out.metric("peers", &[]) == 1);
    assert_eq!((refused.metric("peers", &[]), unencrypted.metric("peers", &[])), (0, 0));
    assert!(shmcomm::describe(&stranger.full("x")).unwrap().is_none());
}

//! Four publishers on one channel. Two subscribers see one order, while one publisher is stopped in the
//! middle of its work and another one is killed and started again.
//!
//! `cargo run --release --example publishers`

use shmcomm::RecvTimeoutError;
use shmcomm_examples::Reports;
use std::collections::BTreeMap;
use std::process::{self, Child, Command};
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if std::env::args().nth(1).as_deref() == Some("report") {
        return report();
    }
    let namespace = format!("publishers-{}", process::id());
    // This publisher is opened first, so that the subscribers miss nothing. It keeps a publisher's seat until
    // it is dropped.
    let first = Reports::open().namespace(&namespace).publisher()?;
    let mut readers = Vec::new();
    for _ in 0..2 {
        let subscriber = Reports::open().namespace(&namespace).subscriber()?;
        readers.push(std::thread::spawn(move || read(subscriber)));
    }
    drop(first);

    let start =
        || Command::new(std::env::current_exe()?).arg("report").env("SHMCOMM_NAMESPACE", &namespace).spawn();
    let mut lookouts = [start()?, start()?, start()?, start()?];
    std::thread::sleep(Duration::from_millis(300));
    signal(&lookouts[0], "STOP")?;
    println!("stopped {}", lookouts[0].id());
    lookouts[1].kill()?;
    lookouts[1].wait()?;
    println!("killed {}", lookouts[1].id());
    lookouts[1] = start()?;
    std::thread::sleep(Duration::from_millis(500));
    signal(&lookouts[0], "CONT")?;
    std::thread::sleep(Duration::from_millis(200));
    for lookout in &mut lookouts {
        lookout.kill()?;
        lookout.wait()?;
    }

    let mut seen = readers.into_iter().map(|reader| reader.join().expect("the reader ends"));
    let (one, other) = (seen.next().unwrap_or_default(), seen.next().unwrap_or_default());
    let both = one.iter().filter(|(position, _)| other.contains_key(position)).count();
    let same = one.iter().filter(|(position, seen)| other.get(position) == Some(seen)).count();
    println!(
        "{} and {} reports; {both} seen by both, {same} of them in the same place",
        one.len(),
        other.len()
    );
    let mut counts = BTreeMap::new();
    one.values().for_each(|(who, _)| *counts.entry(who).or_insert(0) += 1);
    counts.iter().for_each(|(who, count)| println!("{count:>6} reports of {who}"));
    assert_eq!(both, same);
    Ok(())
}

/// Reports by position in the order: the sender of the report, and its content.
type Seen = BTreeMap<u64, (String, String)>;

fn read(mut reports: shmcomm::Subscriber<[f64; 2]>) -> Seen {
    let mut seen = Seen::new();
    let quiet = Duration::from_secs(2);
    let mut last = Instant::now();
    while last.elapsed() < quiet {
        match reports.recv_timeout(Duration::from_millis(100)) {
            Ok(report) => {
                let who = reports.publisher().map_or_else(String::new, |who| who.to_string());
                seen.insert(reports.received() + reports.lost(), (who, format!("{report:?}")));
                last = Instant::now();
            }
            Err(RecvTimeoutError::Lagged(_) | RecvTimeoutError::Timeout) => {}
            // No publisher is open yet, or any more.
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
    seen
}

/// Reports the position of a lookout every hundred microseconds.
fn report() -> Result<(), Box<dyn std::error::Error>> {
    let mut reports = Reports::publisher()?;
    let who = f64::from(process::id());
    for step in 0.. {
        reports.send(&[who, f64::from(step)])?;
        std::thread::sleep(Duration::from_micros(100));
    }
    Ok(())
}

fn signal(process: &Child, signal: &str) -> std::io::Result<()> {
    Command::new("kill").args([format!("-{signal}"), process.id().to_string()]).status().map(drop)
}

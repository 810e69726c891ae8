//! Slots that grow: log entries of any length go through a channel whose slots begin small.
//!
//! `cargo run --release --example growing`

use shmcomm::SendError;
use shmcomm_examples::Log;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let namespace = format!("growing-{}", std::process::id());
    let mut service = Log::open().namespace(&namespace).publisher()?;
    let mut viewer = Log::open().namespace(&namespace).subscriber()?;
    let limit = service.max_len();
    // An entry of the usual length, a backtrace, a dump, and an entry of the usual length again.
    for len in [80, 3_000, 200_000, 90, limit] {
        let before = service.stats();
        service.send(&(len as u64), &vec![b'x'; len])?;
        let now = service.stats();
        if now.growths > before.growths {
            println!("{len} bytes: the slots grew from {} to {} bytes", before.slot_size, now.slot_size);
        } else {
            println!("{len} bytes: fit into slots of {} bytes", now.slot_size);
        }
    }
    // No growth goes beyond the limit, and the error names it.
    match service.send(&0, &vec![b'x'; limit + 1]) {
        Err(error @ SendError::TooLong { .. }) => println!("{} bytes: {error}", limit + 1),
        other => return Err(format!("unexpected: {other:?}").into()),
    }
    // The subscriber drains the small slots, and follows.
    while let Ok(entry) = viewer.try_recv_ref() {
        assert_eq!(entry.items().len() as u64, *entry.header());
        drop(entry);
    }
    println!("received {} entries, lost {}", viewer.received(), viewer.lost());
    Ok(())
}

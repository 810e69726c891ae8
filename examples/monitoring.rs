//! Lists the channels of this user and who takes part in them, once or again and again.
//!
//! `cargo run --release --example monitoring`, with a number of seconds to repeat after:
//! `cargo run --release --example monitoring -- 1`

use std::time::Duration;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pause = match std::env::args().nth(1) {
        Some(seconds) => Some(Duration::from_secs_f64(seconds.parse()?)),
        None => None,
    };
    loop {
        show()?;
        match pause {
            Some(pause) => std::thread::sleep(pause),
            None => return Ok(()),
        }
    }
}

fn show() -> Result<(), shmcomm::Error> {
    let segments = shmcomm::list_segments()?;
    if segments.is_empty() {
        println!("no channels; start `--example publisher` in another terminal");
    }
    for segment in segments {
        println!(
            "{}  {}, {} slots of {} bytes, {} KiB in all{}",
            segment.channel,
            segment.pattern,
            segment.slots,
            segment.slot_size,
            segment.size / 1024,
            if segment.stale { ", stale: nobody is alive" } else { "" },
        );
        for who in &segment.participants {
            println!(
                "    {:?} {} (pid {}){}: {} messages, {} behind, {} lost",
                who.role,
                who.process,
                who.pid,
                if who.alive { "" } else { ", dead" },
                who.messages,
                who.lag.unwrap_or(0),
                who.lost,
            );
        }
    }
    Ok(())
}

//! Lists the channels of this user and their participants, once or repeatedly.
//!
//! `cargo run --release --example monitoring`. With a number of seconds it repeats after that time:
//! `cargo run --release --example monitoring -- 1`

use shmcomm::Role;
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
            if segment.stale { ", stale: no participant is alive" } else { "" },
        );
        if let Some(backlog) = &segment.backlog {
            println!(
                "    {} waiting, {} claimed, {} done",
                backlog.waiting, backlog.claimed, backlog.acknowledged
            );
        }
        for who in &segment.participants {
            print!("    {:?} {} (pid {})", who.role, who.process, who.pid);
            print!(
                "{}: {} {}",
                if who.alive { "" } else { ", dead" },
                count(who.messages, "message"),
                verb(who.role)
            );
            if let Some(lag) = who.lag {
                print!(", {lag} behind, {} lost", who.lost);
            }
            println!();
        }
    }
    Ok(())
}

/// Returns a number with its noun: `1 message`, `2 messages`.
fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

fn verb(role: Role) -> &'static str {
    if role.sends() { "sent" } else { "received" }
}

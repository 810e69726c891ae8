//! Publish/subscribe without loss to several subscribers at full speed: messages a second.
//!
//! The subscribers share the other process, which polls them in turn. The figure counts messages; each is delivered to
//! every subscriber.

use super::throughput::stream;
use crate::case::{Case, Entry, Figure, Target};
use crate::peer::{Touch, Wait, bare, shm};

const SLOTS: usize = 1024;
const SUBSCRIBERS: [usize; 3] = [1, 4, 16];

pub fn cases() -> Vec<Case> {
    vec![of::<8>(48_000)]
}

fn of<const N: usize>(burst: u64) -> Case {
    let (mut ways, mut targets) = (Vec::new(), Vec::new());
    for count in SUBSCRIBERS {
        let name = |peer: &str| format!("{peer}, {count} subscribers");
        let burst = burst / count as u64;
        ways.push(Entry::new(name("slot ring"), burst, move |place| {
            let open = |name: &str| bare::Ring::<N>::open(name, SLOTS, Wait::Polling, Touch::All);
            let receivers = |name: &str| (0..count).map(|number| Ok(open(name)?.spread(number))).collect();
            stream::<_, Vec<_>>(place, |name| Ok(open(name)?.spread(count - 1)), receivers)
        }));
        ways.push(Entry::new(name("shmcomm"), burst, move |place| {
            let receiver = |name: &str| shm::Subscriber::<N>::open(name, Wait::Polling, Touch::All);
            let receivers = |name: &str| (0..count).map(|_| receiver(name)).collect();
            stream::<_, Vec<_>>(place, |name| shm::Publisher::<N>::waiting(name, SLOTS), receivers)
        }));
        ways.iter_mut().filter(|way| way.x == 0.0).for_each(|way| way.x = count as f64);
        targets.push(Target::at_least(&name("shmcomm"), 0.8, &name("slot ring")));
    }
    Case {
        id: format!("spread-{}", 8 * N),
        title: format!("To several subscribers, {} bytes, lossless", 8 * N),
        figure: Figure::Throughput { bytes: 8 * N as u64 },
        ways,
        targets,
    }
}

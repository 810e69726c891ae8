//! Memory of a channel of 64-byte messages with default sizes. Measured as the files that appear and the
//! pages that the sender gains.

use crate::Result;
use crate::case::{Burst, Case, Entry, Figure, Outcome, Place, Target, Way};
use crate::peer::{Receiver, Sender, Touch, Wait, bare, occupied, resident, shm};

const N: usize = 8;
/// Number of messages that exceeds the capacity of every peer.
const LAP: u64 = 300;

pub fn cases() -> Vec<Case> {
    #[allow(unused_mut, reason = "peers are optional")]
    let mut ways = vec![
        Entry::new("slot ring, 64 slots", 1, |place| {
            let open = |name: &str| bare::Ring::<N>::open(name, 64, Wait::Polling, Touch::All);
            channel(place, |name| Ok(bare::Overwriting(open(name)?)), open)
        }),
        Entry::new("shmcomm", 1, |place| {
            let subscriber = |name: &str| shm::Subscriber::<N>::open(name, Wait::Polling, Touch::All);
            channel(place, shm::Publisher::<N>::by_default, subscriber)
        }),
    ];
    #[cfg(feature = "iceoryx2")]
    ways.push(Entry::new("iceoryx2", 1, |place| {
        use crate::peer::iceoryx::{Publisher, Settings, Subscriber};
        let publisher = |name: &str| Publisher::<N>::open(name, Touch::All, Settings::BY_DEFAULT);
        let subscriber = |name: &str| Subscriber::<N>::open(name, Touch::All, Settings::BY_DEFAULT);
        channel(place, publisher, subscriber)
    }));
    vec![Case {
        id: "memory-64".into(),
        title: "Memory of a channel of 64-byte messages, one publisher, one subscriber".into(),
        figure: Figure::Memory,
        ways,
        targets: vec![Target::figure("shmcomm", 64.0, 1024.0, "KiB")],
    }]
}

fn channel<S: Sender + 'static, R: Receiver + 'static>(
    place: &Place,
    sender: impl Fn(&str) -> Result<S>,
    receiver: impl Fn(&str) -> Result<R>,
) -> Result<Box<dyn Way>> {
    if !place.leads {
        return Ok(Box::new(Other { _end: receiver(&place.name)? }));
    }
    let (files, pages) = (occupied(&place.name)?, resident()?);
    let mut sender = sender(&place.name)?;
    for number in 1..LAP {
        sender.send(number)?;
    }
    let pages = resident()?.saturating_sub(pages);
    Ok(Box::new(Occupies { name: place.name.clone(), files, pages, _end: sender }))
}

struct Occupies<S> {
    name: String,
    /// Bytes of the files before the channel existed.
    files: u64,
    pages: u64,
    _end: S,
}

impl<S> Way for Occupies<S> {
    fn lead(&mut self, _: Burst) -> Result<Outcome> {
        let files = occupied(&self.name)?.saturating_sub(self.files);
        Ok(Outcome::Value(files as f64, self.pages))
    }
}

struct Other<R> {
    _end: R,
}

impl<R> Way for Other<R> {
    fn lead(&mut self, _: Burst) -> Result<Outcome> {
        Err("a receiver follows".into())
    }
}

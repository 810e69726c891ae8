//! Tables of latest values: cost of a store and of a load, both ends in one thread.
//!
//! Everything stays in one processor's cache, so this is the work itself, without the transfer between processors. The
//! other process has ends of its own, which it does not use.

use crate::Result;
use crate::case::{Burst, Case, Entry, Figure, Outcome, Place, Target, Way, check, now};
use crate::peer::table::{Ends, N, SequenceLock, Table, Timed};
use std::hint::black_box;

const BURST: u64 = 50_000;

/// The way whose store does not read the clock.
const TIMED: &str = "shmcomm, time given by the caller";

#[derive(Clone, Copy)]
enum Call {
    Store,
    Load,
}

pub fn cases() -> Vec<Case> {
    vec![
        case("table-store-64", "Store of a value of 64 bytes in a table", Call::Store),
        case("table-load-64", "Load of a value of 64 bytes from a table", Call::Load),
    ]
}

fn case(id: &str, title: &str, call: Call) -> Case {
    #[allow(unused_mut, reason = "peers are optional")]
    let mut ways = vec![
        Entry::new("sequence lock in plain memory", BURST, move |_| run(SequenceLock::new(), call)),
        Entry::new("shmcomm", BURST, move |place| run(Table::open(&own(place))?, call)),
    ];
    // The values of shmcomm have a time, and those of the others have none. A store reads the clock for it, unless the
    // program has the time already.
    let compared = match call {
        Call::Store => {
            let timed = move |place: &Place| run(Timed(Table::open(&own(place))?), call);
            ways.push(Entry::new(TIMED, BURST, timed));
            TIMED
        }
        Call::Load => "shmcomm",
    };
    #[cfg(feature = "iceoryx2")]
    ways.push(Entry::new("iceoryx2 blackboard", BURST, move |place| {
        use crate::peer::table::blackboard::Blackboard;
        run(Blackboard::open(&own(place))?, call)
    }));
    Case {
        id: id.into(),
        title: title.into(),
        figure: Figure::Cost,
        ways,
        targets: vec![Target::at_most(compared, 1.0, "iceoryx2 blackboard")],
    }
}

/// Returns a name that the other process does not use.
pub(super) fn own(place: &Place) -> String {
    format!("{}-{}", place.name, if place.leads { "lead" } else { "follow" })
}

struct Run<E> {
    ends: E,
    call: Call,
}

fn run<E: Ends + 'static>(mut ends: E, call: Call) -> Result<Box<dyn Way>> {
    ends.store([1; N])?;
    Ok(Box::new(Run { ends, call }))
}

impl<E: Ends> Way for Run<E> {
    fn lead(&mut self, burst: Burst) -> Result<Outcome> {
        self.ends.store([burst.from; N])?;
        let start = now();
        match self.call {
            Call::Store => {
                for number in burst.numbers() {
                    self.ends.store(black_box([number; N]))?;
                }
            }
            Call::Load => {
                for _ in burst.numbers() {
                    let value = black_box(self.ends.load()?);
                    check(value[N - 1], burst.from)?;
                }
            }
        }
        let took = now() - start;
        if let Call::Store = self.call {
            check(self.ends.load()?[N - 1], burst.from + burst.count - 1)?;
        }
        Ok(Outcome::Took(took))
    }
}

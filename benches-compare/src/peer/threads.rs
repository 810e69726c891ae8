//! Bounds from within one process: rtrb between two threads, and a plain copy.

use super::Touch;
use crate::Result;
use crate::case::{Burst, Outcome, Place, Way, check, now};
use hdrhistogram::Histogram;
use std::hint::{black_box, spin_loop};
use std::sync::mpsc;
use std::time::Instant;

/// A ring between two threads of the leading process, on the two processors. The other process is idle.
pub struct Rtrb<const N: usize>(Option<Threads<N>>);

struct Threads<const N: usize> {
    producer: rtrb::Producer<[u64; N]>,
    bursts: mpsc::Sender<Burst>,
    ended: mpsc::Receiver<std::result::Result<u64, String>>,
}

impl<const N: usize> Rtrb<N> {
    pub fn new(place: &Place, slots: usize) -> Self {
        if !place.leads {
            return Rtrb(None);
        }
        let (producer, mut consumer) = rtrb::RingBuffer::<[u64; N]>::new(slots);
        let ((bursts, next_burst), (say_ended, ended)) = (mpsc::channel::<Burst>(), mpsc::channel());
        std::thread::spawn(move || {
            crate::rig::pin(1);
            for burst in next_burst {
                let mut receive = || -> Result<u64> {
                    for number in burst.numbers() {
                        let words = loop {
                            match consumer.pop() {
                                Ok(words) => break words,
                                Err(_) => spin_loop(),
                            }
                        };
                        check(Touch::All.read(&words), number)?;
                    }
                    Ok(now())
                };
                let _ = say_ended.send(receive().map_err(|error| error.to_string()));
            }
        });
        Rtrb(Some(Threads { producer, bursts, ended }))
    }
}

impl<const N: usize> Way for Rtrb<N> {
    fn lead(&mut self, burst: Burst) -> Result<Outcome> {
        let Threads { producer, bursts, ended } = self.0.as_mut().ok_or("the leading process has both")?;
        bursts.send(burst)?;
        let began = now();
        for number in burst.numbers() {
            let mut words = [number; N];
            while let Err(rtrb::PushError::Full(back)) = producer.push(words) {
                words = back;
                spin_loop();
            }
        }
        Ok(Outcome::Took(ended.recv()?? - began))
    }
}

/// A copy of `N` words within the process, in the cache as far as it has room.
pub struct Memcpy<const N: usize>(Vec<u64>, Vec<u64>);

impl<const N: usize> Memcpy<N> {
    pub fn new() -> Self {
        Memcpy(vec![1; N], vec![0; N])
    }
}

impl<const N: usize> Way for Memcpy<N> {
    fn lead(&mut self, burst: Burst) -> Result<Outcome> {
        let mut samples = Histogram::new(3)?;
        for _ in burst.numbers() {
            let began = Instant::now();
            self.1.copy_from_slice(black_box(&self.0));
            black_box(&mut self.1);
            samples.record(began.elapsed().as_nanos() as u64)?;
        }
        Ok(Outcome::Samples(samples))
    }
}

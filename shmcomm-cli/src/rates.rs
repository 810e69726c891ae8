//! Rates of channels, from the counters in their headers.
//!
//! Owns the differences between two readings. Because they come from counters, no rate is too low however
//! fast a channel is. Calls the library's `Counters`. Never receives a message.

use shmcomm::{CounterValues, Counters, SegmentInfo};
use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Longest time that a [`Meter`] remembers.
const MEMORY: Duration = Duration::from_secs(11);

/// Messages and bytes per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    pub messages: f64,
    /// `None` for the Python library, which does not count bytes.
    pub bytes: Option<f64>,
    /// Mean length of the messages between the two readings; `None` if there were none.
    pub bytes_per_message: Option<f64>,
    /// Time between the two readings.
    pub window: Duration,
}

impl Rate {
    fn between(before: (Instant, CounterValues), now: (Instant, CounterValues)) -> Option<Self> {
        let window = now.0.saturating_duration_since(before.0);
        if window.is_zero() {
            return None;
        }
        let messages = now.1.messages.saturating_sub(before.1.messages);
        let bytes = before.1.bytes.zip(now.1.bytes).map(|(before, now)| now.saturating_sub(before));
        let per_second = |number: u64| number as f64 / window.as_secs_f64();
        Some(Rate {
            messages: per_second(messages),
            bytes: bytes.map(per_second),
            // From the numbers, not from the rates: a quotient of rates is not exact.
            bytes_per_message: bytes.filter(|_| messages > 0).map(|bytes| bytes as f64 / messages as f64),
            window,
        })
    }
}

/// Rates of all listed channels, between two calls of [`Rates::update`].
#[derive(Debug, Default)]
pub struct Rates {
    last: HashMap<PathBuf, (Instant, CounterValues)>,
}

impl Rates {
    /// Returns the rate of each segment since the last call, if the segment was there.
    pub fn update(&mut self, segments: &[SegmentInfo]) -> Vec<Option<Rate>> {
        let mut seen = HashMap::new();
        let rates = segments
            .iter()
            .map(|segment| {
                let counters = Counters::open(segment).ok()?;
                let now = (Instant::now(), counters.read());
                let before = self.last.get(&segment.path).copied();
                seen.insert(segment.path.clone(), now);
                // A new segment under the name counts from 0 again.
                Rate::between(before.filter(|before| before.1.messages <= now.1.messages)?, now)
            })
            .collect();
        self.last = seen;
        rates
    }
}

/// Rates of one channel over several windows.
#[derive(Debug)]
pub struct Meter {
    counters: Counters,
    readings: VecDeque<(Instant, CounterValues)>,
}

impl Meter {
    pub fn open(segment: &SegmentInfo) -> Result<Self, shmcomm::Error> {
        let counters = Counters::open(segment)?;
        let mut meter = Meter { counters, readings: VecDeque::new() };
        meter.read();
        Ok(meter)
    }

    /// Reads the counters once.
    pub fn read(&mut self) -> CounterValues {
        let values = self.counters.read();
        let now = Instant::now();
        while self.readings.len() > 2 && now.duration_since(self.readings[1].0) > MEMORY {
            self.readings.pop_front();
        }
        self.readings.push_back((now, values));
        values
    }

    /// Returns `true` if the name of the channel still stands for this segment.
    pub fn is_current(&self) -> bool {
        self.counters.is_current()
    }

    /// Returns the rate over the last `window`, or over the time since the start if that is shorter.
    pub fn rate(&self, window: Duration) -> Option<Rate> {
        let (last, earlier) = (*self.readings.back()?, self.readings.len() - 1);
        // A tenth more, because no two reports are exactly one window apart.
        let reach = window + window / 10;
        let mut earlier = self.readings.iter().take(earlier);
        let newest = earlier.clone().next_back();
        let before = earlier.find(|reading| last.0.duration_since(reading.0) <= reach).or(newest)?;
        Rate::between(*before, last)
    }
}

//! Numbers with their units, as people read them, and durations as people write them.
//!
//! Owns the formats of counts, rates, sizes and times. Calls nothing. Never prints.

use std::time::Duration;

/// Returns the digits in groups of three: `40 012`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// Returns a number with a prefix of powers of 1000: `1.0 k`, `30 `, `0.5 `.
fn scaled(number: f64) -> String {
    const PREFIXES: [&str; 5] = ["", "k", "M", "G", "T"];
    let mut value = number;
    let mut prefix = 0;
    // 999.95 would be shown as 1000.0.
    while value.abs() >= 999.95 && prefix + 1 < PREFIXES.len() {
        value /= 1000.0;
        prefix += 1;
    }
    let fraction = value.fract().abs();
    match prefix {
        0 if value >= 10.0 || fraction < 0.05 => format!("{value:.0} "),
        0 => format!("{value:.1} "),
        _ => format!("{value:.1} {}", PREFIXES[prefix]),
    }
}

/// Returns messages per second: `1.0 k/s`, `30 /s`.
pub fn rate(per_second: f64) -> String {
    format!("{}/s", scaled(per_second))
}

/// Returns bytes with a decimal prefix: `61.0 KB`.
pub fn bytes(number: f64) -> String {
    format!("{}B", scaled(number).replace('k', "K"))
}

/// Returns a time in its usual unit: `12 µs`, `0.4 s`, `3 min`, `2 h`, `5 d`.
pub fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        _ if seconds < 1e-6 => format!("{} ns", time.as_nanos()),
        _ if seconds < 1e-3 => format!("{:.0} µs", seconds * 1e6),
        _ if seconds < 0.1 => format!("{:.0} ms", seconds * 1e3),
        _ if seconds < 10.0 => format!("{seconds:.1} s"),
        _ if seconds < 120.0 => format!("{seconds:.0} s"),
        _ if seconds < 7200.0 => format!("{:.0} min", seconds / 60.0),
        _ if seconds < 172_800.0 => format!("{:.0} h", seconds / 3600.0),
        _ => format!("{:.0} d", seconds / 86_400.0),
    }
}

/// Returns a number with its noun: `1 message`, `2 messages`.
pub fn count(number: u64, noun: &str) -> String {
    let plural = match noun {
        _ if number == 1 => noun.to_owned(),
        "process" => "processes".to_owned(),
        _ => format!("{noun}s"),
    };
    format!("{} {plural}", grouped(number))
}

/// Parses a duration: `1.5` (seconds), `500ms`, `10s`, `2min`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let parsed = match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(_) => humantime::parse_duration(text).ok(),
    };
    parsed
        .filter(|time| !time.is_zero())
        .ok_or_else(|| "expected a time above 0, such as `10s`, `500ms` or `2min`".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_groups_and_prefixes() {
        assert_eq!(
            [0, 999, 1000, 40_012, 1_234_567].map(grouped),
            ["0", "999", "1 000", "40 012", "1 234 567"]
        );
        assert_eq!(
            [0.0, 0.5, 30.0, 999.9, 1000.0, 2.5e6].map(rate),
            ["0 /s", "0.5 /s", "30 /s", "1000 /s", "1.0 k/s", "2.5 M/s"]
        );
        assert_eq!([12.0, 61_000.0, 6.2e6].map(bytes), ["12 B", "61.0 KB", "6.2 MB"]);
        assert_eq!(
            count(1, "process") + &count(2, "process") + &count(2, "job"),
            "1 process2 processes2 jobs"
        );
    }

    #[test]
    fn times_have_their_unit() {
        let shown = |nanos| time(Duration::from_nanos(nanos));
        assert_eq!(shown(12_000), "12 µs");
        assert_eq!(shown(400_000_000), "0.4 s");
        assert_eq!(shown(180_000_000_000), "3 min");
        assert_eq!(parse_duration("1.5"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        for wrong in ["0", "-1", "nan", "soon", "", "1e300"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }
}

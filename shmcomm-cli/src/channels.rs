//! Channels by the names that users type.
//!
//! Owns the choice of the segment for a name, in a namespace or not, and the suggestion of similar names.
//! Calls the library. Never opens a channel.

use crate::common::Common;
use crate::failure::Failure;
use shmcomm::{SegmentInfo, name_matches};
use std::path::PathBuf;

/// Smallest similarity of a name that is suggested, from 0 to 1.
const SIMILAR: f64 = 0.72;
/// Largest number of suggestions.
const SUGGESTIONS: usize = 3;

/// Returns the directory of all segments, as the library finds it.
pub fn directory() -> PathBuf {
    match std::env::var_os("SHMCOMM_DIR").filter(|dir| !dir.is_empty()) {
        Some(dir) => PathBuf::from(dir),
        None => PathBuf::from("/dev/shm"),
    }
}

/// Returns all segments of the namespace that the arguments give.
pub fn all(common: &Common) -> Result<Vec<SegmentInfo>, Failure> {
    Ok(match common.namespace() {
        Some(namespace) => shmcomm::list_segments_in(namespace)?,
        None => shmcomm::list_segments()?,
    })
}

/// Segments that names or patterns select.
pub struct Chosen<'n> {
    pub segments: Vec<SegmentInfo>,
    /// The first name or pattern that selects none.
    pub missing: Option<&'n str>,
}

/// Returns the segments that the names or patterns select; all of the namespace if there is none. A name with the
/// namespace before it comes first, then the name as it is.
pub fn choose<'n>(common: &Common, names: &'n [String]) -> Result<Chosen<'n>, Failure> {
    if names.is_empty() {
        return Ok(Chosen { segments: all(common)?, missing: None });
    }
    let everything = shmcomm::list_segments()?;
    let mut chosen = Chosen { segments: Vec::new(), missing: None };
    for name in names {
        let hits = |pattern: &str| -> Vec<SegmentInfo> {
            everything.iter().filter(|segment| name_matches(pattern, &segment.channel)).cloned().collect()
        };
        let mut found = hits(&full_name(common, name));
        if found.is_empty() {
            found = hits(name);
        }
        if found.is_empty() {
            chosen.missing = chosen.missing.or(Some(name));
        }
        found.retain(|hit| chosen.segments.iter().all(|segment| segment.path != hit.path));
        chosen.segments.append(&mut found);
    }
    Ok(chosen)
}

/// Returns the segments that [`choose`] returns. Each name and each pattern must select one.
pub fn select(common: &Common, names: &[String]) -> Result<Vec<SegmentInfo>, Failure> {
    let chosen = choose(common, names)?;
    match chosen.missing {
        Some(name) => Err(unknown(common, name, &shmcomm::list_segments()?)),
        None => Ok(chosen.segments),
    }
}

/// Returns `true` if one of the names is that of the channel, without a pattern.
pub fn names_it(common: &Common, names: &[String], channel: &str) -> bool {
    names.iter().any(|name| name == channel || full_name(common, name) == channel)
}

/// Returns the segment of one name, which may be damaged.
pub fn find(common: &Common, name: &str) -> Result<SegmentInfo, Failure> {
    let full = full_name(common, name);
    for name in [full.as_str(), name] {
        // A name with other characters may belong to a channel of Python, which is in the list.
        if let Ok(Some(segment)) = shmcomm::find_segment(name) {
            return Ok(segment);
        }
    }
    let mut everything = shmcomm::list_segments()?;
    let at = everything
        .iter()
        .position(|segment| segment.channel == full)
        .or_else(|| everything.iter().position(|segment| segment.channel == name));
    match at {
        Some(at) => Ok(everything.swap_remove(at)),
        None => Err(unknown(common, name, &everything)),
    }
}

/// Returns the segment if it can be used.
pub fn intact(segment: SegmentInfo) -> Result<SegmentInfo, Failure> {
    match &segment.problem {
        None => Ok(segment),
        Some(why) => Err(Failure::Failed(format!("channel `{}` cannot be used: {why}", segment.channel))),
    }
}

/// Returns the name with the namespace before it.
pub fn full_name(common: &Common, name: &str) -> String {
    match common.namespace() {
        Some(namespace) => format!("{namespace}/{name}"),
        None => name.to_owned(),
    }
}

fn unknown(common: &Common, name: &str, everything: &[SegmentInfo]) -> Failure {
    let place = match common.namespace() {
        Some(namespace) => format!(" in the namespace `{namespace}`"),
        None => String::new(),
    };
    let names: Vec<&str> = everything.iter().map(|segment| segment.channel.as_str()).collect();
    let similar = similar(name, &names);
    let hint = match &similar[..] {
        [] if names.is_empty() => format!("; there are no channels in {}", directory().display()),
        [] => "; `shmcomm list` shows all channels".to_owned(),
        some => {
            let quoted: Vec<String> = some.iter().map(|name| format!("`{name}`")).collect();
            format!("; did you mean {}?", quoted.join(" or "))
        }
    };
    Failure::NotFound(format!("there is no channel `{}`{place}{hint}", name.escape_debug()))
}

/// Returns the names that a user may have meant, the most similar first.
fn similar<'a>(wanted: &str, names: &[&'a str]) -> Vec<&'a str> {
    let wanted = wanted.to_lowercase();
    let score = |name: &str| {
        let name = name.to_lowercase();
        let last = name.rsplit('/').next().unwrap_or(&name).to_owned();
        if name.ends_with(&format!("/{wanted}")) {
            return 1.0;
        }
        let part = wanted.rsplit('/').next().unwrap_or(&wanted);
        f64::max(strsim::jaro_winkler(&wanted, &name), 0.95 * strsim::jaro_winkler(part, &last))
    };
    let mut scored: Vec<(f64, &str)> = names.iter().map(|name| (score(name), *name)).collect();
    scored.retain(|(score, _)| *score >= SIMILAR);
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored.dedup_by(|a, b| a.1 == b.1);
    scored.into_iter().map(|(_, name)| name).take(SUGGESTIONS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similar_names_are_suggested() {
        let names = ["robot/imu", "robot/camera", "jobs", "sim1/robot/imu"];
        assert_eq!(similar("robot/imo", &names)[0], "robot/imu");
        assert_eq!(similar("imu", &names)[..2], ["robot/imu", "sim1/robot/imu"]);
        assert_eq!(similar("Jobs", &names)[0], "jobs");
        assert!(similar("xyzzy", &names).is_empty());
    }
}

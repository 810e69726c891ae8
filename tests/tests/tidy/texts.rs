//! Texts from outside are escaped, and numbers fit their nouns.

use super::sources::{code_lines, relative, sources};

/// Paths come from the environment and from directories, and bytes that become text from other processes: both
/// reach logs and texts only through `escape`. Errors of the set-up escape all that they say themselves.
#[test]
fn text_from_outside_is_escaped() {
    // Texts that are parsed, of this process, data for a serializer, or escaped in the next step.
    const EXCEPT: [&str; 8] = [
        "escape.rs",
        "os/",
        "message/diff.rs",
        "channel/opener.rs",
        "segment/name.rs",
        "serialize.rs",
        "xtask/",
        "fault/",
    ];
    let mut wrong = Vec::new();
    for (path, text) in sources("shmcomm/src") {
        let below = relative(&path, "shmcomm/src");
        if below.contains("tests") {
            continue;
        }
        for (at, _) in text.match_indices("log::") {
            let call = &text[at..at + text[at..].find(");").unwrap_or(0)];
            if call.contains(".display()") {
                wrong.push(format!("{}: a path in a log record is not `shown()`: {call}", path.display()));
            }
        }
        for (number, line) in code_lines(&text) {
            if line.contains("_lossy(")
                && !line.contains("escape(")
                && !EXCEPT.iter().any(|except| below.starts_with(except))
            {
                wrong.push(format!("{}:{number}: not through `escape::escape`: {line}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Nouns that the library counts, in the plural.
const NOUNS: [&str; 15] = [
    "bits",
    "bytes",
    "digits",
    "dimensions",
    "holes",
    "items",
    "jobs",
    "levels",
    "messages",
    "participants",
    "publishers",
    "seats",
    "slots",
    "subscribers",
    "values",
];

/// `1 subscriber`, `2 subscribers`: a number and its noun come from `plural::count`.
#[test]
fn numbers_in_logs_and_errors_fit_their_nouns() {
    let mut wrong = Vec::new();
    for (path, text) in sources("shmcomm/src") {
        let below = relative(&path, "shmcomm/src");
        if below.contains("tests") || below.contains("model") || below == "fuzz.rs" {
            continue;
        }
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or("");
        for (number, line) in code_lines(text) {
            for (at, _) in line.match_indices("} ") {
                let word: String = line[at + 2..].chars().take_while(|c| c.is_alphabetic()).collect();
                let name = line[..at].rsplit('{').next().unwrap_or("");
                // A constant is not 1.
                let constant =
                    name.chars().any(char::is_alphabetic) && name.chars().all(|c| !c.is_lowercase());
                if NOUNS.contains(&word.as_str()) && !constant {
                    wrong.push(format!("{}:{number}: {line}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "use `plural::count`:\n{}", wrong.join("\n"));
}

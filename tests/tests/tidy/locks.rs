//! Locks are taken in their files only, and no code of the user runs under one.

use super::sources::{code_lines, relative, sources};
use std::collections::BTreeSet;

/// The system calls that take or release a lock, and the only files that may make them: there each lock has
/// the exclusion of threads that the kernel does not give.
const LOCKS: [(&str, &[&str]); 3] = [
    ("os::try_lock(", &["segment/registration.rs", "python/owner/create.rs"]),
    ("os::unlock(", &["segment/registration.rs", "python/owner/mod.rs"]),
    ("os::try_flock(", &["python/v1/lock.rs"]),
];

#[test]
fn locks_are_taken_where_threads_are_kept_apart() {
    let (mut wrong, mut used) = (Vec::new(), BTreeSet::new());
    for (path, text) in sources("shmcomm/src") {
        let below = relative(&path, "shmcomm/src");
        if below.contains("tests") {
            continue;
        }
        for (number, line) in code_lines(&text) {
            let calls = LOCKS.iter().filter(|(call, _)| line.contains(call));
            used.extend(calls.map(|(call, _)| (*call, below.clone())));
            let taken = LOCKS.iter().filter(|(call, _)| line.contains(call));
            for (call, _) in taken.filter(|(_, files)| !files.contains(&below.as_str())) {
                wrong.push(format!("{}:{number}: `{call}…)` outside of its files: {line}", path.display()));
            }
        }
    }
    for (call, files) in LOCKS {
        let stale = files.iter().filter(|file| !used.contains(&(call, (**file).to_owned())));
        wrong.extend(stale.map(|file| format!("{file}: has no `{call}…)`")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Calls that return a guard of a lock which other processes share, or of a mutex.
const GUARDS: [&str; 12] = [
    ".lock()",
    "lock(&",
    ".try_lock()",
    ".turn()",
    ".try_turn()",
    ".register(",
    ".register_within(",
    ".try_register()",
    ".try_hold()",
    ".orders()",
    ".state()",
    ".replies()",
];

/// Calls of code that belongs to the user: the logger, and the wakers of tasks.
const USERS: [&str; 4] = ["log::", ".wake()", ".wake_by_ref()", "waker.clone()"];

#[test]
fn no_code_of_the_user_runs_under_a_lock() {
    let mut wrong = Vec::new();
    for (path, text) in sources("shmcomm/src") {
        if !relative(&path, "shmcomm/src").contains("tests") {
            for (number, line, guard) in calls_under_guards(&text) {
                wrong.push(format!("{}:{number}: under `{guard}`: {line}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "collect them in `Records`, or release the lock:\n{}", wrong.join("\n"));
}

#[test]
fn lint_of_locks_finds_what_it_is_for() {
    let found = |text| calls_under_guards(text).len();
    assert_eq!(found("{\nlet _guard = self.mutex.lock();\nlog::warn!(\"\");\n}"), 1);
    assert_eq!(found("{\nlet registration = turn.register(place)?;\nif x {\nlog::warn!(\"\");\n}\n}"), 1);
    assert_eq!(found("{\nlet state = lock(&self.state);\ndrop(state);\nlog::warn!(\"\");\n}"), 0);
    assert_eq!(found("{\n{\nlet state = self.state();\n}\nlog::warn!(\"\");\n}"), 0);
    assert_eq!(found("{\nlet Some(_held) = lock.try_hold()? else { return };\nlog::warn!(\"\");\n}"), 1);
    assert_eq!(found("fn f(lock: &Registration<'_>) {\nlog::warn!(\"\");\n}\nlog::warn!(\"\");"), 1);
    assert_eq!(found("{\nlet woken = self.orders().woken;\nlog::warn!(\"\");\n}"), 0);
}

/// The lines that call code of the user while a guard is in scope: with their numbers and the guard's name.
fn calls_under_guards(text: &str) -> Vec<(usize, String, String)> {
    let (mut depth, mut found) = (0usize, Vec::new());
    // Guards, each with the depth of the block that ends it.
    let mut guards: Vec<(String, usize)> = Vec::new();
    for (number, line) in code_lines(text) {
        if USERS.iter().any(|call| line.contains(call))
            && let Some((guard, _)) = guards.last()
        {
            found.push((number, line.to_owned(), guard.clone()));
        }
        guards.retain(|(name, _)| !line.contains(&format!("drop({name})")));
        // A parameter: until the end of the function, whose block starts on this line or a later one.
        if line.contains(": &Registration<") || line.contains(": MutexGuard<") {
            let before = line.split(": &Registration<").next().unwrap_or(line);
            let name = before.split(": MutexGuard<").next().unwrap_or(before);
            let name = name.rsplit(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap_or(name);
            if line.contains("fn ") {
                guards.push((name.to_owned(), depth + 1));
            }
        }
        depth = (depth + line.matches('{').count()).saturating_sub(line.matches('}').count());
        guards.retain(|(_, level)| *level <= depth);
        if let Some(guard) = guard(line) {
            guards.push((guard, depth));
        }
    }
    found
}

/// The name that a `let` on this line gives to a guard. (A guard that lives for one expression has none.)
fn guard(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("let ")?;
    let (pattern, value) = rest.split_once(" = ")?;
    let at = GUARDS.iter().filter_map(|call| value.find(call).map(|at| at + call.len())).max()?;
    // What follows makes a value of its own: `self.orders().armed`.
    let after = value[at..].trim_start_matches(|c: char| c != '.' && c != ';');
    let still = [".unwrap", ".expect", ".ok()", ".map_err", ".and_then"];
    if after.starts_with('.') && !still.iter().any(|call| after.starts_with(call)) {
        return None;
    }
    let pattern = pattern.split(':').next().unwrap_or(pattern);
    let name = pattern.trim_start_matches("mut ").replace("Some(", "").replace("Ok(", "");
    Some(name.trim_matches([')', ' ']).trim_start_matches("mut ").to_owned())
}

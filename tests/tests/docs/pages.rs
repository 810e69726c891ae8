//! The numbers that the pages for users name are those of the sources, and their links lead somewhere.

use crate::page::{constant, source, value};
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn numbers_on_other_pages_are_those_of_the_sources() {
    let layout = source("shmcomm/src/layout/mod.rs");
    let channel = source("shmcomm/src/channel/mod.rs");
    let opener = source("shmcomm/src/channel/opener.rs");
    let wait = source("shmcomm/src/wait/mod.rs");
    let geometry = source("shmcomm/src/layout/geometry.rs");
    let (small, copied) = (value(&layout, "SMALL_MAX"), value(&layout, "COPIED_MAX"));
    let populated = value(&source("shmcomm/src/segment/mapping.rs"), "POPULATE_MAX") >> 20;
    let timeout = constant(&opener, "CONNECT_TIMEOUT").replace(|c: char| !c.is_ascii_digit(), "");
    let says = |page: &str, said: String| {
        let words = source(page).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(&said), "{page} does not say: {said}");
    };
    says(
        "docs/channels.md",
        format!("| {} | how many messages the channel holds", value(&geometry, "DEFAULT_SLOTS")),
    );
    says("docs/channels.md", format!("| {} | how many ends may be open", value(&channel, "SEATS")));
    says("docs/settings.md", format!("| {timeout} s | how long to wait for the channel"));
    let patience = constant(&channel, "PATIENCE").replace(|c: char| !c.is_ascii_digit(), "");
    says("docs/channels.md", format!("| `patience` | a duration | {patience} s |"));
    says("docs/settings.md", format!("large messages, above {copied} bytes"));
    let calls = value(&source("shmcomm/src/check_pace.rs"), "MAX_STEP");
    says("docs/operation.md", format!("or {calls} calls later"));
    says("shmcomm/src/pubsub/subscriber.rs", format!("or {calls} calls, whichever is later"));
    says("docs/performance.md", format!("up to {small} bytes copied, above {copied} bytes pinned"));
    says("docs/in-place.md", format!("| {} to {copied} bytes | in place, if", small + 1));
    says("docs/in-place.md", format!("if there are {} slots or more", value(&geometry, "PINNED_SLOTS")));
    let block = value(&source("shmcomm/src/ring/slot/address.rs"), "MIN");
    says("docs/performance.md", format!("from {block} bytes on x86-64 one `rep movsb`"));
    says("docs/performance.md", format!("{} polls with a pause instruction", value(&wait, "SPINS")));
    says("docs/performance.md", format!("{} polls with the processor offered", value(&wait, "YIELDS")));
    says("docs/performance.md", format!("up to {populated} MiB get their page tables filled"));
    says("docs/troubleshooting.md", format!("above {populated} MiB get their memory mapped"));
}

#[test]
fn every_key_of_a_channel_is_on_its_page() {
    let page = source("docs/channels.md");
    let keys = source("shmcomm-derive/src/channel/keys.rs");
    let words: Vec<_> = keys
        .split("Key { word: \"")
        .skip(1)
        .filter_map(|rest| rest.split_once('"'))
        .map(|(word, _)| word)
        .collect();
    assert!(words.len() > 5, "{words:?}");
    // A key of a pattern without constructors is of no use to anybody.
    let unused = keys.contains("ends: &[]").then_some("redeliver");
    for word in words.into_iter().filter(|word| Some(*word) != unused) {
        assert!(page.contains(&format!("| `{word}` |")), "docs/channels.md does not explain `{word}`");
    }
}

/// Returns the names of the headings of a page in links: lower case, spaces as `-`, punctuation left out.
fn anchors(text: &str) -> Vec<String> {
    let mut fenced = false;
    let headings = text.lines().filter(|line| {
        fenced ^= line.starts_with("```");
        !fenced && line.starts_with('#')
    });
    let slug = |heading: &str| {
        let kept = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(slug).collect()
}

/// Address of the sources on the web. A link to a file outside `docs/` starts with it, because the book
/// has only the pages of `docs/`.
const HOME: &str = "https://github.com/shmcomm/shmcomm/";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// Returns the pages below `docs/`.
fn pages() -> Vec<PathBuf> {
    let (mut open, mut found) = (vec![root().join("docs")], Vec::new());
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).expect("a readable folder").flatten() {
            match entry.path() {
                path if path.is_dir() => open.push(path),
                path if path.extension().is_some_and(|e| e == "md") => found.push(path),
                _ => {}
            }
        }
    }
    found.sort();
    found
}

/// Returns the targets of the links of a page, outside code.
fn links(text: &str) -> Vec<&str> {
    let mut fenced = false;
    let lines = text.lines().filter(|line| {
        fenced ^= line.starts_with("```");
        !fenced
    });
    let targets = lines.flat_map(|line| line.split("](").skip(1).filter_map(|rest| rest.split(')').next()));
    targets.filter(|link| !link.contains(char::is_whitespace)).collect()
}

/// Returns what is wrong with a link of `page`.
fn fault(page: &Path, link: &str) -> Option<&'static str> {
    let (root, book) = (root(), root().join("docs"));
    let (base, link) = match link.strip_prefix(HOME) {
        Some("" | "issues") => return None,
        Some(rest) => {
            let Some(path) = rest.strip_prefix("blob/main/").or(rest.strip_prefix("tree/main/")) else {
                return Some("neither a file nor a folder of the branch main");
            };
            (root.as_path(), path)
        }
        None if link.starts_with("https://") => return None,
        None if link.contains(':') => return Some("neither https nor a path"),
        None => (page.parent().expect("a folder"), link),
    };
    let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = if file.is_empty() { page.to_owned() } else { base.join(file) };
    let Ok(target) = target.canonicalize() else { return Some("no such file") };
    let inside = |path: &Path| path.starts_with(book.canonicalize().expect("a folder"));
    if base != root && inside(page) && !inside(&target) {
        return Some("leaves the book: write the address on the web");
    }
    if anchor.is_empty() {
        return None;
    }
    let text = fs::read_to_string(&target).unwrap_or_default();
    (!anchors(&text).iter().any(|a| a == anchor)).then_some("no such heading")
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut wrong = Vec::new();
    let mut count = 0;
    let others =
        ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "DESIGN.md", "SECURITY.md"];
    for page in pages().into_iter().chain(others.map(|page| root().join(page))) {
        for link in links(&fs::read_to_string(&page).unwrap()) {
            count += 1;
            if let Some(fault) = fault(&page.canonicalize().unwrap(), link) {
                wrong.push(format!("{}: {link}: {fault}", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "links that lead nowhere:\n{}", wrong.join("\n"));
    assert!(count > 100, "only {count} links found");
}

#[test]
fn wrong_links_are_found() {
    let page = root().join("docs/channels.md").canonicalize().unwrap();
    for right in ["#keys", "messages.md#fixed-layouts", "https://doc.rust-lang.org/", "plots/latency.svg"] {
        assert_eq!(fault(&page, right), None, "{right}");
    }
    let home = |path: &str| format!("{HOME}blob/main/{path}");
    assert_eq!(fault(&page, &home("README.md#limits")), None);
    for wrong in ["#no-such-heading", "no-such-page.md", "messages.md#keys", "../README.md", "http://old.org"]
    {
        assert!(fault(&page, wrong).is_some(), "{wrong}");
    }
    assert!(
        fault(&page, &home("no/such/file")).is_some() && fault(&page, &home("README.md#nothing")).is_some()
    );
}

/// mdBook builds only the pages that `SUMMARY.md` names, and links to other pages would lead nowhere.
#[test]
fn summary_of_the_book_names_each_page_once() {
    let summary = source("docs/SUMMARY.md");
    let mut named: Vec<_> = links(&summary).into_iter().map(str::to_owned).collect();
    named.sort();
    let place = |page: &Path| page.strip_prefix(root().join("docs")).unwrap().to_str().unwrap().to_owned();
    let mut all: Vec<_> =
        pages().iter().map(|page| place(page)).filter(|page| page != "SUMMARY.md").collect();
    all.sort();
    assert_eq!(named, all);
}

//! The numbers that the pages for users name are those of the sources, and their links lead somewhere.

mod page;

use page::{constant, source, value};
use std::fs;
use std::path::PathBuf;

#[test]
fn numbers_on_the_other_pages_are_those_of_the_sources() {
    let layout = source("shmcomm/src/layout/mod.rs");
    let channel = source("shmcomm/src/channel/mod.rs");
    let opener = source("shmcomm/src/channel/opener.rs");
    let wait = source("shmcomm/src/wait/mod.rs");
    let copied = value(&layout, "COPIED_MAX");
    let populated = value(&source("shmcomm/src/segment/create.rs"), "POPULATE_MAX") >> 20;
    let timeout = constant(&opener, "CONNECT_TIMEOUT").replace(|c: char| !c.is_ascii_digit(), "");
    let says = |page: &str, said: String| {
        let words = source(page).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(&said), "{page} does not say: {said}");
    };
    says("docs/channels.md", format!("| {} | how many messages the channel holds", value(&channel, "SLOTS")));
    says("docs/channels.md", format!("| {} | how many ends may be open", value(&channel, "SEATS")));
    says("docs/channels.md", format!("| {timeout} s | how long to wait for the channel"));
    let patience = constant(&channel, "PATIENCE").replace(|c: char| !c.is_ascii_digit(), "");
    says("docs/channels.md", format!("| `patience` | a duration | {patience} s |"));
    says("docs/channels.md", format!("large messages, above {copied} bytes"));
    says(
        "docs/channels.md",
        format!("{} calls later", value(&source("shmcomm/src/pubsub/source/absent.rs"), "PROBE")),
    );
    says("docs/performance.md", format!("up to {copied} bytes copied"));
    says("docs/performance.md", format!("{} looks with a pause instruction", value(&wait, "SPINS")));
    says("docs/performance.md", format!("{} looks with the processor offered", value(&wait, "YIELDS")));
    says("docs/performance.md", format!("up to {populated} MiB get their page tables filled"));
    says("docs/troubleshooting.md", format!("above {populated} MiB get their memory mapped"));
}

#[test]
fn every_key_of_a_channel_is_on_its_page() {
    let page =
        fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/channels.md")).unwrap();
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

/// What the headings of a page are called in links: lower case, spaces as `-`, punctuation left out.
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

#[test]
fn links_between_pages_lead_somewhere() {
    let mut wrong = Vec::new();
    let mut count = 0;
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let docs = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let others = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "SECURITY.md"].map(|page| root.join(page));
    for page in docs.chain(others).filter(|path| path.extension().is_some_and(|e| e == "md")) {
        let text = fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.starts_with("http") || link.contains(char::is_whitespace) {
                continue;
            }
            count += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            let found = match fs::read_to_string(&target) {
                Ok(text) => anchor.is_empty() || anchors(&text).iter().any(|a| a == anchor),
                Err(_) => target.is_dir(),
            };
            if !found {
                wrong.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "links that lead nowhere:\n{}", wrong.join("\n"));
    assert!(count > 40, "only {count} links found");
}

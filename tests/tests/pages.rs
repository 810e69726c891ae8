//! The numbers that the pages for users name are those of the sources.

mod page;

use page::{constant, source, value};

#[test]
fn numbers_on_the_other_pages_are_those_of_the_sources() {
    let layout = source("shmcomm/src/layout/mod.rs");
    let channel = source("shmcomm/src/channel/mod.rs");
    let opener = source("shmcomm/src/channel/opener.rs");
    let wait = source("shmcomm/src/wait.rs");
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
    says("docs/channels.md", format!("large messages, above {copied} bytes"));
    says(
        "docs/channels.md",
        format!("{} calls later", value(&source("shmcomm/src/pubsub/source.rs"), "PROBE")),
    );
    says("docs/performance.md", format!("up to {copied} bytes copied"));
    says("docs/performance.md", format!("{} looks with a pause instruction", value(&wait, "SPINS")));
    says("docs/performance.md", format!("{} looks with the processor offered", value(&wait, "YIELDS")));
    says("docs/performance.md", format!("up to {populated} MiB get their page tables filled"));
    says("docs/troubleshooting.md", format!("above {populated} MiB get their memory mapped"));
}

//! Every channel that a page declares works at both ends. Each declaration of the README, of `docs/` and of the
//! documentation in the sources is compiled in a project of its own, with code that sends and receives on it.

use crate::page::source;
use shmcomm_tests::{PROFILE, target_dir};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

/// The types that pages name in a line of text without showing them, and the imports that all examples share.
const PREAMBLE: &str = "\
    use shmcomm::channel;
    #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)] pub struct Job { pub id: u64 }
    #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)] pub struct PoseDict { pub frame: String }
";

/// Combinations that the tables of the pages allow, in addition to the declarations that pages show.
const TABLES: &str = "
    pub Shared: PubSub<[f32; 2]> { name: \"t/shared\", publishers: 4 }
    pub Raw: PubSub<[u8], Bytes> { name: \"t/raw\", slot_size: 64 }
    pub RawVec: PubSub<Vec<u8>, Bytes> { name: \"t/raw-vec\", slot_size: 64 }
    pub RawArray: PubSub<[u8; 8], Bytes> { name: \"t/raw-array\", slot_size: 64 }
    pub RawArc: PubSub<std::sync::Arc<[u8]>, Bytes> { name: \"t/raw-arc\", slot_size: 64 }
    pub Text: PubSub<str, Bytes> { name: \"t/text\", slot_size: 64 }
    pub Packed: PubSub<[f64], Msgpack> { name: \"t/packed\", slot_size: 64 }
    pub PackedText: PubSub<str, Msgpack> { name: \"t/packed-text\", slot_size: 64 }
    pub Pickled: PubSub<[String], Pickle> { name: \"t/pickled\", slot_size: 64 }
    pub PickledText: PubSub<str, Pickle> { name: \"t/pickled-text\", slot_size: 64 }
    pub RawJobs: PushPull<[u8], Bytes> { name: \"t/raw-jobs\", slot_size: 64 }
    pub TextJobs: PushPull<str, Bytes> { name: \"t/text-jobs\", slot_size: 64 }
    pub PackedJobs: PushPull<[Job], Msgpack> { name: \"t/packed-jobs\", slot_size: 64 }
    pub PickledJobs: PushPull<Job, Pickle> { name: \"t/pickled-jobs\", slot_size: 64 }
    pub RawCalls: ReqRep<[u8], [u8], Bytes> { name: \"t/raw-calls\", slot_size: 64 }
    pub TextCalls: ReqRep<str, Vec<u8>, Bytes> { name: \"t/text-calls\", slot_size: 64 }
    pub PackedCalls: ReqRep<Job, [Job], Msgpack> { name: \"t/packed-calls\", slot_size: 64 }
    pub PickledCalls: ReqRep<str, Job, Pickle> { name: \"t/pickled-calls\", slot_size: 64 }
    pub Rows: ReqRep<u32, [f32; 2]> { name: \"t/rows\", replies: Stream, window: 4 }
    pub TextRows: ReqRep<str, str, Bytes> { name: \"t/text-rows\", slot_size: 64, replies: Stream }
    pub PackedRows: ReqRep<Job, [Job], Msgpack> { name: \"t/packed-rows\", slot_size: 64, replies: Stream }
    pub WireFixed: PubSub<[f32; 3]> { name: \"t-fixed\", wire: Python }
    pub WireRaw: PubSub<[u8], Bytes> { name: \"t-raw\", wire: Python }
    pub WireText: PubSub<str, Pickle> { name: \"t-text\", wire: Python }
    pub WireJobs: PushPull<[Job], Pickle> { name: \"t-jobs\", wire: Python }
    pub WireRawJobs: PushPull<[u8], Bytes> { name: \"t-raw-jobs\", wire: Python }
    pub WireFixedJobs: PushPull<u64> { name: \"t-fixed-jobs\", wire: Python }
    pub WireCalls: ReqRep<Job, PoseDict, Msgpack> { name: \"t-calls\", wire: Python }
    pub WireRawCalls: ReqRep<[u8], [u8], Bytes> { name: \"t-raw-calls\", wire: Python }
    pub WireTextCalls: ReqRep<str, str, Msgpack> { name: \"t-text-calls\", wire: Python }
    pub WireFixedCalls: ReqRep<[u8; 64], [u32; 4]> { name: \"t-fixed-calls\", wire: Python }
";

#[test]
fn every_declared_channel_sends_and_receives() {
    let mut program = String::from("#![allow(unused, non_snake_case)]\nfn main() {}\n");
    let (mut declared, mut shown) = (Vec::new(), Vec::new());
    for (place, text) in pages() {
        let blocks = blocks(&text);
        let with_channel = blocks.iter().filter(|block| block.contains("channel! {"));
        for block in with_channel {
            let items = items(block);
            module(&mut program, &place, &items, &mut declared);
            shown.push(place.clone());
        }
        for line in inline(&text) {
            let items = format!("{PREAMBLE}channel! {{ {line} }}\n");
            module(&mut program, &place, &items, &mut declared);
        }
    }
    for page in [
        "README.md",
        "docs/channels.md",
        "docs/getting-started.md",
        "docs/messages.md",
        "docs/patterns.md",
        "docs/waiting.md",
    ] {
        assert!(shown.iter().any(|place| place == page), "no declaration was found in {page}");
    }
    for file in ["shmcomm/src/lib.rs", "shmcomm/src/channel/mod.rs"] {
        assert!(shown.iter().any(|place| place == file), "no declaration was found in {file}");
    }
    assert!(declared.iter().any(|name| name == "Logs"), "{declared:?}");
    module(&mut program, "tables", &format!("{PREAMBLE}channel! {{ {TABLES} }}\n"), &mut declared);
    check(&program);
}

/// The pages, and the documentation of the sources, with where they are.
fn pages() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = vec![root.join("README.md")];
    files.extend(files_below(&root.join("docs"), "md").unwrap());
    let mut sources = files_below(&root.join("shmcomm/src"), "rs").unwrap();
    sources.sort();
    files.sort();
    let place = |file: &Path| file.strip_prefix(root).unwrap().to_string_lossy().into_owned();
    let pages = files.iter().map(|file| (place(file), source(&place(file))));
    let docs = sources.iter().map(|file| (place(file), comments(&source(&place(file)))));
    pages.chain(docs).collect()
}

fn files_below(directory: &Path, extension: &str) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(files_below(&path, extension)?);
        } else if path.extension().is_some_and(|found| found == extension) {
            files.push(path);
        }
    }
    Ok(files)
}

/// The documentation in a source.
fn comments(source: &str) -> String {
    let text = |line: &str| {
        let line = line.trim_start();
        let text = line.strip_prefix("//!").or_else(|| line.strip_prefix("///"));
        text.map(|text| text.strip_prefix(' ').unwrap_or(text).to_owned())
    };
    source.lines().map(|line| text(line).unwrap_or_default() + "\n").collect()
}

/// The fenced blocks of Rust.
fn blocks(text: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<(bool, String)> = None;
    for line in text.lines() {
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (None, Some(kind)) => {
                let rust = kind.is_empty() || kind.starts_with("rust") || kind.starts_with("no_run");
                open = Some((rust, String::new()));
            }
            (Some(_), Some(_)) => {
                blocks.extend(open.take().filter(|(rust, _)| *rust).map(|(_, block)| block))
            }
            // A line that is hidden on the page.
            (Some((_, block)), None) => {
                *block += line.strip_prefix("# ").unwrap_or(line);
                *block += "\n";
            }
            (None, None) => {}
        }
    }
    blocks
}

/// Whole declarations in a line of text.
fn inline(text: &str) -> Vec<String> {
    let text = text.replace('\n', " ");
    let is_one = |code: &&str| {
        code.contains(": ") && code.contains(" { name: ") && code.ends_with('}') && pattern_in(code).is_some()
    };
    text.split('`').skip(1).step_by(2).filter(is_one).map(str::to_owned).collect()
}

fn pattern_in(code: &str) -> Option<&'static str> {
    ["PubSub<", "PushPull<", "ReqRep<"].into_iter().find(|pattern| code.contains(&format!(": {pattern}")))
}

/// The imports, types and channels of a block, without its functions and statements.
fn items(block: &str) -> String {
    let mut items = String::new();
    let mut rest = block;
    while !rest.is_empty() {
        let line = rest.split_inclusive('\n').next().unwrap_or_default();
        let start = line.trim_start();
        let starts = [
            "use shmcomm",
            "use std",
            "use serde",
            "#[",
            "///",
            "pub struct",
            "struct",
            "pub enum",
            "type ",
            "pub type ",
            "const ",
            "pub const ",
            "enum",
        ];
        if start.starts_with("#[") || start.starts_with("///") {
            items += line;
            rest = &rest[line.len()..];
        } else if starts.iter().any(|word| start.starts_with(word)) || start.starts_with("channel! {") {
            let end = end_of_item(rest);
            items += &rest[..end];
            items += "\n";
            rest = &rest[end..];
        } else {
            rest = &rest[line.len()..];
        }
    }
    items
}

/// Returns the end of the first item of `text`: behind its last brace, or its semicolon.
fn end_of_item(text: &str) -> usize {
    let (mut depth, mut quoted) = (0, false);
    for (at, letter) in text.char_indices() {
        quoted ^= letter == '"';
        match letter {
            _ if quoted => {}
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => {
                depth -= 1;
                let list = text.starts_with("use");
                if depth == 0 && letter == '}' && !list {
                    return at + 1;
                }
            }
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// A declaration, taken apart. The first key of a table is in place of its types.
struct Declared<'t> {
    name: &'t str,
    pattern: &'t str,
    types: Vec<&'t str>,
    python: bool,
    /// `true` if the replies are streams.
    streams: bool,
    /// Number of parameters in the name.
    parameters: usize,
}

/// The declarations in the items of a block.
fn declarations(items: &str) -> Vec<Declared<'_>> {
    let mut found = Vec::new();
    for pattern in ["PubSub", "PushPull", "ReqRep"] {
        for (at, _) in items.match_indices(&format!(": {pattern}<")) {
            let before = &items[..at];
            let name = before.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
            let arguments = &items[at + ": <".len() + pattern.len()..];
            let (types, length) = types(arguments);
            let body = &arguments[length..];
            let Some(body) = body.trim_start_matches('>').trim_start().strip_prefix('{') else { continue };
            // A name with braces has parameters.
            let literal = body.split('"').nth(1).unwrap_or_default();
            let parameters = literal.matches('{').count();
            let after = body.rfind(literal).map_or(0, |at| at + literal.len());
            let body = &body[..body[after..].find('}').map_or(body.len(), |end| after + end)];
            let (python, streams) = (body.contains("wire: Python"), body.contains("replies: Stream"));
            found.push(Declared { name, pattern, types, python, streams, parameters });
        }
    }
    for (at, _) in items.match_indices(": Table {") {
        let name = items[..at].rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        let body = &items[at + ": Table {".len()..];
        let literal = body.split('"').nth(1).unwrap_or_default();
        let parts = body.split(['\n', ',']).map(str::trim).filter(|part| !part.starts_with("//"));
        let names = parts.filter_map(|part| Some(part.split_once(':')?.0));
        let names = names.filter(|word| !["name", "writers"].contains(word));
        let types = names.take(1).collect();
        let parameters = literal.matches('{').count();
        found.push(Declared { name, pattern: "Table", types, python: false, streams: false, parameters });
    }
    found
}

/// The types between angle brackets, and how long they are in all.
fn types(text: &str) -> (Vec<&str>, usize) {
    let (mut types, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, letter) in text.char_indices() {
        match letter {
            '>' if depth == 0 => {
                types.push(text[start..at].trim());
                return (types, at);
            }
            ',' if depth == 0 => {
                types.push(text[start..at].trim());
                start = at + 1;
            }
            '<' | '[' | '(' => depth += 1,
            '>' | ']' | ')' => depth -= 1,
            _ => {}
        }
    }
    panic!("no end of the types: {text}")
}

/// Adds a module with the items, and a function for each channel that uses both of its ends.
fn module(program: &mut String, place: &str, items: &str, declared: &mut Vec<String>) {
    let number = program.matches("\nmod ").count();
    let channels = declarations(items);
    assert!(!channels.is_empty(), "no declaration was found in this block of {place}:\n{items}");
    writeln!(program, "// {place}\nmod block_{number} {{\n{items}").unwrap();
    for channel in channels {
        writeln!(
            program,
            "fn use_{0}() -> Result<(), Box<dyn std::error::Error>> {{\n{1}\nOk(())\n}}",
            channel.name,
            both_ends(&channel)
        )
        .unwrap();
        declared.push(channel.name.to_owned());
    }
    program.push_str("}\n");
}

/// Returns code that sends and receives on a channel.
fn both_ends(channel: &Declared<'_>) -> String {
    let Declared { name, pattern, types, python, streams, parameters } = channel;
    let instance = format!("{name}::instance({})", vec!["7"; *parameters].join(", "));
    let name = if *parameters > 0 { &*instance } else { name };
    let dot = if *parameters > 0 { "." } else { "::" };
    if *pattern == "Table" {
        let key = format!("{}::{}", channel.name, types[0].to_uppercase());
        return format!(
            "let (mut tx, mut rx) = ({name}{dot}writer({key})?, {name}{dot}reader()?);
             if let (Some(found),) = rx.load_set(({key},))? {{ tx.store(&found.value)?; }}
             if let Some(found) = rx.load({key})? {{ tx.store(&found.value)?; }}"
        );
    }
    let messages = if *pattern == "ReqRep" { 2 } else { 1 };
    let (fixed, tail) = (types.len() == messages, types.len() > messages && types[messages].starts_with('['));
    let time = "std::time::Duration::ZERO";
    let both = match *pattern {
        "PubSub" => format!("let (mut tx, mut rx) = ({name}{dot}publisher()?, {name}{dot}subscriber()?);"),
        "PushPull" => format!("let (mut tx, mut rx) = ({name}{dot}pusher()?, {name}{dot}puller()?);"),
        _ => format!("let (mut tx, mut rx) = ({name}{dot}requester()?, {name}{dot}replier()?);"),
    };
    let used = match (*pattern, python) {
        ("PubSub", false) if tail => {
            "let sample = rx.recv_ref()?; let mut loan = tx.loan(sample.items().len())?; loan.parts_mut(); loan.send()?;
             tx.send(sample.header(), sample.items())?;"
                .to_owned()
        }
        ("PubSub", false) if fixed => format!(
            "tx.send(&*rx.recv_ref()?)?; tx.send(&rx.recv_timeout({time})?)?; tx.try_send(&rx.try_recv()?)?;
             tx.send(&*rx.latest_ref()?.unwrap())?; for message in rx.iter() {{ tx.send(&message)?; }}"
        ),
        ("PubSub", false) => format!(
            "tx.send(&rx.recv()?)?; tx.send_timeout(&rx.recv_timeout({time})?, {time})?; tx.try_send(&rx.try_recv()?)?;
             tx.send(&rx.latest()?.unwrap())?; let _ = async {{ tx.send_async(&rx.recv_async().await.unwrap()).await }};
             fn is_stream<S: futures_core::Stream>(_: S) {{}} is_stream(rx.stream());"
        ),
        ("PushPull", false) if fixed => {
            "tx.send(&*rx.claim()?)?; tx.send(&rx.recv()?)?; tx.try_send(&rx.try_recv()?)?;".to_owned()
        }
        ("PushPull", false) => format!(
            "tx.send(&rx.recv()?)?; tx.send_timeout(&rx.recv_timeout({time})?, {time})?; tx.try_send(&rx.try_recv()?)?;
             let _ = async {{ tx.send_async(&rx.recv_async().await.unwrap()).await }};
             fn is_stream<S: futures_core::Stream>(_: S) {{}} is_stream(rx.stream());"
        ),
        ("ReqRep", false) if *streams => format!(
            "let mut request = rx.recv()?; let mut replies = tx.call(&request)?;
             request.send(&replies.recv()?.unwrap())?; request.try_send(&replies.try_recv()?.unwrap())?;
             for reply in tx.request(&request)? {{ request.send_timeout(&reply?, {time})?; }} request.end()?;
             let mut request = rx.try_recv()?; let mut replies = tx.request_timeout(&request, {time})?;
             let _ = async {{ let reply = replies.recv_async().await.unwrap().unwrap();
             request.send_async(&reply).await }};"
        ),
        ("ReqRep", false) => format!(
            "let request = rx.recv()?; let reply = tx.call(&request)?.wait()?; request.reply(&reply)?;
             let request = rx.try_recv()?; let reply = tx.request(&request)?; request.reply(&reply)?;
             let request = rx.recv_timeout({time})?; let reply = tx.request_timeout(&request, {time})?;
             request.reply(&reply)?; let mut other = {name}{dot}replier()?;
             rx.serve(|request| tx.call(request).unwrap().wait().unwrap())?;
             let _ = async {{ let request = other.recv_async().await.unwrap(); let reply = tx.request_async(&request).await;
             request.reply(&reply.unwrap()) }};"
        ),
        ("ReqRep", true) => format!(
            "let request = rx.recv()?; let reply = tx.request(&request, {time})?; rx.send(&reply)?; tx.send(&request)?;
             rx.try_recv_bytes()?; rx.send_bytes(&[])?; rx.send(&tx.try_recv()?)?;"
        ),
        (_, _) => "tx.send(&rx.recv()?)?; tx.send(&rx.try_recv()?)?; tx.send_bytes(rx.recv_bytes()?)?;".to_owned(),
    };
    format!("{both}\n{used}")
}

/// Compiles the program in a project of its own.
fn check(program: &str) {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("declarations");
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    fs::create_dir_all(root.join("src")).unwrap();
    let manifest = format!(
        "[package]\nname = \"declarations\"\nedition = \"2024\"\n\n[dependencies]\n\
         shmcomm = {{ path = {:?}, features = [\"async\", \"msgpack\", \"pickle\"] }}\n\
         serde = {{ version = \"1\", features = [\"derive\"] }}\nfutures-core = \"0.3\"\n\n[workspace]\n\n{PROFILE}",
        workspace.join("shmcomm")
    );
    fs::write(root.join("Cargo.toml"), manifest).unwrap();
    fs::write(root.join("src/main.rs"), program).unwrap();
    // The versions that the workspace was built with are on this machine.
    fs::copy(workspace.join("Cargo.lock"), root.join("Cargo.lock")).unwrap();
    let output = Command::new(env!("CARGO"))
        .args(["check", "--offline", "--quiet"])
        .current_dir(&root)
        .env("CARGO_TARGET_DIR", target_dir())
        .env_remove("RUSTFLAGS")
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}:\n{errors}", root.join("src/main.rs").display());
}

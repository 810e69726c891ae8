//! The rules of `CONTRIBUTING.md` on prose that a program can check: in comments of Rust files and in Markdown.
//!
//! Owns the patterns. Reads the sources as text. Never decides what a sentence means: a finding is a place to read,
//! so a small share of findings is accepted.

use regex::Regex;
use std::fs;
use std::path::{Path, PathBuf};

/// Accepted share of sentences with a finding, in percent.
const MOST_FINDINGS: f64 = 2.0;
/// Words of the longest sentence without a finding. A sentence should have 25; links and names add to them.
const LONGEST: usize = 35;

/// The number of the rule in `CONTRIBUTING.md`, and what breaks it.
const RULES: [(u32, &str); 8] = [
    (
        1,
        r"\b([Ww]ho(ever|mever)?|[Tt]hose (who|that)|[Oo]ne (who|that)|[Ss]omebody|[Nn]obody|[Ee]verybody)\b",
    ),
    (
        3,
        r"\b(cut loose|out of patience|gets? hold of|lets? go\b|handed on|at the heels|without a word|in silence|comes? back|stands? still|knock|sentry|bury|buried)\b",
    ),
    (4, r"\b[Ss]o (many|long|far|often|few) (as )?"),
    (
        5,
        r"\b(a|one|two|second|first|next|last|each|every|more|another|few|these|[0-9]+) looks?\b|\b[Ll]ook(s|ed|ing)? (after|at|once|for|around|below|up|further|without|how|whether)\b",
    ),
    (6, r"\b(is|are|was|were) (not )?to (be )?[a-z]+(ed|en)\b"),
    (7, r"\b(nothing|none|all|anything|nobody|everything|name) but\b"),
    (8, r"^(Of (a|an|the|one|those|what)|As above|The same, for|That of)\b"),
    (2, r"^Whether\b"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// Returns the files of the project with these endings, except what is built and programs that must not compile.
fn files(endings: &[&str]) -> Vec<PathBuf> {
    let (mut open, mut found) = (vec![root()], Vec::new());
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).expect("a readable folder").flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if path.is_dir() {
                if !name.starts_with('.') && name != "target" && !path.ends_with("ui-tests/tests") {
                    open.push(path);
                }
            } else if endings.iter().any(|ending| name.ends_with(ending)) && !path.ends_with("docs/prose.rs")
            {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The text of a line that is prose: of a comment in Rust, of anything in Markdown. `None` ends a paragraph.
fn prose(line: &str, rust: bool) -> Option<&str> {
    let text = match rust {
        true => line.trim_start().strip_prefix("//")?.trim_start_matches(['/', '!']).trim(),
        false => line.trim(),
    };
    let drawn = text.contains(['│', '┌', '└', '├', '─', '►', '▼']);
    (!text.is_empty() && !text.starts_with(['|', '#', '>', '`']) && !drawn).then_some(text)
}

/// Returns the paragraphs of a file with the numbers of their first lines, without code.
fn paragraphs(path: &Path) -> Vec<(usize, String)> {
    let (rust, text) =
        (path.extension().is_some_and(|it| it == "rs"), fs::read_to_string(path).expect("text"));
    let (mut all, mut code, mut last) = (Vec::<(usize, String)>::new(), false, 0);
    for (number, line) in text.lines().enumerate() {
        let fence = line.trim_start().trim_start_matches(['/', '!']).trim_start().starts_with("```");
        code ^= fence;
        let Some(text) = prose(line, rust).filter(|_| !code && !fence) else { continue };
        let item = text.strip_prefix("- ").or_else(|| text.strip_prefix("* "));
        match all.last_mut() {
            Some((_, paragraph)) if last + 1 == number && item.is_none() => {
                paragraph.push(' ');
                paragraph.push_str(text);
            }
            _ => all.push((number + 1, item.unwrap_or(text).to_owned())),
        }
        last = number;
    }
    all
}

/// Returns the sentences of a paragraph. An ending is a mark with a space and a capital letter or code after it.
fn sentences<'p>(ends: &Regex, paragraph: &'p str) -> Vec<&'p str> {
    let (mut all, mut start) = (Vec::new(), 0);
    for end in ends.find_iter(paragraph) {
        all.push(&paragraph[start..=end.start()]);
        start = end.end() - 1;
    }
    all.push(&paragraph[start..]);
    all.retain(|sentence| sentence.split_whitespace().count() >= 4);
    all
}

fn broken(rules: &[(u32, Regex)], sentence: &str) -> Vec<u32> {
    let long = (sentence.split_whitespace().count() > LONGEST).then_some(9);
    rules.iter().filter(|(_, rule)| rule.is_match(sentence)).map(|(number, _)| *number).chain(long).collect()
}

fn rules() -> Vec<(u32, Regex)> {
    RULES.map(|(number, rule)| (number, Regex::new(rule).expect("a pattern"))).to_vec()
}

#[test]
fn sentences_follow_the_rules_of_prose() {
    let ends = Regex::new(r"[.;:!?]\s+[A-Z`\[*]").expect("a pattern");
    let (rules, mut found, mut read) = (rules(), Vec::new(), 0);
    for path in files(&[".rs", ".md"]) {
        for (line, paragraph) in paragraphs(&path) {
            for sentence in sentences(&ends, &paragraph) {
                read += 1;
                let broken = broken(&rules, sentence);
                if !broken.is_empty() {
                    let path = path.strip_prefix(root()).unwrap_or(&path).display();
                    found.push(format!("{path}:{line}: rules {broken:?}: {sentence}"));
                }
            }
        }
    }
    assert!(read > 5000, "only {read} sentences found");
    let share = 100.0 * found.len() as f64 / f64::from(read);
    assert!(share <= MOST_FINDINGS, "{share:.1} % of {read} sentences\n{}", found.join("\n"));
}

#[test]
fn each_rule_finds_a_sentence_that_breaks_it() {
    let wrong = [
        (1, "The lock is free for whoever comes next."),
        (2, "Whether the publisher is alive."),
        (3, "A subscriber that is out of patience is removed."),
        (4, "The reader polls so many times before it sleeps."),
        (5, "The reader takes another look before it sleeps."),
        (6, "The publisher is to be woken before the fence."),
        (7, "The reader does nothing but copy the message."),
        (8, "As above, the reader copies the message."),
    ];
    for (number, sentence) in wrong {
        let found = broken(&rules(), sentence);
        assert!(found.contains(&number), "rule {number}: {sentence}: {found:?}");
    }
    assert_eq!(broken(&rules(), &"word ".repeat(LONGEST + 1)), [9]);
    assert!(broken(&rules(), "Returns the number of subscribers that are alive.").is_empty());
}

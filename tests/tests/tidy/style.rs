//! Words, function docs and test names that `CONTRIBUTING.md` excludes.
//!
//! `docs/prose.rs` reads sentences and accepts a share of findings. Here no finding is accepted.

use super::sources::{relative, root, sources};
use proc_macro2::{TokenStream, TokenTree};
use regex::Regex;
use std::collections::BTreeMap;
use std::fs;
use std::sync::LazyLock;

/// Folders that hold the code of the project.
const FOLDERS: [&str; 12] = [
    "benches-compare/src",
    "examples",
    "fuzz/fuzz_targets",
    "measure",
    "shmcomm",
    "shmcomm-bridge",
    "shmcomm-cli",
    "shmcomm-derive",
    "shmcomm-record",
    "shmcomm-view",
    "tests",
    "xtask",
];

/// Patterns of subjects that name no participant, and of metaphors for loads.
const WORDS: &str = r"(?x)
    \b [Ww]ho(ever|mever) \b
  | \b ([Ss]ome|[Nn]o|[Ee]very)body \b
  | \b [Tt]hose \s who \b
  | ^ Who \s [a-z]+s \b
  | \b [Ll]ook(s|ed|ing)? \s (at|after|once|whether|for \s the \s dead) \b
  | \b (a|one|another|next|second|last|each) \s looks? \b";

/// Maximum number of characters in the name of a test.
const LONGEST_NAME: usize = 50;

/// Returns the sources that are searched for the words, without the patterns themselves.
fn read() -> Vec<(String, String)> {
    let all = FOLDERS.iter().flat_map(|folder| sources(folder));
    all.map(|(path, text)| (relative(&path, ""), text))
        .filter(|(path, _)| !path.contains("tests/tidy/") && !path.ends_with("docs/prose.rs"))
        .filter(|(path, _)| !path.contains("/ui/") && !path.contains("target/"))
        .collect()
}

/// Returns the comments and string literals of a file, with the numbers of their lines.
fn texts(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if let Some(at) = line.find("// ").or_else(|| line.find("///").or_else(|| line.find("//!"))) {
            found.push((number + 1, line[at..].trim_start_matches(['/', '!', ' ']).to_owned()));
        }
    }
    let tokens = text.parse::<TokenStream>().unwrap_or_else(|e| panic!("{e}: {text}"));
    literals(tokens, &mut found);
    found
}

fn literals(tokens: TokenStream, found: &mut Vec<(usize, String)>) {
    let mut attribute = false;
    for token in tokens {
        match &token {
            // Documentation is a comment, and was read as one.
            TokenTree::Group(_) if attribute => {}
            TokenTree::Group(group) => literals(group.stream(), found),
            TokenTree::Literal(literal) if literal.to_string().contains('"') => {
                found.push((literal.span().start().line, literal.to_string().trim_matches('"').to_owned()));
            }
            _ => {}
        }
        attribute = matches!(&token, TokenTree::Punct(mark) if mark.as_char() == '#' || attribute && mark.as_char() == '!');
    }
}

#[test]
fn texts_name_their_subjects() {
    let words = Regex::new(WORDS).expect("a pattern");
    let mut wrong = Vec::new();
    for (path, text) in read() {
        let found = texts(&text).into_iter().filter(|(_, text)| words.is_match(text));
        wrong.extend(found.map(|(line, text)| format!("{path}:{line}: {text}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn lint_of_words_finds_comments_and_literals() {
    let words = Regex::new(WORDS).expect("a pattern");
    let found = |text: &str| texts(text).iter().filter(|(_, text)| words.is_match(text)).count();
    assert_eq!(found("// Whoever waits is woken."), 1);
    assert_eq!(found("fn f() {} // Somebody waits."), 1);
    assert_eq!(found("/// Who waits is woken.\nfn f() {}"), 1);
    assert_eq!(found("//! The word is looked at once."), 1);
    assert_eq!(found("const A: &str = \"nobody waits\";"), 1);
    assert_eq!(found("fn f() { panic!(\"{} took another look\", 1) }"), 1);
    assert_eq!(found("/// Returns who waits.\nfn body() { look(\"some body\") }"), 0);
}

/// Returns the names of the tests of a file.
fn tests_of(text: &str) -> Vec<String> {
    static TEST: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"#\[(?:[a-z_]+::)?test(?:\([^\]]*\))?\]\s*(?:(?:#\[|//)[^\n]*\s*)*(?:async )?fn (\w+)")
            .expect("a pattern")
    });
    TEST.captures_iter(text).map(|found| found[1].to_owned()).collect()
}

#[test]
fn test_names_are_short() {
    let mut wrong = Vec::new();
    for (path, text) in read() {
        let long = tests_of(&text).into_iter().filter(|name| name.len() > LONGEST_NAME);
        wrong.extend(long.map(|name| format!("{path}: {name}: {} characters", name.len())));
    }
    assert!(wrong.is_empty(), "{LONGEST_NAME} characters are the limit:\n{}", wrong.join("\n"));
}

#[test]
fn lint_of_test_names_finds_every_kind_of_test() {
    let text = "#[test]\nfn a() {}\n#[tokio::test(flavor = \"multi_thread\")]\nasync fn b() {}\n\
                #[test]\n#[should_panic]\n// Why.\nfn c() {}\nfn d() {}";
    assert_eq!(tests_of(text), ["a", "b", "c"]);
}

/// The names of known-wrong variants stand in the library; the torture and the models must use the same names.
#[test]
fn known_wrong_variants_exist() {
    let named = Regex::new(r#"\b(?:mutant|weak)\("([^"]+)""#).expect("a pattern");
    let library: String = sources("shmcomm/src").into_iter().map(|(_, text)| text).collect();
    let known: Vec<&str> =
        named.captures_iter(&library).map(|it| it.get(1).expect("a name").as_str()).collect();
    let read = |path: &str| fs::read_to_string(root().join(path)).expect("a file of the repository");
    let models = read(".ci/loom-mutants");
    let (_, models) = models.split_once("variants=\"").expect("the list");
    let (models, _) = models.split_once("\n\"").expect("its end");
    let torture = read("xtask/src/torture/mutants.rs");
    let listed = Regex::new(r#"(?m)^ +\("([^"]+)", "[a-z]+"\),$"#).expect("a pattern");
    let listed: Vec<&str> =
        listed.captures_iter(&torture).map(|it| it.get(1).expect("a name").as_str()).collect();
    assert!(listed.len() > 5, "{listed:?}");
    let models = models.lines().filter_map(|line| line.split_once("|")).map(|(name, _)| name);
    let mut wrong: Vec<_> = listed.into_iter().chain(models).collect();
    wrong.retain(|name| !known.contains(name));
    assert!(wrong.is_empty(), "the library has no such variants: {wrong:?}");
}

/// Returns the functions of a file whose documentation starts without a verb in the third person.
fn without_verb(text: &str) -> (usize, Vec<String>) {
    static VERB: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^[A-Z][a-z-]+s[,:]?$").expect("a pattern"));
    static HEAD: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"^(pub(\([a-z :]+\))? )?(const )?(async )?(unsafe )?(extern "C" )?fn "#)
            .expect("a pattern")
    });
    let (mut all, mut wrong, mut first) = (0, Vec::new(), None::<&str>);
    for line in text.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            first.get_or_insert(text.trim());
        } else if HEAD.is_match(line) {
            if let Some(first) = first.take().filter(|text| !text.starts_with('#')) {
                all += 1;
                if !first.split(' ').next().is_some_and(|word| VERB.is_match(word)) {
                    wrong.push(first.to_owned());
                }
            }
        } else if !line.starts_with("#[") && !line.starts_with("//") {
            first = None;
        }
    }
    (all, wrong)
}

#[test]
fn function_docs_start_with_a_verb() {
    let (mut all, mut wrong) = (0, BTreeMap::new());
    for (path, text) in read().into_iter().filter(|(path, _)| path.contains("src/")) {
        let (count, found) = without_verb(&text);
        all += count;
        if !found.is_empty() {
            wrong.insert(path, found);
        }
    }
    assert!(all > 1000, "only {all} functions found in {}", root().display());
    let count: usize = wrong.values().map(Vec::len).sum();
    assert!(10 * count <= all, "{count} of {all} function docs: {wrong:#?}");
}

#[test]
fn lint_of_function_docs_finds_a_noun_phrase() {
    assert_eq!(without_verb("/// The length.\nfn len() {}").1.len(), 1);
    assert_eq!(
        without_verb("/// Whether it is empty.\n#[inline]\npub(in crate::a) const fn e() {}").1.len(),
        1
    );
    assert_eq!(without_verb("/// Returns the length.\n///\n/// It is in bytes.\nfn len() {}").1.len(), 0);
    assert_eq!(without_verb("/// The length.\nconst LEN: usize = 1;\nfn len() {}").0, 0);
}

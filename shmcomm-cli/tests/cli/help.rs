//! The help of all commands, completions, and manual pages.

use crate::support::{World, snapshot};

/// The commands that the help lists.
fn commands(world: &World) -> Vec<String> {
    let help = world.run(&["--help"]).out;
    let lines =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // The rest of a long description is indented further.
    let names = lines.filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')));
    let names = names.filter_map(|line| line.split_whitespace().next()).map(str::to_owned);
    names.filter(|name| name != "help").collect()
}

#[test]
fn every_help_has_three_examples() {
    let world = World::new();
    let commands = commands(&world);
    assert!(commands.len() >= 11, "{commands:?}");
    for command in std::iter::once("").chain(commands.iter().map(String::as_str)) {
        let arguments: Vec<&str> = [command, "--help"].into_iter().filter(|word| !word.is_empty()).collect();
        let run = world.run(&arguments);
        assert_eq!(run.code, Some(0));
        let examples = run.out.split("Examples:\n").nth(1).unwrap_or("");
        let examples: Vec<_> = examples.lines().take_while(|line| line.contains("shmcomm ")).collect();
        assert!(examples.len() >= 3, "{command}: {examples:?}");
        let words = ["--json", "-n, --count", "--duration", "--namespace"];
        assert!(words.iter().all(|word| run.out.contains(word)), "{command}");
        let json = matches!(command, "" | "completions" | "man");
        assert!(json || run.out.contains("JSON: "), "{command} does not describe its JSON");
    }
    snapshot!("help", world.run(&["--help"]));
}

#[test]
fn completions_and_pages_are_generated() {
    let world = World::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let run = world.run(&["completions", shell]);
        assert!(run.code == Some(0) && run.out.contains("doctor"), "{shell}");
    }
    let page = world.run(&["man"]);
    assert!(page.out.contains(".TH shmcomm 1"), "{}", page.out);
    for command in commands(&world) {
        let page = world.run(&["man", &command]);
        assert!(page.out.contains("Examples:"), "{command}");
    }
    assert_eq!(world.run(&["man", "nothing"]).code, Some(2));
    let dir = world.dir().join("pages");
    std::fs::create_dir(&dir).unwrap();
    assert_eq!(world.run(&["man", "--directory", dir.to_str().unwrap()]).code, Some(0));
    assert!(dir.join("shmcomm-list.1").exists() && dir.join("shmcomm.1").exists());
}

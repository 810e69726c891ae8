//! `cargo xtask compile-time`: the time that the macros take the compiler.
//!
//! Owns two generated packages of many types. In one, each type is a message of a channel of its own. In the other,
//! the same types have the derives of zerocopy and serde. Both are compiled for development in turn, several times
//! each; the dependencies are compiled before. The least CPU time of each counts, less that of the types without any
//! macro. The figures are printed after each round.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use crate::names::ROOT;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Number of types, if `--types` does not say another one.
const TYPES: usize = 200;
/// Number of rounds, if `--rounds` does not say another one. A round takes about a minute of CPU time.
const ROUNDS: usize = 2;

/// Largest ratio that the library promises.
const LARGEST: f64 = 0.30;

/// A generated package.
struct Variant {
    name: &'static str,
    dependencies: String,
    derives: &'static str,
    channels: bool,
}

/// Compiles the packages and prints the ratios. Fails if the ratio is larger than promised.
pub fn run(arguments: &[&str]) -> Outcome<()> {
    let (mut check, mut rounds, mut types) = (false, ROUNDS, TYPES);
    let mut arguments = arguments.iter();
    while let Some(&argument) = arguments.next() {
        let mut number = || {
            let number = arguments.next().and_then(|number| number.parse().ok());
            number.filter(|&number| number > 0).ok_or_else(|| format!("{argument} takes a number, 1 or more"))
        };
        match argument {
            "--check" => check = true,
            "--rounds" => rounds = number()?,
            "--types" => types = number()?,
            _ => return Err("usage: cargo xtask compile-time [--check] [--rounds N] [--types N]".into()),
        }
    }
    let shmcomm = format!("shmcomm = {{ path = {:?} }}", Path::new(ROOT).join("shmcomm"));
    let others = "zerocopy = { version = \"0.8.63\", features = [\"derive\"] }\n\
                  serde = { version = \"1\", features = [\"derive\"] }";
    let others_derive = "zerocopy::TryFromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout, \
                         serde::Serialize, serde::Deserialize";
    let variant = |name, dependencies: &str, derives, channels| Variant {
        name,
        dependencies: dependencies.to_owned(),
        derives,
        channels,
    };
    let variants = [
        variant("types", "", "", false),
        variant("messages", &shmcomm, "shmcomm::ShmMessage", false),
        variant("channels", &shmcomm, "shmcomm::ShmMessage", true),
        variant("others", others, others_derive, false),
    ];
    let mut folders = Vec::new();
    for variant in &variants {
        eprintln!("compiling the dependencies of `{}`", variant.name);
        folders.push(generate(variant, types)?);
    }
    let mut least = [f64::MAX; 4];
    for round in 1..=rounds {
        for (folder, least) in folders.iter().zip(&mut least) {
            *least = least.min(compile(folder)?);
        }
        println!("after round {round} of {rounds}:");
        report(types, least);
    }
    let [alone, _, channels, others] = least;
    let ratio = (channels - alone) / (others - alone);
    if check && ratio > LARGEST {
        return Err(format!("the ratio {ratio:.2} is larger than {LARGEST:.2}").into());
    }
    Ok(())
}

/// Prints the least times of the packages, in seconds of CPU time, and their ratios.
fn report(number: usize, [types, messages, channels, others]: [f64; 4]) {
    let cost = |with: f64| with - types;
    let ratio = |with: f64| cost(with) / cost(others);
    println!("  {number} types alone: {types:.2} s of CPU time");
    println!("  with zerocopy's and serde's derives: {:.2} s more", cost(others));
    println!("  as messages: {:.2} s more, ratio {:.2}", cost(messages), ratio(messages));
    println!(
        "  as messages of {number} channels: {:.2} s more, ratio {:.2}; at most {LARGEST:.2} is promised",
        cost(channels),
        ratio(channels)
    );
}

/// Writes the package of a variant, and compiles its dependencies.
fn generate(variant: &Variant, types: usize) -> Outcome<PathBuf> {
    let folder = Path::new(ROOT).join("target/compile-time").join(variant.name);
    fs::create_dir_all(folder.join("src"))?;
    let Variant { name, dependencies, .. } = variant;
    let manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n{dependencies}\n"
    );
    fs::write(folder.join("Cargo.toml"), manifest)?;
    fs::copy(Path::new(ROOT).join("Cargo.lock"), folder.join("Cargo.lock"))?;
    // Only the dependencies, as long as the package is empty.
    fs::write(folder.join("src/lib.rs"), "")?;
    build(&folder)?;
    fs::write(folder.join("src/lib.rs"), source(variant, types)?)?;
    Ok(folder)
}

fn source(variant: &Variant, types: usize) -> Outcome<String> {
    let derive = match variant.derives {
        "" => String::new(),
        derives => format!("#[derive({derives})]\n"),
    };
    let mut source = String::from("#![allow(dead_code)]\n");
    for i in 0..types {
        write!(
            source,
            "{derive}#[repr(u8)]\npub enum Mode{i} {{ Idle, Run, Fault }}\n\
             {derive}#[repr(C)]\npub struct Sample{i} {{ pub stamp: u64, pub position: [f64; 3], pub speed: [f32; 4], \
             pub count: u32, pub volts: f32, pub mode: Mode{i}, pub flags: [u8; 7] }}\n"
        )?;
        if variant.channels {
            writeln!(
                source,
                "shmcomm::channel! {{ pub Feed{i}: PubSub<Sample{i}> {{ name: \"robot/sample{i}\", slots: 64 }} }}"
            )?;
        }
    }
    Ok(source)
}

/// Compiles the package again, and returns the CPU time in seconds.
fn compile(folder: &Path) -> Outcome<f64> {
    let source = folder.join("src/lib.rs");
    let text = fs::read(&source)?;
    fs::write(&source, text)?;
    let before = children()?;
    build(folder)?;
    Ok(children()? - before)
}

fn build(folder: &Path) -> Outcome<()> {
    let built = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--quiet", "--jobs", "1"])
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", Path::new(ROOT).join("target/compile-time/target"))
        .env("CARGO_INCREMENTAL", "0")
        .env_remove("RUSTFLAGS")
        .stdin(Stdio::null())
        .status()?;
    if built.success() { Ok(()) } else { Err(format!("{} does not build", folder.display()).into()) }
}

/// Returns the CPU time of all children that have ended, in seconds.
fn children() -> Outcome<f64> {
    /// Ticks of `/proc/self/stat` per second, on all of Linux's platforms.
    const TICKS: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect::<Vec<_>>();
    let ticks = |i: usize| fields.get(i).and_then(|field| field.parse::<f64>().ok());
    match (ticks(13), ticks(14)) {
        (Some(user), Some(system)) => Ok((user + system) / TICKS),
        _ => Err("/proc/self/stat has no times of children".into()),
    }
}

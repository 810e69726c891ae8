//! The actions of a process at its fault points, under `cfg(shmcomm_fault)`.
//!
//! Owns the plan, which is read once from `SHMCOMM_FAULT`, or given by [`arm`] before that. Calls `os`
//! to end or stop the process. Never takes part in a protocol: a point without a rule costs a load.
//!
//! ```text
//! plan   = rule { ";" rule }
//! rule   = name "=" action [ "@" count | "%" percent ]   |   "seed" "=" number
//! name   = "pub.claimed" | "pub.*" | "*"
//! action = "kill" | "abort" | "stop" | "yield" | "sleep" [ ":" microseconds ] | "panic"
//! ```
//!
//! `@3` acts at the third visit of a point of that name, and no more; `%10` at one visit in ten, by
//! chance; without either, at every visit. `kill` and `stop` are the signals of these names; `abort`
//! and `panic` are Rust's; `sleep` is for a millisecond if nothing else is said. All rules that name a
//! point are checked, in their order. Chance follows from `seed`, or else from the process id.
//!
//! A plan that cannot be read ends the process: a fault that is never provoked proves nothing.

use crate::os;
use crate::sync::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::str::FromStr;
use std::sync::OnceLock;
use std::time::Duration;

const VARIABLE: &str = "SHMCOMM_FAULT";
/// A point notes the rules that name it in the bits of a word.
const MOST: usize = 64;

static PLAN: OnceLock<Plan> = OnceLock::new();
static OBSERVER: OnceLock<Observer> = OnceLock::new();

/// Is told the name of a point and, if something is about to be done there, what.
pub type Observer = fn(&'static str, Option<Action>);

/// Sets the plan of this process, in place of `SHMCOMM_FAULT`.
///
/// # Errors
/// Says what is wrong with the text, or that a plan is being followed already.
pub fn arm(text: &str) -> Result<(), String> {
    PLAN.set(text.parse()?).map_err(|_| "a plan of faults is being followed already".to_owned())
}

/// Has `observer` told of each point that this process visits, once, and of everything that is done at
/// one, before it is.
pub fn observe(observer: Observer) {
    let _ = OBSERVER.set(observer);
}

/// One place in the sources.
pub(crate) struct Point {
    name: &'static str,
    visited: AtomicU32,
    /// The rules that name it, known from the first visit on.
    rules: AtomicU64,
}

impl Point {
    pub(crate) const fn new(name: &'static str) -> Self {
        Point { name, visited: AtomicU32::new(0), rules: AtomicU64::new(0) }
    }

    #[inline]
    pub(crate) fn reached(&self) {
        // Relaxed, here and below: what follows from the plan is the same for every thread.
        if self.visited.load(Relaxed) == 0 {
            self.first();
        }
        let rules = self.rules.load(Relaxed);
        if rules != 0 {
            self.act(rules);
        }
    }

    #[cold]
    fn first(&self) {
        let mut rules = 0;
        for (i, rule) in plan().rules.iter().enumerate() {
            rules |= u64::from(rule.names(self.name)) << i;
        }
        self.rules.store(rules, Relaxed);
        self.visited.store(1, Relaxed);
        self.tell(None);
    }

    #[cold]
    fn act(&self, rules: u64) {
        let plan = plan();
        for (i, rule) in plan.rules.iter().enumerate() {
            if rules >> i & 1 == 0 || !rule.is_due(plan) {
                continue;
            }
            self.tell(Some(rule.action));
            match rule.action {
                Action::Kill => os::kill_self(),
                Action::Stop => os::stop_self(),
                Action::Abort => std::process::abort(),
                Action::Yield => std::thread::yield_now(),
                Action::Sleep(time) => std::thread::sleep(time),
                // While it unwinds already, another one would be an abort.
                Action::Panic if std::thread::panicking() => {}
                Action::Panic => panic!("fault point {}", self.name),
            }
        }
    }

    fn tell(&self, action: Option<Action>) {
        if let Some(observer) = OBSERVER.get() {
            observer(self.name, action);
        }
    }
}

fn plan() -> &'static Plan {
    PLAN.get_or_init(|| {
        let text = std::env::var(VARIABLE).unwrap_or_default();
        text.parse().unwrap_or_else(|why| {
            eprintln!("{VARIABLE}={text}: {why}");
            std::process::exit(2)
        })
    })
}

#[derive(Debug)]
struct Plan {
    rules: Vec<Rule>,
    chance: AtomicU64,
}

#[derive(Debug)]
struct Rule {
    /// The name, or, ending in `*`, how it begins.
    name: String,
    action: Action,
    when: When,
    visits: AtomicU64,
}

/// The action at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Kill,
    Abort,
    Stop,
    Yield,
    Sleep(Duration),
    Panic,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    Always,
    Visit(u64),
    Percent(u64),
}

impl Rule {
    fn names(&self, name: &str) -> bool {
        match self.name.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == self.name,
        }
    }

    fn is_due(&self, plan: &Plan) -> bool {
        match self.when {
            When::Always => true,
            // Relaxed: a count, on which no other memory depends.
            When::Visit(visit) => self.visits.fetch_add(1, Relaxed) + 1 == visit,
            When::Percent(percent) => plan.number() % 100 < percent,
        }
    }
}

impl Plan {
    /// The next number of splitmix64.
    fn number(&self) -> u64 {
        // Relaxed: any thread may have any of the numbers.
        let mut z = self.chance.fetch_add(0x9E37_79B9_7F4A_7C15, Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

impl FromStr for Plan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut rules = Vec::new();
        let mut seed = u64::from(os::pid());
        for text in text.split(';').map(str::trim).filter(|text| !text.is_empty()) {
            let (name, action) = text.split_once('=').ok_or(format!("`{text}` is not NAME=ACTION"))?;
            match name.trim() {
                "seed" => seed = number(action)?,
                name => rules.push(rule(name, action.trim())?),
            }
        }
        if rules.len() > MOST {
            return Err(format!("{} rules; {MOST} is the most", rules.len()));
        }
        Ok(Plan { rules, chance: AtomicU64::new(seed) })
    }
}

fn rule(name: &str, text: &str) -> Result<Rule, String> {
    let (action, when) = match text.split_once(['@', '%']) {
        None => (text, When::Always),
        Some((action, count)) if text.contains('@') => (action, When::Visit(number(count)?)),
        Some((action, percent)) => (action, When::Percent(number(percent)?)),
    };
    let action = match action.split_once(':').unwrap_or((action, "")) {
        ("kill", "") => Action::Kill,
        ("abort", "") => Action::Abort,
        ("stop", "") => Action::Stop,
        ("yield", "") => Action::Yield,
        ("panic", "") => Action::Panic,
        ("sleep", "") => Action::Sleep(Duration::from_millis(1)),
        ("sleep", time) => Action::Sleep(Duration::from_micros(number(time)?)),
        _ => {
            return Err(format!(
                "no action `{action}`; there are kill, abort, stop, yield, sleep, sleep:MICROSECONDS and panic"
            ));
        }
    };
    Ok(Rule { name: name.to_owned(), action, when, visits: AtomicU64::new(0) })
}

fn number(text: &str) -> Result<u64, String> {
    text.trim().parse().map_err(|_| format!("`{text}` is not a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plan_selects_points_actions_and_visits() {
        let plan: Plan =
            "pub.claimed=kill@3; *=yield%10;seed=7;py.*=sleep:200;segment.left=panic".parse().unwrap();
        let rules: Vec<_> = plan.rules.iter().map(|r| (r.name.as_str(), r.action, r.when)).collect();
        assert_eq!(
            rules,
            [
                ("pub.claimed", Action::Kill, When::Visit(3)),
                ("*", Action::Yield, When::Percent(10)),
                ("py.*", Action::Sleep(Duration::from_micros(200)), When::Always),
                ("segment.left", Action::Panic, When::Always),
            ]
        );
        assert!(plan.rules[2].names("py.head") && !plan.rules[2].names("pub.head"));
        assert!((0..5).map(|_| plan.rules[0].is_due(&plan)).eq([false, false, true, false, false]));
        let due = (0..10_000).filter(|_| plan.rules[1].is_due(&plan)).count();
        assert!((800..1200).contains(&due), "{due}");
    }

    #[test]
    fn what_is_no_plan_is_refused_with_the_reason() {
        for (text, why) in [
            ("pub.claimed", "`pub.claimed` is not NAME=ACTION"),
            ("pub.claimed=die", "no action `die`"),
            ("pub.claimed=kill@often", "`often` is not a number"),
            ("pub.claimed=kill:3", "no action `kill:3`"),
        ] {
            let found = text.parse::<Plan>().unwrap_err();
            assert!(found.starts_with(why), "{found}");
        }
        assert!("".parse::<Plan>().unwrap().rules.is_empty());
    }
}

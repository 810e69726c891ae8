//! Hosts, bridges and networks for the tests.
//!
//! Owns the processes and the network namespaces that a test makes, and removes them. A host is a namespace of channels,
//! so the test is a program on all of them.

use shmcomm::schema::Layout;
use shmcomm::{Content, Declaration, DynError, DynPublisher, DynSubscriber};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Time in which something must happen, on any machine.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// A name that no other test and no other run has.
pub fn unique(test: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{test}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A host: a namespace of channels, with a directory for files of its bridges.
pub struct Host {
    pub name: String,
    directory: PathBuf,
}

impl Host {
    pub fn new(test: &str) -> Host {
        let name = unique(test);
        let directory = std::env::temp_dir().join(format!("shmcomm-bridge-{name}"));
        std::fs::create_dir_all(&directory).unwrap();
        Host { name, directory }
    }

    /// Returns the full name of a channel of this host.
    pub fn full(&self, channel: &str) -> String {
        format!("{}/{channel}", self.name)
    }

    pub fn file(&self, name: &str) -> String {
        self.directory.join(name).display().to_string()
    }

    pub fn publisher(&self, channel: &str, declaration: &Declaration) -> DynPublisher {
        DynPublisher::create(&self.full(channel), declaration).unwrap()
    }

    /// Opens a subscriber when the channel exists.
    pub fn subscriber(&self, channel: &str) -> DynSubscriber {
        DynSubscriber::open_timeout(&self.full(channel), DEADLINE, 0).unwrap()
    }

    /// Starts a bridge of this host, whose metrics are a file.
    pub fn bridge(&self, arguments: &[&str]) -> Bridge {
        self.start(Command::new(env!("CARGO_BIN_EXE_shmcomm-bridge")), arguments)
    }

    /// Starts a bridge of this host in a network namespace. A kill reaches the bridge: `ip` becomes it.
    pub fn bridge_in(&self, network: &str, arguments: &[&str]) -> Bridge {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", network, env!("CARGO_BIN_EXE_shmcomm-bridge")]);
        self.start(command, arguments)
    }

    fn start(&self, mut command: Command, arguments: &[&str]) -> Bridge {
        let metrics = self.file(&unique("metrics"));
        command.args(["--namespace", &self.name, "--metrics", &metrics]).args(arguments);
        command.stdin(Stdio::null());
        Bridge { child: command.spawn().unwrap(), metrics }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
        let _ = shmcomm::remove_stale(&self.name);
    }
}

/// A bridge process, which is killed when it is dropped.
pub struct Bridge {
    child: Child,
    metrics: String,
}

impl Bridge {
    /// Kills the process as `kill -9` does.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Returns `true` if the process runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Returns all metrics, at most a second old; no text if there are none yet.
    pub fn metrics(&self) -> String {
        std::fs::read_to_string(&self.metrics).unwrap_or_default()
    }

    /// Returns a metric, at most a second old; 0 if it does not exist yet.
    pub fn metric(&self, name: &str, labels: &[&str]) -> u64 {
        let text = self.metrics();
        let of = |line: &&str| {
            line.strip_prefix("shmcomm_bridge_").is_some_and(|rest| rest.starts_with(name))
                && labels.iter().all(|label| line.contains(label))
        };
        text.lines().filter(of).filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }

    /// Returns the reason why a channel is refused, when there is one.
    pub fn refusal(&self, channel: &str) -> String {
        let label = format!("refusal{{channel=\"{channel}\"");
        let found = || {
            let text = self.metrics();
            text.lines().find(|line| line.contains(&label)).map(str::to_owned)
        };
        wait_for("a refusal", found)
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until there is a value, for at most [`DEADLINE`].
pub fn wait_for<T>(what: &str, mut get: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = get() {
            return value;
        }
        assert!(start.elapsed() < DEADLINE, "no {what} within {DEADLINE:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until a condition is true, for at most [`DEADLINE`].
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    wait_for(what, || condition().then_some(()));
}

/// Returns an address of loopback with a port that was free.
pub fn address() -> String {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    format!("tcp/127.0.0.1:{port}")
}

/// Declares a channel of bytes.
pub fn bytes() -> Declaration {
    Declaration::pub_sub(Content::Bytes).slot_size(256).slots(64)
}

/// Returns the layout of a number.
pub fn numbers_content() -> Content {
    Content::Fixed(Layout::parse(r#"{"size":8,"type":"<u8"}"#).unwrap().remove(0))
}

/// Declares a channel of numbers.
pub fn numbers() -> Declaration {
    Declaration::pub_sub(numbers_content()).slots(64)
}

/// Returns the bytes of message `n`: 8 to 207 bytes that follow from the number.
pub fn message(n: u64) -> Vec<u8> {
    let mut word = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut out = n.to_le_bytes().to_vec();
    out.extend((0..word % 200).map(|_| {
        word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (word >> 56) as u8
    }));
    out
}

/// Returns the number of a message.
pub fn number(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes[..8].try_into().unwrap())
}

/// Publishes the messages `next` and so on until the subscriber receives one of them; returns the number after the last
/// one and the number that came.
pub fn until_received(
    publisher: &mut DynPublisher,
    subscriber: &mut DynSubscriber,
    mut next: u64,
) -> (u64, u64) {
    let received = wait_for("message", || {
        publisher.send_bytes(&next.to_le_bytes()).unwrap();
        next += 1;
        match subscriber.recv_timeout(Duration::from_millis(20)) {
            Ok(message) => Some(number(message.bytes())),
            Err(DynError::Timeout | DynError::Disconnected) => None,
            Err(error) => panic!("{error}"),
        }
    });
    (next, received)
}

/// Receives until no message comes for half a second; returns the numbers.
pub fn drain(subscriber: &mut DynSubscriber) -> Vec<u64> {
    let mut all = Vec::new();
    loop {
        match subscriber.recv_timeout(Duration::from_millis(500)) {
            Ok(message) => all.push(number(message.bytes())),
            Err(DynError::Timeout | DynError::Disconnected) => return all,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Network namespaces that are joined by pairs of virtual interfaces.
pub struct Networks {
    names: Vec<String>,
}

/// Runs `ip` or `tc`, and returns what it prints.
fn tool(program: &str, arguments: &str) -> Result<String, String> {
    let out = Command::new(program).args(arguments.split(' ')).output().map_err(|error| error.to_string())?;
    match out.status.success() {
        true => Ok(String::from_utf8_lossy(&out.stdout).into_owned()),
        false => Err(format!("{program} {arguments}: {}", String::from_utf8_lossy(&out.stderr).trim())),
    }
}

impl Networks {
    /// Makes a chain of hosts: host `i` has the address `10.9.i.1` to the next one, which has `10.9.i.2`. Returns `None`
    /// without the capability, loudly; fails in CI.
    pub fn chain(hosts: usize) -> Option<Networks> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let tag = format!("sb{}x{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut networks = Networks { names: Vec::new() };
        let made = (|| {
            for host in 0..hosts {
                let name = format!("{tag}h{host}");
                tool("ip", &format!("netns add {name}"))?;
                networks.names.push(name.clone());
                tool("ip", &format!("-n {name} link set lo up"))?;
            }
            for link in 0..hosts - 1 {
                let (a, b) = (&networks.names[link], &networks.names[link + 1]);
                tool("ip", &format!("link add r{link} netns {a} type veth peer name l{link} netns {b}"))?;
                for (name, interface, end) in [(a, 'r', 1), (b, 'l', 2)] {
                    tool("ip", &format!("-n {name} addr add 10.9.{link}.{end}/24 dev {interface}{link}"))?;
                    tool("ip", &format!("-n {name} link set {interface}{link} up"))?;
                }
            }
            Ok::<(), String>(())
        })();
        match made {
            Ok(()) => Some(networks),
            Err(why) => {
                missing(&why);
                None
            }
        }
    }

    pub fn name(&self, host: usize) -> &str {
        &self.names[host]
    }

    /// Sets the link behind a host `up` or `down`.
    pub fn link(&self, host: usize, state: &str) {
        tool("ip", &format!("-n {} link set r{host} {state}", self.names[host])).unwrap();
    }

    /// Makes a link narrow in both directions: packets wait in a queue, and are lost when it is full (a token bucket).
    pub fn narrow(&self, link: usize) {
        for (host, interface) in [(link, 'r'), (link + 1, 'l')] {
            let bucket = "root tbf rate 20mbit burst 4kb limit 16kb";
            let name = &self.names[host];
            tool("tc", &format!("-n {name} qdisc add dev {interface}{link} {bucket}")).unwrap();
        }
    }

    /// Returns the number of packets that a narrow link has lost on the way from `host` to the next one.
    pub fn dropped(&self, host: usize) -> u64 {
        let text = tool("tc", &format!("-n {} -s qdisc show dev r{host}", self.names[host])).unwrap();
        let (_, rest) = text.split_once("dropped ").unwrap_or_else(|| panic!("no figure in: {text}"));
        rest.split(',').next().unwrap().parse().unwrap()
    }
}

impl Drop for Networks {
    fn drop(&mut self) {
        for name in &self.names {
            let _ = tool("ip", &format!("netns del {name}"));
        }
    }
}

/// Says that a test did not run. That is a failure in CI.
pub fn missing(why: &str) {
    eprintln!("SKIPPED: this test needs what this machine does not have: {why}");
    assert!(std::env::var("CI").as_deref() != Ok("true"), "nothing is skipped in CI: {why}");
}

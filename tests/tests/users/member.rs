//! [`Member`]: a process of another user, which opens ends as a test tells it.
//!
//! Only the superuser can start processes of any user, so the tests run as root. They share a directory of their own,
//! sticky and open to all users like `/dev/shm`. Every system has the group of these tests. Its members are the processes
//! that a test puts into it.

use shmcomm::*;
use shmcomm_tests::{Jobs, Namespace, Peer, Service, Small, SmallFeed, State, namespace, say, stage};
use std::fmt::Debug;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

pub const PATIENCE: Duration = Duration::from_secs(20);
/// A group of all distributions.
pub const GROUP: &str = "daemon";
/// The users of the tests, whose ids no account has.
pub const ALICE: u32 = 41_001;
pub const BOB: u32 = 41_002;
/// A user outside of the group.
pub const MALLORY: u32 = 41_666;

/// Returns the id of the group.
pub fn gid() -> u32 {
    let groups = std::fs::read_to_string("/etc/group").expect("a system has groups");
    let id = groups.lines().find_map(|line| line.strip_prefix("daemon:x:")?.split(':').next()?.parse().ok());
    id.expect("the group `daemon`")
}

/// A directory for the segments of one test, open to all users like `/dev/shm`.
pub struct World {
    dir: PathBuf,
    pub ns: Namespace,
}

impl World {
    /// Returns `None` if this process cannot start processes of other users.
    pub fn new(test: &str) -> Option<World> {
        if !stage::is_root() {
            stage::skip("only the superuser can start processes of other users");
            return None;
        }
        let ns = namespace(test);
        let dir = Path::new("/dev/shm").join(format!("{}-dir", &*ns));
        std::fs::create_dir(&dir).unwrap();
        std::fs::set_permissions(&dir, PermissionsExt::from_mode(0o1777)).unwrap();
        Some(World { dir, ns })
    }

    /// Returns the path of the group's directory, or of a file in it.
    pub fn shared(&self, channel: &str) -> PathBuf {
        let dir = self.dir.join(format!("shmcomm.{GROUP}"));
        if channel.is_empty() { dir } else { dir.join(format!("shmcomm2_{}%2F{channel}", &*self.ns)) }
    }

    pub fn private(&self, channel: &str) -> PathBuf {
        self.dir.join(format!("shmcomm2_{}%2F{channel}", &*self.ns))
    }

    /// Starts a process of the user, as a member of the group. Its ends are of the group.
    pub fn member(&self, user: u32) -> Member {
        self.start("member", user, &gid().to_string())
    }

    /// Starts a process of the user that is in no group.
    pub fn outsider(&self, user: u32) -> Member {
        self.start("member", user, "")
    }

    fn start(&self, part: &str, user: u32, group: &str) -> Member {
        let mut command = stage::command(part, &self.ns);
        command.env("SHMCOMM_DIR", &self.dir).env("TEST_USER", user.to_string()).env("TEST_GID", group);
        Member(Peer::spawn(command))
    }

    /// Starts a process like [`World::start`], under a program such as `unshare`, with its arguments.
    pub fn start_under(&self, wrapper: &[String], part: &str, group: &str) -> Member {
        let inner = stage::command(part, &self.ns);
        let mut command = Command::new(&wrapper[0]);
        command.args(&wrapper[1..]).arg(inner.get_program()).args(inner.get_args());
        command.envs(inner.get_envs().filter_map(|(key, value)| Some((key, value?))));
        command.env("SHMCOMM_DIR", &self.dir).env("TEST_GID", group);
        Member(Peer::spawn(command))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// A process of a user.
pub struct Member(pub Peer);

impl Member {
    /// Runs a command of [`run`] and returns its result.
    #[track_caller]
    pub fn tell(&mut self, command: &str) -> String {
        self.0.say(command);
        self.0.said()
    }

    /// Runs commands, each of which must return `ok`.
    #[track_caller]
    pub fn all(&mut self, commands: &[&str]) {
        for command in commands {
            assert_eq!(self.tell(command), "ok", "{command}");
        }
    }

    pub fn kill(self) {
        self.0.kill();
    }
}

#[test]
fn part() {
    stage::play(&[("member", member), ("container", super::container::process)]);
}

fn member() {
    let number = |name: &str| std::env::var(name).unwrap().parse::<u32>().ok();
    become_user(number("TEST_USER").expect("a user"), number("TEST_GID"));
    serve();
}

/// Makes this process one of a user, in the group and in no other.
pub fn become_user(user: u32, group: Option<u32>) {
    let groups: Vec<_> = group.into_iter().collect();
    // SAFETY: the list has that length; changes the groups of this process, which has one thread.
    assert_eq!(unsafe { libc::setgroups(groups.len(), groups.as_ptr()) }, 0);
    // SAFETY: changes the group of this process.
    assert_eq!(unsafe { libc::setgid(user) }, 0);
    // SAFETY: changes the user of this process.
    assert_eq!(unsafe { libc::setuid(user) }, 0);
}

channel! {
    /// A feed of the group by its declaration.
    Declared: PubSub<Small> { name: "declared", group: "daemon" }
    /// A private channel of the same name is another channel.
    Private: PubSub<Small> { name: "declared" }
    /// A table of the group, with a key that has the name of the setting.
    DeclaredState: Table { name: "declared-state", group: "daemon", group: u64 }
    /// One channel of the group for each number.
    Each: PubSub<Small> { name: "declared/{number: u8}", group: GROUP }
}

/// Uses all channels that are declared with the group.
fn declared() -> Result<String, Error> {
    let mut publisher = Declared::publisher()?;
    let mut subscriber = Declared::subscriber()?;
    publisher.send(&Small::new(1)).expect("an open channel");
    assert_eq!(subscriber.recv().expect("a message").number, 1);
    let private = Private::open().connect_timeout(Duration::ZERO).subscriber();
    assert_eq!(private.expect_err("no private channel").kind(), ErrorKind::NotFound);
    let mut writer = DeclaredState::writer(DeclaredState::GROUP)?;
    writer.store(&5).expect("an open table");
    let mut reader = DeclaredState::reader()?;
    assert_eq!(reader.load(DeclaredState::GROUP).expect("an open table").expect("a value").value, 5);
    let _each = Each::instance(7).publisher()?;
    let mut all = list_segments_in(&std::env::var("SHMCOMM_NAMESPACE").expect("a namespace"))?;
    all.retain(|segment| segment.group.as_deref() == Some(GROUP));
    // The group of the declaration can be changed, and left out.
    let _private = Declared::open().group("").publisher()?;
    Ok(all.len().to_string())
}

/// The ends of a process.
#[derive(Default)]
struct Ends {
    private: bool,
    publisher: Option<Publisher<Small>>,
    subscriber: Option<Subscriber<Small>>,
    pusher: Option<Pusher<Small>>,
    puller: Option<Puller<Small>>,
    requester: Option<Requester<Small, Small>>,
    replier: Option<Replier<Small, Small>>,
    writer: Option<TableWriter<State, Small>>,
    reader: Option<TableReader<State>>,
    observer: Option<Observer>,
    dynamic: Option<DynSubscriber>,
}

/// Runs the commands of the test.
pub fn serve() {
    let mut ends = Ends::default();
    for line in std::io::stdin().lines() {
        let line = line.expect("the test writes text");
        let (command, argument) = line.split_once(' ').unwrap_or((&line, ""));
        say(run(&mut ends, command, argument).unwrap_or_else(|error| error));
    }
    std::process::exit(0);
}

fn shown(error: impl Debug + std::fmt::Display) -> String {
    format!("{error:?} {error}")
}

fn ok<T>(slot: &mut Option<T>, opened: Result<T, Error>) -> Result<String, String> {
    *slot = Some(opened.map_err(|error| format!("{:?} {error}", error.kind()))?);
    Ok("ok".into())
}

/// Runs a command; an error is a line too.
fn run(ends: &mut Ends, command: &str, argument: &str) -> Result<String, String> {
    let ns = std::env::var("SHMCOMM_NAMESPACE").unwrap();
    let number = || argument.parse::<u64>().expect("a number");
    let group = if ends.private { "" } else { GROUP };
    let feed = || SmallFeed::open().group(group).connect_timeout(Duration::from_millis(200));
    match command {
        "declared" => return declared().map_err(shown),
        "private" => ends.private = true,
        // SAFETY: changes the mask of this process.
        "umask" => drop(unsafe { libc::umask(u32::from_str_radix(argument, 8).unwrap()) }),
        "drop" => *ends = Ends { private: ends.private, ..Ends::default() },
        "publish" => return ok(&mut ends.publisher, feed().publisher()),
        "mode" => return ok(&mut ends.publisher, feed().group("").mode(0o660).publisher()),
        "group" => {
            return ok(&mut ends.publisher, feed().group(argument.to_owned()).publisher());
        }
        "subscribe" => return ok(&mut ends.subscriber, feed().subscriber()),
        "pusher" => return ok(&mut ends.pusher, Jobs::open().group(group).pusher()),
        "puller" => return ok(&mut ends.puller, Jobs::open().group(group).puller()),
        "requester" => return ok(&mut ends.requester, Service::open().group(group).requester()),
        "replier" => return ok(&mut ends.replier, Service::open().group(group).replier()),
        "writer" => return ok(&mut ends.writer, State::open().group(group).writer(State::SMALL)),
        "reader" => return ok(&mut ends.reader, State::open().group(group).reader()),
        "observe" => return ok(&mut ends.observer, Observer::open(&format!("{ns}/small"))),
        "dynamic" => return ok(&mut ends.dynamic, DynSubscriber::open(&format!("{ns}/small"))),
        "described" => {
            let found = describe_in_group(&format!("{ns}/small"), GROUP);
            return ok(&mut ends.dynamic, found.and_then(|what| DynSubscriber::described(&what, 0)));
        }
        "send" => ends.publisher.as_mut().unwrap().send(&Small::new(number())).map_err(shown)?,
        "recv" => {
            let message = ends.subscriber.as_mut().unwrap().recv_timeout(PATIENCE).map_err(shown)?;
            message.check();
            return Ok(message.number.to_string());
        }
        "push" => ends.pusher.as_mut().unwrap().send(&Small::new(number())).map_err(shown)?,
        "pull" => {
            let job = ends.puller.as_mut().unwrap().claim_timeout(PATIENCE).map_err(shown)?;
            let said = job.number.to_string();
            job.done();
            return Ok(said);
        }
        "claim" => {
            let job = ends.puller.as_mut().unwrap().claim_timeout(PATIENCE).map_err(shown)?;
            say(job.number);
            stage::wait();
        }
        "ask" => {
            let call = ends.requester.as_ref().unwrap().call(&Small::new(number())).map_err(shown)?;
            return call.wait().map(|reply| reply.number.to_string()).map_err(|error| format!("{error:?}"));
        }
        "reply" => {
            let request = ends.replier.as_mut().unwrap().recv().map_err(shown)?;
            let reply = Small::new(!request.number);
            request.reply(&reply).map_err(shown)?;
        }
        "take" => {
            let request = ends.replier.as_mut().unwrap().recv().map_err(shown)?;
            say(request.number);
            stage::wait();
        }
        "store" => drop(ends.writer.as_mut().unwrap().store(&Small::new(number())).map_err(shown)?),
        "load" => {
            let latest = ends.reader.as_mut().unwrap().load(State::SMALL).map_err(shown)?;
            return Ok(latest.map_or("nothing".into(), |latest| latest.value.number.to_string()));
        }
        "watched" => {
            let seen = ends.observer.as_mut().unwrap().next_timeout(PATIENCE);
            let Observed::Message(sample) = seen else { return Err(format!("{seen:?}")) };
            return Ok(sample.position().to_string());
        }
        "received" => {
            let sample = ends.dynamic.as_mut().unwrap().recv_timeout(PATIENCE).map_err(shown)?;
            return Ok(sample.value().map_err(shown)?.to_string().chars().take(12).collect());
        }
        "alive" => {
            let stats = ends.subscriber.as_ref().unwrap().stats();
            return Ok(stats.participants.iter().filter(|one| one.alive).count().to_string());
        }
        "list" => {
            let listed = list_segments_in(&ns).map_err(shown)?.into_iter().map(|segment| {
                let name = segment.channel.rsplit('/').next().unwrap_or_default().to_owned();
                format!("{name}@{}:{}", segment.group.as_deref().unwrap_or("-"), segment.state().name())
            });
            return Ok(listed.collect::<Vec<_>>().join(" "));
        }
        "find" => {
            let found = find_segment(&format!("{ns}/{argument}")).map_err(shown)?;
            return Ok(found.map_or("nothing".into(), |found| format!("{:?}", found.group)));
        }
        "clean" => return Ok(remove_stale(&ns).map_err(shown)?.removed.len().to_string()),
        "unlink" => {
            return force_unlink(&format!("{ns}/{argument}"))
                .map(|removed| removed.to_string())
                .map_err(|error| format!("{:?} {error}", error.kind()));
        }
        "remove" => std::fs::remove_file(argument).map_err(shown)?,
        "mkdir" => std::fs::create_dir(argument).map_err(shown)?,
        "chmod" => {
            let (mode, path) = argument.split_once(' ').unwrap();
            let mode = u32::from_str_radix(mode, 8).unwrap();
            std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).map_err(shown)?;
        }
        other => panic!("no command {other:?}"),
    }
    Ok("ok".into())
}

//! Names under faults: a file is removed by hand while it is in use, many processes make one channel at a time, and other
//! users have the name.

use shmcomm::{ErrorKind, RecvTimeoutError, TryPullError, force_unlink, list_segments};
use shmcomm_tests::{Jobs, Namespace, Service, Small, SmallFeed, namespace, say, stage};
use std::path::PathBuf;
use std::sync::Barrier;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);
const NOBODY: u32 = 65534;

#[test]
fn part() {
    stage::play(&[("another user", another_user)]);
}

fn path_of(ns: &Namespace, channel: &str) -> Option<PathBuf> {
    let name = format!("{ns}/{channel}");
    list_segments().unwrap().into_iter().find(|s| s.channel == name).map(|s| s.path)
}

/// Runs `exchange` until the file of the channel is there again.
fn until_named(namespace: &Namespace, channel: &str, mut exchange: impl FnMut(u64)) -> u64 {
    let start = Instant::now();
    for number in 0.. {
        if path_of(namespace, channel).is_some() {
            return number;
        }
        assert!(start.elapsed() < PATIENCE, "the live channel never gets its name back");
        exchange(number);
        std::thread::sleep(Duration::from_millis(1));
    }
    unreachable!()
}

#[test]
fn file_removed_by_hand_divides_no_channel() {
    let ns = namespace("removed");
    let mut old = SmallFeed::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = SmallFeed::open().namespace(&*ns).subscriber().unwrap();
    std::fs::remove_file(path_of(&ns, "small").unwrap()).unwrap();
    // Its participants continue with each other, and the live channel gets its name back.
    let next = until_named(&ns, "small", |number| {
        old.send(&Small::new(number)).unwrap();
        assert_eq!(subscriber.recv_timeout(PATIENCE), Ok(Small::new(number)));
    });
    let second = SmallFeed::open().namespace(&*ns).publisher();
    assert_eq!(second.err().map(|error| error.kind()), Some(ErrorKind::AlreadyPublished));
    let mut newcomer = SmallFeed::open().namespace(&*ns).connect_timeout(PATIENCE).subscriber().unwrap();
    old.send(&Small::new(next)).unwrap();
    assert_eq!(subscriber.recv_timeout(PATIENCE), Ok(Small::new(next)));
    assert_eq!(newcomer.recv_timeout(PATIENCE), Ok(Small::new(next)));
    drop((old, subscriber, newcomer));
    assert!(path_of(&ns, "small").is_none(), "the last participant removes the name");
}

#[test]
fn queue_removed_by_hand_gets_its_name_back() {
    let ns = namespace("removed-queue");
    let mut pusher = Jobs::open().namespace(&*ns).pusher().unwrap();
    let mut puller = Jobs::open().namespace(&*ns).puller().unwrap();
    std::fs::remove_file(path_of(&ns, "jobs").unwrap()).unwrap();
    let next = until_named(&ns, "jobs", |number| {
        pusher.send(&Small::new(number)).unwrap();
        assert_eq!(puller.try_recv(), Ok(Small::new(number)));
    });
    let mut other = Jobs::open().namespace(&*ns).puller().unwrap();
    pusher.send(&Small::new(next)).unwrap();
    assert_eq!(other.recv_timeout(PATIENCE), Ok(Small::new(next)), "one queue for old and new participants");
    assert_eq!(puller.try_recv(), Err(TryPullError::Empty));
    drop((pusher, puller, other));
    assert!(path_of(&ns, "jobs").is_none(), "the last participant removes the name");
}

/// Of threads, which is harder than of processes: they share the locks' owner, if that were the process.
#[test]
fn racing_makers_of_a_queue_all_get_the_same_one() {
    let ns = namespace("race");
    let makers = 4;
    let rounds = 1000;
    let start = Barrier::new(makers);
    let met = Barrier::new(makers);
    std::thread::scope(|scope| {
        for maker in 0..makers {
            let (ns, start, met) = (&ns, &start, &met);
            scope.spawn(move || {
                for round in 0..rounds {
                    start.wait();
                    let mut pusher = Jobs::open().namespace(&**ns).pusher().unwrap();
                    let mut puller = (maker == 0).then(|| Jobs::open().namespace(&**ns).puller().unwrap());
                    pusher.try_send(&Small::new(round)).unwrap();
                    met.wait();
                    for _ in 0..makers {
                        let Some(puller) = &mut puller else { break };
                        assert_eq!(puller.try_recv(), Ok(Small::new(round)), "round {round}");
                    }
                    drop((pusher, puller));
                    met.wait();
                }
            });
        }
    });
    assert!(path_of(&ns, "jobs").is_none());
}

#[test]
fn one_of_racing_publishers_opens_others_get_errors() {
    let ns = namespace("race-publishers");
    let rivals = 4;
    let rounds = 1000;
    let start = Barrier::new(rivals);
    let decided = Barrier::new(rivals);
    let won: usize = std::thread::scope(|scope| {
        let rivals: Vec<_> = (0..rivals)
            .map(|_| {
                let (ns, start, decided) = (&ns, &start, &decided);
                scope.spawn(move || {
                    let mut won = 0;
                    for _ in 0..rounds {
                        start.wait();
                        let outcome = SmallFeed::open().namespace(&**ns).publisher();
                        decided.wait();
                        match outcome {
                            Ok(_publisher) => won += 1,
                            Err(error) => assert_eq!(error.kind(), ErrorKind::AlreadyPublished, "{error}"),
                        }
                    }
                    won
                })
            })
            .collect();
        rivals.into_iter().map(|rival| rival.join().unwrap()).sum()
    });
    assert_eq!(won, rounds);
}

#[test]
fn another_user_gets_nothing_and_breaks_nothing() {
    if !stage::is_root() {
        return stage::skip("only the superuser can change the user");
    }
    let ns = namespace("another-user");
    let mut publisher = SmallFeed::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = SmallFeed::open().namespace(&*ns).subscriber().unwrap();
    let mut pusher = Jobs::open().namespace(&*ns).pusher().unwrap();
    let mut process = stage::part("another user", &ns);
    for role in ["publisher", "subscriber", "puller", "force_unlink"] {
        let said = process.said();
        assert!(said.starts_with(&format!("{role}: Permission ")), "{said}");
        assert!(said.contains("65534"), "{said}");
    }
    assert_eq!(process.said(), "0 segments listed");
    assert_eq!(process.said(), "squats");
    // A name that another user has made first is refused, and nothing of it is read.
    let error = Service::open().namespace(&*ns).requester().err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Permission, "{error}");
    assert!(error.to_string().contains("user 65534"), "{error}");
    process.say("go");
    assert!(process.finish().success());
    publisher.send(&Small::new(1)).unwrap();
    assert_eq!(subscriber.recv_timeout(PATIENCE), Ok(Small::new(1)));
    pusher.send(&Small::new(1)).unwrap();
    drop(publisher);
    assert_eq!(subscriber.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected));
}

fn another_user() {
    // SAFETY: changes the user of this process, which does nothing else meanwhile.
    assert_eq!(unsafe { libc::setgid(NOBODY) }, 0);
    // SAFETY: as above.
    assert_eq!(unsafe { libc::setuid(NOBODY) }, 0);
    let ns = std::env::var("SHMCOMM_NAMESPACE").unwrap();
    let tell = |role: &str, error: shmcomm::Error| say(format_args!("{role}: {:?} {error}", error.kind()));
    tell("publisher", SmallFeed::publisher().err().unwrap());
    tell("subscriber", SmallFeed::subscriber().err().unwrap());
    tell("puller", Jobs::puller().err().unwrap());
    tell("force_unlink", force_unlink(&format!("{ns}/small")).unwrap_err());
    let listed = list_segments().unwrap().iter().filter(|s| s.channel.starts_with(&ns)).count();
    say(format_args!("{listed} segments listed"));
    let replier = Service::replier().unwrap();
    say("squats");
    stage::wait();
    drop(replier);
}

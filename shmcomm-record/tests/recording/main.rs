//! Recordings and replays of live channels: equal bytes, exact losses, and files that are cut off or damaged.

mod changes;
mod replay;
mod split;
mod trigger;

use shmcomm::{Channel, PubSub, ShmMessage, ShmString, ShmVec, Timestamp};
use shmcomm_record::encoding::Encoding;
use shmcomm_record::{
    ChannelFacts, ChannelReport, Compression, PlayError, PlayOptions, Player, RecordOptions, Recorder, read,
};
use shmcomm_tests::namespace;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[derive(Clone, Debug, ShmMessage)]
#[repr(C)]
struct Imu {
    stamp: Timestamp,
    number: u64,
    acceleration: [f32; 3],
    frame: ShmString<8>,
    history: ShmVec<f64, 4>,
}

mod next {
    //! The next version of the message.
    use super::{ShmMessage, ShmString, Timestamp};

    #[derive(Clone, Debug, ShmMessage)]
    #[repr(C)]
    pub struct Imu {
        pub number: u64,
        pub stamp: Timestamp,
        pub acceleration: [f64; 3],
        pub frame: ShmString<16>,
        #[shm(default = "20.0")]
        pub temperature: f32,
    }
}

fn imu(number: u64) -> Imu {
    let mut history = ShmVec::new();
    for at in 0..number % 4 {
        history.push(at as f64).unwrap();
    }
    Imu {
        stamp: Timestamp::from_nanos(1_764_000_000_000_000_000 + number as i64),
        number,
        acceleration: [0.5, -0.0, number as f32],
        frame: ShmString::new("mäp").unwrap(),
        history,
    }
}

const FEED: Channel<PubSub<Imu>> = Channel::new("robot/imu");
const FRAMES: Channel<PubSub<u32, [u16]>> = Channel::new("robot/camera");

/// A directory of the test, without its files of before.
fn directory(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("recording-{name}"));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

fn all(path: &Path) -> Vec<(String, Vec<u8>)> {
    let messages = read(path).unwrap();
    messages.map(|message| message.unwrap()).map(|one| (one.channel.facts.name.clone(), one.data)).collect()
}

fn poll(recorder: &mut Recorder) {
    while recorder.poll().unwrap() > 0 {}
}

/// Replays a file, and records the replay to another file.
fn record_again(from: &Path, to: &Path, channels: &[String], options: RecordOptions) {
    let play = PlayOptions { speed: f64::INFINITY, ..PlayOptions::default() };
    let mut player = Player::open([from], play).unwrap();
    let mut recorder = Recorder::create(to, options).unwrap();
    for channel in channels {
        recorder.add(channel).unwrap();
    }
    player
        .run(|_| {
            poll(&mut recorder);
            true
        })
        .unwrap();
    poll(&mut recorder);
    let report = recorder.finish().unwrap();
    assert!(report.iter().all(|channel| (channel.lost, channel.refused) == (0, 0)), "{report:?}");
}

#[test]
fn replayed_recording_has_equal_bytes() {
    let dir = directory("equal");
    for (index, encoding) in [Encoding::Ros2, Encoding::Protobuf].into_iter().enumerate() {
        let space = namespace("recording");
        let mut feed = FEED.open().namespace(&*space).publisher().unwrap();
        let mut frames = FRAMES.max_len(1000).open().namespace(&*space).publisher().unwrap();
        let channels = [feed.name().to_owned(), frames.name().to_owned()];
        let options = RecordOptions { encoding, compression: Compression::Zstd, ..RecordOptions::default() };
        let (first, second) = (dir.join(format!("{index}a.mcap")), dir.join(format!("{index}b.mcap")));
        let mut recorder = Recorder::create(&first, options.clone()).unwrap();
        for channel in &channels {
            recorder.add(channel).unwrap();
        }
        for number in 0..500 {
            feed.send(&imu(number)).unwrap();
            if number.is_multiple_of(10) {
                frames.send(&(number as u32), &vec![number as u16; number as usize]).unwrap();
            }
            poll(&mut recorder);
        }
        let report = recorder.finish().unwrap();
        let figures: Vec<_> = report.iter().map(|channel| (channel.written, channel.lost)).collect();
        assert_eq!(figures, [(500, 0), (50, 0)]);
        drop((feed, frames));
        record_again(&first, &second, &channels, options);
        let (a, b) = (all(&first), all(&second));
        assert_eq!(a.len(), 550);
        for channel in &channels {
            let of = |all: &[(String, Vec<u8>)]| -> Vec<Vec<u8>> {
                all.iter().filter(|(name, _)| name == channel).map(|(_, data)| data.clone()).collect()
            };
            assert_eq!(of(&a), of(&b));
        }
    }
}

#[test]
fn times_beyond_ros_get_a_schema_of_their_own() {
    let space = namespace("recording");
    let mut feed = FEED.open().namespace(&*space).publisher().unwrap();
    let path = directory("wide").join("a.mcap");
    let mut recorder = Recorder::create(&path, RecordOptions::default()).unwrap();
    recorder.add(feed.name()).unwrap();
    for stamp in [5, i64::MAX, 7] {
        feed.send(&Imu { stamp: Timestamp::from_nanos(stamp), ..imu(1) }).unwrap();
        poll(&mut recorder);
    }
    assert_eq!(recorder.finish().unwrap()[0].written, 3);
    let messages: Vec<_> = read(&path).unwrap().map(Result::unwrap).collect();
    assert_eq!(messages.iter().map(|one| one.channel.facts.wide).collect::<Vec<_>>(), [false, true, true]);
    let stamps = messages
        .iter()
        .map(|one| one.decode().unwrap())
        .map(|bytes| i64::from_ne_bytes(bytes[..8].try_into().unwrap()));
    assert_eq!(stamps.collect::<Vec<_>>(), [5, i64::MAX, 7]);
}

#[test]
fn subscribers_of_the_next_version_read_a_replay() {
    let space = namespace("recording");
    let mut feed = FEED.open().namespace(&*space).publisher().unwrap();
    let name = feed.name().to_owned();
    let path = directory("evolution").join("a.mcap");
    let mut recorder = Recorder::create(&path, RecordOptions::default()).unwrap();
    recorder.add(&name).unwrap();
    feed.send(&imu(7)).unwrap();
    poll(&mut recorder);
    recorder.finish().unwrap();

    let open = |force| {
        let options = PlayOptions { speed: f64::INFINITY, force, ..PlayOptions::default() };
        Player::open([&path], options)
    };
    let error = open(false).err().expect("the publisher lives");
    assert!(matches!(error, PlayError::LivePublisher { .. }), "{error}");
    drop(feed);

    let next: Channel<PubSub<next::Imu>> = Channel::new("robot/imu");
    let publisher = next.open().namespace(&*space).publisher().unwrap();
    let mut subscriber = next.open().namespace(&*space).subscriber().unwrap();
    drop(publisher);
    // The channel has a field that the recording lacks, and its default is known to the subscriber only.
    let error = open(false).err().expect("the types differ").to_string();
    assert!(error.contains("temperature"), "{error}");
    // The player is the publisher while it lives.
    let mut player = open(true).unwrap();
    player.run(|_| true).unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    let received = loop {
        match subscriber.recv_timeout(Duration::from_secs(1)) {
            Ok(received) => break received,
            Err(error) => assert!(Instant::now() < end, "{error}"),
        }
    };
    assert_eq!((received.number, received.temperature, received.acceleration[2]), (7, 20.0, 7.0));
}

#[test]
fn fast_channel_is_counted_exactly() {
    const CHANNEL: Channel<PubSub<[u64; 8]>> = Channel::new("fast");
    let space = namespace("recording");
    let mut publisher = CHANNEL.slots(4096).open().namespace(&*space).publisher().unwrap();
    let name = publisher.name().to_owned();
    let path = directory("fast").join("a.mcap");
    let mut recorder = Recorder::create(&path, RecordOptions::default()).unwrap();
    recorder.add(&name).unwrap();
    const SENT: u64 = 100_000;
    let sender = std::thread::spawn(move || {
        let start = Instant::now();
        for number in 0..SENT {
            publisher.send(&[number; 8]).unwrap();
            let due = Duration::from_micros(10) * (number + 1) as u32;
            while start.elapsed() < due {
                std::thread::yield_now();
            }
        }
        publisher
    });
    while !sender.is_finished() {
        recorder.record_for(Duration::from_millis(20)).unwrap();
    }
    let publisher = sender.join().unwrap();
    poll(&mut recorder);
    let report = recorder.finish().unwrap();
    let ChannelReport { written, lost, .. } = report[0];
    assert_eq!(written + lost, SENT, "{report:?}");
    assert_eq!(all(&path).len() as u64, written);
    drop(publisher);
}

#[test]
fn cut_and_damaged_files_never_panic() {
    let space = namespace("recording");
    let mut feed = FEED.open().namespace(&*space).publisher().unwrap();
    let dir = directory("damage");
    let path = dir.join("a.mcap");
    let mut recorder = Recorder::create(&path, RecordOptions::default()).unwrap();
    recorder.add(feed.name()).unwrap();
    for number in 0..50 {
        feed.send(&imu(number)).unwrap();
    }
    poll(&mut recorder);
    recorder.finish().unwrap();
    let whole = std::fs::read(&path).unwrap();
    let damaged = dir.join("b.mcap");
    let mut random = 7_u64;
    for round in 0..400 {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let mut bytes = whole.clone();
        let at = (random >> 33) as usize % bytes.len();
        if round % 2 == 0 {
            bytes.truncate(at);
        } else {
            bytes[at] = (random >> 25) as u8;
        }
        std::fs::write(&damaged, &bytes).unwrap();
        let Ok(messages) = read(&damaged) else {
            assert!(Player::open([&damaged], PlayOptions::default()).is_err());
            continue;
        };
        assert!(messages.take(1000).filter_map(Result::ok).filter(|one| one.decode().is_ok()).count() <= 50);
    }
    std::fs::write(&damaged, b"no recording").unwrap();
    assert!(matches!(read(&damaged).err(), Some(PlayError::Damaged { .. })));
}

#[test]
fn cut_file_is_reported() {
    let space = namespace("recording");
    let mut feed = FEED.open().namespace(&*space).publisher().unwrap();
    let dir = directory("cut");
    let path = dir.join("a.mcap");
    let mut recorder = Recorder::create(&path, RecordOptions::default()).unwrap();
    recorder.add(feed.name()).unwrap();
    feed.send(&imu(1)).unwrap();
    recorder.record_for(Duration::from_millis(600)).unwrap();
    // A chunk is complete, and the file is not.
    let before = dir.join("before.mcap");
    std::fs::copy(&path, &before).unwrap();
    recorder.finish().unwrap();
    let remap = vec![(feed.name().to_owned(), format!("{}/again", &*space))];
    let player = |path: &Path| {
        let options = PlayOptions { remap: remap.clone(), ..PlayOptions::default() };
        Player::open([path], options).unwrap().cut_files().to_vec()
    };
    for (path, cut) in [(&path, false), (&before, true)] {
        let mut messages = read(path).unwrap();
        assert_eq!(messages.by_ref().map(Result::unwrap).count(), 1);
        assert_eq!(messages.is_cut(), cut);
        assert_eq!(player(path), if cut { vec![path.clone()] } else { vec![] });
    }
}

#[test]
fn recorded_fingerprints_are_checked() {
    let space = namespace("recording");
    let feed = FEED.open().namespace(&*space).publisher().unwrap();
    let description = shmcomm::describe(feed.name()).unwrap().unwrap();
    let encoder = shmcomm_record::encoding::Encoder::of(&description, Encoding::Ros2).unwrap();
    let facts = ChannelFacts::of(&description, &encoder);
    let print = format!("{:#018x}", description.fingerprint);
    let text = facts.to_json();
    assert!(text.contains(&print), "{text}");
    assert_eq!(ChannelFacts::parse(&text).unwrap(), facts);
    let error = ChannelFacts::parse(&text.replace(&print, "0x0000000000000001")).unwrap_err();
    assert!(error.contains(&print) && error.contains("0x0000000000000001"), "{error}");
}

#[test]
fn lossless_recording_stops_no_channel_that_waits() {
    const CHANNEL: Channel<PubSub<u64>> = Channel::new("waits");
    let space = namespace("recording");
    let channel = CHANNEL.slots(8).overflow(shmcomm::Overflow::Wait);
    let mut publisher = channel.open().namespace(&*space).publisher().unwrap();
    let path = directory("lossless").join("a.mcap");
    let options = RecordOptions { lossless: true, ..RecordOptions::default() };
    let mut recorder = Recorder::create(&path, options).unwrap();
    recorder.add(publisher.name()).unwrap();
    assert_eq!(publisher.subscribers(), 1);
    let sender = std::thread::spawn(move || {
        for number in 0..20_000 {
            publisher.send(&number).unwrap();
        }
        publisher
    });
    while !sender.is_finished() {
        recorder.record_for(Duration::from_millis(5)).unwrap();
    }
    let publisher = sender.join().unwrap();
    poll(&mut recorder);
    let report = recorder.finish().unwrap();
    assert_eq!((report[0].written, report[0].lost), (20_000, 0));
    drop(publisher);
}

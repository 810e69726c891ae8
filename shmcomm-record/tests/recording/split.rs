//! Recordings in several files: when the next one starts, what the files state, and which of them belong together.

use super::{FRAMES, all, directory, poll};
use shmcomm_record::{
    Compression, PlayError, PlayOptions, Player, RecordError, RecordOptions, Recorder, read,
};
use shmcomm_tests::namespace;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[test]
fn recordings_are_split_and_bounded() {
    let space = namespace("recording");
    let mut feed = FRAMES.max_len(50_000).open().namespace(&*space).publisher().unwrap();
    let dir = directory("split");
    let options = RecordOptions {
        compression: Compression::None,
        max_disk: Some(20_000_000),
        ..RecordOptions::default()
    };
    let mut recorder = Recorder::create(dir.join("a.mcap"), options.clone()).unwrap();
    recorder.add(feed.name()).unwrap();
    for number in 0..600 {
        feed.send(&number, &vec![number as u16; 50_000]).unwrap();
        poll(&mut recorder);
    }
    assert!(recorder.size() < 24_000_000, "{}", recorder.size());
    let files = recorder.files();
    recorder.finish().unwrap();
    // The index of the last file may exceed the size, so that another file is removed.
    let files: Vec<_> = files.into_iter().filter(|file| file.exists()).collect();
    assert!(files.len() > 3 && !dir.join("a_000.mcap").exists(), "{files:?}");
    let last = all(files.last().unwrap()).pop().unwrap().1;
    // The last two bytes are the last item of the tail.
    assert_eq!(last[last.len() - 2..], 599_u16.to_ne_bytes());
    assert!(all(&files[0]).len() > 10);
    // No file is replaced.
    let plain = RecordOptions::default();
    drop(Recorder::create(dir.join("b.mcap"), plain.clone()).unwrap());
    let error = Recorder::create(dir.join("b.mcap"), plain).err().expect("the file exists");
    assert!(matches!(error, RecordError::Create { .. }) && error.to_string().contains("another name"));
}

/// Records frames with numbers, 50 KB each, and returns the files.
fn split(space: &str, path: &Path, frames: u32, options: RecordOptions) -> Vec<PathBuf> {
    let mut feed = FRAMES.max_len(25_000).open().namespace(space).publisher().unwrap();
    let options = RecordOptions { compression: Compression::None, ..options };
    let mut recorder = Recorder::create(path, options).unwrap();
    recorder.add(feed.name()).unwrap();
    for number in 0..frames {
        feed.send(&number, &vec![number as u16; 25_000]).unwrap();
        poll(&mut recorder);
    }
    let files = recorder.files();
    recorder.finish().unwrap();
    files
}

/// Returns the numbers of the frames in the files.
fn numbers(files: &[PathBuf]) -> Vec<u32> {
    let messages = files.iter().flat_map(|file| read(file).unwrap()).map(|message| message.unwrap().decode());
    messages.map(|bytes| u32::from_ne_bytes(bytes.unwrap()[..4].try_into().unwrap())).collect()
}

#[test]
fn size_splits_a_recording() {
    let space = namespace("recording");
    let path = directory("split-size").join("a.mcap");
    let options = RecordOptions { split_size: Some(2_000_000), ..RecordOptions::default() };
    let files = split(&space, &path, 200, options);
    assert!((4..=6).contains(&files.len()), "{files:?}");
    for (number, file) in files.iter().enumerate() {
        assert_eq!(*file, path.with_file_name(format!("a_{number:03}.mcap")));
        // A file exceeds the size by one chunk and its index at most.
        assert!(std::fs::metadata(file).unwrap().len() < 3_300_000, "{}", file.display());
    }
    assert_eq!(numbers(&files), (0..200).collect::<Vec<_>>());
}

#[test]
fn time_splits_a_recording() {
    let space = namespace("recording");
    let path = directory("split-time").join("a.mcap");
    let mut feed = FRAMES.max_len(10).open().namespace(&*space).publisher().unwrap();
    let options =
        RecordOptions { split_duration: Some(Duration::from_millis(100)), ..RecordOptions::default() };
    let mut recorder = Recorder::create(&path, options).unwrap();
    recorder.add(feed.name()).unwrap();
    for number in 0..3 {
        feed.send(&number, &[0; 10]).unwrap();
        poll(&mut recorder);
        std::thread::sleep(Duration::from_millis(120));
    }
    let files = recorder.files();
    recorder.finish().unwrap();
    assert_eq!(files.len(), 3, "{files:?}");
    assert!(files.iter().all(|file| numbers(std::slice::from_ref(file)).len() == 1));
}

#[test]
fn files_of_one_recording_are_replayed_together_only() {
    let space = namespace("recording");
    let dir = directory("parts");
    let options = || RecordOptions { split_size: Some(1_000_000), ..RecordOptions::default() };
    let files = split(&space, &dir.join("a.mcap"), 100, options());
    let others = split(&space, &dir.join("b.mcap"), 100, options());
    assert!(files.len() > 3, "{files:?}");
    let open = |files: &[&PathBuf]| {
        Player::open(files, PlayOptions { speed: f64::INFINITY, ..PlayOptions::default() })
    };
    let refused = |files: &[&PathBuf]| match open(files).err() {
        Some(error @ PlayError::Parts { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    };
    let error = refused(&[&files[0], &files[2]]);
    assert!(error.contains("a_000.mcap is file 0") && error.contains("the files between them"), "{error}");
    let error = refused(&[&files[0], &files[1], &others[2]]);
    assert!(error.contains("b_002.mcap belongs to another recording"), "{error}");
    let error = refused(&[&files[1], &files[0]]);
    assert!(error.contains("in their order"), "{error}");
    // A file that is missing or damaged is found before a message is sent.
    let missing = dir.join("a_099.mcap");
    assert!(
        matches!(open(&[&files[0], &missing]).err(), Some(PlayError::Read { path, .. }) if path == missing)
    );
    let damaged = dir.join("c.mcap");
    std::fs::write(&damaged, "no recording").unwrap();
    assert!(matches!(open(&[&files[0], &damaged]).err(), Some(PlayError::Damaged { .. })));
    // Later files are a recording too.
    let mut player = open(&files.iter().skip(1).collect::<Vec<_>>()).unwrap();
    player.run(|_| true).unwrap();
    assert_eq!(player.report()[0].sent, numbers(&files[1..]).len() as u64);
}

#[test]
fn files_state_the_figures_of_their_channels() {
    let space = namespace("recording");
    let path = directory("figures").join("a.mcap");
    split(&space, &path, 3, RecordOptions::default());
    let bytes = std::fs::read(&path).unwrap();
    let summary = mcap::Summary::read(&bytes).unwrap().unwrap();
    let figures: Vec<_> = summary
        .metadata_indexes
        .iter()
        .map(|index| mcap::read::metadata(&bytes, index).unwrap())
        .map(|found| (found.name, found.metadata.get(&format!("{}/robot/camera", &*space)).cloned()))
        .collect();
    let expected = [
        ("shmcomm.recording", None),
        ("shmcomm.written", Some("3")),
        ("shmcomm.losses", Some("0")),
        ("shmcomm.refused", Some("0")),
        ("shmcomm.dropped", Some("0")),
        ("shmcomm.expired", Some("0")),
        ("shmcomm.cut_off", Some("0")),
    ];
    assert_eq!(figures, expected.map(|(name, figure)| (name.to_owned(), figure.map(str::to_owned))));
}

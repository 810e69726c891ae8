//! Any text as the name of a channel and as the name of a file: each stands for the other, or for nothing,
//! and files of the two versions are never taken for each other.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shmcomm::fuzz::{channel_of, file_of, python_channel_of, python_files_of};
use shmcomm::python::name_problem;
use shmcomm::{Channel, ErrorKind, PubSub};

/// Bytes of the name of a queue with Python.
const LONGEST_QUEUE: usize = 229;

fn is_a_file_name(file: &str) -> bool {
    !file.contains(['/', '\0']) && !matches!(file, "" | "." | "..") && file.len() <= 255
}

fuzz_target!(|text: &str| {
    let file = file_of(text);
    if let Some(file) = &file {
        assert!(is_a_file_name(file), "{file}");
        assert_eq!(channel_of(file).as_deref(), Some(text));
        assert_eq!(python_channel_of(file), None, "{file} is Python's, too");
    }
    if let Some(channel) = channel_of(text) {
        assert_eq!(file_of(&channel).as_deref(), Some(text));
    }
    match Channel::<PubSub<u64>>::try_new(text.to_owned()) {
        Ok(_) => assert!(file.is_some()),
        Err(error) => assert!(file.is_none() && error.kind() == ErrorKind::InvalidName, "{error}"),
    }
    if name_problem(text).is_none() {
        let mut seen = Vec::new();
        for (shown, hidden) in python_files_of(text) {
            // The prefix of a queue is longer; a queue whose file has no room for its name is refused.
            let too_long = text.len() > LONGEST_QUEUE && shown.len() > 255;
            assert!(too_long || (is_a_file_name(&shown) && is_a_file_name(&hidden)));
            assert_eq!(python_channel_of(&shown), Some(text));
            // What is hidden stands for no channel, and no native file is called so.
            assert_eq!(
                (python_channel_of(&hidden), channel_of(&hidden), channel_of(&shown)),
                (None, None, None)
            );
            seen.extend([shown, hidden]);
        }
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 8, "two files of one name");
    }
});

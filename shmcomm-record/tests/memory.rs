//! Hostile files: lengths in a file take no memory that its data does not fill.
//!
//! The program has an allocator that keeps the largest request, so these tests have it to themselves.

use shmcomm::schema::Layout;
use shmcomm_record::encoding::{Encoder, Encoding, Form};
use shmcomm_record::read;
use std::alloc::{GlobalAlloc, Layout as Memory, System};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

struct Largest;

static LARGEST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: each call goes to the allocator of the system.
unsafe impl GlobalAlloc for Largest {
    unsafe fn alloc(&self, memory: Memory) -> *mut u8 {
        LARGEST.fetch_max(memory.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of this function, which is that of the system.
        unsafe { System.alloc(memory) }
    }

    unsafe fn dealloc(&self, place: *mut u8, memory: Memory) {
        // SAFETY: as in `alloc`.
        unsafe { System.dealloc(place, memory) }
    }
}

#[global_allocator]
static ALLOCATOR: Largest = Largest;

/// Most bytes that a request of these tests may have. A buffer of a file has 16 KiB.
const MOST: usize = 1 << 20;
const MAGIC: &[u8] = b"\x89MCAP0\r\n";

/// Returns a record.
fn record(code: u8, body: &[u8]) -> Vec<u8> {
    [&[code][..], &(body.len() as u64).to_le_bytes(), body].concat()
}

/// Returns a chunk that claims a decompressed size.
fn chunk(compression: &str, size: u64, data: &[u8]) -> Vec<u8> {
    let name = [&(compression.len() as u32).to_le_bytes()[..], compression.as_bytes()].concat();
    let head =
        [&[0; 16][..], &size.to_le_bytes(), &[0; 4], &name, &(data.len() as u64).to_le_bytes()].concat();
    record(6, &[&head, data].concat())
}

#[test]
fn lengths_in_a_file_take_no_memory() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("recording-memory.mcap");
    let message = |len: u64| [&[5][..], &len.to_le_bytes(), &[0; 100]].concat();
    let zstd = zstd::encode_all(&message(1 << 30)[..], 0).unwrap();
    let lz4 = {
        let mut encoder = lz4::EncoderBuilder::new().build(Vec::new()).unwrap();
        std::io::Write::write_all(&mut encoder, &message(1 << 30)).unwrap();
        encoder.finish().0
    };
    let hostile = [
        message(1 << 30),
        chunk("", 1 << 30, &message(1 << 30)),
        chunk("zstd", 1 << 30, &zstd),
        chunk("lz4", 1 << 30, &lz4),
        chunk("zstd", 109, &zstd),
        chunk("lz4", 109, &lz4),
        chunk("lz4", u64::MAX, &lz4),
    ];
    LARGEST.store(0, Ordering::Relaxed);
    for records in hostile {
        std::fs::write(&path, [MAGIC, &records].concat()).unwrap();
        assert!(read(&path).unwrap().filter_map(Result::ok).next().is_none());
        assert!(shmcomm_record::Player::open([&path], Default::default()).is_err());
    }
    let _ = std::fs::remove_file(&path);

    let array = |len: u64| {
        format!(r#"{{"size":{len},"align":1,"len":{len},"item":{{"size":1,"align":1,"type":"|u1"}}}}"#)
    };
    let layout = |text: &str| Layout::parse(text).unwrap_or_else(|error| panic!("{error}: {text}")).remove(0);
    let header = Layout::of::<u32>();
    for encoding in [Encoding::Ros2, Encoding::Protobuf] {
        for form in [
            Form::Fixed(layout(&array(1 << 30))),
            Form::Fixed(layout(&array(1 << 40))),
            Form::Tail { header: header.clone(), item: layout(&array(1 << 40)) },
            Form::Tail { header: layout(&array(1 << 30)), item: header.clone() },
        ] {
            let encoder = Encoder::new("hostile", form, encoding);
            for bytes in [&[0, 1, 0, 0, 7, 0, 0, 0, 255, 255, 0, 0, 1, 2, 3, 4][..], &[0x12, 2, 1, 1]] {
                assert!(encoder.decode(bytes).is_err());
            }
        }
    }
    let largest = LARGEST.load(Ordering::Relaxed);
    assert!(largest <= MOST, "{largest} bytes were requested at once");
}

//! Any two layouts and any bytes: a plan reads and writes inside its messages, and its result is a message.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shmcomm::schema::{Layout, Plan};
use shmcomm::{ShmMessage, ShmOption, ShmString, ShmVec, message};

/// Messages larger than this take too long to be converted.
const LARGEST: usize = 1 << 14;

#[derive(Clone, Copy, ShmMessage)]
#[repr(u16)]
enum Mode {
    Idle,
    #[shm(alias = "Drive")]
    Run = 4,
    #[shm(other)]
    Unknown = 9,
}

#[derive(ShmMessage)]
#[repr(C)]
struct Reader {
    #[shm(default)]
    xyz: [[f64; 3]; 2],
    #[shm(default, alias = "list")]
    more: ShmVec<u64, 6>,
    #[shm(default)]
    last: ShmOption<u32>,
    #[shm(default = "ShmString::new(\"map\").unwrap()")]
    frame: ShmString<30>,
    #[shm(default = "Mode::Idle")]
    mode: Mode,
}

fuzz_target!(|input: &[u8]| {
    // The texts of two layouts and the bytes of a message, separated by zero bytes.
    let mut parts = input.splitn(3, |b| *b == 0);
    let mut text = || parts.next().and_then(|part| str::from_utf8(part).ok()).unwrap_or("");
    let layouts = (Layout::parse(text()), Layout::parse(text()));
    let bytes = parts.next().unwrap_or(&[]);
    let of = |layouts: Result<Vec<Layout>, _>| layouts.unwrap_or_default().into_iter().next();
    let (Some(writer), reader) = (of(layouts.0), of(layouts.1)) else { return };
    if writer.size() > LARGEST {
        return;
    }
    let mut whole = bytes.to_vec();
    whole.resize(writer.size(), 0);
    if let Ok(plan) = Plan::of::<Reader>(&writer)
        && let Ok(converted) = plan.convert(&whole)
    {
        message::validate::<Reader>(&converted).expect("a converted message");
    }
    let Some(reader) = reader.filter(|reader| reader.size() <= LARGEST) else { return };
    match Plan::between(&writer, &reader) {
        Ok(plan) => {
            if let Ok(converted) = plan.convert(&whole) {
                reader.check(&converted).expect("a converted message");
            }
            let _ = plan.convert(bytes);
        }
        Err(error) => assert!(!error.to_string().contains(|c: char| c.is_control())),
    }
});

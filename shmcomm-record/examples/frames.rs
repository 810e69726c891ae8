//! Records a camera, replays the file, and compares the frames.
//!
//! `cargo run --release -p shmcomm-record --example frames`
//!
//! The camera sends 30 frames of 6.2 MB a second. The recorder observes, so the camera does not wait for it. The replay
//! creates the channel again in a namespace of its own, and a subscriber compares each frame with what was sent. Each
//! frame must be recorded or counted as lost, and sent again and compared or counted as lost; one must be equal at least.
//! With `SHMCOMM_QUICK=1` for 10 frames only.

use shmcomm::{RecvError, ShmMessage, Timestamp, channel};
use shmcomm_record::{PlayOptions, Player, RecordOptions, Recorder};
use std::time::Duration;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Header in front of the pixels of a frame.
#[derive(Clone, Copy, Debug, Default, ShmMessage)]
#[repr(C)]
struct FrameHeader {
    /// Time of the exposure.
    stamp: Timestamp,
    /// Number of the frame.
    number: u32,
    /// Pixels in a row.
    width: u16,
    /// Rows.
    height: u16,
}

const WIDTH: u16 = 1920;
const HEIGHT: u16 = 1080;
/// Bytes of a frame: red, green and blue of each pixel.
const SIZE: usize = WIDTH as usize * HEIGHT as usize * 3;
const PERIOD: Duration = Duration::from_micros(33_333);

/// Returns the number of frames.
fn frames() -> u32 {
    if std::env::var_os("SHMCOMM_QUICK").is_some() { 10 } else { 60 }
}

channel! {
    /// Frames of the camera in front.
    Camera: PubSub<FrameHeader, [u8]> { name: "camera", slots: 8, max_len: SIZE }
}

fn main() -> Result {
    let run = std::process::id();
    let (recorded, replayed) = (format!("record-{run}"), format!("replay-{run}"));
    let path = std::env::temp_dir().join(format!("camera-{run}.mcap"));
    let result = record(&path, &recorded).and_then(|(name, written)| replay(&path, name, &replayed, written));
    let _ = std::fs::remove_file(&path);
    result
}

/// Records all frames. Returns the full name of the channel, and the number of frames in the file.
fn record(path: &std::path::Path, namespace: &str) -> Result<(String, u64)> {
    let mut camera = Camera::open().namespace(namespace).publisher()?;
    let name = camera.name().to_string();
    let mut recorder = Recorder::create(path, RecordOptions::default())?;
    recorder.add(camera.name())?;
    let camera = std::thread::spawn(move || -> Result {
        for number in 0..frames() {
            let mut frame = camera.loan(SIZE)?;
            let (header, pixels) = frame.parts_mut();
            *header = FrameHeader { stamp: Timestamp::now(), number, width: WIDTH, height: HEIGHT };
            pixels.fill(number as u8);
            frame.send()?;
            std::thread::sleep(PERIOD);
        }
        // The last frames stay until the recorder has them.
        std::thread::sleep(Duration::from_secs(1));
        Ok(())
    });
    recorder.record_for(PERIOD * frames() + Duration::from_millis(500))?;
    let size = recorder.size();
    let channel = recorder.finish()?.remove(0);
    println!("{}: {} frames recorded, {} lost", channel.name, channel.written, channel.lost);
    println!("{:.1} MB in {}", size as f64 / 1e6, path.display());
    camera.join().map_err(|_| "the camera panicked")??;
    if channel.written == 0 || channel.written + channel.lost != u64::from(frames()) {
        return Err(format!("{} frames were sent: {channel:?}", frames()).into());
    }
    Ok((name, channel.written))
}

/// Sends the frames again on the channel in `namespace`, and compares them.
fn replay(path: &std::path::Path, recorded: String, namespace: &str, written: u64) -> Result {
    let remap = vec![(recorded, format!("{namespace}/camera"))];
    let options = PlayOptions { remap, ..PlayOptions::default() };
    let mut player = Player::open([path], options)?;
    let mut subscriber = Camera::open().namespace(namespace).subscriber()?;
    let compared = std::thread::spawn(move || -> Result<(u64, u64)> {
        let mut equal = 0;
        loop {
            match subscriber.recv_ref() {
                Ok(frame) => {
                    let expected = frame.header().number as u8;
                    assert!(frame.items().iter().all(|byte| *byte == expected), "a frame has changed");
                    equal += 1;
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Disconnected) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok((equal, subscriber.lost()))
    });
    player.run(|_| true)?;
    for played in player.report() {
        println!("{}: {} frames sent again", played.name, played.sent);
    }
    drop(player);
    let (equal, lost) = compared.join().map_err(|_| "the comparison panicked")??;
    println!("{equal} frames are equal, {lost} were lost");
    match equal {
        0 => Err("no frame was compared".into()),
        _ if equal + lost != written => Err(format!("{written} frames were recorded").into()),
        _ => Ok(()),
    }
}

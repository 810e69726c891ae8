//! Full HD frames between two processes, written and read in place: nothing is copied.
//!
//! `cargo run --release --example camera`

use shmcomm::{RecvError, Timestamp};
use shmcomm_examples::{Camera, Encoding};
use std::process::Command;
use std::time::Duration;

const FRAMES: u32 = 120;
const WIDTH: u32 = 1920;
const HEIGHT: u32 = 1080;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if std::env::args().nth(1).as_deref() == Some("display") {
        return display();
    }
    let namespace = format!("camera-{}", std::process::id());
    let mut camera = Camera::open().namespace(&namespace).publisher()?;
    let mut display =
        Command::new(std::env::current_exe()?).arg("display").env("SHMCOMM_NAMESPACE", &namespace).spawn()?;
    if !camera.wait_for_subscribers(1, Duration::from_secs(10)) {
        return Err("the display did not start within 10 s".into());
    }
    for number in 0..FRAMES {
        let mut frame = camera.loan((WIDTH * HEIGHT * 3) as usize)?;
        let (header, pixels) = frame.parts_mut();
        header.stamp = Timestamp::now();
        header.width = WIDTH;
        header.height = HEIGHT;
        header.encoding = Encoding::Rgb8;
        // The camera writes straight into shared memory.
        pixels.fill(number as u8);
        frame.send()?;
        std::thread::sleep(Duration::from_millis(5));
    }
    let stats = camera.stats();
    println!(
        "camera: {} frames, {:.1} MB each",
        stats.messages,
        stats.bytes as f64 / stats.messages as f64 / 1e6
    );
    drop(camera);
    display.wait()?;
    Ok(())
}

fn display() -> Result<(), Box<dyn std::error::Error>> {
    let mut camera = Camera::subscriber()?;
    let (mut bright, mut oldest) = (0, 0);
    loop {
        match camera.recv_ref() {
            Ok(frame) => {
                let header = frame.header();
                assert_eq!(frame.items().len(), (header.width * header.height * 3) as usize);
                bright += u64::from(frame.items()[0] > 100);
                oldest = oldest.max(Timestamp::now().0 - header.stamp.0);
            }
            Err(RecvError::Lagged(n)) => println!("display: {n} frames dropped"),
            Err(RecvError::Disconnected) => break,
            Err(error) => return Err(error.into()),
        }
    }
    println!(
        "display: {} frames shown, {bright} bright, {} lost, at most {:.1} ms behind",
        camera.received(),
        camera.lost(),
        oldest as f64 / 1e6
    );
    Ok(())
}

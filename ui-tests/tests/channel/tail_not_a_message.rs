pub struct Pixel {
    rgb: [u8; 3],
}

shmcomm::channel! {
    pub Frames: PubSub<u64, [Pixel]> { name: "frames", max_len: 100 }
}

fn main() {}

use shmcomm::ShmMessage;

#[derive(ShmMessage)]
struct Log {
    text: String,
    items: Vec<u8>,
    count: usize,
}

fn main() {}

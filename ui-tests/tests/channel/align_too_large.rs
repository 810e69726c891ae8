use shmcomm::ShmMessage;

#[derive(ShmMessage)]
#[repr(C, align(8192))]
struct Huge([u8; 8192]);

shmcomm::channel! {
    A: PubSub<Huge> { name: "a" }
}

fn main() {}

use shmcomm::ShmMessage;

#[derive(ShmMessage)]
#[repr(C)]
pub struct Header {
    width: u32,
    height: u32,
    depth: u32,
}

shmcomm::channel! {
    pub Cloud: PubSub<Header, [f64]> { name: "cloud", max_len: 100 }
}

fn main() {}

use shmcomm::ShmMessage;

#[derive(ShmMessage)]
#[repr(C)]
struct Event {
    layout: std::alloc::Layout,
}

fn main() {}

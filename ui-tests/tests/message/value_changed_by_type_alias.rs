use shmcomm::ShmMessage;

#[derive(ShmMessage)]
#[repr(C)]
struct Text {
    text: Name,
}

type Name = Box<str>;

fn main() {}

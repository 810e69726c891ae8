use shmcomm::ShmMessage;

#[derive(ShmMessage)]
#[repr(C)]
#[shm(bound = "")]
struct Stamped<T> {
    value: T,
}

fn main() {}

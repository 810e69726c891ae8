use shmcomm::ShmMessage;

#[derive(ShmMessage)]
#[repr(C)]
#[shm(bound = "T; ShmMessage")]
struct Stamped<T> {
    value: T,
}

fn main() {}

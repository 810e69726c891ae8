use shmcomm::ShmMessage;

#[derive(ShmMessage)]
#[shm(remote = "std::cmp::Ordering")]
#[repr(i8)]
enum Ordering {
    Less = -1,
    Equal,
    Greater,
}

fn main() {}

use shmcomm::ShmMessage;

type Label = String;
type Labels = [Label; 2];

#[derive(ShmMessage)]
#[repr(C)]
struct Log {
    label: Label,
    labels: Labels,
}

fn main() {}

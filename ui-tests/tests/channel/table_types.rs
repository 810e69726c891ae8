#[derive(Clone, Copy)]
struct Battery {
    volts: f32,
}

shmcomm::channel! {
    Robot: Table { name: "robot", battery: Battery, label: String, pose: [f64; 3] }
    Other: Table { name: "other", pose: [f64; 3] }
}

fn main() {
    let mut pose = Other::writer(Other::POSE).unwrap();
    let _ = pose.store(&[1.0_f32; 3]);
    let mut other = Other::reader().unwrap();
    let _ = other.load(Other::SPEED);
    let _ = other.load(Robot::POSE);
    let _ = other.load_set([Other::POSE]);
}

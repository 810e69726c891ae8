shmcomm::channel! {
    A: Table { name: "a" }
    B: Table<u64> { name: "b", battery: u64 }
    C: Table { name: "c", battery: f32, battery: f64, Battery: u8 }
    D: Table { name: "d", slots: 64 }
    E: Table { name: "e", channel: u64 }
    F: Table { battery: u64 }
    G: Table { name: "g", #[cfg(unix)] battery: u64 }
    H: Table { name: "h", battery u64 }
    I: Table { name: "i", battery: u64, wire: Python }
}

fn main() {}

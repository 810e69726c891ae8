shmcomm::channel! {
    Plan: ReqRep<[f64; 2], [f64; 64]> { name: "plan", slots: 8, slot_size: 32 }
}

fn main() {}

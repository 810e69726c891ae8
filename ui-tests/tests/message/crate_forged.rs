#![forbid(unsafe_code)]

use shmcomm::ShmMessage;

#[derive(ShmMessage)]
#[repr(C)]
#[shm(crate = "crate::fake")]
struct Evil {
    value: Pointer,
}

type Pointer = &'static u64;

mod fake {
    pub mod __private {
        pub mod message {
            use shmcomm::message::Schema;
            pub use shmcomm::__private::message::*;

            pub trait FixedLayout<W = Self> {
                const LAYOUT: &'static Schema;
            }

            impl<T, W> FixedLayout<W> for T {
                const LAYOUT: &'static Schema = <u64 as ShmMessage>::SCHEMA;
            }
        }
    }
}

fn main() {}

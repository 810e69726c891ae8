//! The rows of the table in `docs/evolution.md`: each in both directions, attached and live.

use super::Expect::{Reads, Refuses};
use super::{Version, check, publish};
use shmcomm::{Pad, ShmMessage, ShmOption, ShmString, ShmVec};
use shmcomm_tests::{namespace, stage};

/// Declares a row: two versions of a message, and what the reader of each does with the other.
macro_rules! rows {
    ($($row:ident {
        old { $($old:item)* } $old_value:expr;
        new { $($new:item)* } $new_value:expr;
        new reads old: $forward:expr;
        old reads new: $backward:expr;
    })*) => {
        $(mod $row {
            use super::*;
            pub mod old {
                use super::*;
                $($old)*
                impl Version for M {
                    fn sent(number: u64) -> M {
                        let value: fn(u64) -> M = $old_value;
                        value(number)
                    }
                    fn number(&self) -> u64 {
                        self.number
                    }
                }
            }
            pub mod new {
                use super::*;
                $($new)*
                impl Version for M {
                    fn sent(number: u64) -> M {
                        let value: fn(u64) -> M = $new_value;
                        value(number)
                    }
                    fn number(&self) -> u64 {
                        self.number
                    }
                }
            }
            #[test]
            fn new_version_meets_old_writers() {
                let (old, new) = (concat!(stringify!($row), "/old"), concat!(stringify!($row), "/new"));
                check::<new::M>(new, old, $forward, &namespace(concat!(stringify!($row), "-new")));
            }
            #[test]
            fn old_version_meets_new_writers() {
                let (old, new) = (concat!(stringify!($row), "/old"), concat!(stringify!($row), "/new"));
                check::<old::M>(old, new, $backward, &namespace(concat!(stringify!($row), "-old")));
            }
        })*

        #[test]
        fn part() {
            stage::play(&[$(
                (concat!(stringify!($row), "/old"), publish::<$row::old::M>),
                (concat!(stringify!($row), "/new"), publish::<$row::new::M>),
            )*]);
        }
    };
}

rows! {
    field_added_with_default {
        old {
            #[derive(Clone, Debug, PartialEq, ShmMessage)]
            #[repr(C)]
            pub struct M { pub number: u64 }
        } |number| M { number };
        new {
            #[derive(Clone, Debug, PartialEq, ShmMessage)]
            #[repr(C)]
            pub struct M {
                #[shm(default = "20.5")]
                pub temperature: f64,
                pub number: u64,
                #[shm(default)]
                pub frame: ShmString<12>,
            }
        } |number| M { number, temperature: 3.0, frame: ShmString::new("map").unwrap() };
        new reads old: Reads(|number| new::M { number, temperature: 20.5, frame: ShmString::new("").unwrap() });
        old reads new: Reads(|number| old::M { number });
    }
    field_added_without_default {
        old {
            #[derive(Clone, Debug, PartialEq, ShmMessage)]
            #[repr(C)]
            pub struct M { pub number: u64 }
        } |number| M { number };
        new {
            #[derive(Clone, Debug, PartialEq, ShmMessage)]
            #[repr(C)]
            pub struct M { pub number: u64, pub height: f64 }
        } |number| M { number, height: 3.0 };
        new reads old: Refuses("field `height`: the writer has no field of this name; give it `#[shm(default)]`");
        old reads new: Reads(|number| old::M { number });
    }
    field_removed {
        old {
            #[derive(Clone, Debug, PartialEq, ShmMessage)]
            #[repr(C)]
            pub struct M {
                #[shm(default)]
                pub crc: u64,
                pub number: u64,
            }
        } |number| M { crc: 9, number };
        new {
            #[derive(Clone, Debug, PartialEq, ShmMessage)]
            #[repr(C)]
            pub struct M { pub number: u64 }
        } |number| M { number };
        new reads old: Reads(|number| new::M { number });
        old reads new: Reads(|number| old::M { crc: 0, number });
    }
    fields_reordered {
        old {
            #[derive(Clone, Debug, PartialEq, ShmMessage)]
            #[repr(C)]
            pub struct M { pub number: u64, pub x: f32, pub y: f32 }
        } |number| M { number, x: 1.0, y: 2.0 };
        new {
            #[derive(Clone, Debug, PartialEq, ShmMessage)]
            #[repr(C)]
            pub struct M { pub y: f32, pub x: f32, pub number: u64 }
        } |number| M { number, x: 1.0, y: 2.0 };
        new reads old: Reads(|number| new::M { number, x: 1.0, y: 2.0 });
        old reads new: Reads(|number| old::M { number, x: 1.0, y: 2.0 });
    }
    field_renamed_with_alias {
        old {
            #[derive(Clone, Debug, PartialEq, ShmMessage)]
            #[repr(C)]
            pub struct M { pub number: u64, pub alt: f64 }
        } |number| M { number, alt: 7.0 };
        new {
            #[derive(Clone, Debug, PartialEq, ShmMessage)]
            #[repr(C)]
            pub struct M {
                pub number: u64,
                #[shm(alias = "alt")]
                pub altitude: f64,
            }
        } |number| M { number, altitude: 7.0 };
        new reads old: Reads(|number| new::M { number, altitude: 7.0 });
        old reads new: Refuses("field `alt`: the writer has no field of this name");
    }
    number_widened {
        old {
            #[derive(Clone, Debug, PartialEq, ShmMessage)]
            #[repr(C)]
            pub struct M { pub number: u64, pub height: f32, pub level: u8, pub joints: [i8; 3] }
        } |number| M { number, height: 0.5, level: 200, joints: [-1, 2, i8::MIN] };
        new {
            #[derive(Clone, Debug, PartialEq, ShmMessage)]
            #[repr(C)]
            pub struct M { pub number: u64, pub height: f64, pub level: u32, pub joints: [i32; 3] }
        } |number| M { number, height: 0.5, level: 200, joints: [-1, 2, -128] };
        new reads old: Reads(|number| new::M { number, height: 0.5, level: 200, joints: [-1, 2, -128] });
        old reads new: Refuses("field `height`: there `f64` at byte 8, here `f32` at byte 8, which does not hold every value");
    }
    capacity_raised {
        old {
            #[derive(Clone, Debug, PartialEq, ShmMessage)]
            #[repr(C)]
            pub struct M { pub number: u64, pub path: ShmVec<u16, 4>, pub frame: ShmString<4> }
        } |number| M {
            number,
            path: ShmVec::try_from([1_u16, 2].as_slice()).unwrap(),
            frame: ShmString::new("ab").unwrap(),
        };
        new {
            #[derive(Clone, Debug, PartialEq, ShmMessage)]
            #[repr(C)]
            pub struct M { pub number: u64, pub path: ShmVec<u32, 8>, pub frame: ShmString<20> }
        } |number| M {
            number,
            path: ShmVec::try_from([1_u32, 2].as_slice()).unwrap(),
            frame: ShmString::new("ab").unwrap(),
        };
        new reads old: Reads(<new::M as Version>::sent);
        old reads new: Refuses("field `path`: there `ShmVec<u32, 8>` at byte 8, here `ShmVec<u16, 4>` at byte 8");
    }
    nested_struct_changed {
        old {
            #[derive(Clone, Debug, PartialEq, ShmMessage)]
            #[repr(C)]
            pub struct Point { pub x: f32, pub y: f32 }
            #[derive(Clone, Debug, PartialEq, ShmMessage)]
            #[repr(C)]
            pub struct M { pub number: u64, pub points: [Point; 2], pub goal: ShmOption<u64> }
        } |number| M {
            number,
            points: [Point { x: 1.0, y: 2.0 }, Point { x: 3.0, y: 4.0 }],
            goal: ShmOption::some(5),
        };
        new {
            #[derive(Clone, Debug, PartialEq, ShmMessage)]
            #[repr(C)]
            pub struct Point {
                #[shm(default)]
                pub z: f32,
                pub y: f32,
                pub x: f32,
            }
            #[derive(Clone, Debug, PartialEq, ShmMessage)]
            #[repr(C)]
            pub struct M { pub number: u64, pub goal: ShmOption<u64>, pub points: [Point; 2] }
        } |number| M {
            number,
            goal: ShmOption::some(5),
            points: [Point { x: 1.0, y: 2.0, z: 9.0 }, Point { x: 3.0, y: 4.0, z: 9.0 }],
        };
        new reads old: Reads(|number| new::M {
            number,
            goal: ShmOption::some(5),
            points: [new::Point { x: 1.0, y: 2.0, z: 0.0 }, new::Point { x: 3.0, y: 4.0, z: 0.0 }],
        });
        old reads new: Reads(<old::M as Version>::sent);
    }
    variant_added_with_other {
        old {
            #[derive(Clone, Debug, PartialEq, ShmMessage)]
            #[repr(u8)]
            pub enum Mode {
                Idle,
                #[shm(other)]
                Unknown,
            }
            #[derive(Clone, Debug, PartialEq, ShmMessage)]
            #[repr(C)]
            pub struct M { pub number: u64, pub mode: Mode, pub _pad: Pad<7> }
        } |number| M { number, mode: Mode::Idle, _pad: Pad::new() };
        new {
            #[derive(Clone, Debug, PartialEq, ShmMessage)]
            #[repr(u8)]
            pub enum Mode {
                Idle,
                Boost,
                #[shm(other)]
                Unknown,
            }
            #[derive(Clone, Debug, PartialEq, ShmMessage)]
            #[repr(C)]
            pub struct M { pub number: u64, pub mode: Mode, pub _pad: Pad<7> }
        } |number| M { number, mode: Mode::Boost, _pad: Pad::new() };
        new reads old: Reads(|number| new::M { number, mode: new::Mode::Idle, _pad: Pad::new() });
        old reads new: Reads(|number| old::M { number, mode: old::Mode::Unknown, _pad: Pad::new() });
    }
    variant_added_without_other {
        old {
            #[derive(Clone, Debug, PartialEq, ShmMessage)]
            #[repr(u64)]
            pub enum Mode { Idle }
            #[derive(Clone, Debug, PartialEq, ShmMessage)]
            #[repr(C)]
            pub struct M { pub number: u64, pub mode: Mode }
        } |number| M { number, mode: Mode::Idle };
        new {
            #[derive(Clone, Debug, PartialEq, ShmMessage)]
            #[repr(u64)]
            pub enum Mode { Idle, Boost }
            #[derive(Clone, Debug, PartialEq, ShmMessage)]
            #[repr(C)]
            pub struct M { pub number: u64, pub mode: Mode }
        } |number| M { number, mode: Mode::Boost };
        new reads old: Reads(|number| new::M { number, mode: new::Mode::Idle });
        old reads new: Refuses("field `mode`: the writer has a variant `Boost`, which is not known here; mark the variant");
    }
    variant_renamed_and_renumbered {
        old {
            #[derive(Clone, Debug, PartialEq, ShmMessage)]
            #[repr(u64)]
            pub enum Mode { Stop = 1, Run = 2 }
            #[derive(Clone, Debug, PartialEq, ShmMessage)]
            #[repr(C)]
            pub struct M { pub number: u64, pub mode: Mode }
        } |number| M { number, mode: if number % 2 == 0 { Mode::Stop } else { Mode::Run } };
        new {
            #[derive(Clone, Debug, PartialEq, ShmMessage)]
            #[repr(u64)]
            pub enum Mode {
                Run = 1,
                #[shm(alias = "Stop")]
                Halt = 7,
            }
            #[derive(Clone, Debug, PartialEq, ShmMessage)]
            #[repr(C)]
            pub struct M { pub number: u64, pub mode: Mode }
        } |number| M { number, mode: if number % 2 == 0 { Mode::Halt } else { Mode::Run } };
        new reads old: Reads(<new::M as Version>::sent);
        old reads new: Refuses("field `mode`: the writer has a variant `Halt`");
    }
    data_added_to_a_variant {
        old {
            #[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
            #[repr(C, u64)]
            pub enum Command { Stop, Move { speed: f64 } }
            #[derive(Clone, Debug, PartialEq, ShmMessage)]
            #[repr(C)]
            pub struct M { pub number: u64, pub command: Command }
        } |number| M { number, command: if number % 2 == 0 { Command::Stop } else { Command::Move { speed: 0.5 } } };
        new {
            #[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
            #[repr(C, u64)]
            pub enum Command {
                Stop,
                Move {
                    speed: f64,
                    #[shm(default = "2")]
                    gear: u64,
                },
            }
            #[derive(Clone, Debug, PartialEq, ShmMessage)]
            #[repr(C)]
            pub struct M { pub number: u64, pub command: Command }
        } |number| M {
            number,
            command: if number % 2 == 0 { Command::Stop } else { Command::Move { speed: 0.5, gear: 3 } },
        };
        new reads old: Reads(|number| new::M {
            number,
            command: if number % 2 == 0 { new::Command::Stop } else { new::Command::Move { speed: 0.5, gear: 2 } },
        });
        old reads new: Reads(<old::M as Version>::sent);
    }
    type_changed {
        old {
            #[derive(Clone, Debug, PartialEq, ShmMessage)]
            #[repr(C)]
            pub struct M { pub number: u64, pub size: u64 }
        } |number| M { number, size: 1 };
        new {
            #[derive(Clone, Debug, PartialEq, ShmMessage)]
            #[repr(C)]
            pub struct M { pub number: u64, pub size: [f32; 2] }
        } |number| M { number, size: [1.0; 2] };
        new reads old: Refuses("field `size`: there `u64` at byte 8, here `[f32; 2]` at byte 8");
        old reads new: Refuses("field `size`: there `[f32; 2]` at byte 8, here `u64` at byte 8");
    }
    large_message_grown {
        old {
            #[derive(Clone, Debug, PartialEq, ShmMessage)]
            #[repr(C)]
            pub struct M { pub number: u64, pub pixels: [u8; 8192] }
        } |number| M { number, pixels: [number as u8; 8192] };
        new {
            #[derive(Clone, Debug, PartialEq, ShmMessage)]
            #[repr(C)]
            pub struct M {
                pub number: u64,
                #[shm(default = "30")]
                pub exposure: u64,
                pub pixels: [u16; 8192],
            }
        } |number| M { number, exposure: 5, pixels: [u16::from(number as u8); 8192] };
        new reads old: Reads(|number| new::M { number, exposure: 30, pixels: [u16::from(number as u8); 8192] });
        old reads new: Refuses("field `pixels`: there `[u16; 8192]` at byte 16, here `[u8; 8192]` at byte 8");
    }
}

// The messages of `demo check` (shmcomm-view/examples/demo.rs) as a decoder of ROS 2 reads them.
const first = { x: 1.5, y: -2.5 };
const second = { x: 0.125, y: 4 };

export const expected = {
  "/check/all": {
    stamp: { sec: 1764000000, nanosec: 123456789 },
    u64: 18446744073709551615n,
    i64: -9223372036854775808n,
    f64: 0.1,
    pose: first,
    path: [first, second],
    target: [1.25],
    none: [],
    f32: 0.5,
    u32: 4294967295,
    i32: -2147483648,
    letter: 0x221a,
    joints: [1, -2, 300, -400],
    name: "ödom",
    bytes: [1, 2, 255],
    u16: 65535,
    i16: -32768,
    u8: 200,
    i8: -5,
    yes: true,
    mode: 2,
  },
  "/check/cloud": { header: { stamp: { sec: 1, nanosec: 500000000 }, width: 2, height: 1 }, tail: [first, second] },
  "/check/numbers": { value: [1.5, -2.5, 1e300] },
  "/check/msgpack": { a: 1.5, b: -2 },
};

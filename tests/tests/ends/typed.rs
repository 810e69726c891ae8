//! The macros work for channels that send and receive, and in code that makes it hard for macros.

use shmcomm::{Channel, ErrorKind, PubSub, ShmMessage, Timestamp, channel};
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
#[repr(C)]
pub struct Stamped<T> {
    stamp: Timestamp,
    value: T,
}

#[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
#[repr(C)]
pub struct Header {
    stamp: Timestamp,
    width: u32,
    height: u32,
}

channel! {
    /// A generic message.
    pub Pose: PubSub<Stamped<[f64; 3]>> { name: concat!("robot/", "pose"), slots: 1 << 4, seats: 8 }
    pub(crate) Camera: PubSub<Header, [u16]> { name: "robot/camera", slots: 4, max_len: 640 * 480 }
    /// A slot with room to spare.
    Wide: PubSub<u64, Fixed> { name: "wide", slot_size: 4096 };
    #[cfg(any())]
    Absent: PubSub<Missing> { name: "absent" },
}

/// A namespace of this test's own.
fn namespace(test: &str) -> String {
    format!("typed-{test}-{}", std::process::id())
}

const SOON: Duration = Duration::from_secs(5);

#[test]
fn a_declared_channel_sends_and_receives() {
    let pose = Pose::open().namespace(namespace("pose"));
    let mut publisher = pose.clone().publisher().unwrap();
    let mut subscriber = pose.subscriber().unwrap();
    assert_eq!(publisher.name(), format!("{}/robot/pose", namespace("pose")));

    let sent = Stamped { stamp: Timestamp::now(), value: [1.0, 2.0, 3.0] };
    publisher.send(&sent).unwrap();
    assert_eq!(subscriber.recv_timeout(SOON).unwrap(), sent);
}

#[test]
fn a_tail_of_items_travels_behind_its_header() {
    assert_eq!((Camera::MAX_LEN, Camera::SLOT_SIZE), (640 * 480, 16 + 2 * 640 * 480));
    let camera = Camera::open().namespace(namespace("camera"));
    let mut publisher = camera.clone().publisher().unwrap();
    let mut subscriber = camera.subscriber().unwrap();
    assert_eq!(publisher.max_len(), Camera::MAX_LEN);

    let header = Header { stamp: Timestamp::now(), width: 3, height: 1 };
    publisher.send(&header, &[7, 8, 9]).unwrap();
    let sample = subscriber.recv_ref_timeout(SOON).unwrap();
    assert_eq!((*sample.header(), sample.items()), (header, &[7, 8, 9][..]));
}

#[test]
fn settings_can_differ_at_run_time() {
    let camera = Camera::open().namespace(namespace("settings")).max_len(10).slots(2).seats(4);
    assert_eq!(camera.publisher().unwrap().max_len(), 10);

    let wide = || Wide::open().namespace(namespace("wide")).connect_timeout(Duration::ZERO);
    assert_eq!(wide().subscriber().err().unwrap().kind(), ErrorKind::NotFound);
    assert_eq!(wide().slots(3).publisher().err().unwrap().kind(), ErrorKind::InvalidGeometry);
    assert_eq!(wide().seats(1).publisher().err().unwrap().kind(), ErrorKind::InvalidGeometry);
    assert_eq!(wide().namespace("a b").publisher().err().unwrap().kind(), ErrorKind::InvalidName);
    let small = wide().slot_size(7).publisher().err().unwrap();
    assert_eq!(small.kind(), ErrorKind::InvalidGeometry);
    assert!(small.to_string().contains("message `u64` takes 8 bytes, but the slots hold 7"), "{small}");
}

channel! {
    Plan: ReqRep<Header, Stamped<bool8::Bool8>> { name: "robot/plan", slots: 4, redeliver: true }
    Jobs: PushPull<Header> { name: "jobs", slots: 2 }
}

/// A `bool` that takes as many bytes as its neighbours.
mod bool8 {
    #[derive(Clone, Copy, Debug, PartialEq, shmcomm::ShmMessage)]
    #[repr(u64)]
    pub enum Bool8 {
        False,
        True,
    }
}

#[test]
fn a_request_gets_its_reply_and_a_job_its_worker() {
    let header = Header { stamp: Timestamp(1), width: 3, height: 4 };
    let plan = Plan::open().namespace(namespace("plan"));
    let requester = plan.clone().requester().unwrap();
    let mut replier = plan.replier().unwrap();
    let server = std::thread::spawn(move || {
        let request = replier.recv_timeout(SOON).unwrap();
        let value = if request.width == 3 { bool8::Bool8::True } else { bool8::Bool8::False };
        let stamp = request.stamp;
        request.reply(&Stamped { stamp, value }).unwrap();
    });
    let reply = requester.request_timeout(&header, SOON).unwrap();
    server.join().unwrap();
    assert_eq!(reply, Stamped { stamp: header.stamp, value: bool8::Bool8::True });

    let jobs = Jobs::open().namespace(namespace("jobs"));
    let mut pusher = jobs.clone().pusher().unwrap();
    let mut puller = jobs.puller().unwrap();
    pusher.try_send(&header).unwrap();
    assert_eq!(puller.recv_timeout(SOON).unwrap(), header);
}

const HISTORY: Channel<PubSub<u32>> = Channel::new("history").slots(8);

#[test]
fn a_channel_without_the_macro_is_the_same() {
    let history = HISTORY.open().namespace(namespace("history"));
    let mut publisher = history.clone().publisher().unwrap();
    for i in 0..5 {
        publisher.send(&i).unwrap();
    }
    let mut late = history.history(2).subscriber().unwrap();
    assert_eq!(late.recv_timeout(SOON).unwrap(), 3);
    assert_eq!(late.recv_timeout(SOON).unwrap(), 4);
}

#[test]
fn a_name_made_at_run_time_is_checked_at_run_time() {
    let open = |name: String| Channel::<PubSub<u32>>::try_new(name);
    let odd = open("robot 1/pose".into()).unwrap_err();
    assert_eq!((odd.kind(), odd.channel()), (ErrorKind::InvalidName, "robot 1/pose"));
    let channel = open(format!("robot{}/pose", 1)).unwrap().namespace(namespace("run-time"));
    let mut publisher = channel.clone().publisher().unwrap();
    let mut subscriber = channel.subscriber().unwrap();
    publisher.send(&9).unwrap();
    assert_eq!(subscriber.recv_timeout(SOON).unwrap(), 9);
}

#[test]
fn another_layout_is_named_before_any_data_is_touched() {
    #[derive(ShmMessage)]
    #[repr(C)]
    struct Other {
        stamp: Timestamp,
        value: [f32; 6],
    }
    let there = Pose::open().namespace(namespace("layout"));
    let _publisher = there.publisher().unwrap();
    const HERE: Channel<PubSub<Other>> = Channel::new(Pose::NAME).slots(16);
    let error = HERE.open().namespace(namespace("layout")).subscriber().err().unwrap();
    assert_eq!(error.kind(), ErrorKind::TypeMismatch);
    let words = "field `value`: there `[f64; 3]` at byte 8, here `[f32; 6]` at byte 8";
    assert!(error.to_string().contains(words), "{error}");
}

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct PoseDict {
    frame: String,
    xyz: Vec<f64>,
}

channel! {
    /// Where Python thinks we are.
    pub PythonPose: PubSub<PoseDict, Pickle> { name: "pose", wire: Python }
    PythonImu: PubSub<Header> { wire: Python, name: "imu", slots: 9 }
    PythonText: PubSub<[u8], Bytes> { name: concat!("typed-", "text"), wire: Python }
    PythonJobs: PushPull<PoseDict, Pickle> { name: "jobs", wire: Python }
    PythonPlan: ReqRep<PoseDict, Vec<f64>, Pickle> { name: "plan", wire: Python }
}

#[test]
#[cfg_attr(windows, ignore = "Windows has no channels with Python")]
fn a_channel_with_python_has_the_defaults_of_python() {
    use shmcomm::python::{Options, Publisher, Subscriber};
    assert_eq!((PythonPose::SLOTS, PythonPose::SLOT_SIZE), (64, 4096));
    assert_eq!((PythonImu::SLOTS, PythonImu::SLOT_SIZE), (9, 4 + 16));
    let options = || Options { name: namespace("python").into(), ..PythonPose::options() };
    let mut publisher = Publisher::<PoseDict, shmcomm::codec::Pickle>::open(options()).unwrap();
    let mut subscriber = Subscriber::<PoseDict, shmcomm::codec::Pickle>::open(options()).unwrap();
    let pose = PoseDict { frame: "map".into(), xyz: vec![1.0, 2.0, 3.0] };
    publisher.send(&pose).unwrap();
    assert_eq!(subscriber.recv_timeout(SOON).unwrap(), pose);

    type OfBytes = Subscriber<Vec<u8>, shmcomm::codec::Bytes>;
    fn receives_bytes(_: fn() -> Result<OfBytes, shmcomm::Error>) {}
    receives_bytes(PythonText::subscriber);
    assert_eq!((PythonJobs::SLOTS, PythonJobs::SLOT_SIZE), (128, 4096));
    assert_eq!((PythonPlan::SLOTS, PythonPlan::SLOT_SIZE), (16, 8192));
    let none = Options { connect_timeout: Duration::ZERO, ..PythonImu::options() };
    assert_eq!(none.name, PythonImu::NAME);
}

#[test]
fn macros_work_in_functions_and_in_other_macros() {
    macro_rules! message_and_channel {
        ($message:ident { $($field:ident: $ty:ty),* } on $channel:ident = $name:expr) => {
            #[derive(ShmMessage)]
            #[repr(C)]
            struct $message { $($field: $ty),* }
            channel! { $channel: PubSub<$message> { name: $name, slots: 4 } }
        };
    }
    message_and_channel!(Local { a: u32, b: [u16; 2], r#type: shmcomm::ShmVec<u8, 8> } on LocalFeed = "local");
    assert_eq!(LocalFeed::SLOT_SIZE, 24);
    assert!(Local::SCHEMA_JSON.contains(r#""name":"type","offset":8"#));
}

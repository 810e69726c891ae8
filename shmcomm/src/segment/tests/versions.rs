//! Tests of the versions of the format: what a segment of each version may have, and which ends refuse it.

use super::refusals::{all_refused, identity, put, sound, with_identity};
use super::*;
use crate::layout::Identity;

#[test]
fn another_version_is_named() {
    let channel = Channel::new("version");
    let bytes = sound(&channel);
    for version in [0, 3, u64::MAX] {
        put(&channel, &with_identity(&bytes, |i| i.version = version));
        all_refused(&channel, ErrorKind::Version, &[&format!("version {version}"), "same release"]);
    }
}

#[test]
fn slots_are_packed_in_version_3_only() {
    let mut channel = Channel::new("packed");
    channel.spec.slot_size = 16;
    let bytes = sound(&channel);
    let packed = identity(&bytes);
    assert_eq!((packed.version, packed.stride), (3, 32));
    let unpacked = |i: &mut Identity| (i.stride, i.segment_size) = (64, i.segment_size + 8 * 32);

    put(&channel, &with_identity(&bytes, |i| i.version = 2));
    let (kind, text) = refused(subscribe(&channel.spec, PLAIN));
    assert_eq!(kind, ErrorKind::NotASegment);
    assert!(text.contains("`stride`") && text.contains("32"), "{text}");

    let mut bytes = with_identity(&bytes, unpacked);
    bytes.resize(bytes.len() + 8 * 32, 0);
    put(&channel, &bytes);
    all_refused(&channel, ErrorKind::Version, &["version 3", "same release"]);

    // A publisher continues in a segment of an earlier release.
    put(&channel, &with_identity(&bytes, |i| i.version = 2));
    let publisher = channel.publish();
    assert_eq!((publisher.geometry().stride, channel.subscribe().geometry().stride), (64, 64));
}

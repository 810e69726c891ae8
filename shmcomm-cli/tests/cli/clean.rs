//! `shmcomm clean`: it removes what no process uses, and no job that the user has not given up.

use crate::support::World;

fn names(world: &World) -> Vec<String> {
    let objects = world.run(&["list", "--json"]).objects();
    objects.iter().map(|object| object["channel"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn dry_run_changes_nothing() {
    let world = World::new();
    world.start("killed").kill();
    let run = world.run(&["clean"]);
    assert_eq!(run.code, Some(0));
    assert!(run.out.contains("would remove\told/imu"), "{}", run.out);
    assert!(run.err.contains("shmcomm clean --yes"), "{}", run.err);
    assert_eq!(names(&world), ["old/imu", "old/jobs"]);
}

#[test]
fn queue_with_work_is_removed_only_on_demand() {
    let world = World::new();
    let _live = world.start("world");
    world.start("killed").kill();
    let run = world.run(&["clean", "--yes"]);
    assert_eq!(run.code, Some(0));
    assert!(run.out.contains("kept\told/jobs"), "{}", run.out);
    assert!(run.out.contains("it holds 1 job"), "{}", run.out);
    let left = names(&world);
    assert!(left.contains(&"old/jobs".to_owned()) && !left.contains(&"old/imu".to_owned()), "{left:?}");
    assert_eq!(world.run(&["clean", "--yes", "--with-work"]).code, Some(2), "it takes a name");
    assert_eq!(world.run(&["clean", "--yes", "--with-work", "old/jobs"]).code, Some(0));
    assert!(!names(&world).contains(&"old/jobs".to_owned()));
    // A live channel stays even if it is named.
    world.run(&["clean", "--yes", "--with-work", "jobs", "robot/imu"]);
    assert!(names(&world).contains(&"jobs".to_owned()));
}

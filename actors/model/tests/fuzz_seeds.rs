//! Runs the committed seeds of the fuzz targets: `fuzz/seeds/TARGET/*`.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

use std::path::Path;

#[path = "../fuzz/logic/list_splice.rs"]
mod list_splice;
#[path = "../fuzz/logic/protobuf_edit.rs"]
mod protobuf_edit;
#[path = "../fuzz/logic/resource_version.rs"]
mod resource_version;

fn run(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut seeds = 0;
    for seed in std::fs::read_dir(folder).unwrap() {
        check(&std::fs::read(seed.unwrap().path()).unwrap());
        seeds += 1;
    }
    assert!(seeds > 0, "{target} has no seeds");
}

#[test]
fn the_seeds_of_list_splice_hold_its_laws() {
    run("list_splice", list_splice::check);
}

#[test]
fn the_seeds_of_resource_version_hold_its_laws() {
    run("resource_version", resource_version::check);
}

#[test]
fn the_seeds_of_protobuf_edit_hold_its_laws() {
    run("protobuf_edit", protobuf_edit::check);
}

//! Who has an object is not looked for at each read, and always at a write.

use std::thread::available_parallelism;

use anyhow::Result;
use tenbin_integration::{Mode, config_map};

use super::{daemon, filled, warnings};

#[test]
fn who_had_an_object_a_moment_ago_is_asked_for_it_alone() -> Result<()> {
    let space = filled("holder", [0, 1, 0])?;
    let daemon = daemon("holder").start()?;
    let (client, path) = (daemon.client()?, format!("{}/osaka-0", space.path("configmaps")));
    // Each worker of the daemon learns it for itself; they take turns.
    for _ in 0..2 * available_parallelism()?.get() {
        client.get(&path)?.success()?;
    }
    daemon.shim("tokyo")?.set(Mode::Refuse)?;
    let answer = client.get(&path)?.success()?;
    assert_eq!(warnings(&answer), "");
    Ok(())
}

#[test]
fn a_write_goes_to_the_first_that_has_it_whoever_was_read_before() -> Result<()> {
    let space = filled("holder-write", [0, 1, 0])?;
    let daemon = daemon("holder-write").start()?;
    let (client, path) = (daemon.client()?, format!("{}/osaka-0", space.path("configmaps")));
    for _ in 0..2 * available_parallelism()?.get() {
        client.get(&path)?.success()?;
    }
    space.create_in("tokyo", "configmaps", &config_map("osaka-0", "2"))?;
    client.send("DELETE", &path, None)?.success()?;
    let left: Vec<bool> = space.copies("configmaps/osaka-0")?.iter().map(Option::is_some).collect();
    assert_eq!(left, [false, true, false]);
    Ok(())
}

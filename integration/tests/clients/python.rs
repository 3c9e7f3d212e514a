//! The Python client: a list, and the watch that goes on from it.

use anyhow::Result;
use tenbin_integration::process::Spec;
use tenbin_integration::{config_map, eventually, tools};

use super::{DAEMON, FLEET, NAMES, space};

#[test]
fn a_python_watch_goes_on_from_a_list_of_all_clusters() -> Result<()> {
    let space = space("python")?;
    for cluster in NAMES {
        space.create_in(cluster, "configmaps", &config_map(cluster, "1"))?;
    }
    let watch = Spec::new("watch.py", tools::python("python")?)
        .arg(tools::root().join("integration/tests/clients/watch.py"))
        .arg(DAEMON.kubeconfig()?)
        .arg(space.name())
        .start(&FLEET.folder().join("watch.py.log"))?;
    let line = |wanted: &str| {
        let said = |log: &String| log.lines().any(|line| line == wanted);
        eventually!(Some(watch.log_text()), said);
    };
    for cluster in NAMES {
        line(&format!("LISTED {cluster} in {cluster}"));
    }
    line("WATCHING");
    for cluster in NAMES {
        let late = format!("{cluster}-late");
        space.create_in(cluster, "configmaps", &config_map(&late, "1"))?;
        line(&format!("ADDED {late} in {cluster}"));
        let path = space.path(&format!("configmaps/{late}"));
        let client = FLEET.cluster(cluster)?.client()?;
        client.send_json("PUT", &path, &config_map(&late, "2"))?.success()?;
        line(&format!("MODIFIED {late} in {cluster}"));
        client.send("DELETE", &path, None)?.success()?;
        line(&format!("DELETED {late} in {cluster}"));
    }
    Ok(())
}

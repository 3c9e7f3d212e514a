//! Connections to members are kept and used again; those of users may be kept too.

use anyhow::Result;
use tenbin_integration::{Client, Daemon, Response, Space, config_map, eventually};

use super::{FLEET, daemon, person, space};

/// How many connections to members a hundred of these requests open.
fn opened(name: &str, request: impl Fn(&Client, &Space) -> Result<Response>) -> Result<u64> {
    let space = space(name)?;
    space.create_in("osaka", "configmaps", &config_map("far", "1"))?;
    let daemon = daemon(name).start()?;
    let client = person(&daemon)?;
    let accepted = || -> Result<u64> {
        let shims = ["tokyo", "osaka", "nagoya"].map(|name| daemon.shim(name));
        shims.into_iter().try_fold(0, |sum, shim| Ok(sum + shim?.accepted()))
    };
    let many =
        |times: u32| (0..times).try_for_each(|_| request(&client, &space)?.success().map(drop));
    many(20)?;
    let before = accepted()?;
    many(100)?;
    Ok(accepted()? - before)
}

/// Each worker of the daemon has connections of its own and may meet its first request late, and
/// probes open some. The original opened one for each request and never closed it (wao.md, O1).
const FEW: u64 = 30;

#[test]
fn a_hundred_lists_open_no_new_connections() -> Result<()> {
    let opened = opened("connections-list", |client, space| client.get(&space.path("configmaps")))?;
    assert!(opened < FEW, "{opened}");
    Ok(())
}

#[test]
fn a_hundred_reads_of_one_object_open_no_new_connections() -> Result<()> {
    let opened =
        opened("connections-get", |client, space| client.get(&space.path("configmaps/far")))?;
    assert!(opened < FEW, "{opened}");
    Ok(())
}

#[test]
fn a_hundred_writes_open_no_new_connections() -> Result<()> {
    let patch = Some(("application/merge-patch+json", &br#"{"data":{"key":"2"}}"#[..]));
    let opened = opened("connections-write", |client, space| {
        client.send("PATCH", &space.path("configmaps/far"), patch)
    })?;
    assert!(opened < FEW, "{opened}");
    Ok(())
}

#[test]
fn fifty_watches_share_few_connections_to_each_member() -> Result<()> {
    let space = space("connections-watch")?;
    let daemon = daemon("connections-watch").start()?;
    let client = person(&daemon)?;
    let members = ["tokyo", "osaka", "nagoya"];
    let watched = |name: &str| -> Result<f64> {
        let metrics = FLEET.cluster(name)?.client()?.get("/metrics")?.success()?.text();
        let is_watch = |line: &&str| {
            line.starts_with("apiserver_longrunning_requests{")
                && line.contains(r#"resource="configmaps""#)
        };
        let counts = metrics.lines().filter(is_watch).filter_map(|line| line.rsplit(' ').next());
        Ok(counts.map(str::parse::<f64>).sum::<Result<_, _>>()?)
    };
    let before: Vec<_> = members.into_iter().map(watched).collect::<Result<_>>()?;
    let path = format!("{}?watch=true", space.path("configmaps"));
    let open = |_| client.open("GET", &path, None);
    let watches: Vec<_> = (0..50).map(open).collect::<Result<_>>()?;
    for (name, before) in members.into_iter().zip(&before) {
        assert!(watches.iter().all(|watch| watch.status == 200));
        eventually!(watched(name), |now| *now >= before + 50.0);
        let live = daemon.shim(name)?.live();
        assert!(live < FEW, "{live}");
    }
    drop(watches);
    for (name, before) in members.into_iter().zip(&before) {
        eventually!(watched(name), |now| now <= before);
    }
    Ok(())
}

/// On a slow machine a request may have asked for one; if that is cut, the member counts as dead.
fn wait_for_probes(daemon: &Daemon) {
    eventually!(daemon.admin().get("/actors"), |page| !page.text().contains(r#""probing":true"#));
}

#[test]
fn a_connection_that_a_member_closed_is_not_a_failure() -> Result<()> {
    let space = space("connections-cut")?;
    let daemon = daemon("connections-cut").start()?;
    let path = space.path("configmaps");
    let client = person(&daemon)?;
    eventually!(client.get(&path).map(|answer| answer.header("warning").is_none()), |whole| *whole);
    for round in 0..10 {
        wait_for_probes(&daemon);
        for name in ["tokyo", "osaka", "nagoya"] {
            daemon.shim(name)?.cut_all()?;
        }
        let answer = client.get(&path)?;
        assert_eq!(
            (answer.status, answer.header("warning")),
            (200, None),
            "round {round}: {}",
            answer.text()
        );
    }
    Ok(())
}

/// As behind a balancer one of whose servers is about to end.
#[test]
fn a_connection_that_is_cut_while_it_is_made_is_not_a_death() -> Result<()> {
    let space = space("connections-doomed")?;
    let daemon = daemon("connections-doomed").start()?;
    let client = person(&daemon)?;
    let shim = daemon.shim("osaka")?;
    for round in 0..10 {
        wait_for_probes(&daemon);
        shim.cut_all()?;
        shim.cut_next();
        let answer = client.get(&space.path("configmaps"))?;
        assert_eq!((answer.status, answer.header("warning")), (200, None), "round {round}");
    }
    Ok(())
}

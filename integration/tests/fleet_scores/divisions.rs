//! Workloads are divided where they add the fewest watts.

use anyhow::Result;
use serde_json::{Value, json};
use tenbin_integration::{Daemon, Response, Space, deployment, eventually};

use super::NAMES;
use super::measured::POWER;
use super::optimum::{inverse, marginal, marginal_after};

/// A Deployment whose pods ask for this much CPU, with annotations.
fn asking(name: &str, replicas: usize, cpu_milli: u32, annotations: &Value) -> Value {
    let mut body = deployment(name, i64::try_from(replicas).unwrap_or_default());
    body["metadata"]["annotations"] = annotations.clone();
    body["spec"]["template"]["spec"]["containers"][0]["resources"] =
        json!({"requests": {"cpu": format!("{cpu_milli}m")}});
    body
}

fn create(daemon: &Daemon, space: &Space, body: &Value) -> Result<Response> {
    daemon.client()?.send_json("POST", &space.path("deployments"), body)?.success()
}

/// The shares in the clusters; a cluster without a copy has none.
fn shares(space: &Space, name: &str) -> Result<Vec<u64>> {
    let shares = space.shares(&format!("deployments/{name}"))?;
    Ok(shares.into_iter().map(Option::unwrap_or_default).collect())
}

#[test]
fn a_deployment_is_divided_at_the_optimum_of_the_curves_through_every_daemon() -> Result<()> {
    let space = Space::new(POWER.fleet(), "optimum")?;
    for (total, cpu_milli) in [(6, 1600), (12, 3200), (9, 8000), (20, 4000)] {
        let wanted = marginal(total, cpu_milli, 2)?;
        assert_ne!(wanted, inverse(total), "{total} × {cpu_milli}m proves nothing");
        for name in NAMES {
            let daemon = POWER.daemon(name)?;
            let web = format!("web-{total}-{name}");
            let answer = create(daemon, &space, &asking(&web, total, cpu_milli, &json!({})))?;
            assert_eq!(answer.header_all("warning"), Vec::<&str>::new());
            assert_eq!(answer.json()?["spec"]["replicas"], total);
            assert_eq!(shares(&space, &web)?, wanted, "{total} × {cpu_milli}m through {name}");
        }
    }
    Ok(())
}

#[test]
fn a_workload_that_wishes_one_cluster_gets_the_pure_optimum() -> Result<()> {
    let space = Space::new(POWER.fleet(), "pure")?;
    for (total, cpu_milli) in [(6, 1600), (9, 8000)] {
        let wanted = marginal(total, cpu_milli, 1)?;
        assert_ne!(wanted, marginal(total, cpu_milli, 2)?, "{total} × {cpu_milli}m proves nothing");
        for name in NAMES {
            let web = format!("web-{total}-{name}");
            let wish = json!({"tenbin/min-clusters": "1"});
            let body = asking(&web, total, cpu_milli, &wish);
            create(POWER.daemon(name)?, &space, &body)?;
            assert_eq!(shares(&space, &web)?, wanted, "{total} × {cpu_milli}m through {name}");
        }
    }
    Ok(())
}

#[test]
fn a_workload_may_wish_the_division_by_whole_clusters() -> Result<()> {
    let space = Space::new(POWER.fleet(), "inverse")?;
    for (total, name) in [6, 12, 20].into_iter().zip(NAMES) {
        let web = format!("web-{total}");
        let body = asking(&web, total, 1600, &json!({"tenbin/strategy": "inverse"}));
        create(POWER.daemon(name)?, &space, &body)?;
        assert_eq!(shares(&space, &web)?, inverse(total), "{total} through {name}");
    }
    Ok(())
}

#[test]
fn no_cluster_gets_more_than_its_nodes_have_room_for() -> Result<()> {
    let space = Space::new(POWER.fleet(), "room")?;
    // One pod of 20 cores a node: the cheapest cluster takes four at most.
    for (total, name) in [11, 12].into_iter().zip(NAMES) {
        let web = format!("web-{total}");
        create(POWER.daemon(name)?, &space, &asking(&web, total, 20_000, &json!({})))?;
        let shares = shares(&space, &web)?;
        assert!(shares.iter().all(|share| *share <= 4), "{shares:?}");
        assert_eq!(shares.iter().sum::<u64>(), total as u64);
    }
    // More than there is room for is taken, as Kubernetes would, and said.
    let wish = json!({"tenbin/strategy": "marginal"});
    let answer = create(POWER.daemon("tokyo")?, &space, &asking("web-13", 13, 20_000, &wish))?;
    let said = answer.header_all("warning").join("\n");
    assert!(said.contains("room"), "{said:?}");
    assert_eq!(shares(&space, "web-13")?, inverse(13));
    Ok(())
}

#[test]
fn a_scale_puts_what_is_new_at_the_optimum() -> Result<()> {
    let space = Space::new(POWER.fleet(), "scale")?;
    let daemon = POWER.daemon("osaka")?;
    create(daemon, &space, &asking("web", 6, 3200, &json!({})))?;
    let path = space.path("deployments/web/scale");
    let scale = json!({"spec": {"replicas": 12}}).to_string();
    let body = Some(("application/merge-patch+json", scale.as_bytes()));
    daemon.client()?.send("PATCH", &path, body)?.success()?;
    let wanted = marginal_after(marginal(6, 3200, 2)?, 12, 3200, 2)?;
    assert_ne!(wanted, marginal(12, 3200, 2)?, "those that run would have moved");
    eventually!(shares(&space, "web"), |shares| *shares == wanted);
    Ok(())
}

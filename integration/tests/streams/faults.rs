//! Clients that leave, members that die, callers who may not, and the daemon's own end.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tenbin_integration::eventually::now;
use tenbin_integration::kubeconfig::Credential;
use tenbin_integration::{Daemon, Kubectl, Mode, Signal, eventually};

use crate::talk::Talk;
use crate::{DOOMED, FLEET, NAMES, everywhere, kubectls, pod, says, tokyo};

/// A daemon whose network a test may break.
fn breakable(test: &str, member: &str) -> Result<Daemon> {
    let cross = "[auth]\ncross = ['system:masters']";
    FLEET.daemon().name(test).own("tokyo").members(&[member]).config(cross).start()
}

/// An exec that has answered once and is silent now.
fn idle_exec(kubectl: &Kubectl, pod: &str) -> Result<Talk> {
    let mut talk = Talk::start(kubectl.command(["exec", "-i", pod, "--", "cat"]))?;
    talk.say("hello")?;
    ensure!(talk.hear()? == "hello");
    Ok(talk)
}

/// The kubelet has no stream of this kind for the pod within a second and a half, the API server's
/// part included.
fn ends_upstream(kind: &str, pod: &str) -> Result<()> {
    let began = now();
    eventually!(FLEET.kubelet()?.open(kind, pod), |open| *open == 0);
    let took = began.elapsed();
    ensure!(took < Duration::from_millis(1500), "{kind} of {pod} ended after {took:?}");
    Ok(())
}

#[test]
fn a_client_that_leaves_ends_its_streams_upstream() -> Result<()> {
    everywhere("leave", |kubectl, pod| {
        let kubelet = FLEET.kubelet()?;
        kubectl.ok(["exec", pod, "--", "sh", "-c", "echo line > $LOG"])?;
        let logs = Talk::start(kubectl.command(["logs", "-f", pod]))?;
        ensure!(logs.hear()? == "line" && kubelet.open("logs", pod)? == 1);
        logs.kill()?;
        ends_upstream("logs", pod)?;
        let exec = idle_exec(kubectl, pod)?;
        ensure!(kubelet.open("exec", pod)? == 1);
        exec.kill()?;
        ends_upstream("exec", pod)
    })
}

#[test]
fn streams_end_with_the_member_that_is_killed() -> Result<()> {
    let daemon = breakable("killed", DOOMED)?;
    let (cluster, kubeconfig) = (FLEET.cluster(DOOMED)?, daemon.kubeconfig()?);
    let pod = pod(cluster, "killed")?;
    let kubectls = kubectls(&kubeconfig)?;
    let mut talks = Vec::new();
    for (kind, kubectl) in &kubectls {
        talks.push((*kind, idle_exec(kubectl, &pod)?));
        talks.push((*kind, Talk::start(kubectl.command(["logs", "-f", &pod]))?));
    }
    eventually!(FLEET.kubelet()?.open("logs", &pod), |open| *open == 4);
    eventually!(open_at(&daemon, DOOMED), |places| *places == 8);
    cluster.apiserver().running().signal(Signal::KILL)?;
    let began = now();
    for (kind, talk) in &mut talks {
        talk.wait().context(*kind)?;
    }
    let took = began.elapsed();
    ensure!(took < Duration::from_secs(5), "ended after {took:?}");
    eventually!(open_at(&daemon, DOOMED), |places| *places == 0);
    Ok(())
}

/// How many streams the daemon counts as open at a member.
fn open_at(daemon: &Daemon, member: &str) -> Result<u64> {
    let page = daemon.admin().json("/actors")?;
    let mut states = page.as_array().into_iter().flatten().filter_map(|actor| actor.get("state"));
    let place =
        |state: &Value| (state.get("cluster")? == member).then(|| state.get("streams")?.as_u64());
    states.find_map(place).flatten().with_context(|| format!("no {member} in {page:#}"))
}

#[test]
fn streams_end_with_the_member_that_falls_silent() -> Result<()> {
    let daemon = breakable("silent", "osaka")?;
    let pod = pod(FLEET.cluster("osaka")?, "silent")?;
    let mut talk = idle_exec(&daemon.kubectl()?, &pod)?;
    daemon.shim("osaka")?.set(Mode::BlackHole)?;
    let began = now();
    talk.wait()?;
    let took = began.elapsed();
    ensure!(took < Duration::from_secs(25), "ended after {took:?}");
    Ok(())
}

/// alice may read pods, and nothing else.
#[test]
fn who_may_not_exec_is_told_by_the_member() -> Result<()> {
    let rules = [
        (
            "clusterroles",
            json!({"kind": "ClusterRole", "rules": [
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}),
        ),
        (
            "clusterrolebindings",
            json!({"kind": "ClusterRoleBinding",
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "reads"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "alice"}]}),
        ),
    ];
    let kubeconfig = tokyo()?.kubeconfig_for(FLEET.cluster("tokyo")?, "alice", &["dev"])?;
    for name in NAMES {
        let cluster = FLEET.cluster(name)?;
        for (plural, rule) in &rules {
            let mut rule = rule.clone();
            rule["apiVersion"] = json!("rbac.authorization.k8s.io/v1");
            rule["metadata"] = json!({"name": "reads"});
            let path = format!("/apis/rbac.authorization.k8s.io/v1/{plural}");
            cluster.client()?.send_json("POST", &path, &rule)?.success()?;
        }
        let pod = pod(cluster, "forbidden")?;
        for (kind, kubectl) in kubectls(&kubeconfig)? {
            eventually!(kubectl.ok(["get", "pod", &pod]));
            let said = kubectl.run(["exec", &pod, "--", "true"])?;
            let wanted = "User \"alice\" cannot create resource \"pods/exec\"";
            ensure!(said.code == 1 && said.stderr.contains(wanted), "{kind}, {pod}: {said:?}");
        }
    }
    Ok(())
}

#[test]
fn whoever_has_too_many_streams_open_is_told_so() -> Result<()> {
    let limits = "[auth]\ncross = ['system:masters']\n[limits]\nstreams_per_user = 2";
    let daemon = FLEET.daemon().name("limit").own("tokyo").members(&[]).config(limits).start()?;
    let pod = pod(FLEET.cluster("tokyo")?, "limit")?;
    for (kind, kubectl) in kubectls(&daemon.kubeconfig()?)? {
        let (first, _second) = (idle_exec(&kubectl, &pod)?, idle_exec(&kubectl, &pod)?);
        let third = kubectl.run(["exec", &pod, "--", "true"])?;
        let wanted = "you have 2 watches and other streams under way";
        ensure!(third.code == 1 && third.stderr.contains(wanted), "{kind}: {third:?}");
        first.kill()?;
        eventually!(kubectl.ok(["exec", &pod, "--", "true"]));
    }
    Ok(())
}

/// The body of such a request would pass by all that is done with bodies.
#[test]
fn upgrades_of_other_requests_are_refused() -> Result<()> {
    let client = tokyo()?.client()?;
    let send = |line: &str, connection: &str| {
        let head =
            format!("{line} HTTP/1.1\r\nHost: tenbin\r\nUpgrade: SPDY/3.1\r\n{connection}\r\n");
        client.send_raw(head.as_bytes())
    };
    let pods = "/api/v1/namespaces/default/pods";
    for line in [
        format!("GET {pods}?watch=true"),
        format!("POST {pods}"),
        format!("PUT {pods}/p/status"),
        format!("POST {pods}/p/binding"),
    ] {
        let answer = send(&line, "Connection: Upgrade\r\n")?;
        ensure!(answer.status == 400 && answer.text().contains("upgrades are for"), "{answer:?}");
    }
    let late = send(&format!("POST {pods}/p/exec?command=true"), "")?;
    ensure!(late.status == 400 && late.text().contains("the first of its connection"), "{late:?}");
    ensure!(late.header("connection") == Some("close"), "{late:?}");
    Ok(())
}

#[test]
fn a_member_can_be_named() -> Result<()> {
    let admin = FLEET.cluster("tokyo")?.user("admin", &["system:masters"])?;
    for name in NAMES {
        let pod = pod(FLEET.cluster(name)?, "named")?;
        let path = format!("/clusters/{name}");
        let kubeconfig = tokyo()?.kubeconfig_with(&path, Credential::Certificate(&admin))?;
        for (_, kubectl) in kubectls(&kubeconfig)? {
            says(&kubectl, &["exec", &pod, "--", "echo", name], None, &format!("{name}\n"))?;
        }
    }
    Ok(())
}

#[test]
fn the_daemons_end_ends_streams_in_time() -> Result<()> {
    let mut daemon = breakable("drained", "osaka")?;
    let pod = pod(FLEET.cluster("osaka")?, "drained")?;
    let (ws, spdy) = (daemon.kubectl()?, kubectls(&daemon.kubeconfig()?)?.remove(2).1);
    let mut talks = [idle_exec(&ws, &pod)?, idle_exec(&spdy, &pod)?];
    let began = now();
    ensure!(daemon.stop()?.success());
    let took = began.elapsed();
    ensure!(took < Duration::from_secs(9), "the daemon ended after {took:?}");
    for talk in &mut talks {
        // By SPDY kubectl takes any end for a good one.
        talk.wait()?;
    }
    ends_upstream("exec", &pod)
}

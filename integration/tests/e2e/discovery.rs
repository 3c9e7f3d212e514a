//! What kubectl asks beside objects: both versions work as with any API server.

use anyhow::Result;
use serde_json::Value;
use tenbin_integration::{Kubectl, Space, eventually};

use super::{DAEMON, FLEET, kubectl, older_kubectl, space};

fn both(space: &Space) -> Result<[Kubectl; 2]> {
    Ok([kubectl(space)?, older_kubectl(space)?])
}

#[test]
fn version_api_resources_and_explain_read_as_owns() -> Result<()> {
    let space = space("discovery")?;
    let direct = FLEET.cluster("tokyo")?.kubeconfig();
    let direct = [Kubectl::new(&direct)?, Kubectl::v1_32(&direct)?];
    for (through, direct) in both(&space)?.iter().zip(direct) {
        let version: Value = serde_json::from_str(&through.ok(["version", "-o", "json"])?)?;
        assert_eq!(version["serverVersion"]["gitVersion"], "v1.36.3");
        for args in [
            &["api-resources", "--api-group=apps"][..],
            &["api-versions"],
            &["explain", "deployment.spec.replicas"],
        ] {
            let said = through.ok(args)?;
            if args != ["api-versions"] {
                assert_eq!(said, direct.ok(args)?, "{args:?}");
            }
            assert!(said.contains("apps/v1") || said.contains("replicas"), "{said}");
        }
    }
    Ok(())
}

#[test]
fn who_am_i_and_what_may_i_do_are_answered_for_the_caller() -> Result<()> {
    let space = space("discovery-auth")?;
    for kubectl in both(&space)? {
        let path = "jsonpath={.status.userInfo.username} {.status.userInfo.groups}";
        let whoami = kubectl.ok(["auth", "whoami", "-o", path])?;
        assert_eq!(whoami, r#"admin ["system:masters","system:authenticated"]"#);
        assert_eq!(kubectl.ok(["auth", "can-i", "delete", "nodes"])?, "yes\n");
    }
    let nobody = Kubectl::new(DAEMON.kubeconfig_for(FLEET.cluster("tokyo")?, "nobody", &[])?)?;
    assert_eq!(nobody.run(["auth", "can-i", "delete", "nodes"])?.stdout, "no\n");
    Ok(())
}

#[test]
fn whoami_of_a_certificate_reads_as_from_the_api_server_itself() -> Result<()> {
    let tokyo = FLEET.cluster("tokyo")?;
    let alice = tokyo.user("alice", &["devs", "ops"])?;
    let review =
        serde_json::json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let ask = |client: tenbin_integration::Client| {
        client.send_json("POST", path, &review)?.success()?.json()
    };
    let direct = ask(tokyo.client_of(&alice)?)?;
    let through = ask(DAEMON.client_of(Some(&alice))?)?;
    assert_eq!(through["status"]["userInfo"], direct["status"]["userInfo"]);
    Ok(())
}

#[test]
fn describe_shows_the_whole_workload() -> Result<()> {
    let space = space("discovery-describe")?;
    let create = ["create", "deployment", "web", "--image=nginx", "--replicas=10"];
    kubectl(&space)?.ok(create)?;
    space.create_pod_in("osaka", "far")?;
    for kubectl in both(&space)? {
        let describe = ["describe", "deployment", "web"];
        let said = eventually!(kubectl.ok(describe), |said: &String| said.contains("10 available"));
        assert!(said.contains("10 desired") && said.contains("10 total"), "{said}");
        let pod = kubectl.ok(["describe", "pod", "far"])?;
        assert!(pod.contains("osaka-n0"), "{pod}");
        let node = kubectl.ok(["describe", "node", "nagoya-n0"])?;
        assert!(node.contains("topology.kubernetes.io/region=nagoya"), "{node}");
    }
    Ok(())
}

//! A dead member stops caches, until an operator declares it absent.

use anyhow::{Context, Result};
use tenbin_integration::{Mode, Response, eventually};
use toml::Value;

use super::{daemon, filled, names, person, warnings};

#[test]
fn lists_go_on_without_a_member_that_is_declared_absent() -> Result<()> {
    let space = filled("absent", [2, 2, 2])?;
    let daemon = daemon("absent").start()?;
    let path = space.path("configmaps");
    let cache = format!("{path}?resourceVersion=0");
    let client = daemon.client()?;
    assert_eq!(names(&client.json(&cache)?)?.len(), 6);
    let first = person(&daemon)?.json(&format!("{path}?limit=2"))?;
    let token = super::rest(&first).context("one page")?;
    daemon.shim("osaka")?.set(Mode::Refuse)?;
    assert_eq!(client.get(&cache)?.status, 503);
    let without = person(&daemon)?.get(&path)?.success()?;
    assert!(warnings(&without).contains("osaka"), "{without:?}");
    declare(&daemon, "osaka", true)?;
    let quiet = |answer: &Response| warnings(answer).is_empty();
    let answer = eventually!(client.get(&cache).and_then(Response::success), quiet);
    assert_eq!(names(&answer.json()?)?, ["tokyo-0", "tokyo-1", "nagoya-0", "nagoya-1"]);
    let table = person(&daemon)?.get(&path)?.success()?;
    assert_eq!((names(&table.json()?)?.len(), warnings(&table)), (4, String::new()));
    // So do lists that were begun with it.
    let rest = person(&daemon)?.json(&format!("{path}?limit=9&continue={token}"))?;
    assert_eq!(names(&rest)?, ["nagoya-0", "nagoya-1"]);
    daemon.shim("osaka")?.set(Mode::Pass)?;
    declare(&daemon, "osaka", false)?;
    let all =
        |answer: &Response| answer.json().and_then(|it| names(&it)).is_ok_and(|it| it.len() == 6);
    eventually!(client.get(&cache).and_then(Response::success), all);
    Ok(())
}

#[test]
fn who_reads_pages_into_a_cache_is_not_told_a_shorter_list() -> Result<()> {
    let space = filled("absent-pages", [1, 1, 1])?;
    let daemon = daemon("absent-pages").start()?;
    daemon.shim("osaka")?.set(Mode::Refuse)?;
    // As the watchers of kube-rs list.
    let path = format!("{}?limit=500", space.path("configmaps"));
    assert_eq!(daemon.client()?.get(&path)?.status, 503);
    // As `kubectl get -o json` lists.
    let kubectl = daemon.client()?.header("Kubectl-Command", "kubectl get");
    let answer = kubectl.get(&path)?.success()?;
    assert_eq!(names(&answer.json()?)?, ["tokyo-0", "nagoya-0"]);
    assert!(warnings(&answer).contains("osaka"), "{answer:?}");
    Ok(())
}

fn declare(daemon: &tenbin_integration::Daemon, name: &str, absent: bool) -> Result<()> {
    daemon.edit_config(|config| {
        let members = config.get_mut("member").and_then(Value::as_array_mut);
        for member in members.into_iter().flatten().filter_map(Value::as_table_mut) {
            if member.get("name").and_then(Value::as_str) == Some(name) {
                member.insert("absent".to_owned(), Value::from(absent));
            }
        }
    })?;
    daemon.reload()
}

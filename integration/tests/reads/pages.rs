//! Pages of a few objects: what clients see of limits and tokens.

use anyhow::{Context, Result};
use serde_json::Value;
use tenbin_integration::{Mode, Response, Table, eventually};

use super::{
    DAEMON, all_pages, daemon, filled, filled_names, names, person, requests, rest, warnings,
};

#[test]
fn pages_of_any_size_are_the_list() -> Result<()> {
    let counts = [4, 1, 7];
    let space = filled("pages-any", counts)?;
    let path = space.path("configmaps");
    let client = person(&DAEMON)?;
    let unpaged = names(&client.json(&path)?)?;
    assert_eq!(unpaged, filled_names(counts));
    for limit in 1..=13 {
        let pages = all_pages(&client, &path, limit)?;
        let mut shown = Vec::new();
        let mut left = unpaged.len();
        for page in &pages {
            let names = names(page)?;
            assert!(names.len() <= limit, "{limit}: {names:?}");
            left -= names.len();
            if let Some(remaining) = page["metadata"]["remainingItemCount"].as_u64() {
                assert_eq!(remaining, u64::try_from(left)?, "{limit}");
            }
            assert_eq!(
                page["metadata"]["resourceVersion"],
                pages[0]["metadata"]["resourceVersion"]
            );
            shown.extend(names);
        }
        assert_eq!(shown, unpaged, "{limit}");
    }
    assert_eq!(all_pages(&client, &path, 36)?.len(), 1, "what fits is one page");
    let first = client.json(&format!("{path}?limit=2"))?;
    let token = rest(&first).context("one page")?;
    let others = client.json(&format!("{path}?continue={token}"))?;
    assert_eq!(names(&others)?, unpaged[2..], "without a limit all that is left comes");
    assert_eq!(rest(&others), None);
    Ok(())
}

#[test]
fn pages_show_the_state_of_the_first_whatever_is_written_meanwhile() -> Result<()> {
    let counts = [3, 3, 3];
    let space = filled("pages-state", counts)?;
    let path = space.path("configmaps");
    let client = person(&DAEMON)?;
    let first = client.json(&format!("{path}?limit=2"))?;
    for cluster in super::NAMES {
        let late = tenbin_integration::config_map(&format!("{cluster}-late"), "1");
        space.create_in(cluster, "configmaps", &late)?;
        let gone = space.path(&format!("configmaps/{cluster}-2"));
        super::FLEET.cluster(cluster)?.client()?.send("DELETE", &gone, None)?.success()?;
    }
    let mut shown = names(&first)?;
    let mut token = rest(&first).map(str::to_owned);
    while let Some(next) = token {
        let page = client.json(&format!("{path}?limit=2&continue={next}"))?;
        shown.extend(names(&page)?);
        token = rest(&page).map(str::to_owned);
    }
    assert_eq!(shown, filled_names(counts));
    Ok(())
}

#[test]
fn selectors_go_with_every_page() -> Result<()> {
    let space = filled("pages-selector", [3, 3, 3])?;
    let path = format!("{}?fieldSelector=metadata.name%21%3Dosaka-1", space.path("configmaps"));
    let pages = all_pages(&person(&DAEMON)?, &path, 2)?;
    let shown: Vec<_> = pages.iter().map(names).collect::<Result<Vec<_>>>()?.concat();
    assert_eq!(shown.len(), 8);
    assert!(!shown.contains(&"osaka-1".to_owned()), "{shown:?}");
    let unfolded = format!("{}?labelSelector=tenbin%2Fcluster", space.path("configmaps"));
    let pages = all_pages(&DAEMON.client()?, &unfolded, 4)?;
    let sizes: Vec<_> =
        pages.iter().map(|page| names(page).map(|it| it.len())).collect::<Result<_>>()?;
    assert_eq!((sizes.iter().sum::<usize>(), sizes.iter().max()), (9, Some(&4)), "{sizes:?}");
    Ok(())
}

/// Each key stands once in a list for machines, which no page of it could promise alone.
#[test]
fn lists_for_machines_are_answered_whole() -> Result<()> {
    let counts = [3, 2, 2];
    let space = filled("pages-machines", counts)?;
    let path = space.path("configmaps");
    let list = DAEMON.client()?.json(&format!("{path}?limit=2"))?;
    assert_eq!(names(&list)?, filled_names(counts));
    assert_eq!((rest(&list), list["metadata"].get("remainingItemCount")), (None, None));
    let kubectl = DAEMON.kubectl()?.namespace(space.name());
    let json = kubectl.ok(["get", "configmaps", "-o", "json", "--chunk-size=2"])?;
    assert_eq!(names(&serde_json::from_str(&json)?)?.len(), 7);
    // Of one cluster alone there is nothing to be shown twice.
    let one = format!("{path}?labelSelector=tenbin%2Fcluster%3Dtokyo");
    assert_eq!(all_pages(&DAEMON.client()?, &one, 2)?.len(), 2);
    Ok(())
}

#[test]
fn kubectl_reads_pages_of_the_size_that_it_is_told() -> Result<()> {
    let space = filled("pages-chunks", [5, 5, 5])?;
    let kubectl = DAEMON.kubectl()?.namespace(space.name());
    for (chunk, pages) in [("1", 15), ("4", 4), ("500", 1), ("0", 1)] {
        let size = format!("--chunk-size={chunk}");
        let said = kubectl.run(["get", "configmaps", "-v=6", &size])?;
        assert_eq!(said.code, 0, "{said:?}");
        let asked = requests(&said.stderr, "/configmaps");
        assert_eq!(asked, pages, "{chunk}: {}", said.stderr);
        let rows = said.stdout.lines().filter(|line| !line.starts_with("NAME")).count();
        assert_eq!(rows, 15, "{chunk}: {}", said.stdout);
    }
    let table = Table::read(&kubectl.ok(["get", "configmaps", "--chunk-size=2"])?)?;
    assert_eq!(table.titles(), ["NAME", "DATA", "AGE", "CLUSTER"]);
    Ok(())
}

#[test]
fn tokens_survive_a_restart_of_tenbin() -> Result<()> {
    let counts = [3, 3, 3];
    let space = filled("pages-restart", counts)?;
    let mut daemon = daemon("pages-restart").start()?;
    let path = space.path("configmaps");
    let mut shown = Vec::new();
    let mut token = None::<String>;
    loop {
        let more = token.map(|token| format!("&continue={token}")).unwrap_or_default();
        let page = person(&daemon)?.json(&format!("{path}?limit=2{more}"))?;
        shown.extend(names(&page)?);
        token = rest(&page).map(str::to_owned);
        if token.is_none() {
            break;
        }
        daemon.restart()?;
    }
    assert_eq!(shown, filled_names(counts));
    Ok(())
}

#[test]
fn a_page_of_a_dead_member_is_awaited_and_one_that_was_left_out_stays_out() -> Result<()> {
    let space = filled("pages-dead", [3, 3, 3])?;
    let daemon = daemon("pages-dead").start()?;
    let path = space.path("configmaps");
    let client = person(&daemon)?;
    let first = client.json(&format!("{path}?limit=4"))?;
    assert_eq!(names(&first)?, ["tokyo-0", "tokyo-1", "tokyo-2", "osaka-0"]);
    let second = format!("{path}?limit=4&continue={}", rest(&first).context("one page")?);
    daemon.shim("osaka")?.set(Mode::Refuse)?;
    let dead = client.get(&second)?;
    assert_eq!(dead.status, 503, "{}", dead.text());
    assert!(dead.header("retry-after").is_some() && dead.text().contains("osaka"), "{dead:?}");
    // Begun without osaka, a list goes on without it, also when it is back.
    let without = client.get(&format!("{path}?limit=2"))?.success()?;
    assert!(warnings(&without).contains("osaka"), "{without:?}");
    daemon.shim("osaka")?.set(Mode::Pass)?;
    let alive = |answer: &Response| warnings(answer).is_empty();
    eventually!(client.get(&path).and_then(Response::success), alive);
    let mut page: Value = without.json()?;
    let mut shown = names(&page)?;
    while let Some(token) = rest(&page) {
        page = client.json(&format!("{path}?limit=2&continue={token}"))?;
        shown.extend(names(&page)?);
    }
    assert_eq!(shown, filled_names([3, 0, 3]));
    assert_eq!(names(&client.json(&second)?)?, ["osaka-1", "osaka-2", "nagoya-0", "nagoya-1"]);
    Ok(())
}

#[test]
fn bad_tokens_are_refused_as_an_api_server_does() -> Result<()> {
    let space = filled("pages-bad", [2, 2, 2])?;
    let path = space.path("configmaps");
    let client = person(&DAEMON)?;
    let first = client.json(&format!("{path}?limit=1"))?;
    let token = rest(&first).context("one page")?;
    let tokyo = super::FLEET.cluster("tokyo")?.client()?;
    let its = tokyo.json(&format!("{path}?limit=1"))?;
    let its_token = rest(&its).context("one page")?;
    for (query, code, words) in [
        ("limit=1&continue=garbage".to_owned(), 400, "continue key is not valid"),
        (format!("limit=1&continue={its_token}"), 400, "continue key is not valid"),
        (format!("limit=1&continue={token}&resourceVersion=5"), 400, "when using continue"),
        (
            format!("limit=1&continue={token}&resourceVersionMatch=Exact&resourceVersion=5"),
            422,
            "resourceVersionMatch is forbidden",
        ),
    ] {
        let answer = client.get(&format!("{path}?{query}"))?;
        let status = answer.json()?;
        assert_eq!((answer.status, status["kind"].as_str()), (code, Some("Status")), "{query}");
        assert!(answer.text().contains(words), "{query}: {}", answer.text());
    }
    let folded = space.path("deployments");
    assert_eq!(client.get(&format!("{folded}?limit=1&continue={token}"))?.status, 400);
    Ok(())
}

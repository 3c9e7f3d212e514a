//! ClusterScores that users write, well or badly, while the daemon runs.

use std::time::Duration;

use anyhow::{Result, anyhow};
use serde_json::{Value, json};
use tenbin_integration::eventually::now;
use tenbin_integration::ports::Port;
use tenbin_integration::{Client, Daemon, Mode, Shim, config_map, eventually};

use super::CROSS;
use super::house::{HOUSE, Objects, daemon, names, person};
use super::measured::row;

/// The longest that anybody waits for an answer.
const PROMPT: Duration = Duration::from_secs(5);

#[test]
fn what_others_write_of_tenbins_fields_is_put_right() -> Result<()> {
    let test = "put-right";
    let objects = Objects::new(&HOUSE, "tokyo", test)?;
    let osaka = daemon(&HOUSE, test, "osaka").config(CROSS).start()?;
    let _tokyo = daemon(&HOUSE, test, "tokyo").config(CROSS).start()?;
    let endpoint = osaka.endpoint();
    objects.make("osaka", &json!({"endpoint": endpoint, "owncluster": true, "region": "mars"}))?;
    let is_osaka = |it: &Value| {
        it["spec"] == json!({"endpoint": endpoint, "owncluster": false, "region": "osaka"})
            && it["status"]["score"] == 200
    };
    eventually!(objects.get("osaka"), is_osaka);
    objects.patch("osaka", &json!({"spec": {"owncluster": true, "region": "venus"}}))?;
    let lie = json!({"status": {"score": 1, "watts": 1.0, "conditions": []}});
    objects.patch("osaka/status", &lie)?;
    eventually!(objects.get("osaka"), is_osaka);
    eventually!(objects.condition("osaka", "Ready"), |it: &String| it.starts_with("True Ready"));

    // Own's object: whatever is done to it, it comes back as it was.
    let own = eventually!(objects.get("tokyo"), |it| it["status"]["score"] == 100);
    assert_eq!(own["spec"]["owncluster"], true);
    let lie = json!({"spec": {"endpoint": "https://evil:1", "owncluster": false, "region": "x"}});
    objects.patch("tokyo", &lie)?;
    objects.patch("tokyo/status", &json!({"status": {"score": 1}}))?;
    let is_own = |it: &Value| it["spec"] == own["spec"] && it["status"]["score"] == 100;
    eventually!(objects.get("tokyo"), is_own);
    objects.delete("tokyo")?;
    eventually!(objects.get("tokyo"), is_own);
    Ok(())
}

#[test]
fn whoever_cannot_be_a_member_is_told_why_and_harms_nobody() -> Result<()> {
    let test = "refusals";
    let objects = Objects::new(&HOUSE, "tokyo", test)?;
    let path = format!("/api/v1/namespaces/{test}/configmaps");
    for name in ["osaka", "nagoya"] {
        let there = Objects::new(&HOUSE, name, test)?;
        there.client()?.send_json("POST", &path, &config_map(name, "1"))?.success()?;
    }
    let osaka = daemon(&HOUSE, test, "osaka").config(CROSS).start()?;
    let tokyo = daemon(&HOUSE, test, "tokyo").members(&["nagoya"]).watts("nagoya", 300.0);
    let tokyo = tokyo.config(CROSS).start()?;
    objects.peer("osaka", &osaka.endpoint())?;
    eventually!(objects.condition("osaka", "Ready"), |it: &String| it.starts_with("True Ready"));
    let (hole, silent, closed) =
        (Shim::start(osaka.peers())?, Shim::start(osaka.peers())?, Port::reserve()?);
    hole.set(Mode::BlackHole)?;
    silent.set(Mode::Silent)?;
    let wrong = [
        ("sakai", osaka.endpoint(), "NotAMember", "osaka"),
        ("nagoya", format!("https://{}", closed.address()), "NotAMember", "reached at"),
        ("nonsense", "nonsense".to_owned(), "NotAMember", "nonsense"),
        ("empty", String::new(), "NotAMember", "https"),
        ("plain", "http://127.0.0.1:1".to_owned(), "NotAMember", "https"),
        ("user", "https://user:hunter2@127.0.0.1:1".to_owned(), "NotAMember", "https"),
        ("nowhere", "https://nowhere.invalid:1".to_owned(), "Unreachable", "no answer"),
        ("closed", format!("https://localhost:{}", closed.number()), "Unreachable", "no answer"),
        ("hole", format!("https://{}", hole.address()), "Unreachable", "no answer"),
        ("silent", format!("https://{}", silent.address()), "Unreachable", "no answer"),
        ("stranger", HOUSE.cluster("osaka")?.url(), "Untrusted", "ertificate"),
    ];
    for (name, endpoint, ..) in &wrong {
        objects.peer(name, endpoint)?;
    }
    for (name, _, reason, word) in &wrong {
        let refused = format!("False {reason}");
        let ready = || objects.condition(name, "Ready");
        let ready = eventually!(ready(), |it: &String| it.starts_with(&refused));
        assert!(ready.contains(word), "{name}: {ready}");
        let tells = |line: &str| line.contains(&format!("/{name} ")) && line.contains(reason);
        eventually!(objects.events(), |all: &String| all.lines().any(tells));
    }
    assert!(objects.condition("hole", "Unreachable")?.starts_with("True"));
    assert!(objects.condition("stranger", "Untrusted")?.starts_with("True"));
    assert!(objects.condition("osaka", "Ready")?.starts_with("True Ready"));
    unharmed(&tokyo, &path)?;
    for (name, ..) in &wrong {
        objects.delete(name)?;
    }
    eventually!(names(&person(&tokyo)?.get(&path)?), |(_, warnings)| warnings.is_empty());
    Ok(())
}

/// Osaka and nagoya are members as ever, and whoever is none is none.
fn unharmed(tokyo: &Daemon, path: &str) -> Result<()> {
    assert_eq!(row(tokyo, "osaka")?["watts"], 200.0);
    assert_eq!(row(tokyo, "nagoya")?["watts"], 300.0);
    for name in ["sakai", "nonsense", "plain", "empty", "user"] {
        assert!(row(tokyo, name).is_err(), "{name} is a member");
    }
    let began = now();
    let (seen, warnings) = names(&person(tokyo)?.get(path)?)?;
    assert!(began.elapsed() < PROMPT, "{:?}", began.elapsed());
    assert!(["osaka", "nagoya"].iter().all(|name| seen.iter().any(|it| it == name)), "{seen:?}");
    assert!(warnings.contains("hole") && warnings.contains("stranger"), "{warnings}");
    Ok(())
}

/// Deletes the ClusterScore of osaka while eight people ask, who all get an answer.
fn leaves_while_asked(tokyo: &Daemon, objects: &Objects<'_>, path: &str) -> Result<()> {
    let ask = || {
        let began = now();
        let answer = person(tokyo).and_then(|it| it.patience(PROMPT * 2).get(path));
        (answer.map(|it| it.status), began.elapsed())
    };
    std::thread::scope(|scope| {
        let asking: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        objects.delete("osaka")?;
        for thread in asking {
            let (status, took) = thread.join().map_err(|_| anyhow!("a panic"))?;
            assert_eq!(status?, 200);
            assert!(took < PROMPT, "{took:?}");
        }
        Ok(())
    })
}

#[test]
fn a_peer_joins_and_leaves_while_requests_run_and_none_hangs() -> Result<()> {
    let test = "joins";
    let objects = Objects::new(&HOUSE, "tokyo", test)?;
    let there = Objects::new(&HOUSE, "osaka", test)?;
    let path = format!("/api/v1/namespaces/{test}/configmaps");
    there.client()?.send_json("POST", &path, &config_map("there", "1"))?.success()?;
    let osaka = daemon(&HOUSE, test, "osaka").config(CROSS).start()?;
    let tokyo = daemon(&HOUSE, test, "tokyo").config(CROSS).start()?;
    let shim = Shim::start(osaka.peers())?;
    let client = tokyo.client()?.patience(Duration::from_secs(10));
    let seen = || names(&client.get(&path)?);
    for mode in [Mode::Pass, Mode::Silent, Mode::BlackHole] {
        shim.set(Mode::Pass)?;
        objects.peer("osaka", &format!("https://{}", shim.address()))?;
        eventually!(seen(), |(names, _)| names == &["there"]);
        eventually!(row(&tokyo, "osaka"), |row| row["watts"] == 200.0);
        let watch = client.open("GET", &format!("{path}?watch=true"), None)?;
        shim.set(mode)?;
        leaves_while_asked(&tokyo, &objects, &path)?;
        eventually!(seen(), |(names, warnings)| names.is_empty() && warnings.is_empty());
        assert!(row(&tokyo, "osaka").is_err());
        goes_on(watch, &objects.client()?, &path)?;
    }
    Ok(())
}

/// A watch that began with another fleet tells what happens, or ends: it does not stand still.
fn goes_on(mut watch: tenbin_integration::http::Streaming, own: &Client, path: &str) -> Result<()> {
    own.send_json("POST", path, &config_map("here", "1"))?.success()?;
    while let Some(event) = watch.event()? {
        if event["object"]["metadata"]["name"] == "here" {
            break;
        }
    }
    own.send("DELETE", &format!("{path}/here"), None)?.success()?;
    Ok(())
}

#[test]
fn cluster_scores_of_another_namespace_do_nothing() -> Result<()> {
    let test = "one-namespace";
    let objects = Objects::new(&HOUSE, "tokyo", test)?;
    let elsewhere = Objects::new(&HOUSE, "tokyo", "elsewhere")?;
    let osaka = daemon(&HOUSE, test, "osaka").config(CROSS).start()?;
    let tokyo = daemon(&HOUSE, test, "tokyo").config(CROSS).start()?;
    let spec = json!({"endpoint": osaka.endpoint(), "owncluster": true, "region": "x"});
    elsewhere.make("forged", &spec)?;
    objects.peer("osaka", &osaka.endpoint())?;
    eventually!(objects.condition("osaka", "Ready"), |it: &String| it.starts_with("True Ready"));
    let forged = elsewhere.get("forged")?;
    assert_eq!((&forged["status"], &forged["spec"]), (&Value::Null, &spec));
    assert!(row(&tokyo, "forged").is_err());
    Ok(())
}

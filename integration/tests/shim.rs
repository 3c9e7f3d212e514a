//! Each mode of the shim does what its name says, in front of a real API server.

use std::net::TcpStream;
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::Result;
use tenbin_integration::eventually::now;
use tenbin_integration::{Client, Cluster, Fleet, FleetBuilder, Mode, Shim, eventually};

static FLEET: LazyLock<Fleet> =
    LazyLock::new(|| FleetBuilder::new("shim").clusters(["tokyo"]).shared());

const SHORT: Duration = Duration::from_millis(300);

/// A shim of this test alone, and a client behind it.
fn shim() -> Result<(Shim, Client)> {
    let tokyo: &Cluster = FLEET.cluster("tokyo")?;
    let shim = Shim::start(tokyo.apiserver().port().address())?;
    let user = tokyo.user("admin", &["system:masters"])?;
    let client = Client::tls(shim.address(), tokyo.ca().cert(), Some(&user))?;
    Ok((shim, client))
}

#[test]
fn passing_counts_connections() -> Result<()> {
    let (shim, client) = shim()?;
    assert_eq!(client.get("/readyz")?.text(), "ok");
    assert_eq!(shim.accepted(), 1);
    eventually!(shim.live() == 0);
    Ok(())
}

#[test]
fn delayed_answers_come_late_but_whole() -> Result<()> {
    let (shim, client) = shim()?;
    shim.set(Mode::Delay(SHORT))?;
    let began = now();
    assert_eq!(client.get("/readyz")?.text(), "ok");
    assert!(began.elapsed() >= 2 * SHORT, "the handshake and the answer: {:?}", began.elapsed());
    Ok(())
}

#[test]
fn refused_then_passing_again() -> Result<()> {
    let (shim, client) = shim()?;
    for _ in 0..3 {
        shim.set(Mode::Refuse)?;
        let refused = TcpStream::connect(shim.address()).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        shim.set(Mode::Pass)?;
        assert_eq!(client.get("/readyz")?.text(), "ok");
    }
    Ok(())
}

#[test]
fn connecting_to_a_black_hole_hangs() -> Result<()> {
    let (shim, client) = shim()?;
    shim.set(Mode::BlackHole)?;
    let hangs = TcpStream::connect_timeout(&shim.address(), SHORT).unwrap_err();
    assert_eq!(hangs.kind(), std::io::ErrorKind::TimedOut);
    shim.set(Mode::Pass)?;
    assert_eq!(client.get("/readyz")?.text(), "ok");
    Ok(())
}

#[test]
fn a_silent_server_accepts_and_says_nothing_until_it_passes() -> Result<()> {
    let (shim, client) = shim()?;
    shim.set(Mode::Silent)?;
    TcpStream::connect_timeout(&shim.address(), SHORT)?;
    assert!(client.clone().patience(SHORT).get("/readyz").is_err());
    let patient = std::thread::spawn(move || client.get("/readyz"));
    eventually!(shim.accepted() == 3);
    shim.set(Mode::Pass)?;
    assert_eq!(patient.join().expect("a thread")?.text(), "ok");
    Ok(())
}

#[test]
fn a_stalled_watch_resumes() -> Result<()> {
    let (shim, client) = shim()?;
    let path = "/api/v1/namespaces?watch=true&resourceVersion=0";
    let mut watch = client.patience(SHORT).open("GET", path, None)?;
    while watch.event().is_ok() {}
    shim.set(Mode::BlackHole)?;
    FLEET.cluster("tokyo")?.kubectl()?.ok(["create", "namespace", "stalled"])?;
    assert!(watch.event().is_err());
    shim.set(Mode::Pass)?;
    eventually!(watch.event().ok().flatten(), |event| event.to_string().contains("stalled"));
    Ok(())
}

#[test]
fn a_cut_ends_a_body_in_its_middle() -> Result<()> {
    let (shim, client) = shim()?;
    let whole = client.get("/openapi/v2")?.body.len();
    assert!(whole > 1_000_000);
    shim.set(Mode::CutAfter(500_000))?;
    let mut cut = client.open("GET", "/openapi/v2", None)?;
    assert_eq!(cut.status, 200);
    let ending = std::iter::from_fn(|| Some(cut.line())).find(|line| !matches!(line, Ok(Some(_))));
    assert!(matches!(ending, Some(Err(_))), "{ending:?}");
    Ok(())
}

#[test]
fn every_living_connection_can_be_cut() -> Result<()> {
    let (shim, client) = shim()?;
    let mut watch = client.open("GET", "/api/v1/namespaces?watch=true", None)?;
    watch.event()?;
    assert_eq!(shim.live(), 1);
    shim.cut_all()?;
    eventually!(shim.live() == 0);
    let ending =
        std::iter::from_fn(|| Some(watch.line())).find(|line| !matches!(line, Ok(Some(_))));
    assert!(matches!(ending, Some(Err(_))), "{ending:?}");
    assert_eq!(client.get("/readyz")?.text(), "ok");
    Ok(())
}

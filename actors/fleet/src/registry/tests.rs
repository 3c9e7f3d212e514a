mod rig;

use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};

use actix_http::header::HeaderMap;
use awc::http::Method;
use bytes::Bytes;

use self::rig::{Authority, Manner, PATIENCE, Rig, always, dead, name, peer, registry, source};
use super::*;
use crate::access::Trust;
use crate::fault::Fault;
use crate::lane::{Call, Lanes, PROMPT};
use crate::patience::Patience;

fn get(path: &str, patience: Patience) -> Call {
    let (path, first_byte) = (path.to_owned(), Some(PATIENCE));
    let (headers, body) = (HeaderMap::new(), Bytes::new());
    Call { method: Method::GET, path_and_query: path, headers, body, first_byte, patience }
}

fn pairs(members: &[(&str, u64)]) -> Vec<(String, u64)> {
    members.iter().map(|(name, generation)| ((*name).to_owned(), *generation)).collect()
}

#[actix_rt::test]
async fn peers_come_and_go_and_the_others_stay_as_they_are() {
    let rig = Rig::new().await;
    rig.enrol(vec![rig.own(Some("tokyo"))]).await.unwrap();
    assert!(rig.join(&[dead("nara", 21), dead("kyoto", 22)]).await.is_empty());
    assert_eq!(rig.members(), pairs(&[("tokyo", 1), ("kyoto", 2), ("nara", 3)]));
    assert_eq!(rig.member("kyoto").reach, Reach::Peer);
    let kyoto = rig.member("kyoto");
    assert!(rig.join(&[dead("nara", 21), dead("sakai", 23)]).await.is_empty());
    assert_eq!(rig.members(), pairs(&[("tokyo", 1), ("nara", 3), ("sakai", 4)]));
    assert!(kyoto.forwarder.get().is_none());
    assert!(rig.member("nara").forwarder.get().is_some());
    // Elsewhere is another member of the name.
    rig.join(&[dead("nara", 24)]).await;
    assert_eq!(rig.members(), pairs(&[("tokyo", 1), ("nara", 5)]));
}

#[actix_rt::test]
async fn what_changes_nothing_is_not_published() {
    let rig = Rig::new().await;
    rig.enrol(vec![rig.own(Some("tokyo"))]).await.unwrap();
    rig.join(&[dead("nara", 21)]).await;
    let before = rig.fleet();
    rig.join(&[dead("nara", 21)]).await;
    rig.enrol(vec![rig.own(Some("tokyo"))]).await.unwrap();
    assert!(Arc::ptr_eq(&before, &rig.fleet()));
}

#[actix_rt::test]
async fn one_bad_peer_stops_no_other_and_never_takes_owns_name() {
    let rig = Rig::new().await;
    rig.enrol(vec![rig.own(Some("tokyo"))]).await.unwrap();
    let mut plain = dead("plain", 25);
    plain.endpoint = "http://plain:1".to_owned();
    let refused = rig.join(&[dead("tokyo", 26), plain, dead("nara", 21)]).await;
    assert_eq!(
        refused,
        [
            "plain: the server \"http://plain:1\" is not https",
            "tokyo: the member of this name is reached at https://127.0.0.1:9",
        ]
    );
    assert_eq!(rig.members(), pairs(&[("tokyo", 1), ("nara", 2)]));
}

#[actix_rt::test]
async fn peers_whose_trust_cannot_be_read_join_once_it_can() {
    let rig = Rig::new().await;
    rig.enrol(vec![rig.own(Some("tokyo"))]).await.unwrap();
    std::fs::remove_file(rig.folder.path().join("peer.crt")).unwrap();
    let refused = rig.join(&[dead("nara", 21)]).await;
    assert!(refused[0].starts_with("nara: cannot read"), "{refused:?}");
    rig.identity(&Authority::new(), "tokyo");
    assert!(rig.join(&[dead("nara", 21)]).await.is_empty());
    let before = rig.members();
    // A certificate that is renewed makes new connections.
    rig.identity(&Authority::new(), "tokyo");
    rig.registry.ask(Reopen, PATIENCE).await.unwrap().unwrap();
    assert_eq!(before, pairs(&[("tokyo", 1), ("nara", 2)]));
    assert_eq!(rig.members(), pairs(&[("tokyo", 1), ("nara", 3)]));
}

#[actix_rt::test]
async fn peers_stay_while_their_trust_cannot_be_read_as_when_it_is_half_written() {
    let rig = Rig::new().await;
    rig.enrol(vec![rig.own(Some("tokyo"))]).await.unwrap();
    rig.join(&[dead("nara", 21)]).await;
    std::fs::remove_file(rig.folder.path().join("peer.crt")).unwrap();
    rig.registry.ask(Reopen, PATIENCE).await.unwrap().unwrap();
    assert_eq!(rig.members(), pairs(&[("tokyo", 1), ("nara", 2)]));
    assert!(rig.join(&[dead("nara", 21)]).await.is_empty());
    assert_eq!(rig.members(), pairs(&[("tokyo", 1), ("nara", 2)]));
    assert!(rig.member("nara").forwarder.get().is_some());
    // Elsewhere is another member of the name.
    assert_eq!(rig.join(&[dead("nara", 24)]).await.len(), 1);
    assert_eq!(rig.members(), pairs(&[("tokyo", 1)]));
}

#[actix_rt::test]
async fn a_fleet_has_room_for_64_and_slots_that_are_used_up_begin_a_new_epoch() {
    let rig = Rig::new().await;
    rig.enrol(vec![rig.own(Some("tokyo"))]).await.unwrap();
    let many = |letter: char| (0..70_u16).map(move |n| dead(&format!("{letter}{n:02}"), 100 + n));
    let refused = rig.join(&many('a').collect::<Vec<_>>()).await;
    assert_eq!((rig.members().len(), refused.len()), (64, 7));
    assert!(refused[0].starts_with("a63: the fleet has 64 members"), "{refused:?}");
    let epoch = rig.fleet().space.epoch();
    rig.join(&many('b').take(63).collect::<Vec<_>>()).await;
    assert_eq!(rig.fleet().space.slots().len(), 64);
    assert!(rig.fleet().space.epoch() > epoch);
}

#[actix_rt::test]
async fn places_that_were_kept_elsewhere_are_taken_over_by_who_knows_none() {
    let rig = Rig::new().await;
    rig.enrol(vec![rig.own(Some("tokyo"))]).await.unwrap();
    let settle = async |epoch: u64, slots: &[&str]| {
        let slots = slots.iter().map(|slot| name(slot)).collect();
        let space = VersionSpace::new(NonZeroU64::new(epoch).unwrap(), slots).unwrap();
        rig.registry.ask(Settle(space), PATIENCE).await.unwrap().unwrap();
        (rig.fleet().space.epoch(), rig.fleet().space.slots().to_vec())
    };
    let own = rig.fleet().space.epoch();
    assert_eq!(settle(own + 7, &["nara"]).await, (own + 7, vec![name("nara"), name("tokyo")]));
    let before = rig.fleet();
    settle(own, &["kyoto"]).await;
    assert!(Arc::ptr_eq(&before, &rig.fleet()));
    // Two daemons gave the same slot away: nobody can tell versions apart any more.
    let (epoch, slots) = settle(own + 7, &["nara", "kyoto"]).await;
    assert!(epoch > own + 7);
    assert_eq!(slots, ["nara", "kyoto", "tokyo"].map(name));
}

#[actix_rt::test]
async fn a_region_that_a_peer_tells_is_taken_over_and_remembered() {
    let rig = Rig::new().await;
    rig.enrol(vec![rig.own(Some("tokyo"))]).await.unwrap();
    let hinted = PeerSpec { region: Some("kansai".to_owned()), ..dead("nara", 21) };
    rig.join(std::slice::from_ref(&hinted)).await;
    assert_eq!(rig.member("nara").region, "kansai");
    let tell = |cluster: &str, region: &str| {
        let told = RegionTold { cluster: name(cluster), region: region.to_owned() };
        rig.registry.ask(told, PATIENCE)
    };
    tell("nara", "kinki").await.unwrap();
    tell("tokyo", "mars").await.unwrap();
    tell("nobody", "mars").await.unwrap();
    assert_eq!(rig.member("nara").region, "kinki");
    assert_eq!(rig.member("tokyo").region, "tokyo");
    rig.join(&[]).await;
    rig.join(&[hinted]).await;
    assert_eq!(rig.member("nara").region, "kinki");
    assert_eq!(rig.fleet().regions.keys().collect::<Vec<_>>(), [&name("nara")]);
}

#[actix_rt::test]
async fn own_without_a_name_goes_by_its_last_one_while_its_nodes_are_silent() {
    let unknown = Rig::new().await;
    let refused = unknown.enrol(vec![unknown.own(None)]).await;
    assert!(matches!(refused, Err(EnrolError::Unnamed)));
    let known = Rig::with_own(Some("tokyo")).await;
    known.enrol(vec![known.own(None)]).await.unwrap();
    assert_eq!(known.members(), pairs(&[("tokyo", 1)]));
}

#[actix_rt::test]
async fn a_registry_that_was_restarted_still_knows_who_is_configured() {
    let rig = Rig::new().await;
    rig.enrol(vec![rig.own(Some("tokyo"))]).await.unwrap();
    rig.join(&[dead("nara", 21)]).await;
    let next = registry(&rig.parts, "next").await;
    next.ask(JoinPeers(vec![dead("kyoto", 22)]), PATIENCE).await.unwrap().unwrap();
    assert_eq!(rig.members(), pairs(&[("tokyo", 1), ("kyoto", 3)]));
}

fn untrusted(health: &Health) -> Option<bool> {
    match health {
        Health::Down { untrusted, .. } => Some(*untrusted),
        Health::Unknown | Health::Up => None,
    }
}

#[actix_rt::test]
async fn trust_that_fails_on_either_side_is_told_from_death() {
    let rig = Rig::new().await;
    let ca = Authority::new();
    rig.identity(&ca, "tokyo");
    rig.enrol(vec![rig.own(Some("tokyo"))]).await.unwrap();
    let peers = [
        peer("up", ca.serve(always(200)).await),
        peer("stranger", Authority::new().serve(always(200)).await),
        peer("alert", ca.serve(Manner::Alert).await),
        peer("refusal", ca.serve(always(401)).await),
        dead("dead", 10),
    ];
    assert!(rig.join(&peers).await.is_empty());
    assert_eq!(rig.health("up").await, Health::Up);
    for (member, expected) in
        [("stranger", true), ("alert", true), ("refusal", true), ("dead", false)]
    {
        assert_eq!(untrusted(&rig.health(member).await), Some(expected), "{member}");
    }
}

#[actix_rt::test]
async fn an_answer_of_the_port_is_not_taken_for_the_api_servers() {
    let rig = Rig::new().await;
    let ca = Authority::new();
    rig.identity(&ca, "tokyo");
    rig.enrol(vec![rig.own(Some("tokyo"))]).await.unwrap();
    let lanes = Lanes::default();
    for (code, unsent) in [(401, true), (503, true), (504, false)] {
        let now = Arc::new(AtomicU16::new(200));
        let nara = peer("nara", ca.serve(Manner::Answer(Arc::clone(&now))).await);
        rig.join(&[nara]).await;
        assert_eq!(rig.health("nara").await, Health::Up);
        now.store(code, Ordering::SeqCst);
        let post = Call { method: Method::POST, ..get("/api", PROMPT) };
        let fault = lanes.send(&rig.member("nara"), post).await.err().unwrap();
        assert_eq!(fault.is_unsent(), unsent, "{fault}");
        assert_eq!(untrusted(&rig.health("nara").await), Some(code == 401));
    }
    // An application behind an API server that is well says the same for itself.
    let stream = peer("kyoto", ca.serve(Manner::Application).await);
    rig.join(&[stream]).await;
    let answer = lanes.send(&rig.member("kyoto"), get("/api", PROMPT)).await.unwrap();
    assert_eq!(answer.status.as_u16(), 401);
}

#[actix_rt::test]
async fn a_peer_of_the_original_program_is_reached_with_a_password() {
    let rig = Rig::new().await;
    let ca = Authority::new();
    let port = ca.serve(always(200)).await;
    let basic = |folder: &Path| Trust::Basic {
        ca: Some(folder.join("ca.crt")),
        username: "wao".to_owned(),
        password_file: folder.join("password"),
    };
    rig.identity(&ca, "tokyo");
    rig.write("password", "secret\n");
    let kobe = MemberSpec {
        name: Some(name("kobe")),
        own: false,
        region: None,
        source: source(port, basic(rig.folder.path())),
    };
    rig.enrol(vec![rig.own(Some("tokyo")), kobe.clone()]).await.unwrap();
    let member = rig.member("kobe");
    assert_eq!((member.reach, member.region.as_str()), (Reach::Original, "kobe"));
    let header = member.access.credentials.authorization().await.unwrap().unwrap();
    assert_eq!(header, "Basic d2FvOnNlY3JldA==");
    assert_eq!(rig.health("kobe").await, Health::Up);
    // As a ClusterScore names it too, it is neither twice a member nor refused.
    assert!(rig.join(&[peer("kobe", port)]).await.is_empty());
    rig.write("password", "\n");
    let failed = rig.enrol(vec![rig.own(Some("tokyo")), kobe]).await;
    assert!(matches!(failed, Err(EnrolError::Open { .. })));
    assert_eq!(rig.members(), pairs(&[("tokyo", 1), ("kobe", 2)]));
}

#[actix_rt::test]
async fn a_stream_of_a_peer_that_left_ends() {
    let rig = Rig::new().await;
    let ca = Authority::new();
    rig.identity(&ca, "tokyo");
    rig.enrol(vec![rig.own(Some("tokyo"))]).await.unwrap();
    rig.join(&[peer("nara", ca.serve(Manner::Stream).await)]).await;
    let patience = Patience { silence: Duration::from_millis(20), limit: None };
    let lanes = Lanes::default();
    let watch = get("/api/v1/pods?watch=1", patience);
    let mut answer = lanes.send(&rig.member("nara"), watch).await.unwrap();
    rig.join(&[]).await;
    let ended = tokio::time::timeout(PATIENCE, answer.body.next()).await.unwrap();
    assert!(ended.unwrap_err().to_string().contains("no longer a member"));
    let fault = lanes.send(&dead_member(&rig), get("/api", PROMPT)).await;
    assert!(matches!(fault, Err(Fault::NoCredentials { .. })));
}

/// A member whose forwarder has been stopped, as a request that came before still holds it.
fn dead_member(rig: &Rig) -> Arc<Member> {
    let own = rig.member("tokyo");
    Arc::new(Member {
        name: name("nara"),
        own: false,
        region: "nara".to_owned(),
        reach: Reach::Peer,
        access: own.access.clone(),
        generation: 99,
        health: Arc::new(ArcSwap::from_pointee(Health::Unknown)),
        places: Places::default(),
        forwarder: Slot::empty(),
    })
}

#[actix_rt::test]
async fn a_refusal_counts_when_a_member_that_is_ready_says_it_again() {
    let rig = Rig::new().await;
    let ca = Authority::new();
    rig.identity(&ca, "tokyo");
    rig.enrol(vec![rig.own(Some("tokyo"))]).await.unwrap();
    let codes = Arc::new([AtomicU16::new(500), AtomicU16::new(1)]);
    let address = ca.serve(Manner::Starts(Arc::clone(&codes))).await;
    rig.join(&[peer("nara", address)]).await;
    let (lanes, nara) = (Lanes::default(), rig.member("nara"));
    let mut said = Vec::new();
    for (ready, refusals) in [(500, 1), (200, 1), (200, 2), (500, 0)] {
        codes[0].store(ready, Ordering::SeqCst);
        codes[1].store(refusals, Ordering::SeqCst);
        let answer = lanes.send_sure(&nara, get("/api/v1/pods", PROMPT)).await;
        said.push(match answer {
            Ok(answer) => answer.status.as_u16().to_string(),
            Err(fault) => fault.to_string(),
        });
    }
    let starts = "nara unreachable: it refuses, and its /readyz answers 500";
    assert_eq!(said, [starts, "200", "403", "200"]);
}

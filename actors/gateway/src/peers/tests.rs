//! The peers port, over real TLS, before a server that shows what reaches own's API server.

mod rig;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use self::rig::{Answer, Authority, Rig};

const LIST: &str = "/apis/waoendpointproxy.bitmedia.co.jp/v1beta1/namespaces/ns/clusterscores";
const ESTIMATE: &str = "/namespaces/default/estimators/e/values/powerconsumption";

fn refused(code: u16, message: &str) -> Answer {
    (code, message.to_owned())
}

/// The lines of the request that reached own, sorted, without those of the connection.
fn lines(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.0, 200, "{}", answer.1);
    let head = answer.1.split("\r\n\r\n").next().unwrap();
    let of_connection = |line: &&str| {
        let name = line.split(": ").next().unwrap_or_default();
        ["host", "date", "content-length", "accept-encoding"].contains(&name)
    };
    let mut lines: Vec<_> =
        head.lines().filter(|line| !of_connection(line)).map(str::to_owned).collect();
    lines[1..].sort();
    lines
}

#[actix_rt::test]
async fn what_a_peer_sends_acts_in_own_as_whom_own_believes() {
    let rig = Rig::new().await;
    let osaka = rig.fleet_ca.identity("osaka");
    let head = "PUT /api/v1/namespaces/a%2Fb/pods/p?dryRun=All HTTP/1.1
impersonate-USER: alice
Impersonate-Group: dev
Impersonate-Group: system:masters
Impersonate-Group: system:nodes
Impersonate-Extra-Scopes%2fa: read
Impersonate-Extra-authentication.kubernetes.io%2Fnode-name: n0
X-Remote-User: root
Authorization: Bearer stolen
Content-Type: application/json";
    let body = r#"{"metadata":{"annotations":{"tenbin/home":"osaka"}}}"#;
    let answer = rig.send(Some(&osaka), head, body).await;
    insta::assert_snapshot!(lines(&answer).join("\n"), @"
    PUT /api/v1/namespaces/a%2Fb/pods/p?dryRun=All HTTP/1.1
    authorization: Bearer the-daemons
    content-type: application/json
    impersonate-extra-scopes%2fa: read
    impersonate-group: dev
    impersonate-group: system:authenticated
    impersonate-group: system:masters
    impersonate-user: alice
    ");
    assert!(answer.1.ends_with(&format!("\r\n\r\n{body}")), "{}", answer.1);
}

#[actix_rt::test]
async fn paths_of_the_users_port_lead_nowhere_but_to_own() {
    let rig = Rig::new().await;
    let osaka = rig.fleet_ca.identity("osaka");
    for path in ["/clusters/osaka/api/v1/pods", "/api/v1/pods?labelSelector=tenbin%2Fcluster"] {
        let head = format!("GET {path} HTTP/1.1\nImpersonate-User: alice");
        let answer = rig.send(Some(&osaka), &head, "").await;
        assert_eq!(lines(&answer)[0], format!("GET {path} HTTP/1.1"));
    }
}

#[actix_rt::test]
async fn strangers_are_not_let_in() {
    let rig = Rig::new().await;
    let head = format!("GET {LIST} HTTP/1.1");
    let unauthorized = refused(401, "Unauthorized");
    assert_eq!(rig.send(None, &head, "").await, unauthorized);
    for stranger in [
        Authority::new("fleet").identity("osaka"),
        rig.fleet_ca.identity("tokyo"),
        rig.fleet_ca.identity("Osaka Admin"),
        rig.kobe_ca.identity("osaka"),
    ] {
        assert_eq!(rig.send(Some(&stranger), &head, "").await, unauthorized);
    }
    for friend in [rig.fleet_ca.identity("osaka"), rig.kobe_ca.identity("kobe")] {
        assert_eq!(rig.send(Some(&friend), &head, "").await.0, 200);
    }
}

#[actix_rt::test]
async fn a_connection_ends_with_the_trust_by_which_it_was_made() {
    let rig = Rig::new().await;
    let mut connection = rig.connect(Some(&rig.fleet_ca.identity("osaka"))).await;
    let request = format!("GET {LIST} HTTP/1.1\r\nHost: tenbin\r\n\r\n");
    for code in ["200", "401"] {
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = vec![0; 4096];
        let length = connection.read(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer[..length]);
        assert!(answer.starts_with(&format!("HTTP/1.1 {code}")), "{answer}");
        if code == "200" {
            rig.distrust();
        }
    }
}

#[actix_rt::test]
async fn what_tells_no_user_or_one_that_is_not_believed_is_refused() {
    let rig = Rig::new().await;
    let osaka = rig.fleet_ca.identity("osaka");
    for (headers, message) in [
        ("Accept: */*", "osaka must tell whose request it is: Impersonate-User"),
        ("Impersonate-Group: dev", "Impersonate-User is missing"),
        ("Impersonate-User: a\nImpersonate-User: b", "Impersonate-User comes twice"),
        ("Impersonate-User: a\nImpersonate-New: b", "the header \"impersonate-new\" is not known"),
        ("Impersonate-User: system:anonymous", "system:anonymous is nobody"),
        (
            "Impersonate-User: cluster:nara:system:serviceaccount:a:b",
            "osaka may not assert \"cluster:nara:system:serviceaccount:a:b\", which is privileged",
        ),
    ] {
        let head = format!("GET /api/v1/pods HTTP/1.1\n{headers}");
        assert_eq!(rig.send(Some(&osaka), &head, "").await, refused(403, message));
    }
    let account = "cluster:osaka:system:serviceaccount:a:b";
    let head = format!("GET /api/v1/pods HTTP/1.1\nImpersonate-User: {account}");
    let answer = rig.send(Some(&osaka), &head, "").await;
    assert!(lines(&answer).contains(&format!("impersonate-user: {account}")), "{}", answer.1);
}

#[actix_rt::test]
async fn scores_estimates_and_health_are_told_to_peers_themselves() {
    let rig = Rig::new().await;
    let osaka = rig.fleet_ca.identity("osaka");
    let get = async |path: &str| rig.send(Some(&osaka), &format!("GET {path} HTTP/1.1"), "").await;
    assert!(get(LIST).await.1.contains(r#""from":["waoendpointproxy.bitmedia.co.jp","ns"]"#));
    assert_eq!(
        get(&format!("{LIST}/tokyo")).await,
        (200, r#"{"metadata":{"name":"tokyo"},"status":{"score":7}}"#.to_owned())
    );
    let missing = "clusterscores.waoendpointproxy.bitmedia.co.jp \"nara\" not found";
    assert_eq!(get(&format!("{LIST}/nara")).await, refused(404, missing));
    let livez = get("/livez?verbose").await;
    assert_eq!(lines(&livez), ["GET /livez HTTP/1.1", "authorization: Bearer the-daemons"]);
    let estimate = format!("POST {ESTIMATE} HTTP/1.1");
    assert_eq!(
        rig.send(Some(&osaka), &estimate, "{}").await,
        (200, r#"["default","e","{}"]"#.to_owned())
    );
    let large = "x".repeat(64 * 1024 + 1);
    assert_eq!(rig.send(Some(&osaka), &estimate, &large).await.0, 413);
    // A user's request for them is own's to answer, by the user's rights.
    let head = format!("GET {LIST} HTTP/1.1\nImpersonate-User: alice");
    let answer = rig.send(Some(&osaka), &head, "").await;
    assert!(lines(&answer).contains(&"impersonate-user: alice".to_owned()));
}

#[actix_rt::test]
async fn the_original_program_acts_as_one_user_or_reads_scores_only() {
    let rig = Rig::new().await;
    let send = async |path: &str, credentials: &str, more: &str| {
        let encoded = BASE64_STANDARD.encode(credentials);
        let head = format!("GET {path} HTTP/1.1\nAuthorization: Basic {encoded}{more}");
        rig.send(None, &head, "").await
    };
    assert_eq!(send(LIST, "gifu:pa:ss", "").await.0, 200);
    let nobody = "gifu reads scores only: its [[peer]] has no act_as";
    assert_eq!(send("/api/v1/pods", "gifu:pa:ss", "").await, refused(403, nobody));
    let answer = send("/api/v1/pods", "nara:pass", "").await;
    insta::assert_snapshot!(lines(&answer).join("\n"), @"
    GET /api/v1/pods HTTP/1.1
    authorization: Bearer the-daemons
    impersonate-group: system:authenticated
    impersonate-user: wao-peer
    ");
    let asserts = "nara has a password only, and may assert nobody";
    assert_eq!(
        send("/api/v1/pods", "nara:pass", "\nImpersonate-User: root").await,
        refused(403, asserts)
    );
    for wrong in ["nara:Pass", "nara:", "nara", "gifu:pass", ""] {
        assert_eq!(send(LIST, wrong, "").await, refused(401, "Unauthorized"), "{wrong}");
    }
}

#[actix_rt::test]
async fn a_dead_own_is_told_at_once_and_scores_are_still_told() {
    let rig = Rig::before_nobody().await;
    let osaka = rig.fleet_ca.identity("osaka");
    let livez = rig.send(Some(&osaka), "GET /livez HTTP/1.1", "").await;
    assert_eq!(livez.0, 503);
    assert_eq!(rig.send(Some(&osaka), EXEC, "").await.0, 503);
    let scores = rig.send(Some(&osaka), &format!("GET {LIST} HTTP/1.1"), "").await;
    assert_eq!(scores.0, 200);
}

const EXEC: &str = "POST /api/v1/namespaces/a/pods/p/exec?command=a%20b HTTP/1.1
Impersonate-User: alice
Impersonate-Group: system:nodes
Authorization: Bearer stolen
Connection: Upgrade
Upgrade: SPDY/3.1
X-Stream-Protocol-Version: v4.channel.k8s.io";

#[actix_rt::test]
async fn upgrades_pass_by_the_same_rules() {
    let rig = Rig::new().await;
    let osaka = rig.fleet_ca.identity("osaka");
    let answer = rig.send(Some(&osaka), EXEC, "").await;
    insta::assert_snapshot!(lines(&answer).join("\n"), @"
    POST /api/v1/namespaces/a/pods/p/exec?command=a%20b HTTP/1.1
    authorization: Bearer the-daemons
    connection: upgrade
    impersonate-group: system:authenticated
    impersonate-user: alice
    upgrade: SPDY/3.1
    x-stream-protocol-version: v4.channel.k8s.io
    ");
    let unauthorized = refused(401, "Unauthorized");
    assert_eq!(rig.send(None, EXEC, "").await, unauthorized);
    let nobody = EXEC.replace("Impersonate-User: alice\nImpersonate-Group: system:nodes\n", "");
    let untold = "osaka must tell whose request it is: Impersonate-User";
    assert_eq!(rig.send(Some(&osaka), &nobody, "").await, refused(403, untold));
    let bodied = "a request that asks for an upgrade has no body";
    assert_eq!(rig.send(Some(&osaka), EXEC, "body").await, refused(400, bodied));
}

#[actix_rt::test]
async fn bytes_pass_both_ways_and_each_way_ends_by_itself() {
    let rig = Rig::new().await;
    let mut connection = rig.connect(Some(&rig.fleet_ca.identity("osaka"))).await;
    let head = EXEC.replace("SPDY/3.1", "parrot").replace('\n', "\r\n");
    connection.write_all(format!("{head}\r\nHost: tenbin\r\n\r\nearly ").as_bytes()).await.unwrap();
    let much = "0123456789abcdef".repeat(100_000);
    let (mut from, mut to) = tokio::io::split(connection);
    let sending = async {
        to.write_all(much.as_bytes()).await.unwrap();
        to.shutdown().await.unwrap();
    };
    let mut all = String::new();
    let (read, ()) = tokio::join!(from.read_to_string(&mut all), sending);
    read.unwrap();
    let (answer, spoken) = all.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<_> = answer.lines().collect();
    lines.sort_unstable();
    insta::assert_snapshot!(lines.join("\n"), @"
    HTTP/1.1 101 Switching Protocols
    connection: Upgrade
    upgrade: parrot
    x-said: yes
    ");
    assert!(spoken == format!("first early {much} last"), "{} bytes", spoken.len());
}

#[actix_rt::test]
async fn nothing_behind_an_upgrade_is_sent_before_it_is_agreed_to() {
    let rig = Rig::new().await;
    let osaka = rig.fleet_ca.identity("osaka");
    // To own it would be a request of the daemon's own.
    let hidden = "DELETE /api/v1/namespaces/a HTTP/1.1\nHost: tenbin\n\n";
    let all = rig.exchange(&osaka, &[&format!("{EXEC}\nHost: tenbin\n\n{hidden}")]).await;
    assert!(all.contains("pods/p/exec") && !all.contains("DELETE"), "{all}");
}

#[actix_rt::test]
async fn an_upgrade_behind_another_request_is_refused_and_the_connection_closed() {
    let rig = Rig::new().await;
    let osaka = rig.fleet_ca.identity("osaka");
    let first = "GET /livez HTTP/1.1\nHost: tenbin\n\n";
    let later = format!("{EXEC}\nHost: tenbin\nContent-Length: 0\n\n");
    let all = rig.exchange(&osaka, &[first, &later]).await;
    let (_, second) = all.split_once("HTTP/1.1 400").unwrap();
    assert!(second.contains("connection: close"), "{all}");
    assert!(second.contains("is the first of its connection"), "{all}");
}

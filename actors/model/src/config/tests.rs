use std::time::Duration;

use proptest::prelude::*;

use super::*;

const NEEDED: &str =
    "[tls]\ncert = \"tls.crt\"\nkey = \"tls.key\"\n[auth]\nclient_ca = \"ca.crt\"\n";

fn read(text: &str) -> Result<Config, ConfigErrors> {
    parse(text, Path::new("/etc/tenbin"), &|_| None)
}

fn problems(text: &str) -> String {
    read(text).unwrap_err().to_string()
}

/// The example with its optional keys switched on.
fn everything() -> String {
    let is_key = |rest: &&str| rest.starts_with(|c: char| c == '[' || c.is_ascii_lowercase());
    let lines = default_text().lines();
    lines
        .map(|line| line.strip_prefix('#').filter(is_key).unwrap_or(line))
        .fold(String::new(), |text, line| text + line + "\n")
}

#[test]
fn the_example_says_the_defaults() {
    let example = read(default_text()).unwrap();
    assert_eq!(example, read(NEEDED).unwrap());
    assert_eq!(example.listen.users.to_string(), "0.0.0.0:18080");
    assert_eq!(example.listen.peers.to_string(), "0.0.0.0:18081");
    assert_eq!(example.listen.admin.to_string(), "127.0.0.1:18082");
    assert_eq!(example.tls.cert, Path::new("/etc/tenbin/tls.crt"));
    assert_eq!(example.state_dir, Path::new("/var/lib/tenbin"));
}

#[test]
fn the_optional_keys_of_the_example_are_legal_and_the_others_stay_defaults() {
    let all = read(&everything()).unwrap();
    let defaults = read(NEEDED).unwrap();
    assert_eq!(all.listen, defaults.listen);
    assert_eq!(all.own.name.as_ref().unwrap().as_str(), "tokyo");
    assert_eq!(all.members[0].kubeconfig, Path::new("/etc/tenbin/osaka.kubeconfig"));
    assert_eq!(all.members[0].watts, Some(200.0));
    assert_eq!(all.peers.unwrap().identity.key, Path::new("/etc/tenbin/peer.key"));
    assert_eq!(all.peer[0].identity.as_ref().unwrap().cert, Path::new("/etc/tenbin/tokyo.crt"));
    assert_eq!(all.peer[1].basic.as_ref().unwrap().username, "wao");
}

#[test]
fn every_key_that_the_parser_knows_stands_in_the_example() {
    let known = |text: &str, section: &str| -> Vec<String> {
        let errors = read(text).unwrap_err();
        let suffix = if section.is_empty() { "zz".to_owned() } else { format!("{section}.zz") };
        let problem = errors.iter().find(|problem| problem.key.ends_with(&suffix)).unwrap();
        let list = problem.message.split_once("here are: ").unwrap().1;
        list.split(", ").map(str::to_owned).collect()
    };
    let text = everything();
    for top in known("zz = 1", "") {
        let many = ["member", "peer"].contains(&top.as_str());
        let header = if many { format!("[[{top}]]") } else { format!("[{top}]") };
        let sections: Vec<&str> = text.split(&format!("\n{header}")).skip(1).collect();
        if sections.is_empty() {
            assert!(text.contains(&format!("\n{top} = ")), "{top}");
            continue;
        }
        let section: String = sections.iter().map(|it| it.split("\n[").next().unwrap()).collect();
        let path = if many { &format!("{top}[0]") } else { &top };
        for key in known(&format!("{header}\nzz = 1\n"), path) {
            assert!(section.contains(&format!("\n{key} = ")), "{top}.{key}");
        }
    }
}

#[test]
fn five_mistakes_of_different_sorts_are_five_problems() {
    insta::assert_snapshot!(problems(
        r#"
[listen]
usrs = "0.0.0.0:1"
[tls]
key = "tls.key"
[auth]
client_ca = "ca.crt"
tokens = "yes"
[[member]]
name = "osaka"
kubeconfig = "osaka.kubeconfig"
[[member]]
name = "osaka"
kubeconfig = "osaka.kubeconfig"
watts = -3
"#
    ), @r#"
    listen.usrs (line 3): is not a known key, here are: users, peers, admin
    tls.cert (line 4): is missing, must be the path of a file
    auth.tokens (line 8): must be true or false, is "yes"
    member[1].name (line 13): must be unique, another member is called osaka
    member[1].watts (line 15): must be a positive number of watts, is -3
    "#);
}

#[test]
fn each_value_is_held_against_its_own_rule() {
    let text = r#"
state_dir = 3
own = true
member = 4
listen.admin = "0.0.0.0:18080"
[score]
interval = "5m"
max_age = "1m"
[placement]
strategy = "best"
min_clusters = 65
[routing]
exclude = ["kube-*", "Kube", 7]
unmanaged = ["one"]
replicate = "configmaps"
[label]
key = "tenbin/cluster"
own_value = "not a value"
[reads]
partial = {}
[peers]
ca = ""
"#;
    insta::assert_snapshot!(problems(&format!("{text}{NEEDED}")), @r#"
    state_dir (line 2): must be the path of a folder, is 3
    own (line 3): must be a table [own], is true
    member (line 4): must be tables [[member]], is 4
    listen.admin (line 5): must differ from the others, 0.0.0.0:18080 and 0.0.0.0:18080 collide
    score.max_age (line 8): must not be under the interval of 300s
    placement.strategy (line 10): must be "auto", "marginal" or "inverse", is "best"
    placement.min_clusters (line 11): must be a whole number from 1 to 64, is 65
    routing.exclude[1] (line 13): must be a namespace of 1 to 63 of a-z, 0-9 and '-', where '*' stands for any characters, is "Kube"
    routing.exclude[2] (line 13): must be a namespace of 1 to 63 of a-z, 0-9 and '-', where '*' stands for any characters, is 7
    routing.unmanaged (line 14): must be "one" or "all", is a list
    routing.replicate (line 15): must be a list, each a resource such as "configmaps" or "ingresses.networking.k8s.io", is "configmaps"
    label.key (line 17): must be a Kubernetes label key, not under tenbin/, is "tenbin/cluster"
    label.own_value (line 18): must be a Kubernetes label value that is not empty, is "not a value"
    reads.partial (line 20): must be "always", "people" or "never", is a table
    peers.cert (line 21): is missing, must be the path of a file
    peers.key (line 21): is missing, must be the path of a file
    peers.ca (line 22): must be the path of a file, is ""
    "#);
}

#[test]
fn what_is_no_toml_is_said_with_all_else_that_is_wrong() {
    let text = "state_dir = [1, 2\n[tls\ncert = \n";
    insta::assert_snapshot!(problems(text), @r#"
    state_dir (line 1): must be the path of a folder, is a list
    line 2: missing comma between array elements, expected `,`
    line 3: missing comma between array elements, expected `,`
    "#);
    let text =
        format!("state_dir = a b\n{NEEDED}tokens = 1\ntokens = true\n[reads]\npartial = \"x\"");
    insta::assert_snapshot!(problems(&text), @r#"
    line 1: string values must be quoted, expected literal string
    auth.tokens (line 7): must be true or false, is 1
    line 8: duplicate key
    reads.partial (line 10): must be "always", "people" or "never", is "x"
    "#);
}

#[test]
fn what_must_be_said_is_asked_for() {
    insta::assert_snapshot!(problems("[peers]\n[[member]]\nwatts = 1_0.5\n"), @r#"
    peers.ca (line 1): is missing, must be the path of a file
    peers.cert (line 1): is missing, must be the path of a file
    peers.key (line 1): is missing, must be the path of a file
    member[0].name (line 2): is missing, must be a name of 1 to 63 of a-z, 0-9, '-' and '.', with a letter or digit at both ends
    member[0].kubeconfig (line 2): is missing, must be the path of a file
    tls.cert: is missing, must be the path of a file
    tls.key: is missing, must be the path of a file
    auth.client_ca: is missing, must be the path of a file
    "#);
}

#[test]
fn a_peer_has_trust_of_its_own_or_that_of_all() {
    let peer = "[[peer]]\nendpoint = \"https://a:1\"\n";
    let rest = "tls.cert: is missing";
    let begin = |text: &str| problems(text).split(rest).next().unwrap_or_default().to_owned();
    insta::assert_snapshot!(begin(&format!("{peer}ca = \"ca.crt\"\n")), @"peer[0].endpoint (line 2): has no trust: say its ca, cert and key, or [peers]");
    let whole = "ca = \"ca.crt\"\ncert = \"p.crt\"\nkey = \"p.key\"\n";
    for text in [
        format!("{peer}{whole}"),
        format!("[peers]\n{whole}{peer}"),
        format!("{peer}username = \"wao\"\npassword_file = \"password\"\n"),
    ] {
        assert_eq!(begin(&text), "", "{text}");
    }
}

#[test]
fn the_environment_wins_over_the_file_and_is_held_against_the_same_rules() {
    let variables = |name: &str| match name {
        "FETCH_INTERVAL" => Some("60".to_owned()),
        "LABEL_KEY" => Some("wao-endpoint-proxy".to_owned()),
        "LABEL_VALUE_MY_DOMAIN" => Some("here".to_owned()),
        "PORT1" => Some("8443".to_owned()),
        "PORT2" => Some(String::new()),
        _ => None,
    };
    let config = parse(NEEDED, Path::new("/"), &variables).unwrap();
    assert_eq!(config.score.interval, Duration::from_mins(1));
    assert_eq!(config.score.max_age, Duration::from_hours(1));
    assert_eq!(config.label.key, "wao-endpoint-proxy");
    assert_eq!(config.label.own_value, "here");
    assert_eq!(config.listen.users.to_string(), "0.0.0.0:8443");
    assert_eq!(config.listen.peers.port(), 18081);
    let errors = parse(NEEDED, Path::new("/"), &|_| Some("0".to_owned() + "\n")).unwrap_err();
    insta::assert_snapshot!(errors, @r#"
    FETCH_INTERVAL (environment): must be a whole number of seconds from 1 to 86400, is "0\n"
    LABEL_KEY (environment): must be a Kubernetes label key, not under tenbin/, is "0\n"
    LABEL_VALUE_MY_DOMAIN (environment): must be a Kubernetes label value that is not empty, is "0\n"
    PORT1 (environment): must be a port from 1 to 65535, is "0\n"
    PORT2 (environment): must be a port from 1 to 65535, is "0\n"
    "#);
}

#[test]
fn durations_are_read_as_people_write_them() {
    for (text, seconds) in [("30s", 30.0), ("5m", 300.0), ("500ms", 0.5), ("1h 30m", 5400.0)] {
        let config = format!("{NEEDED}[score]\ninterval = \"{text}\"\n");
        let interval = read(&config).unwrap().score.interval;
        assert!((interval.as_secs_f64() - seconds).abs() < 1e-9, "{text}");
    }
    for text in ["30", "-30s", "0s", "25h", "", "a while"] {
        let config = format!("{NEEDED}[score]\ninterval = \"{text}\"\n");
        assert!(read(&config).is_err(), "{text}");
    }
}

#[test]
fn watts_are_finite_and_positive() {
    for text in ["200", "200.5", "1e3", "1_000"] {
        assert!(read(&format!("{NEEDED}[own]\nwatts = {text}")).is_ok(), "{text}");
    }
    for text in ["0", "-1.5", "inf", "nan", "\"200\"", "1e999", "0xff"] {
        assert!(read(&format!("{NEEDED}[own]\nwatts = {text}")).is_err(), "{text}");
    }
}

#[test]
fn a_fleet_has_at_most_64_members_with_own() {
    let fleet = |members: usize| {
        (0..members).fold(NEEDED.to_owned(), |text, index| {
            text + &format!("[[member]]\nname = \"m{index}\"\nkubeconfig = \"k\"\n")
        })
    };
    assert_eq!(read(&fleet(63)).unwrap().members.len(), 63);
    insta::assert_snapshot!(problems(&fleet(64)), @"member (line 6): a fleet has at most 64 members, with own here are 65");
    let twin = format!("{}[own]\nname = \"m0\"\n", fleet(1));
    insta::assert_snapshot!(problems(&twin), @"member[0].name (line 7): must be unique, another member is called m0");
}

#[test]
fn only_listeners_and_the_state_folder_need_a_restart() {
    let old = read(NEEDED).unwrap();
    let text = format!(
        "state_dir = \"state\"\nlisten.users = \"[::1]:443\"\nlabel.key = \"k\"\n{NEEDED}\
         [[member]]\nname = \"osaka\"\nkubeconfig = \"/k\"\n"
    );
    let new = read(&text).unwrap();
    assert_eq!(new.state_dir, Path::new("/etc/tenbin/state"));
    assert_eq!(new.members[0].kubeconfig, Path::new("/k"));
    assert_eq!(old.changes_needing_restart(&new), ["state_dir", "listen.users"]);
    assert_eq!(old.changes_needing_restart(&old), [""; 0]);
}

#[test]
fn a_wrong_file_is_refused_in_a_hundred_lines_at_most() {
    let errors = read(&"!\n".repeat(10_000)).unwrap_err();
    assert_eq!(errors.iter().count(), 100);
    assert_eq!(read(&" ".repeat(MAX_BYTES + 1)).unwrap_err().iter().count(), 1);
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(
        text in "[a-z\\[\\]{}=.,\"'#\\\\ 0-9\n\u{0}é-]{0,200}",
        at in 0..NEEDED.len(),
    ) {
        for text in [&text, &format!("{}{text}{}", &NEEDED[..at], &NEEDED[at..])] {
            let shown = read(text).map_err(|errors| errors.to_string());
            prop_assert_ne!(shown, Err(String::new()));
        }
    }
}

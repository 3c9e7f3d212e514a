//! The sections of the file, key by key, with their defaults.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::kinds::{
    ADDRESS, BOOLEAN, CLUSTER_NAME, CLUSTERS, DURATION, ENDPOINT, FOLDER, Kind, LABEL_KEY,
    LABEL_VALUE, NAMESPACE, NAMESPACES, PARTIAL, PATH, PLACES, PORT, RESOURCE, SCHEDULER, SECONDS,
    STRATEGY, TEXT, UNMANAGED, WATTS,
};
use super::problems::{Place, Report};
use super::section::Section;
use super::{
    Auth, Basic, Config, KeyPair, Label, Limits, Listen, MAX_MEMBERS, Member, NamespacePattern,
    Own, Partial, Peer, Peers, Placement, Reads, Routing, Scheduler, Score, Strategy, Unmanaged,
};
use crate::ids::ClusterName;

/// What the variables of the environment say; they win over the file.
struct Overrides {
    fetch_interval: Option<Duration>,
    label_key: Option<String>,
    own_value: Option<String>,
    users_port: Option<u16>,
    peers_port: Option<u16>,
}

/// Reads the whole document; `None` where something that must be said is not.
pub(super) fn read<'t>(
    document: &'t DeTable<'t>,
    base: &Path,
    environment: &impl Fn(&str) -> Option<String>,
    report: &mut Report,
) -> Option<Config> {
    let overrides = Overrides {
        fetch_interval: variable(report, environment, "FETCH_INTERVAL", &SECONDS),
        label_key: variable(report, environment, "LABEL_KEY", &LABEL_KEY),
        own_value: variable(report, environment, "LABEL_VALUE_MY_DOMAIN", &LABEL_VALUE),
        users_port: variable(report, environment, "PORT1", &PORT),
        peers_port: variable(report, environment, "PORT2", &PORT),
    };
    Section::whole(report, document, |top| {
        let state_dir = base.join(top.or("state_dir", &FOLDER, PathBuf::from("/var/lib/tenbin")));
        let listen = top.section("listen", |section| listen(section, &overrides));
        let tls = top.section("tls", |section| key_pair(section, base));
        let auth = top.section("auth", |section| auth(section, base));
        let own = top.section("own", |section| own(section, base));
        let members = members(top, own.name.as_ref(), base);
        let peers = top.section("peers", |section| peers(section, base));
        let peer = top.sections("peer", |section| peer(section, base, peers.is_some()));
        let score = top.section("score", |section| score(section, &overrides, base));
        let placement = top.section("placement", placement);
        let routing = top.section("routing", routing);
        let label = top.section("label", |section| label(section, &overrides));
        let reads = top.section("reads", reads);
        let limits = top.section("limits", limits);
        Some(Config {
            state_dir,
            listen,
            tls: tls?,
            auth: auth?,
            own,
            members,
            peers,
            peer: peer.into_iter().flatten().collect(),
            score,
            placement,
            routing,
            label,
            reads,
            limits,
        })
    })
}

/// How long a last known score is better than none.
const MAX_AGE: Duration = Duration::from_hours(1);
/// Longer than the slowest metrics-server's period.
const STUCK_AFTER: Duration = Duration::from_mins(2);

fn variable<T>(
    report: &mut Report,
    environment: &impl Fn(&str) -> Option<String>,
    name: &str,
    kind: &Kind<T>,
) -> Option<T> {
    let value = DeValue::String(environment(name).filter(|text| !text.is_empty())?.into());
    let read = (kind.read)(&value);
    if read.is_none() {
        report.problem(name.to_owned(), Place::Environment, kind.message(&value));
    }
    read
}

fn listen(section: &mut Section<'_, '_>, overrides: &Overrides) -> Listen {
    let everywhere = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port);
    let mut users = section.or("users", &ADDRESS, everywhere(18080));
    let mut peers = section.or("peers", &ADDRESS, everywhere(18081));
    let admin =
        section.or("admin", &ADDRESS, SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 18082));
    users.set_port(overrides.users_port.unwrap_or(users.port()));
    peers.set_port(overrides.peers_port.unwrap_or(peers.port()));
    for (key, address, others) in
        [("peers", peers, &[users][..]), ("admin", admin, &[users, peers])]
    {
        if let Some(other) = others.iter().find(|other| collide(address, **other)) {
            section
                .reject(key, format!("must differ from the others, {address} and {other} collide"));
        }
    }
    Listen { users, peers, admin }
}

fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let overlap =
        one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    overlap && one.port() == other.port() && one.port() != 0
}

fn key_pair(section: &mut Section<'_, '_>, base: &Path) -> Option<KeyPair> {
    let cert = section.required("cert", &PATH);
    let key = section.required("key", &PATH);
    Some(KeyPair { cert: base.join(cert?), key: base.join(key?) })
}

fn auth(section: &mut Section<'_, '_>, base: &Path) -> Option<Auth> {
    let client_ca = section.required("client_ca", &PATH);
    let tokens = section.or("tokens", &BOOLEAN, true);
    let cross = section.list("cross", &TEXT, Vec::new());
    Some(Auth { client_ca: base.join(client_ca?), tokens, cross })
}

fn own(section: &mut Section<'_, '_>, base: &Path) -> Own {
    Own {
        name: section.optional("name", &CLUSTER_NAME),
        region: section.optional("region", &LABEL_VALUE),
        kubeconfig: section.optional("kubeconfig", &PATH).map(|path| base.join(path)),
        context: section.optional("context", &TEXT),
        watts: section.optional("watts", &WATTS),
        scheduler: section.or("scheduler", &SCHEDULER, Scheduler::Default),
    }
}

fn members(top: &mut Section<'_, '_>, own: Option<&ClusterName>, base: &Path) -> Vec<Member> {
    let mut names: Vec<ClusterName> = own.into_iter().cloned().collect();
    let members = top.sections("member", |section| {
        let name = section.required("name", &CLUSTER_NAME);
        let region = section.optional("region", &LABEL_VALUE);
        let kubeconfig = section.required("kubeconfig", &PATH);
        let context = section.optional("context", &TEXT);
        let watts = section.optional("watts", &WATTS);
        let scheduler = section.or("scheduler", &SCHEDULER, Scheduler::Default);
        let absent = section.or("absent", &BOOLEAN, false);
        let name = name?;
        if names.contains(&name) {
            section.reject("name", format!("must be unique, another member is called {name}"));
        }
        names.push(name.clone());
        let kubeconfig = base.join(kubeconfig?);
        Some(Member { name, region, kubeconfig, context, watts, scheduler, absent })
    });
    if members.len() >= MAX_MEMBERS {
        let message =
            format!("a fleet has at most 64 members, with own here are {}", members.len() + 1);
        top.reject("member", message);
    }
    members.into_iter().flatten().collect()
}

fn peers(section: &mut Section<'_, '_>, base: &Path) -> Option<Peers> {
    if !section.is_present() {
        return None;
    }
    let ca = section.required("ca", &PATH);
    let identity = key_pair(section, base);
    Some(Peers { ca: base.join(ca?), identity: identity? })
}

fn peer(section: &mut Section<'_, '_>, base: &Path, general_trust: bool) -> Option<Peer> {
    let endpoint = section.required("endpoint", &ENDPOINT);
    let name = section.optional("name", &CLUSTER_NAME);
    let ca = section.optional("ca", &PATH).map(|path| base.join(path));
    let cert = section.optional("cert", &PATH);
    let key = section.optional("key", &PATH);
    if cert.is_some() != key.is_some() {
        section.reject("cert", "and key belong together, one is missing".to_owned());
    }
    let identity =
        cert.zip(key).map(|(cert, key)| KeyPair { cert: base.join(cert), key: base.join(key) });
    let basic = basic(section, base);
    if identity.is_some() && basic.is_some() {
        section.reject("username", "is for a peer without certificates".to_owned());
    }
    if !general_trust && basic.is_none() && (ca.is_none() || identity.is_none()) {
        let message = "has no trust: say its ca, cert and key, or [peers]".to_owned();
        section.reject("endpoint", message);
    }
    Some(Peer { endpoint: endpoint?, name, ca, identity, basic })
}

fn basic(section: &mut Section<'_, '_>, base: &Path) -> Option<Basic> {
    let username = section.optional("username", &TEXT);
    let password_file = section.optional("password_file", &PATH);
    let act_as = section.optional("act_as", &TEXT);
    if username.is_some() != password_file.is_some() {
        section.reject("username", "and password_file belong together, one is missing".to_owned());
    }
    if act_as.is_some() && username.is_none() {
        section.reject(
            "act_as",
            "is for a peer that tells no identity: one with a username".to_owned(),
        );
    }
    let password_file = base.join(password_file?);
    Some(Basic { username: username?, password_file, act_as })
}

fn score(section: &mut Section<'_, '_>, overrides: &Overrides, base: &Path) -> Score {
    let written = section.or("interval", &DURATION, Duration::from_secs(30));
    let interval = overrides.fetch_interval.unwrap_or(written);
    let max_age = section.or("max_age", &DURATION, MAX_AGE.max(interval));
    if max_age < interval {
        section.reject("max_age", format!("must not be under the interval of {interval:?}"));
    }
    Score {
        interval,
        max_age,
        stuck_after: section.or("stuck_after", &DURATION, STUCK_AFTER),
        namespace: section.or("namespace", &NAMESPACE, "wao-system".to_owned()),
        original_group: section.or("original_group", &BOOLEAN, false),
        predictor_ca: section.optional("predictor_ca", &PATH).map(|path| base.join(path)),
    }
}

fn placement(section: &mut Section<'_, '_>) -> Placement {
    let strategy = section.or("strategy", &STRATEGY, Strategy::Auto);
    Placement { strategy, min_clusters: section.or("min_clusters", &CLUSTERS, 2) }
}

fn routing(section: &mut Section<'_, '_>) -> Routing {
    let kube = NamespacePattern::new("kube-*").into_iter().collect();
    Routing {
        exclude: section.list("exclude", &NAMESPACES, kube),
        unmanaged: section.or("unmanaged", &UNMANAGED, Unmanaged::One),
        replicate: section.list("replicate", &RESOURCE, Vec::new()),
    }
}

fn label(section: &mut Section<'_, '_>, overrides: &Overrides) -> Label {
    let key = section.or("key", &LABEL_KEY, "tenbin".to_owned());
    let own_value = section.or("own_value", &LABEL_VALUE, "local".to_owned());
    Label {
        key: overrides.label_key.clone().unwrap_or(key),
        own_value: overrides.own_value.clone().unwrap_or(own_value),
    }
}

fn limits(section: &mut Section<'_, '_>) -> Limits {
    Limits {
        requests_per_user: section.or("requests_per_user", &PLACES, 400),
        streams_per_user: section.or("streams_per_user", &PLACES, 1000),
    }
}

fn reads(section: &mut Section<'_, '_>) -> Reads {
    Reads { partial: section.or("partial", &PARTIAL, Partial::People) }
}

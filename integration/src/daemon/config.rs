//! The daemon's files: config.toml in the fixed form, certificates.

use std::path::Path;

use anyhow::{Context, Result};
use toml::{Table, Value};

use super::{DaemonBuilder, Ports};
use crate::cluster::Cluster;
use crate::kubeconfig::write;
use crate::pki::Ca;
use crate::shim::Shim;

/// Serving certificate, the authority of users, and the peers' certificates.
pub(super) fn write_files(folder: &Path, authority: &Ca, own: &Cluster) -> Result<()> {
    let serving = authority.server("tenbin", &["tenbin"])?;
    for (file, text) in [
        ("tls.crt", serving.cert.as_str()),
        ("tls.key", &serving.key),
        ("serving-ca.crt", authority.cert()),
        ("client-ca.crt", own.ca().cert()),
    ] {
        write(&folder.join(file), text)?;
    }
    Ok(())
}

/// What a daemon shows to its peers, and whom it believes.
pub(super) fn write_peer_files(folder: &Path, authority: &Ca, own: &Cluster) -> Result<()> {
    let peer = authority.peer(own.name())?;
    write(&folder.join("fleet-ca.crt"), authority.cert())?;
    write(&folder.join("peer.crt"), &peer.cert)?;
    write(&folder.join("peer.key"), &peer.key)
}

/// What config.toml says, with the test's own words merged over it.
pub(super) fn table(
    builder: &DaemonBuilder<'_>,
    own: &Cluster,
    folder: &Path,
    ports: &Ports,
    shims: &[(String, Shim)],
) -> Result<Table> {
    let mut table = toml::toml! {
        [tls]
        cert = "tls.crt"
        key = "tls.key"
        [auth]
        client_ca = "client-ca.crt"
        tokens = true
        [score]
        interval = "1s"
    };
    if builder.peer {
        let peers = toml::toml! {
            ca = "fleet-ca.crt"
            cert = "peer.crt"
            key = "peer.key"
        };
        table.insert("peers".to_owned(), Value::Table(peers));
    }
    let state = Value::from(folder.join("state").display().to_string());
    table.insert("state_dir".to_owned(), state);
    let mut listen = Table::new();
    for (key, port) in [("users", &ports.users), ("peers", &ports.peers), ("admin", &ports.admin)] {
        listen.insert(key.to_owned(), Value::from(port.address().to_string()));
    }
    table.insert("listen".to_owned(), Value::Table(listen));
    let mut members = Vec::new();
    for (place, cluster) in builder.fleet.clusters().iter().enumerate() {
        let entry = member(builder, place, cluster, shims)?;
        if cluster.name() == own.name() {
            table.insert("own".to_owned(), Value::Table(entry));
        } else if wanted(builder, cluster.name()) {
            members.push(Value::Table(entry));
        }
    }
    if !members.is_empty() {
        table.insert("member".to_owned(), Value::Array(members));
    }
    for further in &builder.config {
        merge(&mut table, further.parse().context("parsing the test's configuration")?);
    }
    Ok(table)
}

fn wanted(builder: &DaemonBuilder<'_>, name: &str) -> bool {
    builder.members.as_ref().is_none_or(|members| members.iter().any(|member| member == name))
}

fn member(
    builder: &DaemonBuilder<'_>,
    place: usize,
    cluster: &Cluster,
    shims: &[(String, Shim)],
) -> Result<Table> {
    let shim = shims.iter().find(|(name, _)| name == cluster.name());
    let kubeconfig = match shim {
        Some((_, shim)) => cluster.kubeconfig_by_way_of(shim.address())?,
        None => cluster.kubeconfig(),
    };
    let stated = builder.watts.iter().rev().find(|(name, _)| name == cluster.name());
    let hundreds = f64::from(u32::try_from(place).context("too many clusters")? + 1);
    let mut entry = Table::new();
    entry.insert("name".to_owned(), Value::from(cluster.name()));
    entry.insert("kubeconfig".to_owned(), Value::from(kubeconfig.display().to_string()));
    let unstated = (!builder.peer).then_some(100.0 * hundreds);
    if let Some(watts) = stated.map_or(unstated, |(_, watts)| *watts) {
        entry.insert("watts".to_owned(), Value::from(watts));
    }
    Ok(entry)
}

/// Lays `over` onto `under`: tables are merged, everything else is replaced.
fn merge(under: &mut Table, over: Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Table(under)), Value::Table(over)) => merge(under, over),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merge_goes_into_tables_and_replaces_the_rest() {
        let mut under = toml::toml! {
            a = 1
            [t]
            b = 2
            c = 3
        };
        let over = toml::toml! {
            [t]
            c = 4
            [u]
            d = 5
        };
        merge(&mut under, over);
        let wanted = toml::toml! {
            a = 1
            [t]
            b = 2
            c = 4
            [u]
            d = 5
        };
        assert_eq!(under, wanted);
    }
}

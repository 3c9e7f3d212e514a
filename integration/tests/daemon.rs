//! What the harness writes for the daemon under test, whether or not that is built.

use anyhow::{Context, Result};
use tenbin_integration::FleetBuilder;
use toml::Table;

#[test]
fn the_configuration_names_own_members_and_whatever_the_test_adds() -> Result<()> {
    let fleet = FleetBuilder::new("daemon").clusters(["tokyo", "osaka"]).start()?;
    let daemon = fleet
        .daemon()
        .own("osaka")
        .watts("tokyo", 42.5)
        .watts("osaka", None)
        .config("[auth]\ncross = ['system:masters']")
        .config("[placement]\nmin_clusters = 1")
        .prepare()?;
    let config: Table = std::fs::read_to_string(daemon.config_path())?.parse()?;
    let own = config.get("own").context("no own")?;
    assert_eq!(own.get("name").context("no name")?.as_str(), Some("osaka"));
    assert_eq!(own.get("watts"), None);
    let members = config.get("member").and_then(|them| them.as_array()).context("no members")?;
    let tokyo = members.first().context("no member")?;
    assert_eq!(
        (members.len(), tokyo.get("watts").and_then(toml::Value::as_float)),
        (1, Some(42.5))
    );
    let auth = config.get("auth").context("no auth")?;
    assert!(auth.get("client_ca").is_some() && auth.get("cross").is_some(), "{auth}");
    for file in ["tls.crt", "tls.key", "client-ca.crt"] {
        assert!(daemon.folder().join(file).exists(), "{file}");
    }
    daemon.edit_config(|table| {
        table.remove("member");
    })?;
    assert!(!std::fs::read_to_string(daemon.config_path())?.contains("member"));
    Ok(())
}

//! The command line: configurations with mistakes, and the commands that need no fleet.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result};
use tenbin_integration::tools;

/// `EX_CONFIG` and `EX_USAGE` of sysexits.h.
const EX_CONFIG: i32 = 78;
const EX_USAGE: i32 = 64;

fn tenbin(args: &[&str]) -> Result<Output> {
    Command::new(tools::tenbin()?).args(args).output().context("running tenbin")
}

fn check(folder: &Path, text: &str) -> Result<(Option<i32>, String)> {
    let path = folder.join("config.toml");
    std::fs::write(&path, text)?;
    let output = tenbin(&["check-config", "--config", &path.display().to_string()])?;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.code(), String::from_utf8_lossy(&said).into_owned()))
}

#[test]
fn five_mistakes_are_named_at_once_with_their_lines() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let text = r#"
[listen]
users = "nonsense"
[tls]
cert = "tls.crt"
key = "tls.key"
[auth]
client_ca = "ca.crt"
tokens = "perhaps"
[[member]]
name = "Not A Name"
kubeconfig = "x"
watts = -5.0
[score]
intervall = "30s"
"#;
    let (code, said) = check(folder.path(), text)?;
    assert_eq!(code, Some(EX_CONFIG), "{said}");
    for (key, line) in [
        ("listen.users", 3),
        ("auth.tokens", 9),
        ("member[0].name", 11),
        ("member[0].watts", 13),
        ("score.intervall", 15),
    ] {
        let told = said.lines().find(|it| it.contains(key));
        let told = told.with_context(|| format!("{key} is not in {said}"))?;
        assert!(told.contains(&line.to_string()), "{key} without line {line}: {told}");
    }
    Ok(())
}

#[test]
fn run_refuses_what_check_config_refuses() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("config.toml");
    std::fs::write(&path, "this is no TOML")?;
    for command in ["run", "check-config"] {
        let output = tenbin(&[command, "--config", &path.display().to_string()])?;
        assert_eq!(output.status.code(), Some(EX_CONFIG), "{command}: {output:?}");
    }
    assert_eq!(tenbin(&["no-such-command"])?.status.code(), Some(EX_USAGE));
    Ok(())
}

#[test]
fn the_default_configuration_is_a_good_one() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let default = tenbin(&["default-config"])?;
    assert!(default.status.success(), "{default:?}");
    let (code, said) = check(folder.path(), &String::from_utf8(default.stdout)?)?;
    assert_eq!(code, Some(0), "{said}");
    Ok(())
}

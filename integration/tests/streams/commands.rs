//! exec, attach, logs and cp.

use std::ffi::OsStr;
use std::process::Command;

use anyhow::{Result, ensure};
use tenbin_integration::{Kubectl, Random};

use crate::talk::Talk;
use crate::{directly, everywhere, says};

fn exec_runs(kubectl: &Kubectl, pod: &str) -> Result<()> {
    says(kubectl, &["exec", pod, "--", "echo", "a b"], None, "a b\n")?;
    // More than a window of SPDY (64 KiB) each way, and the end of stdin.
    let much = "0123456789abcdef".repeat(20_000);
    says(kubectl, &["exec", "-i", pod, "--", "cat"], Some(&much), &much)?;
    let both = kubectl.run(["exec", pod, "--", "sh", "-c", "echo out; echo err >&2; exit 7"])?;
    ensure!(both.code == 7 && both.stdout == "out\n", "{both:?}");
    ensure!(both.stderr.starts_with("err\n"), "{both:?}");
    // An answer before the end of stdin, many times over.
    let mut talk = Talk::start(kubectl.command(["exec", "-i", pod, "--", "cat"]))?;
    for n in 0..20 {
        talk.say(&format!("line {n}"))?;
        ensure!(talk.hear()? == format!("line {n}"));
    }
    talk.fall_silent();
    ensure!(talk.wait()?.success());
    Ok(())
}

#[test]
fn exec_runs_directly() -> Result<()> {
    directly("exec-direct", exec_runs)
}

#[test]
fn exec_runs_through_tenbin() -> Result<()> {
    everywhere("exec", exec_runs)
}

/// kubectl asks for a terminal only when it has one itself: `script` (util-linux) gives it one.
fn exec_has_a_terminal(kubectl: &Kubectl, pod: &str) -> Result<()> {
    let script = "until [ \"$(stty size)\" = '33 77' ]; do sleep 0.1; done; echo sized; read x; echo \"got $x\"";
    let inner = kubectl.command(["exec", "-it", pod, "--", "sh", "-c", script]);
    let quoted = |text: &OsStr| format!("'{}'", text.to_string_lossy().replace('\'', r"'\''"));
    let words: Vec<_> =
        std::iter::once(inner.get_program()).chain(inner.get_args()).map(quoted).collect();
    let mut command = Command::new("script");
    command.args(["-qec", &format!("stty cols 77 rows 33; {}", words.join(" ")), "/dev/null"]);
    command.env_clear().envs(inner.get_envs().filter_map(|(key, value)| Some((key, value?))));
    let mut talk = Talk::start(command)?;
    ensure!(talk.hear()?.trim() == "sized");
    talk.say("hello")?;
    let heard = [talk.hear()?, talk.hear()?];
    ensure!(heard.iter().any(|line| line.trim() == "got hello"), "{heard:?}");
    ensure!(talk.wait()?.success());
    Ok(())
}

#[test]
fn exec_has_a_terminal_directly() -> Result<()> {
    directly("tty-direct", exec_has_a_terminal)
}

#[test]
fn exec_has_a_terminal_through_tenbin() -> Result<()> {
    everywhere("tty", exec_has_a_terminal)
}

fn attach_sees_and_writes(kubectl: &Kubectl, pod: &str) -> Result<()> {
    let mut talk = Talk::start(kubectl.command(["attach", "-i", pod]))?;
    talk.say("attached")?;
    while talk.hear()? != "attached" {}
    talk.fall_silent();
    ensure!(talk.wait()?.success());
    Ok(())
}

#[test]
fn attach_sees_and_writes_directly() -> Result<()> {
    directly("attach-direct", attach_sees_and_writes)
}

#[test]
fn attach_sees_and_writes_through_tenbin() -> Result<()> {
    everywhere("attach", attach_sees_and_writes)
}

fn logs_are_read_and_followed(kubectl: &Kubectl, pod: &str) -> Result<()> {
    let write = |line: &str| {
        let script = format!("echo {line} >> $LOG");
        kubectl.ok(["exec", pod, "--", "sh", "-c", &script])
    };
    kubectl.ok(["exec", pod, "--", "sh", "-c", "printf '' > $LOG"])?;
    write("one")?;
    write("two")?;
    says(kubectl, &["logs", pod], None, "one\ntwo\n")?;
    says(kubectl, &["logs", pod, "--tail=1"], None, "two\n")?;
    let talk = Talk::start(kubectl.command(["logs", "-f", pod]))?;
    ensure!([talk.hear()?, talk.hear()?] == ["one", "two"]);
    write("three")?;
    ensure!(talk.hear()? == "three");
    talk.kill()
}

#[test]
fn logs_are_read_and_followed_directly() -> Result<()> {
    directly("logs-direct", logs_are_read_and_followed)
}

#[test]
fn logs_are_read_and_followed_through_tenbin() -> Result<()> {
    everywhere("logs", logs_are_read_and_followed)
}

/// kwok never says that the new container runs, so this attaches by a command of its own.
fn debug_adds_a_container(kubectl: &Kubectl, pod: &str) -> Result<()> {
    let names =
        kubectl.ok(["get", "pod", pod, "-o", "jsonpath={.spec.ephemeralContainers[*].name}"])?;
    let name = format!("debugger-{}", names.split_whitespace().count());
    kubectl.ok(["debug", pod, "--image=none", "--profile=general", "--container", &name])?;
    says(kubectl, &["exec", pod, "-c", &name, "--", "echo", "in"], None, "in\n")
}

#[test]
fn debug_adds_a_container_through_tenbin() -> Result<()> {
    everywhere("debug", debug_adds_a_container)
}

/// Several MB there and back; a pod's paths are relative, since its files are this machine's.
fn cp_keeps_every_byte(kubectl: &Kubectl, pod: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (sent, back) = (folder.path().join("sent"), folder.path().join("back"));
    let mut random = Random::new(5);
    let bytes: Vec<u8> =
        (0..6_000_000 / 8).flat_map(|_| random.below(u64::MAX).to_le_bytes()).collect();
    std::fs::write(&sent, &bytes)?;
    let (sent, back) = (sent.display().to_string(), back.display().to_string());
    kubectl.ok(["cp", &sent, &format!("{pod}:copy")])?;
    kubectl.ok(["cp", &format!("{pod}:copy"), &back])?;
    ensure!(std::fs::read(&back)? == bytes, "the copy differs");
    Ok(())
}

#[test]
fn cp_keeps_every_byte_directly() -> Result<()> {
    directly("cp-direct", cp_keeps_every_byte)
}

#[test]
fn cp_keeps_every_byte_through_tenbin() -> Result<()> {
    everywhere("cp", cp_keeps_every_byte)
}

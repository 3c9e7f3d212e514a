//! What `/proc` knows of the machine and of a process.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

/// What this machine is, in one line.
pub(crate) fn description() -> Result<String> {
    let cpu = field("/proc/cpuinfo", "model name")?;
    let memory: f64 = field("/proc/meminfo", "MemTotal")?.trim_end_matches(" kB").parse()?;
    let cores = std::thread::available_parallelism()?;
    let kernel = read("/proc/sys/kernel/osrelease")?;
    let load = read("/proc/loadavg")?;
    let load = load.split(' ').next().unwrap_or_default();
    Ok(format!(
        "{cores} cores of {cpu}, {:.0} GiB, Linux {}; load average before it began: {load}",
        memory / f64::from(1 << 20),
        kernel.trim(),
    ))
}

/// CPU time of processes, user and system, in milliseconds; counted in ticks of 10 ms.
pub(crate) fn cpu_ms(processes: &[u32]) -> Result<f64> {
    let of_one = |pid: &u32| -> Result<f64> {
        let stat = read(&format!("/proc/{pid}/stat"))?;
        // The name in parentheses may hold anything; utime and stime are the fields 14 and 15.
        let (_, fields) = stat.rsplit_once(") ").context("no name in /proc/PID/stat")?;
        let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<f64>);
        Ok(ticks.sum::<Result<f64, _>>()? * 10.0)
    };
    processes.iter().map(of_one).sum()
}

/// The resident set of a process, in KiB.
pub(crate) fn resident_kib(pid: u32) -> Result<f64> {
    kib(pid, "VmRSS")
}

/// The largest resident set since [`forget_peak`], in KiB.
pub(crate) fn peak_kib(pid: u32) -> Result<f64> {
    kib(pid, "VmHWM")
}

/// Makes the kernel forget the largest resident set so far.
pub(crate) fn forget_peak(pid: u32) -> Result<()> {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").context("resetting VmHWM")
}

/// How many files and sockets a process has open.
pub(crate) fn files(pid: u32) -> Result<usize> {
    entries(pid, "fd")
}

/// How many threads a process has.
pub(crate) fn threads(pid: u32) -> Result<usize> {
    entries(pid, "task")
}

/// The children of a process.
pub(crate) fn children(pid: u32) -> Result<Vec<u32>> {
    let children = read(&format!("/proc/{pid}/task/{pid}/children"))?;
    Ok(children.split_whitespace().map(str::parse).collect::<Result<_, _>>()?)
}

/// What a program prints, without the space around it.
pub(crate) fn told(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).output();
    let output = output.with_context(|| format!("running {program}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn entries(pid: u32, folder: &str) -> Result<usize> {
    let folder = format!("/proc/{pid}/{folder}");
    Ok(fs::read_dir(&folder).with_context(|| format!("reading {folder}"))?.count())
}

fn kib(pid: u32, name: &str) -> Result<f64> {
    let value = field(&format!("/proc/{pid}/status"), name)?;
    Ok(value.trim_end_matches(" kB").parse()?)
}

fn field(path: &str, name: &str) -> Result<String> {
    let text = read(path)?;
    let line = text.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| Some(line.split_once(':')?.1.trim().to_owned()));
    value.with_context(|| format!("no {name} in {path}"))
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("reading {path}"))
}

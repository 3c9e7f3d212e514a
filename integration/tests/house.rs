//! The rules of the house (design, section 5): who may import whom, and how long a file may be.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use tenbin_integration::tools;
use toml::{Table, Value};

/// The crates under actors/: each may import those before it, and no other.
const STREET: [&str; 7] = ["model", "kernel", "fleet", "writes", "score", "placement", "gateway"];

/// What the model does without, crates of the same family (`tokio_util`) included.
const IMPURE: [&str; 8] = ["actix", "awc", "getrandom", "hyper", "kube", "rand", "sled", "tokio"];

/// Crates that have one room, and why.
const ROOMS: [(&str, &[&str], &str); 5] = [
    ("anyhow", &["src", "integration"], "libraries have typed errors"),
    ("k8s_openapi", KUBE_ROOMS, KUBE_WHY),
    ("kube", KUBE_ROOMS, KUBE_WHY),
    ("kube_runtime", KUBE_ROOMS, KUBE_WHY),
    ("sled", &["actors/score/src/ledger"], "another store is one file away"),
];
const KUBE_ROOMS: &[&str] = &[
    "actors/fleet",
    "actors/gateway",
    "actors/score/src/cluster_score",
    "actors/score/src/measure",
    // A client like others, to be tested with.
    "integration/tests/clients/kube_rs",
];
const KUBE_WHY: &str = "kube reads kubeconfigs and asks own; objects pass as bytes or plain JSON";

const MOST_LINES: usize = 500;

/// Where the sources are; the folder of the binary's crate is `src`.
const ROOTS: [&str; 3] = ["actors", "integration", "src"];

/// A file and the crates that it names, as code writes them (`tokio_util`).
struct Named {
    /// Relative to the repository's root.
    path: String,
    crates: BTreeSet<String>,
    lines: usize,
}

/// Everything that breaks a rule, one line each.
fn violations(files: &[Named]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files {
        let Named { path, crates, lines } = file;
        if *lines > MOST_LINES && is_rust(Path::new(path)) {
            found.push(format!("{path}: {lines} lines, {MOST_LINES} are the most"));
        }
        let faults = crates.iter().filter_map(|name| Some((name, fault(path, name)?)));
        found.extend(faults.map(|(name, why)| format!("{path}: {name}: {why}")));
    }
    found
}

/// Why a file may not name a crate.
fn fault(path: &str, name: &str) -> Option<String> {
    if let Some(home) = path.strip_prefix("actors/").and_then(|rest| rest.split('/').next()) {
        if !STREET.contains(&home) {
            return Some(format!("actors/{home} has no place in the street"));
        }
        let other = name.strip_prefix("tenbin_");
        let place = |of: &str| STREET.iter().position(|it| *it == of);
        if other.is_some_and(|other| place(other).is_none_or(|it| Some(it) > place(home))) {
            return Some(format!("actors/{home} may import only what is above it"));
        }
        let of_family = |it: &str| name == it || name.starts_with(&format!("{it}_"));
        if home == "model" && IMPURE.into_iter().any(of_family) {
            return Some("the model is pure".to_owned());
        }
    }
    let (_, rooms, why) = ROOMS.iter().find(|(of, ..)| *of == name)?;
    // A Cargo.toml stands for its crate: it may name what any file of the crate may.
    let manifest = path.strip_suffix("Cargo.toml");
    let inside = |room: &&str| match manifest {
        Some("") => *room == "src",
        Some(folder) => format!("{room}/").starts_with(folder),
        None => path.starts_with(&format!("{room}/")) || path == format!("{room}.rs"),
    };
    (!rooms.iter().any(inside)).then(|| (*why).to_owned())
}

/// A line without its texts and its comment.
fn bare(line: &str) -> String {
    let quoted = line.replace("\\\"", "").replace("'\"'", "");
    let outside: String = quoted.split('"').step_by(2).collect();
    outside.split("//").next().unwrap_or_default().to_owned()
}

/// The crates that Rust code names: the first words of its paths.
fn named_in_code(text: &str) -> BTreeSet<String> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut names = BTreeSet::new();
    for code in text.lines().map(bare) {
        for (at, _) in code.match_indices("::") {
            let before = code.get(..at).unwrap_or_default();
            let word = before.rsplit(|c| !is_word(c)).next().unwrap_or_default();
            let ahead = before.strip_suffix(word).unwrap_or_default();
            if !word.is_empty() && !ahead.ends_with(':') {
                names.insert(word.to_owned());
            }
        }
        let used = code.trim().trim_start_matches("pub ").strip_prefix("use ");
        if let Some(word) = used.and_then(|rest| rest.split(|c| !is_word(c)).next()) {
            names.insert(word.to_owned());
        }
    }
    names
}

/// The crates that a Cargo.toml depends on, in whatever way; `workspace` resolves other names.
fn named_in_manifest(manifest: &Table, workspace: &Table) -> BTreeSet<String> {
    const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];
    let targets = manifest.get("target").and_then(Value::as_table);
    let targets = targets.into_iter().flat_map(Table::values).filter_map(Value::as_table);
    let dependencies = std::iter::once(manifest)
        .chain(targets)
        .flat_map(|table| KINDS.iter().filter_map(|kind| table.get(*kind)?.as_table()))
        .flatten();
    let package = |value: &Value| Some(value.get("package")?.as_str()?.to_owned());
    dependencies
        .map(|(key, value)| {
            let shared = workspace.get(key).filter(|_| value.get("workspace").is_some());
            let name = package(value).or_else(|| package(shared?));
            name.unwrap_or_else(|| key.clone()).replace('-', "_")
        })
        .collect()
}

/// Every manifest and every Rust file of the repository.
fn read_house(root: &Path) -> Result<Vec<Named>> {
    let parse = |path: &Path| -> Result<Table> {
        let text =
            fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        text.parse().with_context(|| format!("parsing {}", path.display()))
    };
    let whole = parse(&root.join("Cargo.toml"))?;
    let workspace = whole.get("workspace").and_then(|it| it.get("dependencies"));
    let workspace = workspace.and_then(Value::as_table).context("no [workspace.dependencies]")?;
    let mut paths = vec![root.join("Cargo.toml")];
    for folder in ROOTS {
        walk(&root.join(folder), &mut paths)?;
    }
    let read = |path: &Path| -> Result<Named> {
        let text =
            fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let crates = if path.ends_with("Cargo.toml") {
            named_in_manifest(&parse(path)?, workspace)
        } else {
            named_in_code(&text)
        };
        let path = path.strip_prefix(root)?.display().to_string();
        Ok(Named { path, crates, lines: text.lines().count() })
    };
    paths.iter().map(|path| read(path)).collect()
}

fn walk(folder: &Path, paths: &mut Vec<std::path::PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        if entry.file_type()?.is_dir() {
            // What cargo and cargo-fuzz build and gather is not ours.
            if !["target", "build", "corpus", "artifacts"].iter().any(|it| name == *it) {
                walk(&path, paths)?;
            }
        } else if name == "Cargo.toml" || is_rust(&path) {
            paths.push(path);
        }
    }
    Ok(())
}

fn is_rust(path: &Path) -> bool {
    path.extension().is_some_and(|it| it == "rs")
}

#[test]
fn the_house_keeps_its_rules() -> Result<()> {
    let files = read_house(&tools::root())?;
    for home in STREET {
        let has = |file: &str| files.iter().any(|it| it.path == format!("actors/{home}/{file}"));
        ensure!(has("Cargo.toml") && has("src/lib.rs"), "actors/{home} was not looked at");
    }
    assert_eq!(violations(&files), Vec::<String>::new());
    Ok(())
}

fn breaches(path: &str, code: &str) -> Vec<String> {
    let lines = code.lines().count();
    violations(&[Named { path: path.to_owned(), crates: named_in_code(code), lines }])
}

#[test]
fn code_that_breaks_a_rule_is_named_with_the_rule() {
    for (path, code, breach) in [
        ("actors/model/src/a.rs", "use tokio::time;", "tokio: the model is pure"),
        ("actors/model/src/a.rs", "    tokio_util::x();", "tokio_util: the model is pure"),
        ("actors/model/src/a.rs", "#[actix::test]", "actix: the model is pure"),
        ("actors/model/benches/a.rs", "use sled;", "sled: the model is pure"),
        (
            "actors/writes/src/a.rs",
            "fn f(x: tenbin_gateway::X) {}",
            "tenbin_gateway: actors/writes may import only what is above it",
        ),
        (
            "actors/kernel/src/a.rs",
            "pub use tenbin_fleet as fleet;",
            "tenbin_fleet: actors/kernel may import only what is above it",
        ),
        (
            "actors/gateway/src/a.rs",
            "tenbin_integration::x()",
            "tenbin_integration: actors/gateway may import only what is above it",
        ),
        ("actors/new/src/a.rs", "use std::fs;", "std: actors/new has no place in the street"),
        ("actors/score/src/scorer.rs", "sled::open()", "sled: another store is one file away"),
        ("actors/writes/src/a.rs", "kube::Client", "kube: kube reads kubeconfigs"),
        ("actors/fleet/src/a.rs", "anyhow::Result<()>", "anyhow: libraries have typed errors"),
    ] {
        let found = breaches(path, code);
        let expected = format!("{path}: {breach}");
        assert!(found.len() == 1 && found[0].starts_with(&expected), "{found:?}, not {expected}");
    }
    let long = "\n".repeat(MOST_LINES + 1);
    assert_eq!(breaches("src/a.rs", &long), ["src/a.rs: 501 lines, 500 are the most"]);
}

#[test]
fn what_is_allowed_is_not_named() {
    for (path, code) in [
        ("actors/gateway/src/a.rs", "use tenbin_placement::Placer;\nuse tenbin_model::fold;"),
        ("actors/model/tests/a.rs", "use tenbin_model::fold;"),
        ("actors/model/src/a.rs", "// tokio::spawn\nf(\"a \\\" sled::\") a::tokio::b"),
        ("actors/score/src/ledger/sled_store.rs", "sled::open()"),
        ("actors/score/src/ledger.rs", "sled::open()"),
        ("actors/fleet/src/a.rs", "kube::Config"),
        ("src/main.rs", "anyhow::Result<()>"),
        ("integration/src/a.rs", "use anyhow::Result;"),
        ("src/a.rs", &"\n".repeat(MOST_LINES)),
    ] {
        assert_eq!(breaches(path, code), Vec::<String>::new(), "{path} {code}");
    }
}

#[test]
fn a_dependency_breaks_a_rule_as_code_does() -> Result<()> {
    let workspace: Table = "store = { package = 'sled', version = '0' }".parse()?;
    let breaches = |path: &str, manifest: &str| -> Result<Vec<String>> {
        let crates = named_in_manifest(&manifest.parse()?, &workspace);
        Ok(violations(&[Named { path: path.to_owned(), crates, lines: 1 }]))
    };
    for (path, manifest) in [
        ("actors/model/Cargo.toml", "dependencies.tokio.workspace = true"),
        ("actors/model/Cargo.toml", "dev-dependencies.actix-rt = '2'"),
        ("actors/writes/Cargo.toml", "build-dependencies.tenbin-gateway.workspace = true"),
        ("actors/fleet/Cargo.toml", "target.'cfg(unix)'.dependencies.sled = '0'"),
        ("actors/gateway/Cargo.toml", "dependencies.x = { package = 'sled', version = '0' }"),
        ("actors/gateway/Cargo.toml", "dependencies.store.workspace = true"),
        ("actors/kernel/Cargo.toml", "dependencies.anyhow = '1'"),
        ("Cargo.toml", "dependencies.kube = '5'"),
    ] {
        assert_eq!(breaches(path, manifest)?.len(), 1, "{path}: {manifest}");
    }
    for (path, manifest) in [
        ("actors/score/Cargo.toml", "dependencies.store.workspace = true"),
        ("actors/fleet/Cargo.toml", "dependencies.kube.workspace = true"),
        ("integration/Cargo.toml", "dependencies.anyhow.workspace = true"),
        ("Cargo.toml", "dependencies = { anyhow = '1', tenbin-gateway.workspace = true }"),
    ] {
        assert_eq!(breaches(path, manifest)?, Vec::<String>::new(), "{path}: {manifest}");
    }
    Ok(())
}

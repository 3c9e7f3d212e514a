//! Tells of nodes that cannot be measured, once for each change.

use std::collections::BTreeMap;

use tenbin_model::ids::ClusterName;
use tracing::{info, warn};

/// Why nodes were not measured the last time.
#[derive(Debug, Default)]
pub(super) struct Reasons(BTreeMap<String, String>);

/// What has changed: the nodes of each new reason, and how many nodes have no reason any more.
#[derive(Debug, Default, PartialEq, Eq)]
struct Change<'a> {
    failing: BTreeMap<&'a str, Vec<&'a str>>,
    measured: usize,
}

// === impl Reasons ===

impl Reasons {
    /// Takes the reasons of a round by node, and logs what is new in them.
    pub(super) fn tell(&mut self, cluster: &ClusterName, reasons: BTreeMap<String, String>) {
        let change = self.change(&reasons);
        for (reason, nodes) in &change.failing {
            let first = nodes.first().copied().unwrap_or_default();
            warn!(%cluster, nodes = nodes.len(), first, reason, "nodes cannot be measured");
        }
        if change.measured > 0 {
            let failing = reasons.len();
            info!(%cluster, nodes = change.measured, failing, "nodes are measured again");
        }
        self.0 = reasons;
    }

    fn change<'a>(&self, reasons: &'a BTreeMap<String, String>) -> Change<'a> {
        let mut change = Change::default();
        for (node, reason) in reasons {
            if self.0.get(node).is_none_or(|before| plain(before) != plain(reason)) {
                change.failing.entry(reason).or_default().push(node);
            }
        }
        change.measured = self.0.keys().filter(|node| !reasons.contains_key(*node)).count();
        change
    }
}

/// A reason without its numbers, which change although it stays.
fn plain(reason: &str) -> String {
    reason.chars().filter(|it| !it.is_ascii_digit()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(node, reason)| ((*node).to_owned(), (*reason).to_owned())).collect()
    }

    #[test]
    fn a_reason_is_new_once_and_its_numbers_do_not_make_it_new() {
        let mut before = Reasons::default();
        let first = reasons(&[("a", "still for 2 min"), ("b", "NotReady"), ("c", "NotReady")]);
        let change = before.change(&first);
        assert_eq!(change.failing["NotReady"], ["b", "c"]);
        assert_eq!(change.failing.len(), 2);
        before.0 = first;

        let later = reasons(&[("a", "still for 3 min"), ("b", "no NodeConfig")]);
        let change = before.change(&later);
        assert_eq!(change.failing, BTreeMap::from([("no NodeConfig", vec!["b"])]));
        assert_eq!(change.measured, 1);
    }
}

//! What a cluster is made of.

use crate::apiserver::Options;
use crate::power::wao::Group;

/// What a cluster is made of.
#[derive(Debug, Clone)]
pub struct ClusterSpec {
    pub(super) name: String,
    pub(super) controllers: bool,
    pub(super) nodes: u32,
    pub(super) options: Options,
    pub(super) wao: Group,
}

impl ClusterSpec {
    /// An API server alone, without nodes.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            controllers: false,
            nodes: 0,
            options: Options::default(),
            wao: Group::Bitmedia,
        }
    }

    /// With kube-controller-manager and kube-scheduler.
    #[must_use]
    pub fn controllers(mut self, controllers: bool) -> Self {
        self.controllers = controllers;
        self
    }

    /// With this many nodes `<cluster>-n0`, `<cluster>-n1`… played by kwok.
    #[must_use]
    pub fn nodes(mut self, nodes: u32) -> Self {
        self.nodes = nodes;
        self
    }

    /// With the feature gate `WatchList` off, as an older server would be.
    #[must_use]
    pub fn without_watch_list(mut self) -> Self {
        self.options.without_watch_list = true;
        self
    }

    /// With a further flag of kube-apiserver.
    #[must_use]
    pub fn flag(mut self, flag: impl Into<String>) -> Self {
        self.options.flags.push(flag.into());
        self
    }

    /// With WAO's CRDs in this group, when the fleet has the parts of power.
    #[must_use]
    pub fn wao(mut self, group: Group) -> Self {
        self.wao = group;
        self
    }

    /// The cluster's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

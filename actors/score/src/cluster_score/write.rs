//! Carries out what was planned, in own's API server.

use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, Preconditions};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Error};
use serde_json::{Value, json};
use tenbin_model::score::condition;
use tracing::debug;

use super::plan::{StatusWrite, Write};
use super::resource::{ClusterScoreStatus, Group, KIND};
use super::view::MANAGED_BY;

/// Who writes, in `metadata.managedFields` and in Events.
const MANAGER: &str = "tenbin";
/// How long one request may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(5);

/// Writes to the ClusterScores of one group and namespace.
#[derive(Clone)]
pub(super) struct Writer {
    api: Api<DynamicObject>,
    recorder: Recorder,
    group: Group,
    namespace: String,
}

/// Why something was not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    #[error("cluster score {name}: {source}")]
    Refused { name: String, source: Box<Error> },
    #[error("cluster score {name}: no answer within {} s", REQUEST_LIMIT.as_secs())]
    Deadline { name: String },
}

// === impl Writer ===

impl Writer {
    pub(super) fn new(client: &Client, group: Group, namespace: &str, own: &str) -> Self {
        let reporter = Reporter { controller: MANAGER.into(), instance: Some(own.into()) };
        Self {
            api: Api::namespaced_with(client.clone(), namespace, &group.api_resource()),
            recorder: Recorder::new(client.clone(), reporter),
            group,
            namespace: namespace.to_owned(),
        }
    }

    pub(super) fn api(&self) -> Api<DynamicObject> {
        self.api.clone()
    }

    /// Carries out one write. An object that is gone or changed meanwhile is no error: the watch
    /// will tell.
    pub(super) async fn carry_out(&self, write: &Write) -> Result<(), WriteError> {
        let name = write.name();
        match tokio::time::timeout(REQUEST_LIMIT, self.send(write)).await {
            Err(_) => return Err(WriteError::Deadline { name: name.to_owned() }),
            Ok(Err(Error::Api(status)))
                if write.is_conditional() && (status.is_not_found() || status.is_conflict()) =>
            {
                return Ok(());
            }
            Ok(Err(source)) => {
                let source = Box::new(source);
                return Err(WriteError::Refused { name: name.to_owned(), source });
            }
            Ok(Ok(())) => {}
        }
        if let Write::Status(write) = write
            && let Some(event) = &write.event
        {
            self.publish(write, event).await;
        }
        Ok(())
    }

    async fn send(&self, write: &Write) -> Result<(), Error> {
        let manager = PatchParams { field_manager: Some(MANAGER.to_owned()), ..Default::default() };
        match write {
            Write::Own { name, spec } => {
                let (label, value) = MANAGED_BY;
                let own = json!({
                    "apiVersion": self.group.api_version(),
                    "kind": KIND,
                    "metadata": {"name": name, "labels": {label: value}},
                    "spec": spec,
                });
                let force = PatchParams::apply(MANAGER).force();
                self.api.patch(name, &force, &Patch::Apply(own)).await.map(drop)
            }
            Write::Spec { name, spec } => {
                let ours = json!({"owncluster": spec.owncluster, "region": spec.region});
                let patch = Patch::Merge(json!({"spec": ours}));
                self.api.patch(name, &manager, &patch).await.map(drop)
            }
            Write::Status(write) => {
                let patch = Patch::Merge(json!({"status": whole(&write.status)}));
                self.api.patch_status(&write.name, &manager, &patch).await.map(drop)
            }
            Write::Remove { name, uid, version } => {
                let (uid, version) = (Some(uid.clone()), Some(version.clone()));
                let preconditions = Preconditions { uid, resource_version: version };
                let params = DeleteParams::default().preconditions(preconditions);
                self.api.delete(name, &params).await.map(drop)
            }
        }
    }

    /// Tells of news. An Event that is lost is only a line less to read.
    async fn publish(&self, write: &StatusWrite, event: &condition::Event) {
        let object = ObjectReference {
            api_version: Some(self.group.api_version()),
            kind: Some(KIND.to_owned()),
            name: Some(write.name.clone()),
            namespace: Some(self.namespace.clone()),
            uid: Some(write.uid.clone()),
            ..ObjectReference::default()
        };
        let type_ = if event.type_ == "Normal" { EventType::Normal } else { EventType::Warning };
        let event = Event {
            type_,
            reason: event.reason.clone(),
            note: Some(event.note.clone()),
            action: "Watch".to_owned(),
            secondary: None,
        };
        let publishing = self.recorder.publish(&event, &object);
        match tokio::time::timeout(REQUEST_LIMIT, publishing).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(name = write.name, %error, "event not published"),
            Err(_) => debug!(name = write.name, "event not published in time"),
        }
    }
}

// === impl WriteError ===

impl WriteError {
    /// Whether own's API server did not answer at all.
    pub(super) fn is_silence(&self) -> bool {
        match self {
            Self::Refused { source, .. } => !matches!(**source, Error::Api(_)),
            Self::Deadline { .. } => true,
        }
    }
}

/// The status with a `null` for each fact that is not known: a merge removes what others wrote.
fn whole(status: &ClusterScoreStatus) -> Value {
    json!({
        "score": status.score,
        "watts": status.watts,
        "nodes": status.nodes,
        "updateTimestamp": status.update_timestamp,
        "conditions": status.conditions,
    })
}

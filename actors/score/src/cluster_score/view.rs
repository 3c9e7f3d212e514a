//! What the watch of one group has shown.

use std::collections::BTreeMap;

use kube::ResourceExt as _;
use kube::api::DynamicObject;
use kube::runtime::watcher::Event;
use serde::Deserialize;
use serde_json::Value;
use tracing::warn;

use super::resource::{ClusterScoreSpec, ClusterScoreStatus};

/// So many ClusterScores of a group are looked at: several for each member that there may be.
pub(super) const MAX_OBJECTS: usize = 256;
/// The label of what tenbin has made, and its value.
pub(super) const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "tenbin");

/// A ClusterScore as the API server has it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Seen {
    pub(super) uid: String,
    pub(super) version: String,
    /// Whether a tenbin made it.
    pub(super) managed: bool,
    pub(super) spec: ClusterScoreSpec,
    /// `None` where there is none, or where it cannot be read.
    pub(super) status: Option<ClusterScoreStatus>,
}

/// The ClusterScores of one group and namespace.
#[derive(Debug, Default)]
pub(super) struct View {
    /// As the API server had them the last time that it could be asked.
    pub(super) objects: BTreeMap<String, Seen>,
    /// Whether all of them have ever been seen: before, nobody may be taken to be gone.
    pub(super) complete: bool,
    /// A list that is still arriving.
    arriving: BTreeMap<String, Seen>,
    /// Whether it was said that there are too many.
    full: bool,
}

// === impl Seen ===

impl Seen {
    /// Reads an object; `None` where its spec is not a ClusterScore's, or where it is on its way out.
    fn read(object: &DynamicObject) -> Option<Self> {
        let meta = &object.metadata;
        let spec = ClusterScoreSpec::deserialize(object.data.get("spec")?);
        let spec = match spec {
            Ok(spec) if meta.deletion_timestamp.is_none() => spec,
            Ok(_) => return None,
            Err(error) => {
                warn!(name = object.name_any(), %error, "cluster score cannot be read");
                return None;
            }
        };
        let status = object.data.get("status").filter(|status| !Value::is_null(status));
        let (label, tenbin) = MANAGED_BY;
        Some(Self {
            uid: meta.uid.clone().unwrap_or_default(),
            version: meta.resource_version.clone().unwrap_or_default(),
            managed: object.labels().get(label).is_some_and(|value| value == tenbin),
            spec,
            status: status.and_then(|status| ClusterScoreStatus::deserialize(status).ok()),
        })
    }
}

// === impl View ===

impl View {
    /// Takes over what the watch tells; own's object has a place also among too many.
    pub(super) fn apply(&mut self, event: Event<DynamicObject>, own: &str) {
        match event {
            Event::Init => {
                self.arriving.clear();
                self.full = false;
            }
            Event::InitApply(object) => {
                let fits = insert(&mut self.arriving, &object, own);
                self.notice(fits);
            }
            Event::InitDone => {
                self.objects = std::mem::take(&mut self.arriving);
                self.complete = true;
            }
            Event::Apply(object) => {
                let fits = insert(&mut self.objects, &object, own);
                self.notice(fits);
            }
            Event::Delete(object) => {
                self.objects.remove(&object.name_any());
            }
        }
    }

    fn notice(&mut self, fits: bool) {
        if !fits && !self.full {
            warn!(limit = MAX_OBJECTS, "too many cluster scores: the others get no attention");
            self.full = true;
        }
    }
}

/// Whether the object has a place.
fn insert(objects: &mut BTreeMap<String, Seen>, object: &DynamicObject, own: &str) -> bool {
    let name = object.name_any();
    let Some(seen) = Seen::read(object) else {
        objects.remove(&name);
        return true;
    };
    let fits = objects.len() < MAX_OBJECTS || objects.contains_key(&name) || name == own;
    if fits {
        objects.insert(name, seen);
    }
    fits
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(name: &str, spec: &Value) -> DynamicObject {
        let meta = json!({"name": name, "uid": "u", "resourceVersion": "1"});
        serde_json::from_value(json!({"metadata": meta, "spec": spec})).unwrap()
    }

    fn peer(name: &str) -> DynamicObject {
        object(name, &json!({"endpoint": "https://osaka:18081"}))
    }

    fn names(view: &View) -> Vec<&str> {
        view.objects.keys().map(String::as_str).collect()
    }

    #[test]
    fn a_new_list_counts_only_when_it_has_wholly_arrived() {
        let mut view = View::default();
        for event in [Event::Init, Event::InitApply(peer("osaka")), Event::InitApply(peer("kobe"))]
        {
            view.apply(event, "tokyo");
            assert!(names(&view).is_empty() && !view.complete);
        }
        view.apply(Event::InitDone, "tokyo");
        assert!(view.complete);
        // The watch broke off and begins anew: what was known stays until the new list is whole.
        view.apply(Event::Init, "tokyo");
        view.apply(Event::InitApply(peer("nara")), "tokyo");
        assert_eq!(names(&view), ["kobe", "osaka"]);
        view.apply(Event::Init, "tokyo");
        view.apply(Event::InitApply(peer("osaka")), "tokyo");
        view.apply(Event::InitDone, "tokyo");
        assert_eq!(names(&view), ["osaka"]);
    }

    #[test]
    fn objects_come_change_and_go() {
        let mut view = View::default();
        view.apply(Event::Apply(peer("osaka")), "tokyo");
        let changed =
            json!({"endpoint": "https://elsewhere", "owncluster": true, "region": "kansai"});
        view.apply(Event::Apply(object("osaka", &changed)), "tokyo");
        let spec = &view.objects["osaka"].spec;
        assert_eq!((spec.endpoint.as_str(), spec.owncluster), ("https://elsewhere", true));
        view.apply(Event::Delete(peer("osaka")), "tokyo");
        assert!(view.objects.is_empty());
    }

    #[test]
    fn an_object_that_is_on_its_way_out_is_gone() {
        let mut view = View::default();
        view.apply(Event::Apply(peer("osaka")), "tokyo");
        let mut leaving = peer("osaka");
        leaving.metadata.deletion_timestamp =
            serde_json::from_value(json!("2025-01-01T00:00:00Z")).unwrap();
        view.apply(Event::Apply(leaving), "tokyo");
        assert!(view.objects.is_empty());
    }

    #[test]
    fn what_cannot_be_read_stops_no_other() {
        let mut view = View::default();
        view.apply(Event::Apply(object("odd", &json!({"endpoint": 7}))), "tokyo");
        let mut strange = peer("osaka");
        strange.data["status"] = json!({"updateTimestamp": "yesterday"});
        view.apply(Event::Apply(strange), "tokyo");
        assert_eq!(names(&view), ["osaka"]);
        assert_eq!(view.objects["osaka"].status, None);
    }

    #[test]
    fn too_many_objects_have_no_place_but_owns() {
        let mut view = View::default();
        for number in 0..MAX_OBJECTS + 40 {
            view.apply(Event::Apply(peer(&format!("peer-{number}"))), "tokyo");
        }
        assert_eq!(view.objects.len(), MAX_OBJECTS);
        view.apply(Event::Apply(peer("tokyo")), "tokyo");
        assert_eq!(view.objects.len(), MAX_OBJECTS + 1);
        view.apply(Event::Apply(object("peer-0", &json!({"endpoint": "https://new"}))), "tokyo");
        assert_eq!(view.objects["peer-0"].spec.endpoint, "https://new");
    }
}

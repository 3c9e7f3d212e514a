//! Maps inside a patch, and what the patch makes the API server forget of them.

use serde_json::{Map, Value};

/// One map of a patch.
pub(super) struct Node<'a> {
    pub(super) map: &'a mut Map<String, Value>,
    /// The live map is forgotten, so that this one is all that there will be.
    lost: bool,
    strategic: bool,
}

// === impl Node ===

impl<'a> Node<'a> {
    pub(super) fn root(map: &'a mut Map<String, Value>, strategic: bool) -> Self {
        Self { map, lost: false, strategic }
    }

    /// Whether the live value under `key` is gone, unless the patch itself says one.
    pub(super) fn forgets(&self, key: &str) -> bool {
        self.lost || forgets(self.map, self.strategic, key)
    }

    /// The map under `key`, where the patch has one or the live one is forgotten.
    pub(super) fn child(&mut self, key: &str) -> Option<Node<'_>> {
        if self.map.contains_key(key) || self.forgets(key) { self.make(key) } else { None }
    }

    /// The map under `key`, made where it is absent; a null stays where it clears a live map.
    pub(super) fn make(&mut self, key: &str) -> Option<Node<'_>> {
        let lost = self.forgets(key);
        if !self.map.contains_key(key) || (lost && self.map.get(key).is_some_and(Value::is_null)) {
            let mut made = Map::new();
            if lost && !self.lost && !self.map.contains_key(DIRECTIVE) {
                // Not retained by `$retainKeys`; once `put` names it there, it would be merged.
                made.insert(DIRECTIVE.to_owned(), "replace".into());
            }
            self.put(key, Value::Object(made));
        }
        let map = self.map.get_mut(key)?.as_object_mut()?;
        Some(Node { map, lost, strategic: self.strategic })
    }

    /// Writes a value, and names it where the patch lists the keys that stay.
    pub(super) fn put(&mut self, key: &str, value: Value) {
        self.map.insert(key.to_owned(), value);
        if let Some(retained) = self.map.get_mut(RETAIN_KEYS).and_then(Value::as_array_mut)
            && self.strategic
            && !retained.iter().any(|name| name == key)
        {
            retained.push(key.into());
        }
    }

    /// Writes a text that the patch would make the API server forget.
    pub(super) fn restore(&mut self, key: &str, value: &str) {
        if self.forgets(key) {
            self.put(key, value.into());
        }
    }

    /// Writes "clear this map" as a null for each live key but those that are `kept`.
    pub(super) fn spell_out_clearing(
        &mut self,
        key: &str,
        live: Option<&Value>,
        kept: impl Fn(&str) -> bool,
    ) {
        let clears = match self.map.get(key) {
            Some(Value::Null) => true,
            Some(value) => self.strategic && value.get(DIRECTIVE) == Some(&"delete".into()),
            None => false,
        };
        if !clears {
            return;
        }
        let live = live.and_then(|live| live.get(key)).and_then(Value::as_object);
        let keys = live.filter(|_| !self.forgets(key)).into_iter().flat_map(Map::keys);
        let nulls = keys.filter(|key| !kept(key)).map(|key| (key.clone(), Value::Null));
        self.map.insert(key.to_owned(), Value::Object(nulls.collect()));
    }
}

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";

/// Whether the directives of a strategic patch drop the live value under `key`.
pub(super) fn forgets(map: &Map<String, Value>, strategic: bool, key: &str) -> bool {
    if !strategic {
        return false;
    }
    let retained = map.get(RETAIN_KEYS).and_then(Value::as_array);
    map.contains_key(DIRECTIVE)
        || retained.is_some_and(|keys| !keys.iter().any(|retained| retained == key))
}

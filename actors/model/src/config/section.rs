//! One table of the file: its keys are asked for one by one, what nobody asked for is unknown.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::kinds::{Kind, shown};
use super::problems::{Place, Report};

/// A table of the file that is being read; one that the file lacks has no keys.
pub(super) struct Section<'r, 't> {
    report: &'r mut Report,
    path: String,
    place: Place,
    table: Option<&'t DeTable<'t>>,
    asked: Vec<&'static str>,
}

// === impl Section ===

impl<'r, 't> Section<'r, 't> {
    /// Reads the whole document by `read`, then reports the keys that it did not ask for.
    pub(super) fn whole<T>(
        report: &'r mut Report,
        document: &'t DeTable<'t>,
        read: impl FnOnce(&mut Section<'_, 't>) -> T,
    ) -> T {
        Self::scope(report, String::new(), Place::File, Some(document), read)
    }

    /// Whether the file has this section.
    pub(super) fn is_present(&self) -> bool {
        self.table.is_some()
    }

    /// The value of a key, if it is there and legal.
    pub(super) fn optional<T>(&mut self, key: &'static str, kind: &Kind<T>) -> Option<T> {
        let value = self.find(key)?;
        let read = (kind.read)(value.get_ref());
        if read.is_none() {
            self.reject(key, kind.message(value.get_ref()));
        }
        read
    }

    /// The value of a key, or its default.
    pub(super) fn or<T>(&mut self, key: &'static str, kind: &Kind<T>, default: T) -> T {
        self.optional(key, kind).unwrap_or(default)
    }

    /// The value of a key that must be there.
    pub(super) fn required<T>(&mut self, key: &'static str, kind: &Kind<T>) -> Option<T> {
        let missing = self.table.is_none_or(|table| table.get(key).is_none());
        if missing && !self.report.is_broken() {
            self.reject(key, format!("is missing, must be {}", kind.what));
        }
        self.optional(key, kind)
    }

    /// The legal elements of a list, or its default.
    pub(super) fn list<T>(&mut self, key: &'static str, kind: &Kind<T>, default: Vec<T>) -> Vec<T> {
        let Some(value) = self.find(key) else {
            return default;
        };
        let Some(elements) = value.get_ref().as_array() else {
            let is = shown(value.get_ref());
            self.reject(key, format!("must be a list, each {}, is {is}", kind.what));
            return default;
        };
        let mut list = Vec::new();
        for (index, element) in elements.iter().enumerate() {
            let item = (kind.read)(element.get_ref());
            if item.is_none() {
                let path = format!("{}[{index}]", self.path_of(key));
                let place = self.report.place(element.span().start);
                self.report.problem(path, place, kind.message(element.get_ref()));
            }
            list.extend(item);
        }
        list
    }

    /// Reads the table `[key]` by `read`, also where the file lacks it.
    pub(super) fn section<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Section<'_, 't>) -> T,
    ) -> T {
        let value = self.find(key);
        let table = value.and_then(|value| value.get_ref().as_table());
        if let (Some(value), None) = (value, table) {
            self.reject(key, format!("must be a table [{key}], is {}", shown(value.get_ref())));
        }
        let place = self.place_of(key);
        Section::scope(self.report, self.path_of(key), place, table, read)
    }

    /// Reads each table `[[key]]` by `read`.
    pub(super) fn sections<T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(&mut Section<'_, 't>) -> T,
    ) -> Vec<T> {
        let Some(value) = self.find(key) else {
            return Vec::new();
        };
        let elements = value.get_ref().as_array();
        let tables: Option<Vec<_>> = elements.and_then(|array| {
            array.iter().map(|it| Some((it.span(), it.get_ref().as_table()?))).collect()
        });
        let Some(tables) = tables else {
            self.reject(key, format!("must be tables [[{key}]], is {}", shown(value.get_ref())));
            return Vec::new();
        };
        let mut read_ones = Vec::new();
        for (index, (span, table)) in tables.into_iter().enumerate() {
            let path = format!("{}[{index}]", self.path_of(key));
            let place = self.report.place(span.start);
            read_ones.push(Section::scope(self.report, path, place, Some(table), &mut read));
        }
        read_ones
    }

    /// Reports that the value of a key is not acceptable.
    pub(super) fn reject(&mut self, key: &'static str, message: String) {
        self.report.problem(self.path_of(key), self.place_of(key), message);
    }

    fn scope<T>(
        report: &mut Report,
        path: String,
        place: Place,
        table: Option<&'t DeTable<'t>>,
        read: impl FnOnce(&mut Section<'_, 't>) -> T,
    ) -> T {
        let mut section = Section { report, path, place, table, asked: Vec::new() };
        let result = read(&mut section);
        section.report_unknown_keys();
        result
    }

    fn report_unknown_keys(self) {
        for key in self.table.into_iter().flat_map(DeTable::keys) {
            if !self.asked.contains(&key.get_ref().as_ref()) {
                let place = self.report.place(key.span().start);
                let known = self.asked.join(", ");
                let message = format!("is not a known key, here are: {known}");
                let path = join(&self.path, &key.get_ref().chars().take(60).collect::<String>());
                self.report.problem(path, place, message);
            }
        }
    }

    fn find(&mut self, key: &'static str) -> Option<&'t Spanned<DeValue<'t>>> {
        self.asked.push(key);
        self.table?.get(key)
    }

    fn path_of(&self, key: &str) -> String {
        join(&self.path, key)
    }

    /// Where the value of a key stands; where it is missing, its section.
    fn place_of(&self, key: &str) -> Place {
        let value = self.table.and_then(|table| table.get(key));
        value.map_or(self.place, |value| self.report.place(value.span().start))
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

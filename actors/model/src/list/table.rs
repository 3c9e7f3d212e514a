//! The columns of merged Tables, and how rows are aligned to them.

use bytes::{BufMut, BytesMut};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::walk::{Entry, Walk};
use super::{IncludeObject, ScanError};

/// More columns than any resource has; a limit for hostile members.
const MAX_COLUMNS: usize = 256;

/// The definition of the column that tenbin adds behind all others.
const CLUSTER_COLUMN: &str = r#"{"name":"Cluster","type":"string","format":"","description":"The member cluster that the object is in; for a workload that is divided, the replicas of each.","priority":0}"#;

/// The columns of the answer: the first member's, then new ones of later members.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    definitions: Vec<(String, Box<RawValue>)>,
}

/// Which of its cells a member has for each column of the answer.
pub(crate) type Alignment = Vec<Option<usize>>;

/// The parts of one row.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    /// The cells in the member's order.
    pub(crate) cells: Vec<&'a [u8]>,
    /// The object, where the row has one.
    pub(crate) object: Option<&'a [u8]>,
    /// Members other than these two, with the space around them.
    others: Vec<&'a [u8]>,
}

#[derive(Deserialize)]
struct Definition {
    name: String,
}

// === impl Columns ===

impl Columns {
    /// Adds the columns of one more member; call [`Columns::align`] when all were added.
    ///
    /// Columns of one name within a member stay apart, as API servers allow them.
    pub(crate) fn add(&mut self, definitions: &[u8]) -> Result<(), ScanError> {
        let mut taken = vec![false; self.definitions.len()];
        for definition in parse(definitions)? {
            if find(&self.definitions, &mut taken, &definition.0).is_none() {
                self.definitions.push(definition);
                taken.push(true);
            }
        }
        if self.definitions.len() > MAX_COLUMNS {
            return Err(ScanError::Unexpected("number of columns"));
        }
        Ok(())
    }

    /// How many columns there are, without tenbin's own.
    pub(crate) fn len(&self) -> usize {
        self.definitions.len()
    }

    /// Finds the cells of a member whose columns were added.
    pub(crate) fn align(&self, definitions: &[u8]) -> Result<Alignment, ScanError> {
        let mut taken = vec![false; self.definitions.len()];
        let mut alignment = vec![None; self.definitions.len()];
        for (cell, (name, _)) in parse(definitions)?.iter().enumerate() {
            let place = find(&self.definitions, &mut taken, name);
            if let Some(slot) = place.and_then(|place| alignment.get_mut(place)) {
                *slot = Some(cell);
            }
        }
        Ok(alignment)
    }

    /// The definitions without tenbin's own.
    pub(super) fn definitions(&self) -> impl Iterator<Item = &RawValue> {
        self.definitions.iter().map(|(_, definition)| &**definition)
    }

    /// Writes the value of `columnDefinitions`.
    pub(crate) fn write(&self, out: &mut BytesMut) {
        out.put_slice(b"[");
        for (_, definition) in &self.definitions {
            out.put_slice(definition.get().as_bytes());
            out.put_slice(b",");
        }
        out.put_slice(CLUSTER_COLUMN.as_bytes());
        out.put_slice(b"]");
    }
}

// === impl Row ===

impl<'a> Row<'a> {
    /// Reads a row.
    pub(crate) fn read(row: &'a [u8]) -> Result<Self, ScanError> {
        let mut cells = Vec::new();
        let mut object = None;
        let mut others = Vec::new();
        let mut walk = Walk::object(row)?;
        while let Some(entry) = walk.next()? {
            if entry.is("cells") {
                cells = elements(&entry)?;
            } else if entry.is("object") {
                object = Some(entry.value).filter(|value| *value != b"null");
            } else {
                others.push(entry.whole);
            }
        }
        Ok(Self { cells, object, others })
    }

    /// Writes the row with aligned cells and `cluster`, a JSON string, as the last of them.
    ///
    /// `object` writes the row's object.
    pub(crate) fn write(
        &self,
        alignment: &Alignment,
        cluster: &[u8],
        object: impl FnOnce(&mut BytesMut),
        out: &mut BytesMut,
    ) {
        out.put_slice(b"{\"cells\":[");
        for cell in alignment {
            let cell = cell.and_then(|cell| self.cells.get(cell)).copied();
            out.put_slice(cell.unwrap_or(b"null"));
            out.put_slice(b",");
        }
        out.put_slice(cluster);
        out.put_slice(b"]");
        for other in &self.others {
            out.put_slice(b",");
            out.put_slice(other);
        }
        out.put_slice(b",\"object\":");
        object(out);
        out.put_slice(b"}");
    }
}

// === impl IncludeObject ===

impl IncludeObject {
    /// Whether rows keep the objects that every upstream is asked for.
    pub(crate) fn keeps(self) -> bool {
        match self {
            Self::None => false,
            Self::Metadata | Self::Object => true,
        }
    }
}

fn parse(definitions: &[u8]) -> Result<Vec<(String, Box<RawValue>)>, ScanError> {
    let unexpected = |_| ScanError::Unexpected("columnDefinitions");
    let raw: Option<Vec<Box<RawValue>>> =
        serde_json::from_slice(definitions).map_err(unexpected)?;
    let raw = raw.unwrap_or_default();
    if raw.len() > MAX_COLUMNS {
        return Err(ScanError::Unexpected("number of columns"));
    }
    raw.into_iter()
        .map(|definition| {
            let Definition { name } = serde_json::from_str(definition.get()).map_err(unexpected)?;
            Ok((name, definition))
        })
        .collect()
}

/// Takes the first column of that name that is not taken yet.
fn find(columns: &[(String, Box<RawValue>)], taken: &mut [bool], name: &str) -> Option<usize> {
    let place = columns
        .iter()
        .zip(taken.iter())
        .position(|((column, _), taken)| !taken && column == name)?;
    *taken.get_mut(place)? = true;
    Some(place)
}

fn elements<'a>(array: &Entry<'a>) -> Result<Vec<&'a [u8]>, ScanError> {
    let mut walk = Walk::array(array.value)?;
    let mut elements = Vec::new();
    while let Some(element) = walk.next()? {
        elements.push(element.value);
    }
    Ok(elements)
}

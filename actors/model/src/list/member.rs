//! How far one member's answer has come.

use bytes::Bytes;
use serde::Deserialize;

use super::merge::{MAX_ITEM_BYTES, MergeError};
use super::outline::{origin, quoted};
use super::pages::MAX_PART_BYTES;
use super::table::Alignment;
use super::walk::text;
use super::{ListScanner, Piece, ScanError, Shape};
use crate::ids::ClusterName;
use crate::resource_version::ResourceVersion;

/// One member of a merge.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: ClusterName,
    scanner: ListScanner,
    pub(super) stage: Stage,
    /// Whether all bytes of the answer were pushed.
    pub(super) ended: bool,
    pub(super) shape: Option<Shape>,
    pub(super) kind: Option<String>,
    pub(super) api_version: Option<String>,
    metadata: Option<ListMeta>,
    /// Whether its answer may be one page of a longer list.
    paged: bool,
    pub(super) columns: Option<Bytes>,
    /// Which of this member's cells go to each column of the answer.
    pub(super) alignment: Alignment,
    /// The annotation that names this member, as JSON.
    pub(super) origin: Vec<u8>,
    /// The cell that names this member, as JSON.
    pub(super) cell: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Before its items.
    Head,
    /// In its items, or in what follows them.
    Items,
    /// Its whole list was read.
    Done,
    /// It does not answer.
    Absent,
}

#[derive(Debug, Default, Deserialize)]
struct ListMeta {
    #[serde(default, rename = "resourceVersion")]
    version: Option<String>,
    #[serde(default, rename = "continue")]
    rest: Option<String>,
    #[serde(default, rename = "remainingItemCount")]
    remaining: Option<u64>,
}

// === impl Member ===

impl Member {
    pub(super) fn new(name: ClusterName, paged: bool) -> Self {
        Self {
            scanner: ListScanner::new(MAX_ITEM_BYTES),
            stage: Stage::Head,
            ended: false,
            shape: None,
            kind: None,
            api_version: None,
            metadata: None,
            paged,
            columns: None,
            alignment: Alignment::new(),
            origin: origin(name.as_str()),
            cell: quoted(name.as_str()),
            name,
        }
    }

    /// Takes bytes; behind the end of the list only space may come.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), MergeError> {
        match self.stage {
            Stage::Absent => Ok(()),
            Stage::Head | Stage::Items => {
                self.scanner.push(bytes);
                Ok(())
            }
            Stage::Done => {
                self.scanner.push(bytes);
                self.scan().map(|_| ())
            }
        }
    }

    /// The bytes that were pushed and not looked at yet.
    pub(super) fn unscanned(&self) -> usize {
        self.scanner.unscanned()
    }

    /// Reads up to the items; true where they begin, or where there is nothing more to read.
    pub(super) fn read_head(&mut self) -> Result<bool, MergeError> {
        while self.stage == Stage::Head {
            let Some(piece) = self.next()? else { break };
            if let Piece::ItemsStart(shape) = piece {
                if shape == Shape::Table && self.columns.is_none() {
                    return Err(self.error(ScanError::Unexpected("rows before their columns")));
                }
                self.shape = Some(shape);
                self.stage = Stage::Items;
            }
        }
        Ok(self.stage != Stage::Head)
    }

    /// The next piece; `None` where bytes are missing, or where the list is over.
    pub(super) fn next(&mut self) -> Result<Option<Piece>, MergeError> {
        if matches!(self.stage, Stage::Done | Stage::Absent) {
            return Ok(None);
        }
        let piece = self.scan()?;
        match &piece {
            Some(Piece::Field { name, value }) => self.field(name, value)?,
            Some(Piece::End) => {
                self.stage = Stage::Done;
                // Nothing may follow what is whole.
                return self.scan();
            }
            None if self.ended => self.scanner.finish().map_err(|source| self.error(source))?,
            Some(Piece::ItemsStart(_) | Piece::Item(_) | Piece::ItemsEnd) | None => {}
        }
        Ok(piece)
    }

    /// Whether the member has a say in the answer.
    pub(super) fn answers(&self) -> bool {
        self.stage != Stage::Absent
    }

    /// Whether what the answer's metadata takes from this member is known.
    pub(super) fn knows_metadata(&self) -> bool {
        self.metadata.is_some() || self.stage == Stage::Done
    }

    /// The version of the list, where it is one that can be part of a composite.
    pub(super) fn version(&self) -> Option<u64> {
        match ResourceVersion::parse(self.metadata.as_ref()?.version.as_ref()?) {
            Ok(ResourceVersion::Bare(version)) => Some(version),
            Ok(_) | Err(_) => None,
        }
    }

    /// The member's token for what follows this page, and how many items that is, if it knows.
    pub(super) fn rest(&self) -> Option<(&str, Option<u64>)> {
        let metadata = self.metadata.as_ref()?;
        let token = metadata.rest.as_deref().filter(|token| !token.is_empty())?;
        Some((token, metadata.remaining))
    }

    /// An error in this member's bytes.
    pub(super) fn error(&self, source: ScanError) -> MergeError {
        MergeError::Scan { member: self.name.clone(), source }
    }

    fn scan(&mut self) -> Result<Option<Piece>, MergeError> {
        self.scanner.next_piece().map_err(|source| self.error(source))
    }

    fn field(&mut self, name: &str, value: &Bytes) -> Result<(), MergeError> {
        match name {
            "kind" => self.kind = text(value).map(std::borrow::Cow::into_owned),
            "apiVersion" => self.api_version = text(value).map(std::borrow::Cow::into_owned),
            "columnDefinitions" if self.stage == Stage::Head => self.columns = Some(value.clone()),
            "metadata" => {
                let metadata: Option<ListMeta> = serde_json::from_slice(value)
                    .map_err(|_| self.error(ScanError::Unexpected("metadata")))?;
                self.metadata = Some(metadata.unwrap_or_default());
                match self.rest() {
                    Some(_) if !self.paged => return Err(MergeError::Paged(self.name.clone())),
                    Some((token, _)) if token.len() > MAX_PART_BYTES => {
                        return Err(self.error(ScanError::Unexpected("length of continue")));
                    }
                    Some(_) | None => {}
                }
            }
            _ => {}
        }
        Ok(())
    }
}

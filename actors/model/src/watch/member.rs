//! One member's list or watch, as it arrives.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

use bytes::{BufMut, Bytes, BytesMut};
use serde::Deserialize;

use super::event::{EventKind, Lines, Told, TypeMeta};
use super::keys::Key;
use crate::ids::ClusterName;
use crate::list::outline::{origin, quoted};
use crate::list::table::Alignment;
use crate::list::walk::text;
use crate::list::{ListScanner, MAX_ITEM_BYTES, Piece, ScanError, Shape};
use crate::resource_version::ResourceVersion;

/// What a member says of one object.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) kind: EventKind,
    /// The object, or the row.
    pub(super) bytes: Bytes,
    /// Where the change was found out by a list, which is not told in the order of versions.
    pub(super) listed: bool,
}

/// What a member says next.
#[derive(Debug)]
pub(super) enum Said {
    Change(Change),
    Bookmark(u64),
    /// What is known of this object can be told, since those who had to speak have spoken.
    Held(Key),
    /// Its list is whole, and of this version.
    Listed(Option<u64>),
    /// All that its list showed was told; `complete` where all of it is kept in mind.
    Settled {
        version: Option<u64>,
        complete: bool,
    },
    /// All its copies were taken out: the client has nothing of it.
    Gone,
    /// It does not remember what it was asked to begin with.
    Expired,
    /// It ends the watch.
    Over,
}

/// One member of a merged watch.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts that do not depend on each other")]
pub(super) struct Member {
    pub(super) name: ClusterName,
    /// Its place in the order of the fleet.
    pub(super) rank: usize,
    /// The annotation that names it, as JSON.
    pub(super) origin: Vec<u8>,
    /// The cell that names it, as JSON.
    pub(super) cell: String,
    /// Up to where the client has seen it.
    pub(super) version: u64,
    /// Whether the client was told of some of it.
    pub(super) started: bool,
    /// Whether its copies are kept in mind, since it was listed from the beginning.
    pub(super) keeps: bool,
    /// Whether all of its objects are kept in mind.
    pub(super) complete: bool,
    /// Whether it has to be listed, since it forgot what was seen of it.
    pub(super) relist: bool,
    /// Whether what it has now is of no interest.
    pub(super) from_now: bool,
    /// Whether nothing comes after what was pushed.
    pub(super) ended: bool,
    pub(super) link: Link,
    /// What was found and is not told yet.
    pub(super) due: VecDeque<Said>,
    /// Names what it watches; known from its list, or from its bookmarks.
    pub(super) names: Option<TypeMeta>,
    pub(super) columns: Option<Bytes>,
    pub(super) alignment: Alignment,
    /// Its next change waits for what others have of this key.
    pub(super) waits: Option<Key>,
    /// The members, as bits, who cannot tell about that key.
    pub(super) silent: u64,
    /// What it could not be asked about, and is asked again when it can.
    pub(super) owed: BTreeSet<Key>,
    /// Whether nobody waits for what it owes, since it has been dead for long.
    pub(super) away: bool,
    /// Whether it owes more than is kept in mind.
    pub(super) forgotten: bool,
    /// What was not told in full, since others could not be asked; with what was seen before.
    pub(super) postponed: BTreeMap<Key, u64>,
}

/// What is read of a member now.
#[derive(Debug)]
pub(super) enum Link {
    /// Nothing; it is to be asked.
    Off,
    /// Its list.
    Listing(Box<Listing>),
    /// Its watch.
    Watching(Lines),
    /// It has no such resource, for now.
    Lacking,
    /// It is dead, and nobody waits for it.
    Dead,
    /// It is no member any more.
    Left,
}

/// A list, while it arrives.
#[derive(Debug)]
pub(super) struct Listing {
    scanner: ListScanner,
    names: TypeMeta,
    version: Option<u64>,
    /// What the member has, so that what is not there any more can be told.
    pub(super) seen: HashSet<Key>,
    /// Only the version counts.
    pub(super) quiet: bool,
}

#[derive(Default, Deserialize)]
struct ListMeta {
    #[serde(default, rename = "resourceVersion")]
    version: Option<String>,
}

// === impl Member ===

impl Member {
    pub(super) fn new(name: ClusterName, rank: usize, version: u64) -> Self {
        Self {
            origin: origin(name.as_str()),
            cell: quoted(name.as_str()),
            name,
            rank,
            version,
            started: false,
            keeps: false,
            complete: false,
            relist: false,
            from_now: false,
            ended: false,
            link: Link::Off,
            due: VecDeque::new(),
            names: None,
            columns: None,
            alignment: Alignment::new(),
            waits: None,
            silent: 0,
            owed: BTreeSet::new(),
            away: false,
            forgotten: false,
            postponed: BTreeMap::new(),
        }
    }

    /// Up to where a client that comes back has seen it; 0 where it has seen nothing.
    ///
    /// Whoever has seen a part of what exists begins at the oldest version that there is: it learns
    /// what happened since, or that nobody remembers.
    pub(super) fn seen(&self) -> u64 {
        let told = self.postponed.values().copied().fold(self.version, u64::min);
        told.max(u64::from(self.started || self.version > 0))
    }

    /// The bytes that were pushed and are not told.
    pub(super) fn waiting(&self) -> usize {
        match &self.link {
            Link::Listing(listing) => listing.scanner.unscanned(),
            Link::Watching(lines) => lines.waiting(),
            Link::Off | Link::Lacking | Link::Dead | Link::Left => 0,
        }
    }

    /// Whether it is there to be asked.
    pub(super) fn takes_part(&self) -> bool {
        !matches!(self.link, Link::Lacking | Link::Dead | Link::Left)
    }

    /// Whether it has said what exists, or will not.
    pub(super) fn is_settled(&self) -> bool {
        !self.takes_part() || self.complete || self.version > 0
    }

    /// Reads on; `None` asks for more bytes.
    pub(super) fn next(&mut self) -> Result<Option<Said>, ScanError> {
        if let Some(said) = self.due.pop_front() {
            return Ok(Some(said));
        }
        match &mut self.link {
            Link::Listing(listing) => {
                let said = listing.next(&mut self.columns)?;
                if let Some(Said::Listed(_)) = &said {
                    self.names = Some(listing.names.clone());
                }
                Ok(said)
            }
            Link::Watching(lines) => {
                let Some(line) = lines.next(MAX_ITEM_BYTES)? else { return Ok(None) };
                self.told(Told::read(&line)?)
            }
            Link::Off | Link::Lacking | Link::Dead | Link::Left => Ok(None),
        }
    }

    fn told(&mut self, told: Told) -> Result<Option<Said>, ScanError> {
        Ok(match told {
            Told::Object { kind, object } => {
                Some(Said::Change(Change { kind, bytes: object, listed: false }))
            }
            Told::Rows { kind, rows, columns, api_version } => {
                if columns.is_some() {
                    self.columns = columns;
                    self.alignment.clear();
                }
                if self.names.is_none() {
                    self.names = Some(TypeMeta { kind: "Table".to_owned(), api_version });
                }
                let change = |bytes| Said::Change(Change { kind, bytes, listed: false });
                self.due.extend(rows.into_iter().map(change));
                return self.next();
            }
            Told::Bookmark { version: Some(version), names } => {
                self.names = Some(names);
                Some(Said::Bookmark(version))
            }
            Told::Bookmark { version: None, .. } => return self.next(),
            Told::Error(410) => Some(Said::Expired),
            Told::Error(_) => Some(Said::Over),
        })
    }
}

// === impl Listing ===

impl Listing {
    pub(super) fn new(quiet: bool) -> Self {
        Self {
            scanner: ListScanner::new(MAX_ITEM_BYTES),
            names: TypeMeta::default(),
            version: None,
            seen: HashSet::new(),
            quiet,
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.scanner.push(bytes);
    }

    pub(super) fn next(&mut self, columns: &mut Option<Bytes>) -> Result<Option<Said>, ScanError> {
        while let Some(piece) = self.scanner.next_piece()? {
            match piece {
                Piece::Item(_) if self.quiet => {}
                Piece::Item(bytes) => {
                    let bytes = self.named(bytes);
                    let change = Change { kind: EventKind::Added, bytes, listed: true };
                    return Ok(Some(Said::Change(change)));
                }
                Piece::Field { name, value } => self.field(&name, &value, columns)?,
                Piece::ItemsStart(Shape::Table) if columns.is_none() => {
                    return Err(ScanError::Unexpected("rows before their columns"));
                }
                Piece::ItemsStart(_) | Piece::ItemsEnd => {}
                Piece::End => return Ok(Some(Said::Listed(self.version))),
            }
        }
        Ok(None)
    }

    fn field(
        &mut self,
        name: &str,
        value: &Bytes,
        columns: &mut Option<Bytes>,
    ) -> Result<(), ScanError> {
        let owned = || text(value).unwrap_or_default().into_owned();
        match name {
            "kind" => {
                let kind = owned();
                kind.strip_suffix("List").unwrap_or(&kind).clone_into(&mut self.names.kind);
            }
            "apiVersion" => self.names.api_version = owned(),
            "columnDefinitions" => *columns = Some(value.clone()),
            "metadata" => {
                let metadata: Option<ListMeta> =
                    serde_json::from_slice(value).map_err(|_| ScanError::Unexpected("metadata"))?;
                let version = metadata.and_then(|metadata| metadata.version);
                if let Ok(ResourceVersion::Bare(version)) =
                    ResourceVersion::parse(&version.unwrap_or_default())
                {
                    self.version = Some(version);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// An item with the kind that typed lists leave out of their items.
    fn named(&self, item: Bytes) -> Bytes {
        let TypeMeta { kind, api_version } = &self.names;
        let rest = item.get(1..).unwrap_or_default();
        if kind.is_empty() || !rest.trim_ascii_start().starts_with(b"\"metadata\"") {
            return item;
        }
        let mut named = BytesMut::with_capacity(item.len() + 64);
        let front = format!("{{\"kind\":{},\"apiVersion\":{},", quoted(kind), quoted(api_version));
        named.put_slice(front.as_bytes());
        named.put_slice(rest);
        named.freeze()
    }
}

//! What all requests share, and what those of one worker share.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tenbin_fleet::lane::Lanes;
use tenbin_fleet::member::Fleet;
use tenbin_kernel::{Clock, Slot};
use tenbin_placement::placer::Placer;
use tenbin_writes::turns::Turns;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::discoverer::Discovery;
use crate::holders::Holders;
use crate::places::Places;
use crate::router::RouteTable;
use crate::tls::Certificates;
use crate::tokens::Tokens;

/// What all workers share.
pub struct Shared {
    /// Where requests go; published by the Router.
    pub table: Arc<ArcSwap<RouteTable>>,
    /// The fleet as it changes; what the table is made of.
    pub fleet: watch::Receiver<Arc<Fleet>>,
    /// What the members serve.
    pub discovery: Discovery,
    /// TLS of the users port.
    pub certificates: Arc<Certificates>,
    /// Divides workloads.
    pub placer: Slot<Placer>,
    /// Time.
    pub clock: Clock,
    /// What users have under way.
    pub(crate) places: Arc<Places>,
    /// Where objects were seen.
    pub(crate) holders: Holders,
    /// Writes under way, which outlive their clients.
    pub writes: TaskTracker,
    /// Whose turn it is to write an object.
    pub turns: Turns,
    /// Cancelled when the daemon drains: streams that would never end are ended.
    pub draining: CancellationToken,
}

/// What the requests of one worker share.
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) lanes: Lanes,
    pub(crate) tokens: Tokens,
    /// Held by each list that is being merged.
    pub(crate) pumps: Rc<()>,
    /// The fleet whose connections the lanes hold.
    seen: RefCell<Option<Arc<Fleet>>>,
}

// === impl Shared ===

impl Shared {
    /// What workers share of these parts, before the first request.
    pub fn new(
        table: Arc<ArcSwap<RouteTable>>,
        fleet: watch::Receiver<Arc<Fleet>>,
        discovery: Discovery,
        certificates: Certificates,
        placer: Slot<Placer>,
        clock: Clock,
    ) -> Self {
        Self {
            table,
            fleet,
            discovery,
            certificates: Arc::new(certificates),
            placer,
            clock,
            places: Arc::default(),
            holders: Holders::default(),
            writes: TaskTracker::new(),
            turns: Turns::default(),
            draining: CancellationToken::new(),
        }
    }
}

// === impl Worker ===

impl Worker {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            lanes: Lanes::default(),
            tokens: Tokens::default(),
            pumps: Rc::default(),
            seen: RefCell::default(),
        }
    }

    /// The table of this moment; a request works with one table from its beginning to its end.
    pub(crate) fn table(&self) -> Arc<RouteTable> {
        let table = self.shared.table.load_full();
        let mut seen = self.seen.borrow_mut();
        if seen.as_ref().is_none_or(|seen| !Arc::ptr_eq(seen, &table.fleet)) {
            self.lanes.retain(&table.fleet);
            *seen = Some(Arc::clone(&table.fleet));
        }
        table
    }
}

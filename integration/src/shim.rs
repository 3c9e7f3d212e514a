//! A TCP proxy in front of a member, which breaks the network when told to.

mod connection;
mod listen;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender as Reply;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::ports::Port;
use listen::Accepting;

/// What the network does to this member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Nothing.
    Pass,
    /// Every byte of an answer comes this much later (the handshake too), at full bandwidth.
    Delay(Duration),
    /// Connections are refused; those that live are closed.
    Refuse,
    /// Connecting hangs (SYNs are dropped); in connections that live no byte moves any more.
    BlackHole,
    /// Connecting succeeds but nothing is read or answered, in old connections neither.
    Silent,
    /// Each connection passes this many more bytes of answers and is then closed, which cuts a
    /// body or a TLS record in half.
    CutAfter(u64),
}

impl Mode {
    fn stalls(self) -> bool {
        matches!(self, Self::BlackHole | Self::Silent)
    }
}

/// The mode, for every connection to watch.
#[derive(Debug, Clone, Copy)]
struct Control {
    mode: Mode,
    /// Counts changes of the mode, so that setting `CutAfter` again counts anew.
    change: u64,
}

#[derive(Debug, Default)]
struct Counters {
    accepted: AtomicU64,
    live: AtomicU64,
    /// How many connections are closed at once from now on.
    doomed: AtomicU64,
}

enum Order {
    Set(Mode, Reply<Result<()>>),
    Cut(Reply<Result<()>>),
}

/// A running shim. Dropping it closes its port and every connection.
#[derive(Debug)]
pub struct Shim {
    port: Arc<Port>,
    orders: mpsc::UnboundedSender<Order>,
    counters: Arc<Counters>,
}

impl Shim {
    /// Listens on a free loopback port, in front of `upstream`, in [`Mode::Pass`].
    pub fn start(upstream: SocketAddr) -> Result<Self> {
        let port = Arc::new(Port::reserve()?);
        let counters = Arc::<Counters>::default();
        let (orders, inbox) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (control, _) = watch::channel(Control { mode: Mode::Pass, change: 0 });
        let accepting = runtime.block_on(Accepting::listen(port.address()))?;
        let keeper = Keeper {
            upstream,
            port: Arc::clone(&port),
            control,
            counters: Arc::clone(&counters),
            connections: JoinSet::new(),
        };
        std::thread::Builder::new()
            .name(format!("shim-{}", port.number()))
            .spawn(move || runtime.block_on(keeper.run(accepting, inbox)))
            .context("starting a shim's thread")?;
        Ok(Self { port, orders, counters })
    }

    /// Where to connect.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Changes what the network does; in force when this returns.
    pub fn set(&self, mode: Mode) -> Result<()> {
        self.order(|reply| Order::Set(mode, reply))
    }

    /// Closes every connection that lives now; the mode stays.
    pub fn cut_all(&self) -> Result<()> {
        self.order(Order::Cut)
    }

    /// Closes the next connection as soon as it is made.
    pub fn cut_next(&self) {
        self.counters.doomed.fetch_add(1, Ordering::Relaxed);
    }

    /// How many connections were accepted so far.
    pub fn accepted(&self) -> u64 {
        self.counters.accepted.load(Ordering::Relaxed)
    }

    /// How many connections live now.
    pub fn live(&self) -> u64 {
        self.counters.live.load(Ordering::Relaxed)
    }

    fn order(&self, order: impl FnOnce(Reply<Result<()>>) -> Order) -> Result<()> {
        let (reply, done) = std::sync::mpsc::channel();
        self.orders.send(order(reply)).ok().context("the shim has ended")?;
        done.recv().context("the shim has ended")?
    }
}

/// The shim's side of the thread.
struct Keeper {
    upstream: SocketAddr,
    port: Arc<Port>,
    control: watch::Sender<Control>,
    counters: Arc<Counters>,
    connections: JoinSet<io::Result<()>>,
}

impl Keeper {
    async fn run(mut self, mut accepting: Accepting, mut inbox: mpsc::UnboundedReceiver<Order>) {
        loop {
            tokio::select! {
                order = inbox.recv() => match order {
                    None => return,
                    Some(Order::Set(mode, reply)) => {
                        drop(reply.send(self.set(&mut accepting, mode).await));
                    }
                    Some(Order::Cut(reply)) => {
                        self.cut().await;
                        drop(reply.send(Ok(())));
                    }
                },
                stream = accepting.accept() => self.serve(stream),
                Some(_) = self.connections.join_next() => {}
            }
            self.count();
        }
    }

    async fn set(&mut self, accepting: &mut Accepting, mode: Mode) -> Result<()> {
        accepting.become_fit_for(mode, self.port.address()).await?;
        self.control.send_modify(|control| {
            control.mode = mode;
            control.change += 1;
        });
        if mode == Mode::Refuse {
            self.cut().await;
        }
        Ok(())
    }

    async fn cut(&mut self) {
        self.connections.shutdown().await;
        self.count();
    }

    fn count(&self) {
        let live = self.connections.len().try_into().unwrap_or(u64::MAX);
        self.counters.live.store(live, Ordering::Relaxed);
    }

    fn serve(&mut self, stream: tokio::net::TcpStream) {
        self.counters.accepted.fetch_add(1, Ordering::Relaxed);
        let doomed = &self.counters.doomed;
        let less = |count: u64| count.checked_sub(1);
        if doomed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok() {
            return;
        }
        let serving = connection::serve(stream, self.upstream, self.control.subscribe());
        self.connections.spawn(serving);
    }
}

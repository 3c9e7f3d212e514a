//! One connection through a shim.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::{Control, Mode};

/// How many bytes may wait in one direction before reading pauses.
const QUEUE: usize = 4 << 20;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Request,
    Answer,
}

/// Carries bytes both ways until an end or an error.
pub(super) async fn serve(
    client: TcpStream,
    upstream: SocketAddr,
    mut control: watch::Receiver<Control>,
) -> io::Result<()> {
    control.wait_for(|now| !now.mode.stalls()).await.map_err(io::Error::other)?;
    let server = TcpStream::connect(upstream).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let up = Pump::new(control.clone(), Direction::Request);
    let down = Pump::new(control, Direction::Answer);
    tokio::try_join!(up.run(from_client, to_server), down.run(from_server, to_client))?;
    Ok(())
}

/// One direction: a queue of chunks, each with the time when it may leave.
struct Pump {
    control: watch::Receiver<Control>,
    direction: Direction,
    queue: VecDeque<(Instant, Vec<u8>)>,
    queued: usize,
    /// What `CutAfter` still lets through, and the change that set it.
    allowance: (u64, u64),
}

impl Pump {
    fn new(control: watch::Receiver<Control>, direction: Direction) -> Self {
        Self { control, direction, queue: VecDeque::new(), queued: 0, allowance: (0, u64::MAX) }
    }

    async fn run(mut self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> io::Result<()> {
        let mut buffer = vec![0; 64 << 10];
        let mut open = true;
        while open || !self.queue.is_empty() {
            self.control.wait_for(|now| !now.mode.stalls()).await.map_err(io::Error::other)?;
            let due = self.queue.front().map(|(due, _)| *due);
            tokio::select! {
                changed = self.control.changed() => changed.map_err(io::Error::other)?,
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    self.write_one(&mut to).await?;
                }
                read = from.read(&mut buffer), if open && self.queued < QUEUE => {
                    let chunk = buffer.get(..read?).unwrap_or_default();
                    open = !chunk.is_empty();
                    if open {
                        self.queued += chunk.len();
                        self.queue.push_back((Instant::now() + self.delay(), chunk.to_vec()));
                    }
                }
            }
        }
        to.shutdown().await
    }

    fn delay(&self) -> Duration {
        match (self.control.borrow().mode, self.direction) {
            (Mode::Delay(delay), Direction::Answer) => delay,
            _ => Duration::ZERO,
        }
    }

    async fn write_one(&mut self, to: &mut OwnedWriteHalf) -> io::Result<()> {
        let Some((_, chunk)) = self.queue.pop_front() else {
            return Ok(());
        };
        self.queued -= chunk.len();
        let passes = self.passes(chunk.len());
        to.write_all(chunk.get(..passes).unwrap_or_default()).await?;
        if passes < chunk.len() {
            to.shutdown().await?;
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }

    /// How much of a chunk of this length the mode lets through.
    fn passes(&mut self, length: usize) -> usize {
        let now = *self.control.borrow();
        let Mode::CutAfter(limit) = now.mode else {
            return length;
        };
        if self.direction == Direction::Request {
            return length;
        }
        if self.allowance.1 != now.change {
            self.allowance = (limit, now.change);
        }
        let passes = length.min(usize::try_from(self.allowance.0).unwrap_or(usize::MAX));
        self.allowance.0 -= u64::try_from(passes).unwrap_or(self.allowance.0);
        passes
    }
}

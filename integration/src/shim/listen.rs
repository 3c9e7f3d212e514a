//! The ways in which a port can be there.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::Mode;
use crate::eventually::now;

/// What happens to a SYN that reaches the port.
#[derive(Debug)]
pub(super) enum Accepting {
    /// Accepted.
    Yes(TcpListener),
    /// Refused: nobody listens.
    No,
    /// Dropped: the accept queue is full and nobody empties it.
    Hole { _listener: TcpListener, _filling: Vec<TcpStream> },
}

impl Accepting {
    /// Listens in the ordinary way.
    pub(super) async fn listen(address: SocketAddr) -> Result<Self> {
        Ok(Self::Yes(listener(address, 1024).await?))
    }

    /// Moves to what a mode asks for; the old listener goes first, as the port is one.
    pub(super) async fn become_fit_for(&mut self, mode: Mode, address: SocketAddr) -> Result<()> {
        if matches!((&self, mode), (Self::Hole { .. }, Mode::BlackHole)) {
            return Ok(());
        }
        let open = !matches!(mode, Mode::Refuse | Mode::BlackHole);
        if matches!((&self, open), (Self::Yes(_), true)) {
            return Ok(());
        }
        *self = Self::No;
        *self = match mode {
            Mode::Refuse => Self::No,
            Mode::BlackHole => hole(address).await?,
            Mode::Pass | Mode::Delay(_) | Mode::Silent | Mode::CutAfter(_) => {
                Self::listen(address).await?
            }
        };
        Ok(())
    }

    /// The next connection; never, unless connections are accepted.
    pub(super) async fn accept(&self) -> TcpStream {
        if let Self::Yes(listener) = self {
            loop {
                if let Ok((stream, _)) = listener.accept().await {
                    return stream;
                }
            }
        }
        std::future::pending().await
    }
}

async fn listener(address: SocketAddr, backlog: u32) -> Result<TcpListener> {
    let socket = TcpSocket::new_v4().context("opening a shim's socket")?;
    socket.set_reuseaddr(true).context("setting SO_REUSEADDR")?;
    // The old listener lives on, for a moment, in a child that a test is just starting.
    let began = now();
    while let Err(error) = socket.bind(address) {
        let late = began.elapsed() > Duration::from_secs(2);
        if late || error.kind() != std::io::ErrorKind::AddrInUse {
            return Err(error).with_context(|| format!("binding {address}"));
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    socket.listen(backlog).with_context(|| format!("listening on {address}"))
}

/// A listener whose queue is full: Linux drops further SYNs, as a dead network would.
async fn hole(address: SocketAddr) -> Result<Accepting> {
    let listener = listener(address, 0).await?;
    let mut filling = Vec::new();
    let patience = Duration::from_millis(100);
    while let Ok(Ok(stream)) = tokio::time::timeout(patience, TcpStream::connect(address)).await {
        filling.push(stream);
    }
    Ok(Accepting::Hole { _listener: listener, _filling: filling })
}

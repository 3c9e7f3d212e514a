//! Loopback ports that stay ours until a child listens on them.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result};
use socket2::{Domain, Socket, Type};

/// A port held by a bound socket that does not listen. A child that sets `SO_REUSEADDR` (every Go
/// and Rust server does) can listen on it meanwhile and again after a restart; the kernel gives it
/// to nobody else, and connecting to it is refused while no child listens.
#[derive(Debug)]
pub struct Port {
    address: SocketAddr,
    _held: Socket,
}

impl Port {
    /// Reserves a free port of 127.0.0.1.
    pub fn reserve() -> Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).context("opening a socket")?;
        socket.set_reuse_address(true).context("setting SO_REUSEADDR")?;
        socket
            .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
            .context("binding a free port")?;
        let address = socket.local_addr().context("reading the bound address")?;
        let address = address.as_socket().context("a bound TCP socket without an address")?;
        Ok(Self { address, _held: socket })
    }

    /// `127.0.0.1:port`.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The number alone.
    pub fn number(&self) -> u16 {
        self.address.port()
    }
}

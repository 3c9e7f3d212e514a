//! port-forward.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};

use anyhow::{Context, Result, bail, ensure};
use tenbin_integration::Kubectl;

use crate::talk::Talk;
use crate::{directly, everywhere};

/// A server in the pod, whose network is that of this machine: it answers with what it read, once
/// the client has said that there is no more. Ends with the process.
fn parrot() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut connection = connection;
                let mut all = Vec::new();
                drop(connection.read_to_end(&mut all));
                drop(connection.write_all(&all));
            });
        }
    });
    Ok(port)
}

fn ports_are_forwarded(kubectl: &Kubectl, pod: &str) -> Result<()> {
    let port = parrot()?;
    let talk = Talk::start(kubectl.command(["port-forward", pod, &format!(":{port}")]))?;
    // "Forwarding from 127.0.0.1:41234 -> 8080"
    let said = talk.hear()?;
    let local = said.split(' ').nth(2).with_context(|| said.clone())?.to_owned();
    std::thread::scope(|scope| {
        let told = |n: u8| {
            let local = local.clone();
            move || {
                let mut connection = TcpStream::connect(local)?;
                let sent = vec![n; 1_000_000];
                connection.write_all(&sent)?;
                // Half of the connection ends; the answer comes by the other half.
                connection.shutdown(Shutdown::Write)?;
                let mut heard = Vec::new();
                connection.read_to_end(&mut heard)?;
                ensure!(heard == sent, "sent {}, heard {}", sent.len(), heard.len());
                Ok(())
            }
        };
        let all: Vec<_> = (0..4).map(|n| scope.spawn(told(n))).collect();
        all.into_iter()
            .try_for_each(|one| one.join().unwrap_or_else(|_| bail!("a thread panicked")))
    })?;
    talk.kill()
}

#[test]
fn ports_are_forwarded_directly() -> Result<()> {
    directly("forward-direct", ports_are_forwarded)
}

#[test]
fn ports_are_forwarded_through_tenbin() -> Result<()> {
    everywhere("forward", ports_are_forwarded)
}

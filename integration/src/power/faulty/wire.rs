//! As much of an HTTP/1.1 server as a fake needs: requests with a length, connections that stay.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// No request of a predictor is longer.
const MOST: usize = 64 << 20;

/// What to answer.
#[derive(Debug)]
pub(super) struct Answer {
    status: u16,
    kind: &'static str,
    pub body: Vec<u8>,
}

impl Answer {
    pub(super) fn new(status: u16, kind: &'static str, body: Vec<u8>) -> Self {
        Self { status, kind, body }
    }

    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self::new(status, "application/json", body.to_string().into_bytes())
    }
}

/// Answers the requests of a connection, by their head and body, until either side ends it.
pub(super) fn serve(stream: TcpStream, answer: impl Fn(&str, &[u8]) -> Option<Answer>) {
    drop(conversation(stream, answer));
}

fn conversation(stream: TcpStream, answer: impl Fn(&str, &[u8]) -> Option<Answer>) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    while let Some((head, body)) = request(&mut reader)? {
        let Some(Answer { status, kind, body }) = answer(&head, &body) else {
            return Ok(());
        };
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status} Told\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
        );
        writer.write_all(head.as_bytes())?;
        writer.write_all(&body)?;
    }
    Ok(())
}

/// The next head and body; `None` when the client has left.
fn request(reader: &mut impl BufRead) -> Result<Option<(String, Vec<u8>)>> {
    let mut head = String::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        if line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().context("reading a length")?;
        }
        head.push_str(&line);
        ensure!(length <= MOST && head.len() <= MOST, "a request that is too long");
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some((head, body)))
}

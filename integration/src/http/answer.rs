//! Answers: whole, or still being read.

use std::io::{BufRead, BufReader, Read};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Wire;
use super::body::Body;

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Header names (as sent) and values.
    pub headers: Vec<(String, String)>,
    /// The body, unchunked.
    pub body: Vec<u8>,
}

/// An answer whose body is still being read: a watch, a log.
#[derive(Debug)]
pub struct Streaming {
    /// The status code.
    pub status: u16,
    /// Header names (as sent) and values.
    pub headers: Vec<(String, String)>,
    body: BufReader<Body<Wire>>,
}

pub(super) fn read_head(method: &str, mut wire: Wire) -> Result<Streaming> {
    let (status, headers) = parse_head(&mut wire)?;
    let bodiless = method == "HEAD" || matches!(status, 204 | 304);
    let body = BufReader::new(Body::new(wire, bodiless, &headers));
    Ok(Streaming { status, headers, body })
}

/// The status code, and the headers as sent.
pub(super) fn parse_head(wire: &mut impl BufRead) -> Result<(u16, Vec<(String, String)>)> {
    let mut line = String::new();
    wire.read_line(&mut line).context("reading the status line")?;
    let Some(status) = line.split(' ').nth(1).and_then(|code| code.parse().ok()) else {
        bail!("no status line but {line:?}");
    };
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        if wire.read_line(&mut line).context("reading headers")? == 0 {
            bail!("the connection ended inside the headers");
        }
        let Some((name, value)) = line.trim_end().split_once(':') else {
            return Ok((status, headers));
        };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
}

/// The first header of this name, in any case.
pub(super) fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers
        .iter()
        .find(|(sent, _)| sent.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}

impl Response {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// Every value of this header, as `Warning` may come several times.
    pub fn header_all(&self, name: &str) -> Vec<&str> {
        let same = self.headers.iter().filter(|(sent, _)| sent.eq_ignore_ascii_case(name));
        same.map(|(_, value)| value.as_str()).collect()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("no JSON: {}", self.text()))
    }

    /// Itself when 2xx, else an error that shows status and body.
    pub fn success(self) -> Result<Self> {
        if !(200..300).contains(&self.status) {
            bail!("status {}: {}", self.status, self.text());
        }
        Ok(self)
    }
}

impl Streaming {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// Reads the rest; an error when the connection is cut.
    pub fn whole(mut self) -> Result<Response> {
        let mut body = Vec::new();
        self.body.read_to_end(&mut body).context("reading a body")?;
        Ok(Response { status: self.status, headers: self.headers, body })
    }

    /// The next line without its end; `None` when the body ended as HTTP says it should, an error
    /// when the connection was cut or a read took longer than the patience.
    pub fn line(&mut self) -> Result<Option<String>> {
        let mut line = String::new();
        let read = self.body.read_line(&mut line).context("reading a line")?;
        Ok((read > 0).then(|| line.trim_end_matches('\n').to_owned()))
    }

    /// The next line as JSON: one event of a watch.
    pub fn event(&mut self) -> Result<Option<Value>> {
        let line = self.line()?;
        line.map(|line| serde_json::from_str(&line).with_context(|| format!("no event: {line}")))
            .transpose()
    }
}

//! The original program's PORT2, made from `wao.md` 1.4, 1.5 and 5.11 alone: the program itself
//! cannot be built here.
//!
//! It wants its Basic password, tells its ClusterScores in one of both groups, and passes everything
//! else on to its API server with rights of its own; `Impersonate-*` goes along.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use tenbin_integration::Client;
use tenbin_integration::pki::Pair;
use tenbin_integration::scores::ORIGINAL_GROUP;

pub(crate) const USERNAME: &str = "wao";
pub(crate) const PASSWORD: &str = "a password: with signs";
pub(crate) const REGION: &str = "kansai";

/// A running stand-in, for as long as the test's process lives.
#[derive(Debug, Clone)]
pub(crate) struct Mep {
    pub(crate) address: SocketAddr,
    api: Client,
    group: &'static str,
}

/// What a connection is.
type Wire = BufReader<StreamOwned<ServerConnection, TcpStream>>;

/// A request, whole.
#[derive(Debug, Default)]
struct Asked {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// What it sends as `Authorization`.
pub(crate) fn basic(password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{USERNAME}:{password}")))
}

impl Mep {
    /// Serves ClusterScores of `group`, and `api` behind them.
    pub(crate) fn start(serving: &Pair, api: Client, group: &'static str) -> Result<Self> {
        let certs = CertificateDer::pem_slice_iter(serving.cert.as_bytes());
        let key = PrivateKeyDer::from_pem_slice(serving.key.as_bytes()).context("its key")?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(certs.collect::<Result<_, _>>()?, key)?;
        let (config, listener) = (Arc::new(config), TcpListener::bind("127.0.0.1:0")?);
        let mep = Self { address: listener.local_addr()?, api, group };
        let serving = mep.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (mep, config) = (serving.clone(), Arc::clone(&config));
                // A caller that goes away is its own affair.
                std::thread::spawn(move || drop(mep.serve(stream, config)));
            }
        });
        Ok(mep)
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("https://{}", self.address)
    }

    fn serve(&self, stream: TcpStream, config: Arc<ServerConfig>) -> Result<()> {
        let mut wire = BufReader::new(StreamOwned::new(ServerConnection::new(config)?, stream));
        let asked = Asked::read(&mut wire)?;
        let wire = wire.get_mut();
        self.answer(&asked, wire)?;
        wire.conn.send_close_notify();
        wire.flush()?;
        Ok(())
    }

    fn answer(&self, asked: &Asked, wire: &mut impl Write) -> Result<()> {
        if asked.header("authorization") != Some(&basic(PASSWORD)) {
            return send(wire, 401, &[], b"Unauthorized\n");
        }
        let scores = format!("/apis/{}/v1beta1/namespaces/", self.group);
        if asked.path.starts_with(&scores) && asked.path.ends_with("/clusterscores") {
            let list = self.scores().to_string();
            return send(wire, 200, &[("Content-Type", "application/json")], list.as_bytes());
        }
        let mut api = self.api.clone();
        for (name, value) in &asked.headers {
            let name = name.to_ascii_lowercase();
            if name == "accept" || name.starts_with("impersonate-") {
                api = api.header(&name, value);
            }
        }
        let kind = asked.header("content-type").unwrap_or("application/json");
        let body = (!asked.body.is_empty()).then_some((kind, asked.body.as_slice()));
        let answer = api.send(&asked.method, &asked.path, body)?;
        let kind = answer.header("content-type").unwrap_or_default();
        send(wire, answer.status, &[("Content-Type", kind)], &answer.body)
    }

    /// Its own object and one that it keeps of somebody else; v1.29 told no nodes.
    fn scores(&self) -> Value {
        let item = |own: bool, score: i64| {
            let mut status = json!({"score": score});
            if self.group == ORIGINAL_GROUP {
                status["nodes"] = json!([{"name": "worker", "score": score}]);
            }
            json!({"metadata": {"name": if own { REGION } else { "kanto" }},
                   "spec": {"endpoint": "https://10.96.0.1:443", "owncluster": own,
                            "region": if own { REGION } else { "kanto" }},
                   "status": status})
        };
        json!({"apiVersion": format!("{}/v1beta1", self.group), "kind": "ClusterScoreList",
               "metadata": {}, "items": [item(false, 5), item(true, 310)]})
    }
}

impl Asked {
    fn read(wire: &mut Wire) -> Result<Self> {
        let mut asked = Self::default();
        let mut line = String::new();
        wire.read_line(&mut line)?;
        let mut words = line.split(' ').map(str::to_owned);
        asked.method = words.next().context("no method")?;
        asked.path = words.next().context("no path")?;
        loop {
            let mut line = String::new();
            wire.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            asked.headers.push((name.to_owned(), value.to_owned()));
        }
        let length = asked.header("content-length").and_then(|it| it.parse().ok());
        asked.body = vec![0; length.unwrap_or(0)];
        wire.read_exact(&mut asked.body)?;
        Ok(asked)
    }

    fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(sent, _)| sent.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

fn send(wire: &mut impl Write, status: u16, headers: &[(&str, &str)], body: &[u8]) -> Result<()> {
    write!(wire, "HTTP/1.1 {status} Told\r\nConnection: close\r\n")?;
    for (name, value) in headers {
        write!(wire, "{name}: {value}\r\n")?;
    }
    write!(wire, "Content-Length: {}\r\n\r\n", body.len())?;
    wire.write_all(body)?;
    Ok(())
}

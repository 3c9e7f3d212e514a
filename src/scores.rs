//! `tenbin scores`: the admin port's page as a table.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context as _;
use tenbin_model::score::ScoresPage;

use crate::cli;
use crate::exit::Exit;

/// The largest page that is read: 64 members with some thousand nodes each.
const PAGE_LIMIT: usize = 64 * 1024 * 1024;

pub(crate) fn show(config: &Path, admin: Option<SocketAddr>, json: bool) -> anyhow::Result<()> {
    let address = match admin {
        Some(address) => address,
        None => cli::load(config)?.listen.admin,
    };
    let body = actix::System::new().block_on(fetch(address)).context(Exit::Unavailable)?;
    let mut out = std::io::stdout().lock();
    if json {
        out.write_all(&body)?;
        writeln!(out)?;
    } else {
        let page: ScoresPage = serde_json::from_slice(&body).context("the page cannot be read")?;
        write!(out, "{}", page.table())?;
    }
    Ok(())
}

async fn fetch(address: SocketAddr) -> anyhow::Result<bytes::Bytes> {
    let failed = || format!("no daemon answers on http://{address}");
    let mut answer = awc::Client::new()
        .get(format!("http://{address}/scores"))
        .send()
        .await
        .map_err(|error| anyhow::anyhow!("{error}"))
        .with_context(failed)?;
    anyhow::ensure!(answer.status().is_success(), "the daemon answers {}", answer.status());
    answer.body().limit(PAGE_LIMIT).await.map_err(|error| anyhow::anyhow!("{error}"))
}

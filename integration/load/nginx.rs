//! nginx as a plain TLS pass-through: TLS in, mutual TLS out on kept connections.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tenbin_integration::eventually::patience;
use tenbin_integration::pki::Ca;
use tenbin_integration::ports::Port;
use tenbin_integration::process::{Process, Spec};
use tenbin_integration::{Client, Cluster, tools};

use crate::{machine, rig};

/// A running nginx with one port for each cluster.
#[derive(Debug)]
pub(crate) struct Nginx {
    process: Process,
    ca: Ca,
    ports: Vec<Port>,
}

impl Nginx {
    /// Starts it before all clusters, as the user who asks.
    pub(crate) fn start(folder: &Path, clusters: &[Cluster]) -> Result<Self> {
        fs::create_dir_all(folder.join("tmp")).context("making nginx's folder")?;
        let ca = Ca::new("nginx-ca")?;
        let serving = ca.server("nginx", &[])?;
        fs::write(folder.join("tls.crt"), &serving.cert)?;
        fs::write(folder.join("tls.key"), &serving.key)?;
        let mut servers = String::new();
        let mut ports = Vec::new();
        for cluster in clusters {
            let port = Port::reserve()?;
            let user = rig::user(cluster)?;
            fs::write(folder.join(format!("{}.crt", cluster.name())), &user.cert)?;
            fs::write(folder.join(format!("{}.key", cluster.name())), &user.key)?;
            server(&mut servers, cluster, port.number())?;
            ports.push(port);
        }
        fs::write(folder.join("nginx.conf"), config(&servers))?;
        let process = Spec::new("nginx", program())
            .arg("-p")
            .arg(folder)
            .args(["-c", "nginx.conf", "-e", "stderr"])
            .start(&folder.join("nginx.log"))?;
        let mut nginx = Self { process, ca, ports };
        for index in 0..clusters.len() {
            let client = nginx.client(index)?;
            nginx.process.wait_until(patience(), || client.get("/readyz")?.success())?;
        }
        Ok(nginx)
    }

    /// A client of the cluster with this number by way of nginx.
    pub(crate) fn client(&self, index: usize) -> Result<Client> {
        let port = self.ports.get(index).context("no such cluster")?;
        Client::tls(port.address(), self.ca.cert(), None)
    }

    /// Its processes.
    pub(crate) fn processes(&self) -> Result<Vec<u32>> {
        machine::children(self.process.id())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Killed, it would leave its workers behind.
        self.process.terminate(patience()).ok();
    }
}

/// The one that the Makefile unpacked.
fn program() -> PathBuf {
    tools::root().join("build/tools/nginx/usr/sbin/nginx")
}

fn server(servers: &mut String, cluster: &Cluster, port: u16) -> Result<()> {
    let (name, url) = (cluster.name(), cluster.url());
    let address = url.trim_start_matches("https://");
    write!(
        servers,
        "
  upstream {name} {{ server {address}; keepalive 64; keepalive_requests 1000000; }}
  server {{
    listen 127.0.0.1:{port} ssl;
    location / {{
      proxy_pass https://{name};
      proxy_ssl_certificate {name}.crt;
      proxy_ssl_certificate_key {name}.key;
    }}
  }}"
    )?;
    Ok(())
}

fn config(servers: &str) -> String {
    format!(
        "daemon off;
pid nginx.pid;
worker_processes 2;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  ssl_certificate tls.crt;
  ssl_certificate_key tls.key;
  ssl_buffer_size 16k;
  keepalive_requests 1000000;
  keepalive_timeout 10m;
  client_body_temp_path tmp/body;
  proxy_temp_path tmp/proxy;
  fastcgi_temp_path tmp/fastcgi;
  uwsgi_temp_path tmp/uwsgi;
  scgi_temp_path tmp/scgi;
  proxy_http_version 1.1;
  proxy_set_header Connection \"\";
  proxy_buffers 32 64k;
  proxy_buffer_size 64k;
  proxy_busy_buffers_size 256k;
  proxy_max_temp_file_size 0;
  proxy_ssl_verify off;{servers}
}}
"
    )
}

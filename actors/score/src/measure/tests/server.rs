//! HTTP servers that answer as a test wants: the network between is real.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, Route, web};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use tenbin_fleet::access::{Access, AccessSource};

/// What a server was asked.
pub(crate) struct Served {
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) content_type: String,
    pub(crate) authorization: String,
    pub(crate) body: Value,
}

impl Served {
    /// The rows that a predictor was asked for.
    pub(crate) fn rows(&self) -> &[Value] {
        self.body["inputs"][0]["data"].as_array().unwrap()
    }
}

/// What it answers.
#[derive(Clone)]
pub(crate) enum Reply {
    Json(Value),
    Text(String),
    Status(u16),
    After(Duration, Value),
    Never,
}

/// A predictor of the formula [`watts`].
pub(crate) fn predicted(served: &Served) -> Reply {
    Reply::Json(output(&served.rows().iter().map(watts).collect()))
}

/// An answer of the V2 inference protocol.
pub(crate) fn output(data: &Value) -> Value {
    json!({"model_name": "m", "outputs": [{"name": "predict", "datatype": "FP64", "data": data}]})
}

/// 100 W and a watt for each percent, degree and pascal.
pub(crate) fn watts(row: &Value) -> f64 {
    100.0 + row.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).sum::<f64>()
}

type Answer = Arc<dyn Fn(&Served) -> Reply + Send + Sync>;

/// Starts a server of plain HTTP; the URL has no path.
pub(crate) fn serve(answer: impl Fn(&Served) -> Reply + Send + Sync + 'static) -> String {
    let answer: Answer = Arc::new(answer);
    let server = HttpServer::new(move || App::new().default_service(route(&answer)));
    let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
    let address = server.addrs()[0];
    actix::spawn(server.run());
    format!("http://{address}")
}

/// Starts a server of HTTPS; its certificate is an authority of its own.
pub(crate) fn serve_tls(
    answer: impl Fn(&Served) -> Reply + Send + Sync + 'static,
) -> (String, String) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let tls = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let answer: Answer = Arc::new(answer);
    let server = HttpServer::new(move || App::new().default_service(route(&answer)));
    let server = server.workers(1).disable_signals();
    let server = server.bind_rustls_0_23(("127.0.0.1", 0), tls).unwrap();
    let address = server.addrs()[0];
    actix::spawn(server.run());
    (format!("https://{address}"), cert.pem())
}

fn route(answer: &Answer) -> Route {
    let answer = Arc::clone(answer);
    web::to(move |request: HttpRequest, body: web::Bytes| {
        let answer = Arc::clone(&answer);
        async move { reply(answer(&served(&request, &body))).await }
    })
}

fn served(request: &HttpRequest, body: &[u8]) -> Served {
    let header = |name: &str| {
        let value = request.headers().get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    Served {
        host: header("host"),
        path: request.uri().to_string(),
        content_type: header("content-type"),
        authorization: header("authorization"),
        body: serde_json::from_slice(body).unwrap_or_default(),
    }
}

async fn reply(reply: Reply) -> HttpResponse {
    match reply {
        Reply::Json(value) => HttpResponse::Ok().json(value),
        Reply::Text(text) => HttpResponse::Ok().body(text),
        Reply::Status(status) => HttpResponse::new(StatusCode::from_u16(status).unwrap()),
        Reply::After(delay, value) => {
            tokio::time::sleep(delay).await;
            HttpResponse::Ok().json(value)
        }
        Reply::Never => std::future::pending().await,
    }
}

/// The access that a kubeconfig gives to a server of [`serve_tls`].
pub(crate) async fn kubeconfig(folder: &Path, (url, ca): &(String, String)) -> Access {
    std::fs::write(folder.join("ca.crt"), ca).unwrap();
    let text = format!(
        "{{apiVersion: v1, kind: Config, current-context: c,
        clusters: [{{name: c, cluster: {{server: '{url}', certificate-authority: ca.crt}}}}],
        users: [{{name: u, user: {{token: secret-token}}}}],
        contexts: [{{name: c, context: {{cluster: c, user: u}}}}]}}"
    );
    let path = folder.join("kubeconfig");
    std::fs::write(&path, text).unwrap();
    AccessSource::Kubeconfig { path, context: None }.open().await.unwrap()
}

//! `MLServer` with the models of [`Model`].

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use super::models::{Model, VERSION};
use crate::eventually::patience;
use crate::http::{Client, Response};
use crate::kubeconfig::write;
use crate::ports::Port;
use crate::process::{Process, Spec};
use crate::tools;

/// A running `MLServer`.
#[derive(Debug)]
pub struct Predictor {
    process: Process,
    port: Port,
}

impl Predictor {
    /// Starts it with its models in `folder`; ready in about two seconds.
    pub fn start(folder: &Path) -> Result<Self> {
        let port = Port::reserve()?;
        let settings = json!({
            "debug": false, "host": "127.0.0.1", "http_port": port.number(), "grpc_port": 0,
            "metrics_endpoint": null, "parallel_workers": 0, "server_name": "predictor",
        });
        write(&folder.join("settings.json"), &settings.to_string())?;
        for model in Model::all() {
            let file = folder.join(model.name()).join("model-settings.json");
            write(&file, &model.settings().to_string())?;
        }
        let process = Spec::new("mlserver", tools::python("mlserver")?)
            .arg("start")
            .arg(folder)
            .folder(folder)
            .env("PYTHONPATH", tools::root().join("integration/predictor"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .start(&folder.join("mlserver.log"))?;
        let mut predictor = Self { process, port };
        let client = predictor.client();
        predictor.process.wait_until(patience(), || client.get("/v2/health/ready")?.success())?;
        Ok(predictor)
    }

    /// `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.port.address())
    }

    /// The endpoint of a model as a `NodeConfig` has it.
    pub fn endpoint(&self, model: &str) -> String {
        endpoint(&self.url(), model)
    }

    /// What it says to rows of CPU in percent, inlet temperature and pressure.
    pub fn ask(&self, model: &str, rows: &[[f64; 3]]) -> Result<Response> {
        self.client().send_json("POST", &endpoint("", model), &question(rows))
    }

    /// Its process, to look at and signal.
    pub fn process(&self) -> &Process {
        &self.process
    }

    fn client(&self) -> Client {
        Client::plain(self.port.address())
    }
}

/// The URL of a model of a V2 server at `base`.
pub(super) fn endpoint(base: &str, model: &str) -> String {
    format!("{base}/v2/models/{model}/versions/{VERSION}/infer")
}

/// The V2 request that WAO makes, for any number of rows.
pub fn question(rows: &[[f64; 3]]) -> Value {
    json!({"inputs": [{"name": "predict-prob", "shape": [rows.len(), 3], "datatype": "FP32",
                       "data": rows}]})
}

//! sushy-tools as a BMC, with the one property that MLMM answers in front of one.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::models::VERSION;
use crate::eventually::patience;
use crate::http::Client;
use crate::ports::Port;
use crate::process::{Process, Spec};
use crate::tools;

/// The user of the BMC.
pub const USER: &str = "admin";
/// The password of [`USER`].
pub const PASSWORD: &str = "of-the-bmc";

/// A running BMC.
#[derive(Debug)]
pub struct Redfish {
    process: Process,
    port: Port,
    model: PathBuf,
}

impl Redfish {
    /// Starts it with its files in `folder`; the model is `linear` of the predictor at `predictor`.
    pub fn start(folder: &Path, predictor: &str) -> Result<Self> {
        let (port, model) = (Port::reserve()?, folder.join("model.json"));
        std::fs::create_dir_all(folder).context("making a BMC's folder")?;
        write_model(&model, predictor, "linear")?;
        let process = Spec::new("redfish", tools::python("python")?)
            .arg(tools::root().join("integration/redfish/redfish.py"))
            .arg(port.number().to_string())
            .arg(&model)
            .args([USER, PASSWORD])
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .start(&folder.join("redfish.log"))?;
        let mut redfish = Self { process, port, model };
        let client = redfish.client();
        redfish.process.wait_until(patience(), || client.get("/redfish/v1/Systems")?.success())?;
        Ok(redfish)
    }

    /// `http://127.0.0.1:port`, the endpoint of `powerConsumptionEndpointProvider`.
    pub fn url(&self) -> String {
        format!("http://{}", self.port.address())
    }

    /// From now on it names this model of the predictor at this URL.
    pub fn set_model(&self, predictor: &str, model: &str) -> Result<()> {
        write_model(&self.model, predictor, model)
    }

    /// A client with the BMC's password.
    pub fn client(&self) -> Client {
        let basic = STANDARD.encode(format!("{USER}:{PASSWORD}"));
        self.stranger().header("Authorization", &format!("Basic {basic}"))
    }

    /// A client without a password.
    pub fn stranger(&self) -> Client {
        Client::plain(self.port.address())
    }

    /// Its process, to look at and signal.
    pub fn process(&self) -> &Process {
        &self.process
    }
}

/// Moves the file into place, since a request may read it meanwhile.
fn write_model(path: &Path, predictor: &str, model: &str) -> Result<()> {
    let named = json!({"Name": model, "Url": predictor, "Type": "V2InferenceProtocol",
                       "Version": VERSION});
    let answer = json!({"PowerConsumptionModel": named, "ResponseTimeModel": named});
    let next = path.with_extension("next");
    std::fs::write(&next, answer.to_string()).context("writing a BMC's model")?;
    std::fs::rename(&next, path).context("replacing a BMC's model")
}

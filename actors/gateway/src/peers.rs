//! The peers port: other tenbins, and the original program.
//!
//! What it does not answer from memory goes to own's API server and nowhere else: no request runs
//! in circles. A tenbin tells whose a request is, and own decides what of that it believes
//! (`identity.md`); what tells no user is the peer's own, and gets scores, estimates and health.

use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;

use actix_http::body::BoxBody;
use actix_http::header::UPGRADE;
use actix_http::{HttpMessage as _, Request, Response};
use arc_swap::ArcSwap;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde_json::Value;
use tenbin_fleet::member::Member;
use tenbin_model::body::MAX_BODY;
use tenbin_model::identity::Crossing;
use tenbin_model::status::{Reason, Status};

use crate::asked::{self, Asked};
use crate::audit::Audit;
use crate::respond::{self, Answered};
use crate::router::RouteTable;
use crate::tls::Certificates;
use crate::upgrade::{Asking, Destination, Lead};
use crate::worker::Worker;
use crate::{authenticate, pass};

mod errand;
mod sender;
#[cfg(test)]
mod tests;
pub use sender::Original;

use errand::Errand;
use sender::Sender;

/// What the peers port needs beside what all ports share.
pub struct PeersPort {
    /// TLS of the port.
    pub certificates: Arc<Certificates>,
    /// The original programs that may come with a password.
    pub originals: ArcSwap<Vec<Original>>,
    /// What is answered from memory.
    pub answers: Answers,
}

/// What is answered from memory.
pub struct Answers {
    /// The `ClusterScoreList` of an API group, in the namespace that was asked for.
    pub scores: Arc<TellScores>,
    /// What the estimator says.
    pub estimate: Arc<TellEstimate>,
}

/// Makes the list of an API group and a namespace.
pub type TellScores = dyn Fn(&str, &str) -> Value + Send + Sync;

/// Makes the code and the body of an answer.
pub type TellEstimate = dyn Fn(Question) -> BoxFuture<'static, (u16, Value)> + Send + Sync;

/// A question to the estimator (wao-estimator's API).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The namespace of the path.
    pub namespace: String,
    /// The estimator of the path.
    pub estimator: String,
    /// The body, at most 64 KiB.
    pub body: Bytes,
}

/// Answers one request; never fails, since each failure is an answer.
pub(crate) async fn handle(
    port: Arc<PeersPort>,
    worker: Rc<Worker>,
    mut request: Request,
) -> Result<Response<BoxBody>, Infallible> {
    let table = worker.table();
    let mut audit = Audit::of(&worker.shared.clock, &request);
    let answered = answer(&port, worker, table, &mut request, &mut audit).await;
    let response = answered.unwrap_or_else(|status| respond::status(&status));
    audit.code = Some(response.status().as_u16());
    Ok(response)
}

async fn answer(
    port: &PeersPort,
    worker: Rc<Worker>,
    table: Arc<RouteTable>,
    request: &mut Request,
    audit: &mut Audit,
) -> Answered {
    let (own, crossing) = ready(&table)?;
    let sender = Sender::of(port, &own.name, authenticate::credential(request), request.headers())?;
    audit.through = Some(sender.name().to_owned());
    let asserted = sender.asserted(request.headers())?;
    if let Some(caller) = &asserted {
        caller.user().clone_into(&mut audit.user);
    }
    if request.headers().contains_key(UPGRADE) {
        return Ok(respond::too_late_to_upgrade());
    }
    if asserted.is_none()
        && let Some(errand) = Errand::of(request)?
    {
        return errand.run(port, &worker, own, request).await;
    }
    let caller = sender.caller(crossing, asserted)?;
    caller.user().clone_into(&mut audit.user);
    let body = asked::body(request, MAX_BODY).await?;
    let asked = Asked {
        worker,
        table: Arc::clone(&table),
        caller,
        method: request.method().clone(),
        path: request.path().to_owned(),
        query: request.uri().query().unwrap_or_default().to_owned(),
        headers: request.headers().clone(),
        body,
    };
    pass::received(&asked).await
}

impl Lead for Arc<PeersPort> {
    async fn lead(
        &self,
        worker: Rc<Worker>,
        table: Arc<RouteTable>,
        asking: &Asking,
        audit: &mut Audit,
    ) -> Result<Destination, Status> {
        let (own, crossing) = ready(&table)?;
        let sender = Sender::of(self, &own.name, &asking.credential, &asking.headers)?;
        audit.through = Some(sender.name().to_owned());
        let caller = sender.caller(crossing, sender.asserted(&asking.headers)?)?;
        caller.user().clone_into(&mut audit.user);
        let member = Arc::clone(own);
        let asked = asking.asked(worker, Arc::clone(&table), caller);
        let path = asked.path.clone();
        Ok(Destination { asked, member, path, place: None })
    }
}

/// Own, and whom it believes what.
fn ready(table: &RouteTable) -> Result<(&Arc<Member>, &Crossing), Status> {
    table.fleet.own().zip(table.crossing.as_ref()).ok_or_else(|| {
        Status::new(Reason::ServiceUnavailable, "the fleet is not known yet").retry_after(1)
    })
}

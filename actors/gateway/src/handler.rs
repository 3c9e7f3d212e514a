//! One request, from its head to its audit line.

use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;

use actix_http::body::BoxBody;
use actix_http::header::{HeaderMap, UPGRADE};
use actix_http::{HttpMessage as _, Request, Response};
use tenbin_model::body::MAX_BODY;
use tenbin_model::identity::Caller;
use tenbin_model::request::classify::{Head, classify};
use tenbin_model::request::lasting::lasting;
use tenbin_model::request::route::{Route, route};
use tenbin_model::request::upgrade;
use tenbin_model::status::{Reason, Status};

use crate::asked::{self, Asked};
use crate::audit::Audit;
use crate::places::Places;
use crate::respond::Answered;
use crate::router::RouteTable;
use crate::upgrade::{Asking, Destination, Lead};
use crate::worker::Worker;
use crate::{authenticate, discovery, find, lists, pass, read_one, respond, serving, watch, write};

/// Answers one request; never fails, since each failure is an answer.
pub(crate) async fn handle(
    worker: Rc<Worker>,
    mut request: Request,
) -> Result<Response<BoxBody>, Infallible> {
    let table = worker.table();
    let mut audit = Audit::of(&worker.shared.clock, &request);
    let credential = authenticate::credential(&request);
    let answered =
        match authenticate::caller_of(&worker, &table, credential, request.headers()).await {
            Ok(caller) => {
                caller.user().clone_into(&mut audit.user);
                limited(worker, table, &mut request, caller).await
            }
            Err(status) => Err(status),
        };
    let response = answered.unwrap_or_else(|status| respond::status(&status));
    audit.code = Some(response.status().as_u16());
    Ok(response)
}

/// Answers a caller who has not too much under way.
async fn limited(
    worker: Rc<Worker>,
    table: Arc<RouteTable>,
    request: &mut Request,
    caller: Caller,
) -> Answered {
    let (path, query) = (request.path(), request.uri().query().unwrap_or_default());
    let streams = lasting(&Head { method: request.method().as_str(), path, query }).is_some();
    let place = Places::enter(&worker.shared.places, &caller, streams, table.rules.limits)?;
    Ok(place.hold_during(answer(worker, table, request, caller).await?))
}

async fn answer(
    worker: Rc<Worker>,
    table: Arc<RouteTable>,
    request: &mut Request,
    caller: Caller,
) -> Answered {
    let (path, query) =
        (request.path().to_owned(), request.uri().query().unwrap_or_default().to_owned());
    let head = Head { method: request.method().as_str(), path: &path, query: &query };
    let class = classify(&head)?;
    refuse_impersonation(request.headers())?;
    if request.headers().contains_key(UPGRADE) {
        return Ok(respond::too_late_to_upgrade());
    }
    let body = asked::body(request, MAX_BODY).await?;
    let asked = Asked {
        worker,
        caller,
        method: request.method().clone(),
        headers: request.headers().clone(),
        path,
        query,
        body,
        table,
    };
    let route = route(class, &asked.table.rules.policy);
    dispatch(asked, route).await
}

fn refuse_impersonation(headers: &HeaderMap) -> Result<(), Status> {
    if headers.keys().any(|name| name.as_str().starts_with("impersonate-")) {
        // Passing over them would let `--as` act with all of the caller's own rights.
        return Err(Status::new(Reason::Forbidden, "impersonation is not possible through tenbin"));
    }
    Ok(())
}

async fn dispatch(asked: Asked, route: Route) -> Answered {
    match route {
        Route::Own => pass::to_own(&asked).await,
        Route::Discovery => discovery::answer(&asked).await,
        Route::PassToServing { collection } => serving::pass(&asked, &collection).await,
        Route::Member { name, rest } => pass::to_named(&asked, &name, &rest).await,
        Route::MergeList { collection, class } => lists::list(asked, &collection, class).await,
        Route::ReadOne { object, class } => read_one::read(&asked, &object, class).await,
        Route::ReadScale { object } => read_one::scale(asked, &object).await,
        Route::MergeWatch { collection, name, class } => {
            watch::watch(asked, collection, name, class).await
        }
        Route::FindThenPass { object } => find::pass(asked, &object).await,
        Route::SplitWrite(split) => write::split(asked, split).await,
        Route::ReplicateWrite(replicate) => write::replicate(asked, replicate).await,
        Route::DeleteEverywhere { object } => write::delete(asked, object).await,
        Route::DeleteCollectionEverywhere { collection } => {
            write::delete_collection(asked, collection).await
        }
    }
}

/// The rules of the users port for requests that leave HTTP.
#[derive(Clone, Copy)]
pub(crate) struct Users;

impl Lead for Users {
    async fn lead(
        &self,
        worker: Rc<Worker>,
        table: Arc<RouteTable>,
        asking: &Asking,
        audit: &mut Audit,
    ) -> Result<Destination, Status> {
        let (credential, headers) = (&asking.credential, &asking.headers);
        let caller = authenticate::caller_of(&worker, &table, credential, headers).await?;
        caller.user().clone_into(&mut audit.user);
        let place = Places::enter(&worker.shared.places, &caller, true, table.rules.limits)?;
        let asked = asking.asked(worker, table, caller);
        let method = asked.method.as_str();
        let class = classify(&Head { method, path: &asked.path, query: &asked.query })?;
        refuse_impersonation(headers)?;
        let refused = || {
            let message = "upgrades are for exec, attach, portforward, proxy and reads of the like";
            Status::new(Reason::BadRequest, message)
        };
        if !upgrade::may(&class, method) {
            return Err(refused());
        }
        let (member, path) = match route(class, &asked.table.rules.policy) {
            Route::Own => (pass::own(&asked)?, asked.path.clone()),
            Route::Member { name, rest } => (Arc::clone(pass::named(&asked, &name)?), rest),
            Route::FindThenPass { object } => {
                (find::reader(&asked, &object).await?.member, asked.path.clone())
            }
            _ => return Err(refused()),
        };
        Ok(Destination { asked, member, path, place: Some(place) })
    }
}

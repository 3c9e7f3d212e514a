//! Users' writes, handed to the writes crate.

use std::rc::Rc;
use std::time::Duration;

use actix_http::header::{CONTENT_TYPE, RETRY_AFTER};
use actix_http::{Method, StatusCode};
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use tenbin_kernel::Slot;
use tenbin_model::body::{
    Body, BodyError, BodyKind, DeleteBody, Encoded, Encoding, PatchKind, ScaleBody,
};
use tenbin_model::fold::FoldClass;
use tenbin_model::managed::CLUSTER;
use tenbin_model::request::kinds::WriteClass;
use tenbin_model::request::path::{Collection, Object};
use tenbin_model::request::route::{ReplicateWrite, SplitWrite};
use tenbin_model::request::selector::MemberFilter;
use tenbin_model::status::{Reason, Status};
use tenbin_placement::placer::{Place, PlaceError, Placed, Placer};
use tenbin_writes::answer::Answer;
use tenbin_writes::patch::RawPatch;
use tenbin_writes::scale::RawScale;
use tenbin_writes::session::{Divide, Divided, Order, Session, Target};
use tenbin_writes::{create, delete as deletes, patch as patches, replace, scale};
use tokio::sync::oneshot;
use tracing::info;

use crate::asked::Asked;
use crate::find::{self, Found};
use crate::pass;
use crate::respond::{self, Answered};

/// How long the placer may take to answer, curves of peers included.
const PLACE_LIMIT: Duration = Duration::from_secs(3);

/// Carries out a write of a split kind.
pub(crate) async fn split(asked: Asked, write: SplitWrite) -> Answered {
    let class = FoldClass::Split;
    match write {
        SplitWrite::Create(collection) => create_in(asked, collection, class).await,
        SplitWrite::Replace(object) => replace_one(asked, object, class).await,
        SplitWrite::Patch(object) => patch_one(asked, object, class).await,
        SplitWrite::PutScale(object) => {
            let encoding = Encoding::of(asked.header(&CONTENT_TYPE)).map_err(refused)?;
            let body = ScaleBody::parse(encoding, &asked.body).map_err(refused)?;
            scale_one(asked, object, Method::PUT, body).await
        }
        SplitWrite::PatchScale(object) => {
            let kind = PatchKind::of(asked.header(&CONTENT_TYPE)).map_err(refused)?;
            let body = ScaleBody::parse_patch(kind, &asked.body).map_err(refused)?;
            scale_one(asked, object, Method::PATCH, body).await
        }
    }
}

/// Carries out a write of a replicated kind.
pub(crate) async fn replicate(asked: Asked, write: ReplicateWrite) -> Answered {
    let class = FoldClass::Replicate;
    match write {
        ReplicateWrite::Create(collection) => create_in(asked, collection, class).await,
        ReplicateWrite::Replace(object) => replace_one(asked, object, class).await,
        ReplicateWrite::Patch(object) => patch_one(asked, object, class).await,
    }
}

/// Deletes one object in the members that have it.
pub(crate) async fn delete(asked: Asked, object: Object) -> Answered {
    let holder = find::last_holder(&asked, &object.collection, &object.name);
    let holder = holder.and_then(|name| asked.table.fleet.get(name.as_str()).cloned());
    let (path, again) = (object.path(), holder.map(|holder| (holder, asked.clone())));
    let response = delete_found(asked, object).await?;
    if let (StatusCode::NOT_FOUND, Some((holder, asked))) = (response.status(), again)
        && let Found::Silent(fault) = find::look(&asked, &holder, &path).await
    {
        // Who is told that there is none does not come again.
        return Err(Status::new(Reason::ServiceUnavailable, fault.to_string()));
    }
    Ok(response)
}

async fn delete_found(asked: Asked, object: Object) -> Answered {
    let class = asked.table.rules.policy.class(&object.collection, Some(&object.name));
    let raw = raw_body(&asked)?;
    let encoding = Encoding::of(asked.header(&CONTENT_TYPE)).map_err(refused)?;
    let body = DeleteBody::parse(encoding, &asked.body, &asked.parsed_query()?).map_err(refused)?;
    let path = object.path();
    let fold = class.fold().unwrap_or(FoldClass::Replicate);
    run(asked, Some(path.clone()), object.collection, fold, move |session| {
        async move {
            match class {
                WriteClass::Split | WriteClass::Replicate => {
                    deletes::delete(session, &path, &body, raw).await
                }
                WriteClass::Everywhere | WriteClass::One => {
                    deletes::delete_everywhere(session, &path, raw).await
                }
            }
        }
        .boxed_local()
    })
    .await
}

/// Empties a collection in every member.
pub(crate) async fn delete_collection(asked: Asked, collection: Collection) -> Answered {
    let raw = raw_body(&asked)?;
    let query = asked.parsed_query()?;
    let (members, _) = MemberFilter::split(query.label_selector().unwrap_or_default())?;
    if members.is_unfolding() {
        let message = format!("{CLUSTER} narrows reads only: delete at /clusters/NAME instead");
        return Err(Status::new(Reason::BadRequest, message));
    }
    run(asked, None, collection, FoldClass::Replicate, move |session| {
        async move { deletes::delete_collection(session, raw).await }.boxed_local()
    })
    .await
}

async fn create_in(asked: Asked, collection: Collection, class: FoldClass) -> Answered {
    let body = body_of(&asked, &collection)?;
    // A Namespace's name stands in the body alone, and may be an excluded one.
    let name = body.summary().name.as_deref();
    if asked.table.rules.policy.class(&collection, name) == WriteClass::One {
        return pass::to_own(&asked).await;
    }
    let path = name.map(|name| format!("{}/{name}", collection.path()));
    run(asked, path, collection, class, move |session| {
        async move { create::create(session, body).await }.boxed_local()
    })
    .await
}

async fn replace_one(asked: Asked, object: Object, class: FoldClass) -> Answered {
    let body = body_of(&asked, &object.collection)?;
    let raw =
        raw_body(&asked)?.ok_or_else(|| Status::new(Reason::BadRequest, "the body is empty"))?;
    let path = object.path();
    run(asked, Some(path.clone()), object.collection, class, move |session| {
        async move { replace::replace(session, &path, body, raw).await }.boxed_local()
    })
    .await
}

async fn patch_one(asked: Asked, object: Object, class: FoldClass) -> Answered {
    let kind = PatchKind::of(asked.header(&CONTENT_TYPE)).map_err(refused)?;
    let body = kind_of(&object.collection);
    let raw = RawPatch { path: object.path(), body, kind, bytes: asked.body.clone() };
    run(asked, Some(raw.path.clone()), object.collection, class, move |session| {
        async move { patches::patch(session, raw).await }.boxed_local()
    })
    .await
}

async fn scale_one(asked: Asked, object: Object, method: Method, body: ScaleBody) -> Answered {
    let raw = RawScale {
        method,
        path: object.whole().path(),
        content_type: asked.header(&CONTENT_TYPE).map(str::to_owned),
        bytes: asked.body.clone(),
    };
    run(asked, Some(raw.path.clone()), object.collection, FoldClass::Split, move |session| {
        async move { scale::scale(session, raw, body).await }.boxed_local()
    })
    .await
}

/// Runs a write of `object`, or of many where it is `None`, to its end, though the client may leave
/// before; a client that leaves while it waits for its turn has written nothing.
async fn run<W>(
    asked: Asked,
    object: Option<String>,
    collection: Collection,
    class: FoldClass,
    write: W,
) -> Answered
where
    W: for<'a> FnOnce(&'a Session<'a>) -> LocalBoxFuture<'a, Answer> + 'static,
{
    pass::own(&asked)?;
    let turns = &asked.worker.shared.turns;
    let turn = match &object {
        Some(path) => Some(turns.take(path).await?),
        None => None,
    };
    let dry_run = asked.parsed_query()?.is_dry_run();
    let targets = targets(&asked);
    let (tell, told) = oneshot::channel();
    let tracker = asked.worker.shared.writes.clone();
    actix_rt::spawn(tracker.track_future(async move {
        let _turn = turn;
        let worker = Rc::clone(&asked.worker);
        let rules = &asked.table.rules;
        let divider = ByPlacer(worker.shared.placer.clone());
        let session = Session {
            lanes: &worker.lanes,
            targets,
            label_key: &rules.label_key,
            own_value: &rules.own_value,
            space: std::sync::Arc::clone(&asked.table.fleet.space),
            divider: &divider,
            unmanaged_everywhere: rules.unmanaged_everywhere,
            class,
            collection: collection.path(),
            query: asked.query.clone(),
            dry_run,
        };
        if let Err(answer) = tell.send(write(&session).await) {
            log_unheard(&asked, &answer);
        }
    }));
    let answer =
        told.await.map_err(|_| Status::new(Reason::InternalError, "the write was cut short"))?;
    let mut response = respond::json(answer.code, answer.body.to_string());
    if let Some(seconds) = answer.retry_after_seconds {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    respond::warn(&mut response, &answer.warnings);
    Ok(response)
}

/// The audit line of the request was written when its client left: it has no outcome.
fn log_unheard(asked: &Asked, answer: &Answer) {
    info!(
        target: "audit",
        user = asked.caller.user(),
        verb = %asked.method,
        path = asked.path,
        code = answer.code,
        "the write ended after its client had left"
    );
}

/// All members, as the caller may approach them.
fn targets(asked: &Asked) -> Vec<Target> {
    let now = asked.worker.shared.clock.now();
    let members = asked.table.fleet.members().iter();
    members
        .map(|member| Target {
            passage: asked
                .passage(member)
                .map(|mut headers| {
                    headers.remove(CONTENT_TYPE);
                    headers
                })
                .map_err(|status| status.message),
            slot: asked.table.fleet.space.slot_of(&member.name),
            down: member.fault(now).map(|fault| fault.to_string()),
            member: std::sync::Arc::clone(member),
        })
        .collect()
}

fn body_of(asked: &Asked, collection: &Collection) -> Result<Body, Status> {
    let encoding = Encoding::of(asked.header(&CONTENT_TYPE)).map_err(refused)?;
    Body::parse(encoding, kind_of(collection), &asked.body).map_err(refused)
}

/// The body as the user sent it; `None` where it is empty.
fn raw_body(asked: &Asked) -> Result<Option<Encoded>, Status> {
    if asked.body.is_empty() {
        return Ok(None);
    }
    let encoding = Encoding::of(asked.header(&CONTENT_TYPE)).map_err(refused)?;
    Ok(Some(Encoded { content_type: encoding.media_type(), bytes: asked.body.clone() }))
}

fn kind_of(collection: &Collection) -> BodyKind {
    BodyKind::of(&collection.resource.group, &collection.resource.plural)
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn refused(error: BodyError) -> Status {
    Status::from(&error)
}

/// Divides by asking the placer.
struct ByPlacer(Slot<Placer>);

// === impl ByPlacer ===

impl Divide for ByPlacer {
    fn divide(&self, order: Order) -> LocalBoxFuture<'_, Result<Divided, Status>> {
        let Order { total, annotations, shape, running, among } = order;
        let place = Place { total, annotations, shape, running, among };
        async move {
            match self.0.ask(place, PLACE_LIMIT).await {
                Ok(Ok(Placed { shares, note })) => Ok(Divided { shares, note }),
                Ok(Err(error @ (PlaceError::Wish(_) | PlaceError::Infeasible(_)))) => {
                    Err(Status::new(Reason::Invalid, error.to_string()))
                }
                Ok(Err(error @ PlaceError::Aborted)) => {
                    Err(Status::new(Reason::InternalError, error.to_string()))
                }
                Err(error) => {
                    let message = format!("the placer does not answer: {error}");
                    Err(Status::new(Reason::ServiceUnavailable, message).retry_after(1))
                }
            }
        }
        .boxed_local()
    }
}

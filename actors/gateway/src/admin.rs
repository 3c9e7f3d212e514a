//! The admin port: health, scores, actors (design README section 3).

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::{App, HttpResponse, HttpServer, Responder, web};
use arc_swap::ArcSwap;
use tenbin_kernel::{Clock, GuardianHandle};
use tenbin_model::score::{MemberView, ScoreBoard, ScoresPage};
use tokio_util::sync::CancellationToken;

use crate::router::RouteTable;

/// What the admin pages show.
#[derive(Clone)]
pub struct Admin {
    /// The members.
    pub table: Arc<ArcSwap<RouteTable>>,
    /// Their scores.
    pub board: Arc<ArcSwap<ScoreBoard>>,
    /// The age from which on a score is unknown.
    pub max_age: Arc<ArcSwap<Duration>>,
    /// The actors.
    pub guardian: GuardianHandle,
    /// Time.
    pub clock: Clock,
    /// Cancelled when the daemon drains: it is not ready any more.
    pub draining: CancellationToken,
    /// Whether the address is loopback; elsewhere only health is open.
    pub loopback: bool,
}

/// Serves the admin pages on `listener` until the returned server is stopped.
///
/// # Errors
/// When the listener cannot be registered.
pub fn serve(listener: TcpListener, admin: Admin) -> std::io::Result<Server> {
    let loopback = admin.loopback;
    let server = HttpServer::new(move || {
        App::new().app_data(web::Data::new(admin.clone())).configure(|service| {
            service
                .route("/healthz", web::get().to(healthz))
                .route("/readyz", web::get().to(readyz));
            if loopback {
                service
                    .route("/scores", web::get().to(scores))
                    .route("/actors", web::get().to(actors));
            }
        })
    });
    Ok(server.workers(1).disable_signals().shutdown_timeout(1).listen(listener)?.run())
}

async fn healthz() -> impl Responder {
    "ok"
}

/// Ready when the users port takes requests and any member answers.
async fn readyz(admin: web::Data<Admin>) -> HttpResponse {
    let table = admin.table.load();
    if admin.draining.is_cancelled() {
        return HttpResponse::ServiceUnavailable().body("draining");
    }
    if table.fleet.members().iter().any(|member| member.is_up()) {
        HttpResponse::Ok().body("ok")
    } else {
        HttpResponse::ServiceUnavailable().body("no member answers")
    }
}

async fn scores(admin: web::Data<Admin>) -> impl Responder {
    let table = admin.table.load();
    let members: Vec<MemberView> = table
        .fleet
        .members()
        .iter()
        .map(|member| MemberView {
            name: member.name.clone(),
            own: member.own,
            region: member.region.clone(),
            reachable: member.is_up(),
        })
        .collect();
    let max_age = **admin.max_age.load();
    web::Json(ScoresPage::new(&admin.board.load(), &members, admin.clock.now(), max_age))
}

async fn actors(admin: web::Data<Admin>) -> HttpResponse {
    match admin.guardian.observe().await {
        Ok(reports) => HttpResponse::Ok().json(reports),
        Err(error) => HttpResponse::ServiceUnavailable().body(error.to_string()),
    }
}

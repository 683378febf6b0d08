//! The HTTP interface under `/api/v1`, the pages, and what stands before both: who may come in, and
//! headers that browsers keep to.

mod app;
mod connection;
mod corrections;
mod description;
mod events;
mod guard;
mod jobs;
mod pace;
mod pages;
mod problem;
mod results;
mod server;
mod stow;
mod stream;
mod uploads;

pub(crate) use app::App;
pub(crate) use connection::answer;

use crate::database::{Direction, JobOrder, ReviewFilter};
use crate::job::JobState;
use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use std::sync::Arc;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "multirnet",
        description = "Segments pneumonia lesions in chest CT, tells COVID-19, CAP and normal apart, and \
                       measures how much of the lungs is involved. For research use only. Not a medical \
                       device.",
    ),
    tags(
        (name = "jobs", description = "Scans and what becomes of them"),
        (name = "uploads", description = "Files that come in pieces"),
        (name = "results", description = "What was found"),
        (name = "corrections", description = "What readers confirm and correct"),
        (name = "server", description = "The server itself"),
        (name = "DICOMweb", description = "Objects from archives and scanners"),
    ),
    components(schemas(problem::Problem, Direction, JobOrder, JobState, ReviewFilter)),
    security(("token" = []))
)]
struct Description;

fn api() -> OpenApiRouter<App> {
    let mut description = Description::openapi();
    description.info.version = env!("CARGO_PKG_VERSION").to_owned();
    let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    description
        .components
        .get_or_insert_default()
        .add_security_scheme("token", scheme);
    OpenApiRouter::with_openapi(description)
        .routes(routes!(jobs::list, jobs::create))
        .routes(routes!(jobs::upload))
        .routes(routes!(jobs::get, jobs::delete))
        .routes(routes!(jobs::cancel))
        .routes(routes!(jobs::retry))
        .routes(routes!(jobs::set_priority))
        .routes(routes!(jobs::previous))
        .routes(routes!(uploads::begin))
        .routes(routes!(uploads::get, uploads::append, uploads::delete))
        .routes(routes!(events::all))
        .routes(routes!(events::of_job))
        .routes(routes!(results::finding))
        .routes(routes!(results::lesions))
        .routes(routes!(results::thumbnail))
        .routes(routes!(results::files))
        .routes(routes!(results::file))
        .routes(routes!(results::ct))
        .routes(routes!(results::archive))
        .routes(routes!(corrections::list, corrections::create))
        .routes(routes!(corrections::file))
        .routes(routes!(corrections::all))
        .routes(routes!(corrections::summary))
        .routes(routes!(server::about))
        .routes(routes!(server::models))
        .routes(routes!(server::metrics))
        .routes(routes!(server::health))
        .routes(routes!(server::ready))
        .routes(routes!(stow::store))
        .routes(routes!(stow::store_study))
}

/// The OpenAPI description.
pub fn description() -> utoipa::openapi::OpenApi {
    parts().1
}

fn parts() -> (Router<App>, utoipa::openapi::OpenApi) {
    let (api, mut description) = api().split_for_parts();
    description::complete(&mut description);
    (api, description)
}

/// All routes.
pub(crate) fn router(app: App) -> Router {
    let (api, description) = parts();
    let description = Arc::new(description);
    let described = move || {
        let description = description.clone();
        async move { axum::Json((*description).clone()) }
    };
    api.route("/api/openapi.json", axum::routing::get(described))
        .route("/login", axum::routing::post(guard::log_in))
        .merge(pages::router())
        .fallback(problem::no_such_place)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(from_fn_with_state(app.clone(), guard::require_person))
        .layer(CatchPanicLayer::custom(problem::panicked))
        .layer(from_fn_with_state(app.clone(), guard::count))
        .layer(from_fn(guard::harden))
        .with_state(app)
}

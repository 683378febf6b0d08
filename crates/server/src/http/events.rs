//! Progress as server-sent events.

use super::app::App;
use super::problem::{Place, Problem, blocking};
use crate::queue::JobEvent;
use crate::{Error, ErrorKind, Job};
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::{Stream, StreamExt};
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;
use utoipa::ToSchema;

/// How often a stream without news says that it is there.
const ALIVE: Duration = Duration::from_secs(15);
/// How often a stream looks whether the server ends.
const LOOK: Duration = Duration::from_millis(250);

/// An event of a stream.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only its description is used")]
pub(super) struct ServerEvent {
    /// `hello`, `job` or `removed`.
    event: String,
    /// JSON: `{}`, the job, or the `id` of the job that was deleted.
    data: String,
}

/// Watch all jobs: `job` for each change, `removed` for each deletion, and `hello` at the start and when
/// the list must be read again since events were lost.
#[utoipa::path(get, operation_id = "events_all", path = "/api/v1/events", tag = "jobs",
    responses((status = 200, content_type = "text/event-stream", body = ServerEvent)))]
pub(super) async fn all(
    State(app): State<App>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let seat = seat(&app)?;
    let hello = futures_util::stream::iter([Some(hello())]);
    let news = BroadcastStream::new(app.queue.events.watch()).map(|event| match event {
        Ok(event) => event_of(&event),
        Err(BroadcastStreamRecvError::Lagged(_)) => Some(self::hello()),
    });
    Ok(stream(app, seat, hello.chain(news)))
}

/// Watch one job, until it is finished.
#[utoipa::path(get, operation_id = "events_of_job", path = "/api/v1/jobs/{id}/events", tag = "jobs", params(("id" = String, Path)),
    responses((status = 200, content_type = "text/event-stream", body = ServerEvent)))]
pub(super) async fn of_job(
    State(app): State<App>,
    Place(id): Place<String>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let seat = seat(&app)?;
    // Watched before it is read, so that no change is lost in between.
    let watch = app.queue.events.watch();
    let (queue, name) = (app.queue.clone(), id.clone());
    let job = blocking(move || queue.job(&name)).await?;
    let first = JobEvent::Changed(Box::new(job));
    let queue = app.queue.clone();
    let news = BroadcastStream::new(watch).filter_map(move |event| {
        let event = match event {
            Ok(event) => Some(event),
            // Events were lost, perhaps the last one.
            Err(_) => queue
                .job(&id)
                .ok()
                .map(|job| JobEvent::Changed(Box::new(job))),
        };
        let is_own = |e: &JobEvent| match e {
            JobEvent::Changed(job) => job.id == id,
            JobEvent::Removed { id: other } => *other == id,
        };
        std::future::ready(event.filter(is_own))
    });
    let all = futures_util::stream::iter([first]).chain(news);
    let until_end = futures_util::stream::unfold(Some(Box::pin(all)), |rest| async {
        let mut rest = rest?;
        let event = rest.next().await?;
        let rest = (!ends(&event)).then_some(rest);
        Some((event, rest))
    });
    Ok(stream(app, seat, until_end.map(|e| event_of(&e))))
}

fn ends(event: &JobEvent) -> bool {
    match event {
        JobEvent::Changed(job) => job.state.is_finished(),
        JobEvent::Removed { .. } => true,
    }
}

fn hello() -> Event {
    Event::default().event("hello").data("{}")
}

fn event_of(event: &JobEvent) -> Option<Event> {
    let name = match event {
        JobEvent::Changed(_) => "job",
        JobEvent::Removed { .. } => "removed",
    };
    let data: Option<&Job> = match event {
        JobEvent::Changed(job) => Some(job),
        JobEvent::Removed { .. } => None,
    };
    let filled = Event::default().event(name);
    match data {
        Some(job) => filled.json_data(job).ok(),
        None => filled.json_data(event).ok(),
    }
}

/// A place for one more stream.
fn seat(app: &App) -> Result<OwnedSemaphorePermit, Problem> {
    app.streams.clone().try_acquire_owned().map_err(|_| {
        let most = app.queue.config.limits.event_streams;
        let reason = format!("there are {most} streams of events already");
        app.queue.metrics.refused(ErrorKind::Full);
        Error::new(ErrorKind::Full, reason)
            .hint("close one, or read /api/v1/jobs from time to time")
            .into()
    })
}

/// The stream of what there is to tell, which ends when the server ends. It holds `seat` until then.
fn stream(
    app: App,
    seat: OwnedSemaphorePermit,
    events: impl Stream<Item = Option<Event>> + Send + 'static,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let end = async move {
        while !app.queue.stop.is_raised() {
            tokio::time::sleep(LOOK).await;
        }
    };
    let told = events.filter_map(move |e| {
        let _held = &seat;
        std::future::ready(e.map(Ok))
    });
    Sse::new(told.take_until(Box::pin(end))).keep_alive(KeepAlive::new().interval(ALIVE))
}

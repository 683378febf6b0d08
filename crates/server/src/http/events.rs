//! Progress as server-sent events.

use super::app::App;
use super::problem::{Problem, blocking};
use crate::Job;
use crate::queue::JobEvent;
use axum::extract::{Path, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::{Stream, StreamExt};
use std::convert::Infallible;
use std::time::Duration;
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;

/// How often a stream without news says that it is there.
const ALIVE: Duration = Duration::from_secs(15);
/// How often a stream looks whether the server ends.
const LOOK: Duration = Duration::from_millis(250);

/// Watch all jobs: `job` for each change, `removed` for each deletion, and `hello` at the start and when
/// the list must be read again since events were lost.
#[utoipa::path(get, operation_id = "events_all", path = "/api/v1/events", tag = "jobs",
    responses((status = 200, content_type = "text/event-stream", body = String),
        (status = "default", body = Problem)))]
pub(super) async fn all(
    State(app): State<App>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let hello = futures_util::stream::iter([Some(hello())]);
    let news = BroadcastStream::new(app.queue.events.watch()).map(|event| match event {
        Ok(event) => event_of(&event),
        Err(BroadcastStreamRecvError::Lagged(_)) => Some(self::hello()),
    });
    stream(app, hello.chain(news))
}

/// Watch one job, until it is finished.
#[utoipa::path(get, operation_id = "events_of_job", path = "/api/v1/jobs/{id}/events", tag = "jobs", params(("id" = String, Path)),
    responses((status = 200, content_type = "text/event-stream", body = String),
        (status = "default", body = Problem)))]
pub(super) async fn of_job(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
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
    Ok(stream(app, until_end.map(|e| event_of(&e))))
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

/// The stream of what there is to tell, which ends when the server ends.
fn stream(
    app: App,
    events: impl Stream<Item = Option<Event>> + Send + 'static,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let end = async move {
        while !app.queue.stop.is_raised() {
            tokio::time::sleep(LOOK).await;
        }
    };
    let told = events.filter_map(|e| std::future::ready(e.map(Ok)));
    Sse::new(told.take_until(Box::pin(end))).keep_alive(KeepAlive::new().interval(ALIVE))
}

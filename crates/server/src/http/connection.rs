//! Connections: how many there may be, and how long a client may take for its headers.
//!
//! axum's own loop sets no time limits, so this one takes its place. Whoever is over a limit learns so
//! with the status 503; nobody waits unanswered.

use super::App;
use super::pace::{PacedBody, PacedStream};
use super::problem::Problem;
use crate::ErrorKind;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, Request, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tower_service::Service;

/// Most bytes of a request's line and headers.
const HEADER_BYTES: usize = 32 << 10;
/// Most headers of a request.
const HEADERS: usize = 100;
/// How long the server waits before it accepts again when the system gives no connection.
const PAUSE: Duration = Duration::from_millis(500);
/// How long a refused client may take to read its answer.
const LAST_WORD: Duration = Duration::from_secs(1);
/// Most refused clients that read their answer at a time; others are only disconnected.
const LAST_WORDS: usize = 32;
/// Most bytes that are read from a refused client.
const LAST_BYTES: u64 = 64 << 10;

/// Answers on `socket` until `raised` is ready, and then until every answer is given.
pub(crate) async fn answer(
    socket: TcpListener,
    router: Router,
    app: App,
    raised: impl Future<Output = ()>,
) {
    let seats = Seats::new(&app);
    let refusals = Seats::alike(LAST_WORDS);
    let (end, ends) = watch::channel(false);
    let (closed, open) = watch::channel(());
    let mut raised = pin!(raised);
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            () = &mut raised => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(e) => {
                // A client that is gone already concerns nobody; without free handles, others wait.
                tracing::debug!("accept: {e}");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let Some(seat) = seats.take(peer.ip().to_canonical()) else {
            app.queue.metrics.refused(ErrorKind::Full);
            if let Some(seat) = refusals.take(peer.ip().to_canonical()) {
                tokio::spawn(refuse(stream, seat));
            }
            continue;
        };
        // An answer goes out at once; it is written as a whole anyway.
        let _ = stream.set_nodelay(true);
        let work = converse(stream, peer, router.clone(), app.clone(), ends.clone());
        let open = open.clone();
        tokio::spawn(async move {
            work.await;
            drop((seat, open));
        });
    }
    drop((socket, open));
    let _ = end.send(true);
    closed.closed().await;
}

/// Answers the requests of one connection.
async fn converse(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    app: App,
    mut ends: watch::Receiver<bool>,
) {
    let limits = &app.queue.config.limits;
    let stall = Duration::from_secs(limits.stall_seconds);
    let service = service_fn(move |request: Request<Incoming>| {
        let mut router = router.clone();
        // With both lengths, or with chunks that end elsewhere for a proxy, the rest of a connection
        // could pass for a second request. So a request with chunks is the last of its connection.
        let is_chunked = request.headers().contains_key(header::TRANSFER_ENCODING);
        let mut request = request.map(|body| Body::new(PacedBody::new(body, stall)));
        request.extensions_mut().insert(ConnectInfo(peer));
        let answered = router.call(request);
        async move {
            let mut response = answered.await;
            if is_chunked && let Ok(response) = &mut response {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(header::CONNECTION, close);
            }
            response
        }
    });
    let io = TokioIo::new(PacedStream::new(stream, stall));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(limits.header_seconds))
        .max_header_size(HEADER_BYTES)
        .max_headers(HEADERS)
        .serve_connection(io, service);
    let mut connection = pin!(connection);
    let mut is_ending = false;
    loop {
        tokio::select! {
            served = connection.as_mut() => {
                if let Err(e) = served {
                    tracing::debug!("{peer}: {e}");
                }
                return;
            }
            _ = ends.changed(), if !is_ending => {
                is_ending = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Says that there are too many connections.
async fn refuse(mut stream: TcpStream, _seat: Seat) {
    let mut problem = Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "full",
        "there are too many connections",
    );
    problem.error.hint = Some("try again later".to_owned());
    let body = serde_json::to_string(&problem).unwrap_or_default();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         retry-after: 30\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let said = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
        // A connection that is closed with unread bytes loses its answer.
        let mut rest = (&mut stream).take(LAST_BYTES);
        tokio::io::copy(&mut rest, &mut tokio::io::sink()).await
    };
    let _ = tokio::time::timeout(LAST_WORD, said).await;
}

/// Room for connections. One address may have half of them, so that it cannot keep out all others. A
/// trusted proxy speaks for everybody and may have all.
#[derive(Clone)]
struct Seats(Arc<Room>);

struct Room {
    all: usize,
    of_one: usize,
    trusted: Vec<IpAddr>,
    taken: Mutex<HashMap<IpAddr, usize>>,
}

/// A connection's place. Dropped, it is free again.
struct Seat(Seats, IpAddr);

impl Seats {
    fn new(app: &App) -> Self {
        let all = app.queue.config.limits.connections;
        Self(Arc::new(Room {
            all,
            of_one: all.div_ceil(2),
            trusted: app.queue.config.access.trusted_proxies.clone(),
            taken: Mutex::default(),
        }))
    }

    fn alike(all: usize) -> Self {
        Self(Arc::new(Room {
            all,
            of_one: all,
            trusted: Vec::new(),
            taken: Mutex::default(),
        }))
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        // A number cannot be left half changed.
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, peer: IpAddr) -> Option<Seat> {
        let mut taken = self.taken();
        let all: usize = taken.values().sum();
        let own = taken.get(&peer).copied().unwrap_or(0);
        let most = match self.0.trusted.contains(&peer) {
            true => self.0.all,
            false => self.0.of_one,
        };
        if all >= self.0.all || own >= most {
            return None;
        }
        taken.insert(peer, own + 1);
        Some(Seat(self.clone(), peer))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.0.taken();
        if let Some(own) = taken.get_mut(&self.1) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_has_half_of_the_seats_and_a_proxy_all() {
        let [a, b, proxy] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(|a| a.parse().unwrap());
        let seats = || {
            Seats(Arc::new(Room {
                all: 4,
                of_one: 2,
                trusted: vec![proxy],
                taken: Mutex::default(),
            }))
        };
        let room = seats();
        let first = room.take(a).unwrap();
        let _second = room.take(a).unwrap();
        assert!(room.take(a).is_none());
        let _other = (room.take(b).unwrap(), room.take(b).unwrap());
        assert!(room.take(proxy).is_none());
        drop(first);
        assert!(room.take(proxy).is_some());
        let room = seats();
        let held: Vec<Seat> = (0..4).map(|_| room.take(proxy).unwrap()).collect();
        assert!(room.take(proxy).is_none() && room.take(a).is_none());
        drop(held);
        assert!(room.taken().is_empty());
    }
}

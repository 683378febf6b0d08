//! Bodies as streams: to the disk as they come, and from work in other threads as it goes on.

use crate::{Error, ErrorKind, Result};
use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, header};
use futures_util::StreamExt;
use std::io::{Read, Write};
use tokio::io::AsyncWriteExt;
use tokio_util::io::{ReaderStream, StreamReader, SyncIoBridge};

/// Bytes between work and body.
const BUFFER: usize = 1 << 18;
/// Most bytes of a refused body that are read.
pub(super) const MOST_DISCARDED: u64 = 64 << 20;

/// Writes `body` to the end of `file` and waits until it is on the disk. Gives its length, which may be
/// at most `most`.
///
/// # Errors
/// `TooLarge`; `Invalid` if the connection breaks; `Write`. What came before stays in the file, but for
/// a body that is too long, of which only what fits stays.
pub(super) async fn receive_into(file: std::fs::File, body: Body, most: u64) -> Result<u64> {
    let disk = |e| {
        Error::new(ErrorKind::Write, format!("cannot write the upload: {e}"))
            .hint("send the rest later, when the server's disk has room")
    };
    let mut file = tokio::fs::File::from_std(file);
    let mut stream = body.into_data_stream();
    let mut bytes = 0;
    let mut failure = None;
    let mut is_long = false;
    while let Some(piece) = stream.next().await {
        match piece {
            Err(e) => {
                failure = Some(Error::invalid(format!("the connection broke: {e}")));
                break;
            }
            Ok(piece) if bytes + piece.len() as u64 > most => {
                let reason = "the body is longer than the upload was said to be";
                failure = Some(Error::new(ErrorKind::TooLarge, reason));
                is_long = true;
                break;
            }
            Ok(piece) => {
                file.write_all(&piece).await.map_err(disk)?;
                bytes += piece.len() as u64;
            }
        }
    }
    if is_long {
        drain(Body::from_stream(stream)).await;
    }
    file.flush().await.map_err(disk)?;
    file.sync_data().await.map_err(disk)?;
    failure.map_or(Ok(bytes), Err)
}

/// Reads a body that is refused, as far as it is short: clients read an answer only after they have
/// sent everything. A client that waits for leave to send its body, or has a long one, gets the answer
/// at once.
pub(super) async fn discard(headers: &HeaderMap, body: Body) {
    let is_waiting = headers.contains_key(header::EXPECT);
    if is_waiting || body.size_hint().lower() > MOST_DISCARDED {
        return;
    }
    drain(body).await;
}

async fn drain(body: Body) {
    let mut stream = body.into_data_stream();
    let mut bytes = 0;
    while let Some(Ok(piece)) = stream.next().await {
        bytes += piece.len() as u64;
        if bytes > MOST_DISCARDED {
            return;
        }
    }
}

/// A body as a reader for work in another thread. It must not be used in a thread that answers requests.
pub(super) fn body_reader(body: Body) -> impl Read + Send {
    let stream = body
        .into_data_stream()
        .map(|piece| piece.map_err(std::io::Error::other));
    SyncIoBridge::new(StreamReader::new(stream))
}

/// A body that `work` writes in a thread of its own. If the work fails, the connection breaks, so that
/// nobody takes a part for the whole.
pub(super) fn body_of(
    work: impl FnOnce(&mut dyn Write) -> std::io::Result<()> + Send + 'static,
) -> Body {
    let (writer, reader) = tokio::io::duplex(BUFFER);
    let task = tokio::task::spawn_blocking(move || {
        let mut bridge = std::io::BufWriter::with_capacity(BUFFER, SyncIoBridge::new(writer));
        work(&mut bridge)?;
        bridge.flush()
    });
    let end = futures_util::stream::once(async move {
        match task.await {
            Ok(Ok(())) => Ok(axum::body::Bytes::new()),
            Ok(Err(e)) => Err(e),
            Err(_) => Err(std::io::Error::other("the work panicked")),
        }
    });
    let body = ReaderStream::with_capacity(reader, BUFFER).chain(end);
    Body::from_stream(body.filter(|piece| {
        let is_kept = piece.as_ref().is_ok_and(|p| !p.is_empty()) || piece.is_err();
        std::future::ready(is_kept)
    }))
}

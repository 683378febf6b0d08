//! The pace that a client must keep: whoever makes the server wait too long for a few bytes is
//! disconnected. Without this, a client that sends or takes a byte now and then would hold a connection,
//! a thread and planned memory for as long as it likes.

use axum::body::{Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

/// Bytes that a client must send or take within the time, unless that is all there is.
const LEAST: u64 = 4096;

/// Counts bytes, and the time that the server waits for a client. Work of the server's own does not
/// count.
struct Pace {
    most: Duration,
    waited: Duration,
    since: Option<Instant>,
    bytes: u64,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Pace {
    fn new(most: Duration) -> Self {
        Self {
            most,
            waited: Duration::ZERO,
            since: None,
            bytes: 0,
            timer: None,
        }
    }

    /// The client moved `bytes`.
    fn moved(&mut self, bytes: u64) {
        if let Some(since) = self.since.take() {
            self.waited += since.elapsed();
        }
        self.timer = None;
        self.bytes += bytes;
        if self.bytes >= LEAST {
            self.bytes = 0;
            self.waited = Duration::ZERO;
        }
    }

    /// The server waits for the client. Ready once it has waited for too long.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.since.is_none() {
            self.since = Some(Instant::now());
        }
        let rest = self.most.saturating_sub(self.waited);
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(rest)));
        timer.as_mut().poll(cx)
    }
}

fn late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the client is too slow")
}

/// A request's body whose client must keep pace.
pub(super) struct PacedBody<B> {
    body: B,
    pace: Pace,
}

impl<B> PacedBody<B> {
    pub fn new(body: B, most: Duration) -> Self {
        let pace = Pace::new(most);
        Self { body, pace }
    }
}

impl<B> HttpBody for PacedBody<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<axum::BoxError>,
{
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        let this = self.get_mut();
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, |d| d.len() as u64);
                this.pace.moved(bytes);
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(end) => Poll::Ready(end.map(|e| e.map_err(Into::into))),
            Poll::Pending => match this.pace.poll_late(cx) {
                Poll::Ready(()) => Poll::Ready(Some(Err(late().into()))),
                Poll::Pending => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection whose client must take what it is sent.
pub(super) struct PacedStream {
    stream: TcpStream,
    pace: Pace,
}

impl PacedStream {
    pub fn new(stream: TcpStream, most: Duration) -> Self {
        let pace = Pace::new(most);
        Self { stream, pace }
    }

    fn written(
        &mut self,
        cx: &mut Context<'_>,
        n: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match n {
            Poll::Ready(Ok(n)) => {
                self.pace.moved(n as u64);
                Poll::Ready(Ok(n))
            }
            Poll::Ready(Err(e)) => Poll::Ready(Err(e)),
            Poll::Pending => self.pace.poll_late(cx).map(|()| Err(late())),
        }
    }
}

impl AsyncRead for PacedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for PacedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let n = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(cx, n)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let n = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.written(cx, n)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

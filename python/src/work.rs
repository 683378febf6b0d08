//! Work of the library on a thread of its own, while the calling thread watches for signals.

use crate::error::{Failure, Outcome};
use crate::logging;
use multirnet::StopToken;
use pyo3::prelude::*;
use serde::Serialize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// How often the calling thread looks for signals.
const POLL: Duration = Duration::from_millis(20);

/// How long a call that was interrupted waits for its work to end.
const GRACE: Duration = Duration::from_millis(100);

/// What an interrupt does with the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnInterrupt {
    /// The work is asked to end, and its result is not waited for longer than [`GRACE`].
    Leave,
    /// The work is asked to end and saves what it has. A second interrupt does not wait for that.
    Save,
}

enum Message<T> {
    Notice(String),
    Done(Outcome<T>),
}

/// Sends progress from the work to the calling thread, as JSON.
pub struct Notices(Box<dyn Fn(String) + Send + Sync>);

impl Notices {
    /// Sends a value. A value that is not JSON is left out: progress must not end the work.
    pub fn send(&self, value: &impl Serialize) {
        if let Ok(text) = serde_json::to_string(value) {
            (self.0)(text);
        }
    }
}

/// Runs `work` without the interpreter's lock, and returns its result.
///
/// `callback`, if given, is called with each notice on the calling thread. An exception in it, or a
/// signal whose handler raises one (Ctrl-C: `KeyboardInterrupt`), raises the stop token and is what
/// the call ends with.
///
/// # Errors
/// The failure of `work` as an exception, the exception of `callback` or of a signal's handler, and
/// the kind `process` in a process that was forked after the first call, because the library's threads
/// exist only in its parent.
pub fn run<T: Send + 'static>(
    py: Python<'_>,
    callback: Option<&Bound<'_, PyAny>>,
    on_interrupt: OnInterrupt,
    work: impl FnOnce(&StopToken, &Notices) -> Outcome<T> + Send + 'static,
) -> PyResult<T> {
    check_process()?;
    logging::follow(py)?;
    let stop = StopToken::new();
    let (sender, mut receiver) = channel();
    spawn(sender, stop.clone(), work)?;
    let mut raised: Option<(PyErr, Instant)> = None;
    loop {
        let (back, message) = py.detach(move || wait(receiver));
        receiver = back;
        let mut seen = logging::deliver(py);
        match message {
            Ok(Message::Notice(text)) => {
                if let (Some(callback), None, Ok(())) = (callback, &raised, &seen) {
                    seen = callback.call1((text,)).map(drop);
                }
            }
            Ok(Message::Done(result)) => {
                if let Some((exception, _)) = raised {
                    return Err(exception);
                }
                seen?;
                return Ok(result?);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(ended().into()),
        }
        let was_raised = raised.is_some();
        if let Err(exception) = seen.and_then(|()| py.check_signals()) {
            if was_raised {
                break;
            }
            stop.raise();
            raised = Some((exception, Instant::now()));
        }
        let is_over = |since: &Instant| since.elapsed() > GRACE;
        if on_interrupt == OnInterrupt::Leave && raised.as_ref().is_some_and(|r| is_over(&r.1)) {
            break;
        }
    }
    Err(raised.map_or_else(|| ended().into(), |(exception, _)| exception))
}

fn wait<T>(receiver: Receiver<T>) -> (Receiver<T>, Result<T, RecvTimeoutError>) {
    let message = receiver.recv_timeout(POLL);
    (receiver, message)
}

fn spawn<T: Send + 'static>(
    sender: Sender<Message<T>>,
    stop: StopToken,
    work: impl FnOnce(&StopToken, &Notices) -> Outcome<T> + Send + 'static,
) -> Outcome<()> {
    let body = move || {
        let notices = {
            let sender = sender.clone();
            // A call that was left does not receive any more.
            Notices(Box::new(move |text| {
                drop(sender.send(Message::Notice(text)))
            }))
        };
        let result = catch_unwind(AssertUnwindSafe(|| work(&stop, &notices)));
        drop(sender.send(Message::Done(result.unwrap_or_else(|_| Err(ended())))));
    };
    std::thread::Builder::new()
        .name("multirnet".to_owned())
        .spawn(body)
        .map(drop)
        .map_err(|e| Failure::new("process", format!("cannot start a thread: {e}"), None))
}

/// The failure of work that ended in a panic.
fn ended() -> Failure {
    Failure::new(
        "internal",
        "the library ended in an unexpected way",
        Some("please report this with the message on standard error"),
    )
}

/// Refuses to work in a fork of the process that has worked before.
fn check_process() -> Outcome<()> {
    static WORKED_IN: AtomicU32 = AtomicU32::new(0);
    let own = std::process::id();
    let first = WORKED_IN.compare_exchange(0, own, Ordering::Relaxed, Ordering::Relaxed);
    match first {
        Ok(_) => Ok(()),
        Err(pid) if pid == own => Ok(()),
        Err(_) => Err(Failure::new(
            "process",
            "this process was forked from one that has used multirnet, whose threads it lacks",
            Some("start processes with the method \"spawn\" or \"forkserver\""),
        )),
    }
}

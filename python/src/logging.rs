//! Messages of the library to Python's `logging`.
//!
//! A message may come from any thread, and none of them may wait for the interpreter's lock. Messages
//! are therefore collected, and the thread that called the library hands them to `logging`.

use pyo3::prelude::*;
use std::fmt::Write;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// Python's level of the least important message that the logger `multirnet` takes.
static LOWEST: AtomicU8 = AtomicU8::new(WARNING);

/// Messages that are not delivered yet.
static MESSAGES: Mutex<Vec<Message>> = Mutex::new(Vec::new());

const WARNING: u8 = 30;

struct Message {
    logger: String,
    level: u8,
    text: String,
}

/// Python's number of a level. It has no level below "debug".
fn number(level: Level) -> u8 {
    match level {
        Level::ERROR => 40,
        Level::WARN => WARNING,
        Level::INFO => 20,
        Level::DEBUG => 10,
        Level::TRACE => 5,
    }
}

struct Collector;

impl<S: Subscriber> tracing_subscriber::Layer<S> for Collector {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> tracing::subscriber::Interest {
        // The logger's level may change at any time.
        tracing::subscriber::Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target().starts_with("multirnet")
            && number(*metadata.level()) >= LOWEST.load(Ordering::Relaxed)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = Text::default();
        event.record(&mut text);
        let target = event.metadata().target();
        let message = Message {
            // `multirnet_dicom::read` becomes `multirnet.dicom.read`.
            logger: target.replace("::", ".").replacen('_', ".", 1),
            level: number(*event.metadata().level()),
            text: text.message + &text.fields,
        };
        MESSAGES
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(message);
    }
}

#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

/// Begins to collect messages. Only the first call has an effect.
pub fn install() {
    drop(tracing_subscriber::registry().with(Collector).try_init());
}

/// Reads the level of the logger `multirnet`.
///
/// # Errors
/// Exceptions of `logging`.
pub fn follow(py: Python<'_>) -> PyResult<()> {
    let logger = py
        .import("logging")?
        .call_method1("getLogger", ("multirnet",))?;
    let level: i64 = logger.call_method0("getEffectiveLevel")?.extract()?;
    LOWEST.store(level.clamp(0, 255) as u8, Ordering::Relaxed);
    Ok(())
}

/// Hands the collected messages to `logging`.
///
/// # Errors
/// Exceptions of `logging` and its handlers.
pub fn deliver(py: Python<'_>) -> PyResult<()> {
    let messages = {
        let mut all = MESSAGES.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *all)
    };
    if messages.is_empty() {
        return Ok(());
    }
    let logging = py.import("logging")?;
    for message in messages {
        let logger = logging.call_method1("getLogger", (message.logger,))?;
        logger.call_method1("log", (message.level, "%s", message.text))?;
    }
    Ok(())
}

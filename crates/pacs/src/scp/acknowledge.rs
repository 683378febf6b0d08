//! Acknowledging what a peer sends at once.
//!
//! A peer that does not switch Nagle's algorithm off holds back the last segment of each PDU until the
//! ones before it are acknowledged, and the kernel delays acknowledgements by 40 ms. Each object would
//! then take 40 ms or more; dcmtk's `storescu` is such a peer. On Linux, `TCP_QUICKACK` sends what is
//! delayed. The kernel forgets it, so it is set again and again while an object comes in.

use std::time::Duration;
use tokio::net::TcpStream;

/// How often acknowledgements are sent while an object comes in.
const INTERVAL: Duration = Duration::from_millis(1);

/// A second handle of an association's socket.
pub(super) struct Acknowledger(Option<socket2::Socket>);

impl Acknowledger {
    /// The acknowledger of `stream`. If the system gives no second handle, it does nothing.
    pub fn of(stream: &TcpStream) -> Self {
        let socket = socket2::SockRef::from(stream).try_clone();
        Self(socket.map_err(|e| tracing::debug!("{e}")).ok())
    }

    /// Sends delayed acknowledgements.
    pub fn acknowledge(&self) {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Some(socket) = &self.0 {
            // A connection that is gone needs none.
            let _ = socket.set_tcp_quickack(true);
        }
    }

    /// Waits for `work`. While `is_inside` an object, what comes in is acknowledged at once.
    pub async fn during<T>(&self, is_inside: bool, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        self.acknowledge();
        loop {
            tokio::select! {
                result = &mut work => return result,
                () = tokio::time::sleep(INTERVAL), if is_inside && self.0.is_some() => self.acknowledge(),
            }
        }
    }
}

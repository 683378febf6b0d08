//! A client that sends what no well-behaved client sends.

use crate::support::PATIENCE;
use socket2::{Domain, Socket, Type};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// A connection.
pub struct Raw(pub TcpStream);

/// An answer of the server.
#[derive(Debug)]
pub struct RawAnswer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Raw {
    pub fn open(server: SocketAddr) -> Self {
        Self::open_from(server, "127.0.0.1", None)
    }

    /// Connects from an address of this machine, and takes only `receive` bytes without reading.
    pub fn open_from(server: SocketAddr, own: &str, receive: Option<usize>) -> Self {
        let own: IpAddr = own.parse().unwrap();
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        if let Some(bytes) = receive {
            socket.set_recv_buffer_size(bytes).unwrap();
        }
        socket.bind(&SocketAddr::new(own, 0).into()).unwrap();
        socket.connect(&server.into()).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self(stream)
    }

    /// Sends bytes. Gives whether the server still takes them.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).is_ok()
    }

    /// Everything until the server closes the connection.
    pub fn until_closed(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        let mut buffer = [0; 1 << 14];
        loop {
            match self.0.read(&mut buffer) {
                Ok(0) => return all,
                Ok(n) => all.extend(&buffer[..n]),
                Err(e) if e.kind() == ErrorKind::ConnectionReset => return all,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => panic!("the server does not close the connection: {e}"),
            }
        }
    }

    /// Reads until `is_enough` of what came so far, or the end.
    pub fn until(&mut self, mut is_enough: impl FnMut(&[u8]) -> bool) -> Vec<u8> {
        let mut all = Vec::new();
        let mut buffer = [0; 1 << 14];
        let begin = Instant::now();
        while !is_enough(&all) {
            assert!(begin.elapsed() < PATIENCE, "still waiting for an answer");
            match self.0.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => all.extend(&buffer[..n]),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        all
    }

    /// Whether the connection is closed by the server; waits for it.
    pub fn is_closed_soon(&mut self) -> bool {
        self.0
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        let mut buffer = [0; 1 << 14];
        loop {
            match self.0.read(&mut buffer) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(e) => return e.kind() == ErrorKind::ConnectionReset,
            }
        }
    }
}

/// Sends `request` over a connection of its own and gives the answers until the server closes it.
pub fn ask(server: SocketAddr, request: &[u8]) -> Vec<RawAnswer> {
    let mut raw = Raw::open(server);
    raw.send(request);
    answers(&raw.until_closed())
}

/// The answers that `bytes` hold. Panics at what is not an answer.
pub fn answers(mut bytes: &[u8]) -> Vec<RawAnswer> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let end = bytes.windows(4).position(|w| w == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("{:?}", String::from_utf8_lossy(bytes)));
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        bytes = &bytes[end + 4..];
        let line = head.lines().next().unwrap();
        assert!(line.starts_with("HTTP/1."), "{line}");
        let status = line.split(' ').nth(1).unwrap().parse().unwrap();
        let length = head.lines().find_map(|l| {
            let (name, value) = l.split_once(':')?;
            let is_length = name.eq_ignore_ascii_case("content-length");
            is_length.then(|| value.trim().parse::<usize>().unwrap())
        });
        let length = length.unwrap_or(if status == 100 { 0 } else { bytes.len() });
        let (body, rest) = bytes.split_at(length.min(bytes.len()));
        bytes = rest;
        // An interim answer is not the answer.
        if status != 100 {
            let body = body.to_vec();
            all.push(RawAnswer { status, head, body });
        }
    }
    all
}

impl RawAnswer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|l| {
            let (n, value) = l.split_once(':')?;
            n.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

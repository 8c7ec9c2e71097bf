//! The sinks beside the log's file: standard error, systemd's journal, syslog.
//!
//! A sink is opened once, with whatever right the launcher has then. What it
//! takes is a [`Packet`]. After the process is confined a packet goes out by
//! write(2) alone.

use std::fmt;
use std::path::Path;

use secure_exec_core::audit::Record;
use secure_exec_core::audit::chain::Format;
use secure_exec_core::audit::packet::Packet;
use secure_exec_core::config::{SinkConfig, SinkKind};
use secure_exec_core::escape::Escaped;
use secure_exec_sys::datagram::LogSocket;
use secure_exec_sys::{Errno, stream};

/// The journal's socket for its own protocol
/// (systemd.io/JOURNAL_NATIVE_PROTOCOL).
const JOURNAL: &str = "/run/systemd/journal/socket";
/// The socket of whatever takes syslog messages (man 3 syslog).
const SYSLOG: &str = "/dev/log";

/// A place that records go to.
#[derive(Debug)]
pub struct Sink {
    kind: SinkKind,
    format: Format,
    channel: Result<Channel, String>,
    /// As messages call it.
    shown: String,
}

#[derive(Debug)]
enum Channel {
    Stderr,
    Socket(LogSocket),
}

impl Sink {
    /// Opens a sink; one that can't be opened is an error only when a record
    /// is to be written. `None` for the file, which is no sink of this kind.
    /// Records are written in `log_format` where nothing else is said.
    #[must_use]
    pub fn open(config: &SinkConfig, log_format: Format) -> Option<Self> {
        let socket = |usual: &'static str| config.socket.as_deref().unwrap_or(usual);
        let (channel, shown) = match config.kind {
            SinkKind::File => return None,
            SinkKind::Stderr => (Ok(Channel::Stderr), "standard error".to_string()),
            SinkKind::Journald => {
                let path = socket(JOURNAL);
                let opened = LogSocket::datagram(Path::new(path));
                (connected(opened), shown("the journal", path))
            }
            SinkKind::Syslog => {
                let path = socket(SYSLOG);
                let opened = LogSocket::datagram_or_stream(Path::new(path));
                (connected(opened), shown("syslog", path))
            }
        };
        Some(Self {
            kind: config.kind,
            format: config.format.unwrap_or(log_format),
            channel,
            shown,
        })
    }

    /// Renders a record for this sink.
    ///
    /// # Errors
    /// It is no JSON.
    pub fn prepare(&self, record: &Record<'_>) -> Result<Packet, serde_json::Error> {
        Packet::new(self.kind, record, self.format)
    }

    /// Sends a completed packet, before the process is confined.
    ///
    /// # Errors
    /// Why it was not sent.
    pub fn send(&self, packet: &[u8]) -> Result<(), Unsent<'_>> {
        match (self.send_confined(packet), &self.channel) {
            // As systemd's own library does.
            (
                Err(Unsent::Refused(Errno::EMSGSIZE | Errno::ENOBUFS)),
                Ok(Channel::Socket(socket)),
            ) if self.kind == SinkKind::Journald => socket
                .send_as_file(packet)
                .map_err(|error| Unsent::Refused(error.errno().unwrap_or(Errno::EIO))),
            (sent, _) => sent,
        }
    }

    /// Sends a completed packet with write(2) alone. Allocates nothing. A
    /// packet that is too large for a datagram is an error even for the
    /// journal, which takes it as a file before the process is confined.
    ///
    /// # Errors
    /// Why it was not sent.
    pub fn send_confined(&self, packet: &[u8]) -> Result<(), Unsent<'_>> {
        match &self.channel {
            Ok(Channel::Stderr) => stream::write_to_stderr(packet).map_err(Unsent::Refused),
            Ok(Channel::Socket(socket)) => socket.send(packet).map_err(Unsent::Refused),
            Err(why) => Err(Unsent::NotOpen(why)),
        }
    }
}

impl fmt::Display for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

fn connected(opened: Result<LogSocket, secure_exec_sys::Error>) -> Result<Channel, String> {
    opened.map(Channel::Socket).map_err(|error| {
        let is_gone = error.is_not_found() || error.errno() == Some(Errno::ECONNREFUSED);
        let cure = if is_gone {
            "; nothing listens there"
        } else {
            ""
        };
        format!("{error}{cure}")
    })
}

fn shown(what: &str, path: &str) -> String {
    format!("{what} ('{}')", Escaped(path))
}

/// Why a packet was not sent, as a phrase that follows "can't be written: ".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsent<'a> {
    /// The sink could not be opened.
    NotOpen(&'a str),
    /// The kernel refused the write.
    Refused(Errno),
}

impl std::error::Error for Unsent<'_> {}

impl fmt::Display for Unsent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOpen(why) => f.write_str(why),
            Self::Refused(Errno::ETIMEDOUT) => {
                f.write_str("its reader does not keep up: there was no room for a second")
            }
            Self::Refused(Errno::EMSGSIZE) => f.write_str("the record is too large for a datagram"),
            Self::Refused(errno) => write!(f, "{} ({errno:?})", errno.desc()),
        }
    }
}

//! JSON-RPC over standard streams, as MCP and LSP clients speak it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::profiles::network::Running;

/// How messages are told apart.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// One a line.
    Lines,
    /// After a header with their length.
    Headers,
}

/// A running server.
pub(super) struct Session {
    server: Running,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    framing: Framing,
    asked: u64,
}

impl Session {
    /// Starts a server.
    pub(super) fn start(mut command: Command, framing: Framing) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut server = Running(command.spawn().unwrap());
        Self {
            to: server.0.stdin.take().unwrap(),
            from: BufReader::new(server.0.stdout.take().unwrap()),
            server,
            framing,
            asked: 0,
        }
    }

    /// The result, or the error, of a request.
    pub(super) fn ask(&mut self, method: &str, params: Value) -> Value {
        self.asked += 1;
        let id = self.asked;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        loop {
            let message = self.receive();
            match (message.get("method"), message.get("id")) {
                (None, _) => {
                    assert_eq!(message["id"], id, "{message}");
                    let result = message.get("result").or_else(|| message.get("error"));
                    return result.unwrap().clone();
                }
                // The server asks: it gets nothing.
                (Some(_), Some(id)) => {
                    self.send(&json!({ "jsonrpc": "2.0", "id": id, "result": null }));
                }
                (Some(_), None) => {}
            }
        }
    }

    /// A notification.
    pub(super) fn tell(&mut self, method: &str, params: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    /// Closes its input and waits for its end.
    pub(super) fn end(self) -> Option<i32> {
        let Self { mut server, to, .. } = self;
        drop(to);
        server.0.wait().unwrap().code()
    }

    fn send(&mut self, message: &Value) {
        let text = message.to_string();
        let framed = match self.framing {
            Framing::Lines => format!("{text}\n"),
            Framing::Headers => format!("Content-Length: {}\r\n\r\n{text}", text.len()),
        };
        self.to.write_all(framed.as_bytes()).unwrap();
    }

    fn receive(&mut self) -> Value {
        let mut line = self.line();
        if self.framing == Framing::Lines {
            return serde_json::from_str(&line).unwrap();
        }
        let mut length = 0;
        while line != "\r\n" {
            let (name, value) = line.split_once(':').unwrap();
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().unwrap();
            }
            line = self.line();
        }
        let mut text = vec![0; length];
        self.from.read_exact(&mut text).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        assert_ne!(line, "", "the server ended");
        line
    }
}

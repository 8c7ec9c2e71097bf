//! Records that no launch wrote.

use secure_exec_core::audit::chain::Format;
use secure_exec_core::audit::line::Line;
use secure_exec_core::audit::{Event, Launch, Record};
use serde_json::Value;

/// When all of them were written.
pub(crate) const TIME: &str = "2026-01-01T00:00:00Z";

/// A launch that never was.
pub(crate) fn launch() -> Launch {
    Launch {
        user_agent: "secure-exec/test".into(),
        source_ip: "127.0.0.1".into(),
        launch_id: "0".repeat(32),
        pid: 1,
        ppid: 1,
        uid: 0,
        host: "host".into(),
    }
}

/// The line of an event of a plugin's.
pub(crate) fn line(event: Event, plugin: &str) -> Line {
    let launch = launch();
    let record = Record {
        plugin_name: Some(plugin),
        ..Record::new(TIME.into(), event, "strict", &launch)
    };
    Line::new(&record, Format::Json).unwrap()
}

/// The line of what happened to the log itself.
pub(crate) fn render(event: Event, audit: Value) -> Result<Line, serde_json::Error> {
    let launch = launch();
    let record = Record::of_log(TIME.into(), event, "strict", &launch, audit);
    Line::new(&record, Format::Json)
}

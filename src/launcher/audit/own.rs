//! Records of what happened to the log itself, which every sink gets.

use std::cell::RefCell;

use secure_exec_core::audit::line::Line;
use secure_exec_core::audit::{Event, Record};
use serde_json::Value;

use super::AuditLog;
use crate::failure::Failure;

/// What happened to the log itself, which the other sinks hear of as well.
pub(super) struct OwnRecords<'a> {
    log: &'a AuditLog,
    told: RefCell<Vec<(String, Event, Value)>>,
}

impl<'a> OwnRecords<'a> {
    pub(super) fn new(log: &'a AuditLog) -> Self {
        Self {
            log,
            told: RefCell::default(),
        }
    }

    fn record(&self, timestamp: String, event: Event, audit: Value) -> Record<'a> {
        let policy = self.log.policy.name();
        Record::of_log(timestamp, event, policy, &self.log.launch, audit)
    }

    pub(super) fn render(&self, event: Event, audit: Value) -> Result<Line, serde_json::Error> {
        let timestamp = super::timestamp();
        if !self.log.sinks.is_empty() {
            let mut told = self.told.borrow_mut();
            told.push((timestamp.clone(), event, audit.clone()));
        }
        Line::new(&self.record(timestamp, event, audit), self.log.format)
    }

    pub(super) fn send(&self, warn: &dyn Fn(&str)) -> Result<(), Failure> {
        let Some(Ok(file)) = &self.log.file else {
            return Ok(());
        };
        // One that was rendered and could not be written ended the row.
        for ((timestamp, event, audit), (line, link)) in
            self.told.take().into_iter().zip(file.take_own())
        {
            let record = self.record(timestamp, event, audit);
            self.log.send(&record, line.sealed(), Some(link), warn)?;
        }
        Ok(())
    }
}

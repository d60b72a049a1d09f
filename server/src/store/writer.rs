//! The one thread that writes logs. What waits when it comes round is written together and synced
//! once: group commit. Rows become visible, and batches are acknowledged, after the sync.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use stoker_wire::Encoded;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::api::{Appended, BatchSource};
use super::error::StoreError;
use super::head::Head;
use super::line::LinePlace;
use super::log::{LogFile, push_record};
use super::messages::LogRecord;
use super::names::NamesGrowth;
use super::sealer::Seal;
use super::shared::{Shared, count};
use super::tenant::{Tenant, is_due};

/// Batches that are written together at most.
const MAX_GROUP: usize = 1024;
/// Bytes after which a group is written whatever waits.
const MAX_GROUP_BYTES: usize = 16 << 20;
/// How often the age of logs is looked at.
const TICK: Duration = Duration::from_millis(250);

/// What the writer is asked.
#[derive(Debug)]
pub enum Command {
    /// Make a batch durable.
    Write(Box<Write>),
    /// No batch follows for this log.
    Freeze(Seal),
}

/// A batch in line.
#[derive(Debug)]
pub struct Write {
    /// Whose.
    pub tenant: Arc<Tenant>,
    /// The log it was encoded for.
    pub head: Arc<Head>,
    /// Who sent it.
    pub source: BatchSource,
    /// Its sequence.
    pub sequence: u64,
    /// The batch, or nothing where one with this sequence stands before it in line: then the answer
    /// is whether that one became durable.
    pub encoded: Option<Box<Encoded>>,
    /// Its room in line.
    pub room: OwnedSemaphorePermit,
    /// Its place among the batches of its stream.
    pub line: LinePlace,
    /// Where the answer goes. Nobody may be waiting for it any more.
    pub reply: oneshot::Sender<Result<Appended, StoreError>>,
}

/// The thread's state.
pub struct Writer {
    shared: Arc<Shared>,
    commands: Receiver<Command>,
    sealer: Sender<Seal>,
    /// The log that is open, and its id.
    open: Option<(u64, LogFile)>,
    group: Vec<Write>,
    bytes: Vec<u8>,
}

impl Writer {
    /// A writer that takes commands and hands frozen logs to the sealer.
    pub fn new(shared: Arc<Shared>, commands: Receiver<Command>, sealer: Sender<Seal>) -> Self {
        Self { shared, commands, sealer, open: None, group: Vec::new(), bytes: Vec::new() }
    }

    /// Works until nobody can ask any more.
    pub fn run(mut self) {
        loop {
            match self.commands.recv_timeout(TICK) {
                Ok(command) => self.take(command),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.take_waiting();
            self.freeze_old();
        }
    }

    /// Takes what waits, without waiting for more, and makes it durable.
    fn take_waiting(&mut self) {
        while self.group.len() < MAX_GROUP && self.bytes.len() < MAX_GROUP_BYTES {
            let Ok(command) = self.commands.try_recv() else { break };
            self.take(command);
        }
        self.commit();
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Write(mut write) => {
                if self.group.first().is_some_and(|first| first.head.log != write.head.log) {
                    self.commit();
                }
                self.push(&mut write);
                self.group.push(*write);
            }
            Command::Freeze(seal) => {
                self.commit();
                self.hand_over(seal);
            }
        }
    }

    fn push(&mut self, write: &mut Write) {
        let Some(encoded) = &mut write.encoded else { return };
        let mut record = LogRecord {
            spool_id: write.source.spool_id.0.to_vec(),
            host_id: write.source.host_id.to_vec(),
            host_name: write.source.host_name.to_string(),
            batch: Some(std::mem::take(&mut encoded.batch)),
        };
        push_record(&record, &mut self.bytes);
        encoded.batch = record.batch.take().unwrap_or_default();
    }

    fn hand_over(&mut self, seal: Seal) {
        if self.open.as_ref().is_some_and(|(log, _)| *log == seal.head.log) {
            self.open = None;
        }
        // A sealer that is gone has been told to leave logs as they are.
        let _ = self.sealer.send(seal);
    }

    /// Freezes logs that are old enough. What is in line for them is written first.
    fn freeze_old(&mut self) {
        for tenant in self.shared.tenants() {
            if !is_due(&tenant.live(), &self.shared.config) {
                continue;
            }
            let entry = tenant.enter();
            let head = tenant.freeze(&entry, self.shared.ids.next());
            // Under the lock nothing more is encoded for that log: all of it is in line by now.
            let in_line: Vec<Command> = self.commands.try_iter().collect();
            drop(entry);
            for command in in_line {
                self.take(command);
            }
            self.commit();
            self.hand_over(Seal { tenant, head });
        }
    }

    fn commit(&mut self) {
        let Some(first) = self.group.first() else { return };
        let (tenant, head) = (Arc::clone(&first.tenant), Arc::clone(&first.head));
        let written = self.write(&tenant, &head);
        if let Err(error) = &written {
            head.failed.store(true, Ordering::Release);
            self.open = None;
            count(&self.shared.counters.log_failures, 1);
            tracing::error!(%error, batches = self.group.len(), "a group of batches was not stored");
        }
        for write in self.group.drain(..) {
            answer(&self.shared, write, &written);
        }
        self.bytes.clear();
    }

    fn write(&mut self, tenant: &Tenant, head: &Head) -> Result<(), StoreError> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        if head.failed.load(Ordering::Acquire) {
            return Err(StoreError::NotDurable("its log could not be written before".to_owned()));
        }
        let path = self.shared.folder.log(&tenant.id, head.log);
        if self.open.as_ref().is_none_or(|(log, _)| *log != head.log) {
            let disk = self.shared.folder.disk();
            self.open = Some((head.log, LogFile::create(&**disk, &path)?));
        }
        if let Some((_, file)) = &mut self.open {
            file.commit(&path, &self.bytes)?;
        }
        head.log_bytes.fetch_add(self.bytes.len() as u64, Ordering::Relaxed);
        count(&self.shared.counters.log_bytes, self.bytes.len() as u64);
        count(&self.shared.disk_used, self.bytes.len() as u64);
        count(&self.shared.counters.log_syncs, 1);
        Ok(())
    }
}

/// Makes a durable batch visible and tells who waits.
fn answer(shared: &Shared, write: Write, written: &Result<(), StoreError>) {
    let Write { tenant, head, source, sequence, encoded, room, line, reply } = write;
    let spool = source.spool_id;
    let result = match (written, encoded) {
        (Err(error), _) => Err(StoreError::NotDurable(error.to_string())),
        (Ok(()), None) if tenant.watermark(spool) >= sequence => {
            count(&shared.counters.duplicates, 1);
            Ok(Appended::Duplicate)
        }
        (Ok(()), None) => Err(StoreError::NotDurable("the one before it failed".to_owned())),
        (Ok(()), Some(encoded)) => {
            count(&shared.counters.batches, 1);
            count(&shared.counters.rows, encoded.body.row_count() as u64);
            tenant.names.grow(growth(&head, &encoded));
            head.add(&source, encoded.body);
            tenant.advance(spool, sequence);
            Ok(Appended::Durable)
        }
    };
    drop(room);
    line.leave(result.is_ok());
    let _ = reply.send(result);
}

fn growth(head: &Head, encoded: &Encoded) -> NamesGrowth {
    let mut growth = NamesGrowth::default();
    if encoded.body.definitions.is_empty() && encoded.batch.builds.is_empty() {
        return growth;
    }
    head.with_dictionary(|dictionary| {
        growth.learn_definitions(dictionary, &encoded.body.definitions);
        if !encoded.batch.builds.is_empty() {
            growth.modules.merge(&dictionary.modules);
        }
    });
    growth
}

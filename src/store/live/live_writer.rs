//! The one who appends: changes that came together are made durable together, then each sender is
//! told.

use crate::base::Msg;
use crate::msg;
use std::collections::BTreeSet;
use std::fs::File;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant as Clock};

use super::background::{BackgroundError, Folding};
use super::change::Change;
use super::log::{Appender, LogRow};
use crate::base::{Elapsed, Schema, UserNo, Zone};
use crate::store::export::{json, quoted};
use crate::store::users::NewUsers;
use crate::store::writer::{LOCK_TRIES, lock};
use crate::store::{Column, ColumnBuilder, Snapshot, Store, StoreError};

/// The lock of the one process that appends.
pub const LOCK: &str = "live.lock";

/// What came within this time becomes durable together: a sync of the disk costs the same for one
/// change and for a thousand.
const GATHER: Duration = Duration::from_millis(2);
/// Changes of one transaction.
const MOST_CHANGES: usize = 10_000;
/// A file is ended after this time and by nothing else: the ids in it and in the one before are all
/// that are known.
const FILE_AGE: Elapsed = Elapsed::hours(1);
/// How long changes of a new user wait for an import to end; those of others continue meanwhile.
const WRITER_PATIENCE: Duration = Duration::from_secs(20);
const WRITER_PAUSE: Duration = Duration::from_millis(5);

/// Why changes were not taken. Nothing of them is in the store then.
#[derive(Clone, Debug)]
pub enum LiveError {
    Store(Arc<StoreError>),
    /// The writer has ended.
    Ended,
}

impl LiveError {
    pub fn words(&self) -> Msg {
        match self {
            LiveError::Store(e) => e.words(),
            LiveError::Ended => msg!(
                "the writer of live changes has stopped",
                "实时变更的写入已停止"
            ),
        }
    }
}

impl From<StoreError> for LiveError {
    fn from(e: StoreError) -> Self {
        LiveError::Store(Arc::new(e))
    }
}

/// Changes that are durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// Of each change, in order: whether it is new. An event whose id is known is not.
    pub new: Vec<bool>,
    /// Every snapshot from here on holds the changes up to this position.
    pub position: u64,
}

/// What is told when the changes are durable.
#[must_use = "a change counts when it is acknowledged"]
pub struct Ticket(Receiver<Result<Acknowledged, LiveError>>);

impl Ticket {
    /// # Errors
    /// When the changes could not be written.
    pub fn wait(self) -> Result<Acknowledged, LiveError> {
        self.0.recv().unwrap_or(Err(LiveError::Ended))
    }
}

struct Request {
    changes: Vec<Change>,
    done: Sender<Result<Acknowledged, LiveError>>,
}

/// The right to append live changes; there is at most one at a time, over all processes. Clones of
/// it share the right.
#[derive(Clone)]
pub struct LiveWriter {
    queue: Sender<Request>,
    declared: Arc<Mutex<Schema>>,
    trouble: Arc<BackgroundError>,
    _end: Arc<End>,
}

/// Waits for what is queued.
struct End {
    queue: Mutex<Option<Sender<Request>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for End {
    fn drop(&mut self) {
        drop(
            self.queue
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        if let Some(thread) = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        {
            let _ = thread.join(); // It told each sender how it went.
        }
    }
}

impl LiveWriter {
    /// `declared` are the program's tags and events.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when another process appends; otherwise why the store cannot be used.
    pub fn open(store: &Store, declared: Schema) -> Result<LiveWriter, StoreError> {
        let lock = lock(store.dir(), LOCK, LOCK_TRIES)?;
        let manifest = store.manifest_snapshot()?;
        let trouble = Arc::<BackgroundError>::default();
        let appender = Appender::open(
            store.dir(),
            manifest.live_position(),
            store.world().now(),
            &trouble,
        )?;
        let declared = Arc::new(Mutex::new(declared));
        let (queue, requests) = mpsc::channel();
        let folding = Folding::new(store.clone(), manifest.live_position(), trouble.clone());
        let desk = Desk {
            store: store.clone(),
            appender,
            declared: declared.clone(),
            parked: Vec::new(),
            folding,
            trouble: trouble.clone(),
            _lock: lock,
        };
        let thread = thread::Builder::new()
            .name("live changes".into())
            .spawn(move || desk.work(&requests));
        let thread = thread.map_err(|e| StoreError::write(store.dir(), e))?;
        let end = End {
            queue: Mutex::new(Some(queue.clone())),
            thread: Mutex::new(Some(thread)),
        };
        Ok(LiveWriter {
            queue,
            declared,
            trouble,
            _end: Arc::new(end),
        })
    }

    /// Queues changes that belong together; they are in the store all or none.
    pub fn submit(&self, changes: Vec<Change>) -> Ticket {
        let (done, told) = mpsc::channel();
        // When the thread has ended `done` is dropped, and the ticket says so.
        let _ = self.queue.send(Request { changes, done });
        Ticket(told)
    }

    /// What went wrong in the background since this was asked last: changes that could not be
    /// folded or moved out of the log. Nothing is lost by it, and it is tried again.
    pub fn trouble(&self) -> Option<Arc<StoreError>> {
        self.trouble.take()
    }

    /// The program was loaded anew.
    pub fn declare(&self, declared: Schema) {
        *self.declared.lock().unwrap_or_else(PoisonError::into_inner) = declared;
    }
}

/// The thread's own things.
struct Desk {
    store: Store,
    appender: Appender,
    declared: Arc<Mutex<Schema>>,
    /// What waits for the store's writer, and since when.
    parked: Vec<(Clock, Request)>,
    folding: Folding,
    trouble: Arc<BackgroundError>,
    /// Held until the thread ends.
    _lock: File,
}

/// What a request needs before it can be written.
enum Needs {
    Nothing(Vec<LogRow>),
    /// Users, tags or events that the store does not know yet.
    Writer,
}

impl Desk {
    fn work(mut self, requests: &Receiver<Request>) {
        while let Some(group) = self.gather(requests) {
            let mut ready = Vec::new();
            // Reading the manifest once for each change would cost as much as writing them.
            let snapshot = self.snapshot();
            for (since, request) in group {
                match snapshot
                    .clone()
                    .and_then(|snapshot| self.prepared(&snapshot, &request.changes))
                {
                    Ok(Needs::Nothing(rows)) => ready.push((request, rows)),
                    Ok(Needs::Writer) => self.parked.push((since, request)),
                    Err(e) => request.answer(Err(e)),
                }
            }
            self.admit(&mut ready);
            self.write(ready);
            let now = self.store.world().now();
            if self.appender.rows > 0 && now.since(self.appender.began) > FILE_AGE {
                let rotated = self.appender.rotate(self.store.dir(), now, &self.trouble);
                self.trouble.note(rotated);
            }
            self.folding.tend(self.appender.position());
        }
        self.folding.end();
    }

    /// What is to be looked at now: what came together, behind what was put off. `None` when
    /// nothing can come any more.
    fn gather(&mut self, requests: &Receiver<Request>) -> Option<Vec<(Clock, Request)>> {
        let mut group = std::mem::take(&mut self.parked);
        let first = match group.is_empty() {
            true => requests.recv().map_err(|_| RecvTimeoutError::Disconnected),
            false => requests.recv_timeout(WRITER_PAUSE),
        };
        match first {
            Ok(first) => group.push((Clock::now(), first)),
            Err(RecvTimeoutError::Disconnected) if group.is_empty() => return None,
            Err(RecvTimeoutError::Disconnected) => {
                thread::sleep(WRITER_PAUSE);
                return Some(group);
            }
            Err(RecvTimeoutError::Timeout) => return Some(group),
        }
        let mut changes: usize = group.iter().map(|(_, r)| r.changes.len()).sum();
        let mut left = GATHER;
        while changes < MOST_CHANGES
            && let Ok(more) = requests.recv_timeout(left)
        {
            changes += more.changes.len();
            group.push((Clock::now(), more));
            // From here on only what waits already.
            left = Duration::ZERO;
        }
        Some(group)
    }

    fn snapshot(&self) -> Result<Arc<Snapshot>, LiveError> {
        Ok(self.store.manifest_snapshot()?)
    }

    fn prepared(&self, snapshot: &Snapshot, changes: &[Change]) -> Result<Needs, LiveError> {
        let declared = self.declared.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut rows, mut all) = (Vec::with_capacity(changes.len()), true);
        for change in changes {
            let known = match change {
                Change::Tag { tag, .. } => snapshot.schema().tag_named(tag).is_some(),
                Change::Event { event, .. } => snapshot.schema().event_named(event).is_some(),
            };
            let user = snapshot.user_no(change.user());
            let Some(row) = row(change, user.unwrap_or(UserNo(0)), &declared) else {
                let undeclared = msg!(
                    "a change names a tag or event that is not declared any more",
                    "变更涉及的标签或事件已不再声明"
                );
                return Err(StoreError::Import(undeclared).into());
            };
            all &= known && user.is_some();
            rows.push(row);
        }
        Ok(if all {
            Needs::Nothing(rows)
        } else {
            Needs::Writer
        })
    }

    /// Puts what the store does not know yet into it, when no import holds it; what waited too long
    /// is refused.
    fn admit(&mut self, ready: &mut Vec<(Request, Vec<LogRow>)>) {
        if self.parked.is_empty() {
            return;
        }
        let admitted = self.add_unknown();
        if let Err(StoreError::Busy(path)) = &admitted {
            let stopping = self.store.world().stopping();
            let (late, waiting) = std::mem::take(&mut self.parked)
                .into_iter()
                .partition(|(since, _)| stopping || since.elapsed() > WRITER_PATIENCE);
            self.parked = waiting;
            let late: Vec<(Clock, Request)> = late;
            late.into_iter().for_each(|(_, request)| {
                request.answer(Err(StoreError::Busy(path.clone()).into()))
            });
            return;
        }
        let snapshot = admitted
            .map_err(LiveError::from)
            .and_then(|()| self.snapshot());
        for (_, request) in std::mem::take(&mut self.parked) {
            match snapshot
                .clone()
                .and_then(|snapshot| self.prepared(&snapshot, &request.changes))
            {
                Ok(Needs::Nothing(rows)) => ready.push((request, rows)),
                // It was added a moment ago.
                Ok(Needs::Writer) => request.answer(Err(LiveError::Ended)),
                Err(e) => request.answer(Err(e)),
            }
        }
    }

    /// Users, tags and events of what is parked.
    fn add_unknown(&self) -> Result<(), StoreError> {
        let mut writer = self.store.writer_at_once()?;
        let current = writer.snapshot()?;
        let declared = self
            .declared
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let (mut users, mut tags, mut events) = (
            NewUsers::after(current.user_count()),
            BTreeSet::new(),
            BTreeSet::new(),
        );
        for change in self.parked.iter().flat_map(|(_, request)| &request.changes) {
            if current.user_no(change.user()).is_none() {
                users
                    .get_or_add(change.user())
                    .ok_or(StoreError::TooManyUsers)?;
            }
            match change {
                Change::Tag { tag, .. } if current.schema().tag_named(tag).is_none() => {
                    _ = tags.insert(tag)
                }
                Change::Event { event, .. } if current.schema().event_named(event).is_none() => {
                    _ = events.insert(event)
                }
                Change::Tag { .. } | Change::Event { .. } => {}
            }
        }
        writer.add_users(users)?;
        for event in events
            .into_iter()
            .filter_map(|name| declared.events.get(declared.event_named(name)?.index()))
        {
            writer.put_events(event, None, &[])?;
        }
        for tag in tags
            .into_iter()
            .filter_map(|name| declared.tags.get(declared.tag_named(name)?.index()))
        {
            let consent = tag
                .sensitive_by
                .and_then(|id| declared.tags.get(id.index()))
                .map(|t| t.name.as_str());
            let nothing = Column::new(tag.ty.clone(), ColumnBuilder::new(&tag.ty).finish(), None);
            writer.put_tag(tag, consent, &nothing)?;
        }
        writer.commit()
    }

    /// One transaction for all, an answer to each.
    fn write(&mut self, ready: Vec<(Request, Vec<LogRow>)>) {
        if ready.is_empty() {
            return;
        }
        let (requests, rows): (Vec<Request>, Vec<Vec<LogRow>>) = ready.into_iter().unzip();
        let rows = rows.concat();
        let allowed = self
            .store
            .world()
            .about_to_write("live changes")
            .map_err(|e| StoreError::write(self.store.dir(), e));
        match allowed.and_then(|()| self.appender.append(&rows)) {
            Ok(new) => {
                let (mut new, position) = (new.into_iter(), self.appender.position());
                for request in requests {
                    let new = new.by_ref().take(request.changes.len()).collect();
                    request.answer(Ok(Acknowledged { new, position }));
                }
            }
            Err(e) => {
                let e = LiveError::from(e);
                requests
                    .into_iter()
                    .for_each(|request| request.answer(Err(e.clone())));
            }
        }
    }
}

impl Request {
    fn answer(self, answer: Result<Acknowledged, LiveError>) {
        let _ = self.done.send(answer); // Who does not wait any more need not be told.
    }
}

/// `None` when its tag or event is not declared.
fn row(change: &Change, user: UserNo, declared: &Schema) -> Option<LogRow> {
    Some(match change {
        Change::Tag { tag, value, at, .. } => {
            let ty = &declared.tags.get(declared.tag_named(tag)?.index())?.ty;
            let body = value
                .as_ref()
                .map_or_else(|| "null".into(), |v| json(v, ty, Zone::UTC));
            LogRow {
                user,
                name: tag.clone(),
                is_event: false,
                at: *at,
                id: None,
                body,
            }
        }
        Change::Event {
            event,
            at,
            id,
            fields,
            ..
        } => {
            let schema = declared.events.get(declared.event_named(event)?.index())?;
            let field = |(field, value): (&crate::base::FieldSchema, &Option<_>)| {
                value
                    .as_ref()
                    .map(|v| format!("{}:{}", quoted(&field.name), json(v, &field.ty, Zone::UTC)))
            };
            let fields: Vec<String> = schema.fields.iter().zip(fields).filter_map(field).collect();
            LogRow {
                user,
                name: event.clone(),
                is_event: true,
                at: *at,
                id: id.clone(),
                body: format!("{{{}}}", fields.join(",")),
            }
        }
    })
}

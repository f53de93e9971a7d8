//! The one who appends: changes that came together are made durable together, then each sender is told.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::change::Change;
use super::log::{Appender, Row};
use crate::base::{Elapsed, Schema, UserNo, Zone};
use crate::store::export::{json, quoted};
use crate::store::users::NewUsers;
use crate::store::{Column, ColumnBuilder, Store, StoreError, Words, words};

/// The lock of the one process that appends.
pub const LOCK: &str = "live.lock";

/// What came within this time becomes durable together: a sync of the disk costs the same for one change and for a thousand.
const GATHER: Duration = Duration::from_millis(2);
/// Changes of one transaction.
const MOST_CHANGES: usize = 10_000;
/// A file is ended after this time and by nothing else: the ids in it and in the one before are all that are known.
const FILE_AGE: Elapsed = Elapsed::hours(1);
/// Changes that lie outside the columns before they are folded.
const FOLD_ROWS: u64 = 200_000;
/// How long a change of a new user waits for an import to end.
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
    pub fn words(&self) -> Words {
        match self {
            LiveError::Store(e) => e.words(),
            LiveError::Ended => words!("the writer of live changes has stopped", "实时变更的写入已停止"),
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

/// The right to append live changes; there is at most one at a time, over all processes. Clones of it share the right.
#[derive(Clone)]
pub struct LiveWriter {
    queue: Sender<Request>,
    declared: Arc<Mutex<Schema>>,
    _end: Arc<End>,
}

/// Waits for what is queued.
struct End {
    queue: Mutex<Option<Sender<Request>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for End {
    fn drop(&mut self) {
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
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
        let lock = lock(store)?;
        let manifest = store.manifest_snapshot()?;
        let appender = Appender::open(store.dir(), manifest.live_position(), store.world().now())?;
        let declared = Arc::new(Mutex::new(declared));
        let (queue, requests) = mpsc::channel();
        let desk = Desk {
            store: store.clone(),
            appender,
            declared: declared.clone(),
            folded: manifest.live_position(),
            folding: None,
            _lock: lock,
        };
        let thread = thread::Builder::new().name("live changes".into()).spawn(move || desk.work(&requests));
        let thread = thread.map_err(|e| StoreError::write(store.dir(), e))?;
        let end = End { queue: Mutex::new(Some(queue.clone())), thread: Mutex::new(Some(thread)) };
        Ok(LiveWriter { queue, declared, _end: Arc::new(end) })
    }

    /// Queues changes that belong together; they are in the store all or none.
    pub fn submit(&self, changes: Vec<Change>) -> Ticket {
        let (done, told) = mpsc::channel();
        // When the thread has ended `done` is dropped, and the ticket says so.
        let _ = self.queue.send(Request { changes, done });
        Ticket(told)
    }

    /// The program was loaded anew.
    pub fn declare(&self, declared: Schema) {
        *self.declared.lock().unwrap_or_else(PoisonError::into_inner) = declared;
    }
}

fn lock(store: &Store) -> Result<File, StoreError> {
    let path: PathBuf = store.dir().join(LOCK);
    let file = File::options().create(true).truncate(false).read(true).write(true).open(&path).map_err(|e| StoreError::write(&path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::Busy(path)),
        Err(std::fs::TryLockError::Error(e)) => Err(StoreError::write(&path, e)),
    }
}

/// The thread's own things.
struct Desk {
    store: Store,
    appender: Appender,
    declared: Arc<Mutex<Schema>>,
    /// Up to where the columns hold everything, as far as this thread knows.
    folded: u64,
    folding: Option<JoinHandle<()>>,
    /// Held until the thread ends.
    _lock: File,
}

impl Desk {
    fn work(mut self, requests: &Receiver<Request>) {
        while let Ok(first) = requests.recv() {
            let mut group = vec![first];
            let mut changes = group.iter().map(|r| r.changes.len()).sum::<usize>();
            let mut left = GATHER;
            while changes < MOST_CHANGES {
                match requests.recv_timeout(left) {
                    Ok(more) => {
                        changes += more.changes.len();
                        group.push(more);
                        // From here on only what waits already.
                        left = Duration::ZERO;
                    }
                    Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
                }
            }
            let result = self.write(&group);
            let mut new = result.as_ref().map(|new| new.clone().into_iter()).ok();
            let position = self.appender.position();
            for request in group {
                let answer = match (&result, &mut new) {
                    (Ok(_), Some(new)) => Ok(Acknowledged { new: new.by_ref().take(request.changes.len()).collect(), position }),
                    (Err(e), _) => Err(e.clone()),
                    (Ok(_), None) => Err(LiveError::Ended),
                };
                let _ = request.done.send(answer); // Who does not wait any more need not be told.
            }
            self.tidy();
        }
        if let Some(folding) = self.folding.take() {
            let _ = folding.join(); // What is not folded stays in the log.
        }
    }

    fn write(&mut self, group: &[Request]) -> Result<Vec<bool>, LiveError> {
        let changes: Vec<&Change> = group.iter().flat_map(|r| &r.changes).collect();
        let numbers = self.numbers(&changes)?;
        let declared = self.declared.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let rows: Vec<Row> = changes.iter().filter_map(|change| row(change, &numbers, &declared)).collect();
        if rows.len() != changes.len() {
            let undeclared = words!("a change names a tag or event that is not declared any more", "变更涉及的标签或事件已不再声明");
            return Err(StoreError::Import(undeclared).into());
        }
        self.store.world().about_to_write("live changes").map_err(|e| StoreError::write(self.store.dir(), e))?;
        Ok(self.appender.append(&rows)?)
    }

    /// The numbers of the users. Users, tags and events that the store does not know yet are put there first.
    fn numbers(&self, changes: &[&Change]) -> Result<BTreeMap<String, UserNo>, StoreError> {
        let snapshot = self.store.manifest_snapshot()?;
        let mut numbers = BTreeMap::new();
        let (mut new_users, mut new_names) = (BTreeSet::new(), BTreeSet::new());
        for change in changes {
            match snapshot.user_no(change.user()) {
                Some(number) => _ = numbers.insert(change.user().to_owned(), number),
                None => _ = new_users.insert(change.user()),
            }
            let known = match change {
                Change::Tag { tag, .. } => snapshot.schema().tag_named(tag).is_some(),
                Change::Event { event, .. } => snapshot.schema().event_named(event).is_some(),
            };
            if !known {
                new_names.insert(match change {
                    Change::Tag { tag, .. } => (false, tag.as_str()),
                    Change::Event { event, .. } => (true, event.as_str()),
                });
            }
        }
        if new_users.is_empty() && new_names.is_empty() {
            return Ok(numbers);
        }
        let mut writer = self.patient_writer()?;
        // An import may have been faster.
        let current = writer.snapshot()?;
        let mut new = NewUsers::after(current.user_count());
        for user in new_users {
            let number = match current.user_no(user) {
                Some(number) => number,
                None => new.get_or_add(user).ok_or(StoreError::TooManyUsers)?,
            };
            numbers.insert(user.to_owned(), number);
        }
        writer.add_users(new)?;
        let declared = self.declared.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (is_event, name) in new_names {
            if is_event {
                if let Some(event) = declared.event_named(name).and_then(|id| declared.events.get(id.index())) {
                    writer.put_events(event, None, &[])?;
                }
            } else if let Some(tag) = declared.tag_named(name).and_then(|id| declared.tags.get(id.index())) {
                let consent = tag.sensitive_by.and_then(|id| declared.tags.get(id.index())).map(|t| t.name.as_str());
                let nothing = Column { ty: tag.ty.clone(), data: ColumnBuilder::new(&tag.ty).finish(), written: None };
                writer.put_tag(tag, consent, &nothing)?;
            }
        }
        writer.commit()?;
        Ok(numbers)
    }

    /// The store's writer, when the import that holds it has ended.
    fn patient_writer(&self) -> Result<crate::store::Writer, StoreError> {
        let tries = WRITER_PATIENCE.as_millis() / WRITER_PAUSE.as_millis();
        for _ in 0..tries {
            match self.store.writer() {
                Err(StoreError::Busy(_)) if !self.store.world().stopping() => thread::sleep(WRITER_PAUSE),
                result => return result,
            }
        }
        self.store.writer()
    }

    /// Begins a new file, folds what has gathered; whatever fails here is tried again later.
    fn tidy(&mut self) {
        let now = self.store.world().now();
        if self.appender.rows > 0 && now.since(self.appender.began) > FILE_AGE {
            let _ = self.appender.rotate(self.store.dir(), now);
        }
        if self.folding.as_ref().is_some_and(JoinHandle::is_finished) {
            self.folding = None;
            self.folded = self.store.manifest_snapshot().map_or(self.folded, |s| s.live_position());
        }
        if self.folding.is_none() && self.appender.position().saturating_sub(self.folded) > FOLD_ROWS {
            let store = self.store.clone();
            self.folding = thread::Builder::new().name("fold live changes".into()).spawn(move || _ = fold(&store)).ok();
        }
    }
}

fn fold(store: &Store) -> Result<(), StoreError> {
    let mut writer = store.writer()?;
    writer.fold_live()?;
    writer.commit()
}

fn row(change: &Change, numbers: &BTreeMap<String, UserNo>, declared: &Schema) -> Option<Row> {
    let user = *numbers.get(change.user())?;
    Some(match change {
        Change::Tag { tag, value, at, .. } => {
            let ty = &declared.tags.get(declared.tag_named(tag)?.index())?.ty;
            let body = value.as_ref().map_or_else(|| "null".into(), |v| json(v, ty, Zone::UTC));
            Row { user, name: tag.clone(), is_event: false, at: *at, id: None, body }
        }
        Change::Event { event, at, id, fields, .. } => {
            let schema = declared.events.get(declared.event_named(event)?.index())?;
            let field = |(field, value): (&crate::base::FieldSchema, &Option<_>)| {
                value.as_ref().map(|v| format!("{}:{}", quoted(&field.name), json(v, &field.ty, Zone::UTC)))
            };
            let fields: Vec<String> = schema.fields.iter().zip(fields).filter_map(field).collect();
            Row { user, name: event.clone(), is_event: true, at: *at, id: id.clone(), body: format!("{{{}}}", fields.join(",")) }
        }
    })
}

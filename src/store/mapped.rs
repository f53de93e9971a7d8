//! Files of a store in memory: mapped, or read whole where they lie on a network. The only `unsafe`
//! of the store is here.
//!
//! Why mapping is sound: a column file is made read-only before a manifest names it, and is never
//! rewritten or cut off; replacing a column makes a new file. What other programs do to it all the
//! same:
//!
//! - *removed*: the mapping keeps the contents;
//! - *cut off*: reading past the new end raises SIGBUS. The handler here finds the mapping that was
//!   hit, names its file and ends the process with [`EXIT_CUT_OFF`], so that nothing is ever
//!   counted from half a file;
//! - *written over in place*: cannot be noticed while it is mapped. Whoever shares a folder with
//!   such programs, or keeps it on a network, reads files into memory instead
//!   ([`ReadMode::ReadIntoMemory`]).

use crate::base::Msg;
use crate::msg;
use arrow_buffer::{Buffer, MutableBuffer};
use memmap2::Mmap;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::error::StoreError;

/// The exit code of a process whose mapped file was cut off under it: it could not run.
pub const EXIT_CUT_OFF: i32 = 2;

/// How files of a store are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReadMode {
    /// By mapping them: opened without reading, and read as far as they are looked at.
    Map,
    /// Into memory, each when it is first needed: for folders on a network.
    ReadIntoMemory,
}

static READ_INTO_MEMORY: AtomicBool = AtomicBool::new(false);
static CHINESE: AtomicBool = AtomicBool::new(false);

/// How this process reads files from now on, and in which language it says that one was cut off.
pub fn configure(access: ReadMode, chinese: bool) {
    READ_INTO_MEMORY.store(access == ReadMode::ReadIntoMemory, Ordering::Relaxed);
    CHINESE.store(chinese, Ordering::Relaxed);
}

/// A file that is open: what it holds stays readable even when its name is removed.
#[derive(Debug)]
pub(super) struct OpenFile {
    path: PathBuf,
    bytes: u64,
    held: Held,
}

#[derive(Debug)]
enum Held {
    Mapped(Buffer),
    Open(File),
}

impl OpenFile {
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let failed = |e| StoreError::read(path, e);
        let file = File::open(path).map_err(failed)?;
        let bytes = file.metadata().map_err(failed)?.len();
        let mapped = if READ_INTO_MEMORY.load(Ordering::Relaxed) {
            None
        } else {
            map(path, &file).map_err(failed)?
        };
        Ok(OpenFile {
            path: path.into(),
            bytes,
            held: mapped.map_or(Held::Open(file), Held::Mapped),
        })
    }

    /// The length that it was opened with.
    pub fn len(&self) -> u64 {
        self.bytes
    }

    /// All that is in it: aligned to 64 bytes, as long as it was when it was opened.
    pub fn contents(&self) -> Result<Buffer, StoreError> {
        match &self.held {
            Held::Mapped(buffer) => Ok(buffer.clone()),
            Held::Open(file) => {
                let too_long = |_| {
                    self.damaged(msg!(
                        "it is too long for this machine",
                        "文件过长，本机无法读取"
                    ))
                };
                let mut bytes =
                    MutableBuffer::from_len_zeroed(usize::try_from(self.bytes).map_err(too_long)?);
                let mut file = file;
                file.rewind()
                    .and_then(|()| file.read_exact(&mut bytes))
                    .map_err(|e| match e.kind() {
                        io::ErrorKind::UnexpectedEof => self.damaged(msg!(
                            "it became shorter while it was open",
                            "打开期间文件变短了"
                        )),
                        _ => StoreError::read(&self.path, e),
                    })?;
                Ok(bytes.into())
            }
        }
    }

    /// The bytes as they lie in the mapping; `None` when the file is not mapped.
    pub fn mapped(&self) -> Option<&[u8]> {
        match &self.held {
            Held::Mapped(buffer) => Some(buffer),
            Held::Open(_) => None,
        }
    }

    pub fn damaged(&self, what: Msg) -> StoreError {
        StoreError::Damaged {
            file: self.path.clone(),
            what,
        }
    }
}

/// A mapping and the place where the signal handler finds its name.
struct Mapping {
    map: Mmap,
    #[cfg(unix)]
    _listed: sigbus::Listed,
}

/// The contents of a file; `None` when it cannot be mapped safely (it is empty, or too many are
/// mapped already).
fn map(path: &Path, file: &File) -> io::Result<Option<Buffer>> {
    if file.metadata()?.len() == 0 {
        return Ok(None); // An empty file cannot be mapped.
    }
    #[cfg(not(unix))]
    let _ = path; // Elsewhere the system keeps a mapped file from being cut off.
    #[cfg(unix)]
    let Some(listed) = sigbus::list(path)? else {
        return Ok(None);
    };
    // SAFETY: files of a store are read-only and never rewritten (see above); one that is cut off
    // ends the process.
    let map = unsafe { Mmap::map(file) }?;
    #[cfg(unix)]
    listed.set(map.as_ptr() as usize, map.len());
    let (start, len) = (NonNull::from(&*map).cast::<u8>(), map.len());
    let owner = Mapping {
        map,
        #[cfg(unix)]
        _listed: listed,
    };
    debug_assert_eq!(owner.map.len(), len);
    // SAFETY: `start` is valid for `len` bytes as long as the map lives, and the buffer owns the
    // map.
    Ok(Some(unsafe {
        Buffer::from_custom_allocation(start, len, Arc::new(owner))
    }))
}

/// What happens when a page of a mapped file is no longer there.
#[cfg(unix)]
mod sigbus {
    use std::io;
    use std::mem::MaybeUninit;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};

    /// Files that can be mapped at a time; more are read into memory.
    const MAX_MAPPED: usize = 4096;
    /// Bytes of a path that are kept; of a longer one, the end.
    const NAME_BYTES: usize = 240;

    /// Where a file is mapped, and its name. Only atomics: the handler may read it at any moment.
    struct Slot {
        taken: AtomicBool,
        start: AtomicUsize,
        end: AtomicUsize,
        name: [AtomicU8; NAME_BYTES],
        name_len: AtomicUsize,
    }

    static SLOTS: [Slot; MAX_MAPPED] = [const {
        Slot {
            taken: AtomicBool::new(false),
            start: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
            name: [const { AtomicU8::new(0) }; NAME_BYTES],
            name_len: AtomicUsize::new(0),
        }
    }; MAX_MAPPED];

    /// Where the search for a free place begins: mostly free places follow the one that was taken
    /// last.
    static NEXT: AtomicUsize = AtomicUsize::new(0);

    /// A place in the list; free again when it is dropped.
    pub struct Listed(&'static Slot);

    impl Listed {
        pub fn set(&self, start: usize, len: usize) {
            self.0.start.store(start, Ordering::Release);
            self.0
                .end
                .store(start.saturating_add(len), Ordering::Release);
        }
    }

    impl Drop for Listed {
        fn drop(&mut self) {
            self.0.end.store(0, Ordering::Release);
            self.0.start.store(0, Ordering::Release);
            self.0.taken.store(false, Ordering::Release);
        }
    }

    /// Takes a place for a file that is about to be mapped; `None` when there is none left.
    ///
    /// # Errors
    /// When the handler cannot be installed.
    pub fn list(path: &Path) -> io::Result<Option<Listed>> {
        install()?;
        let free = |slot: &&Slot| {
            slot.taken
                .compare_exchange(false, true, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
        };
        let from = NEXT.fetch_add(1, Ordering::Relaxed) % MAX_MAPPED;
        let Some(slot) = SLOTS.iter().cycle().skip(from).take(MAX_MAPPED).find(free) else {
            return Ok(None);
        };
        let name = path.as_os_str().as_bytes();
        let name = name
            .get(name.len().saturating_sub(NAME_BYTES)..)
            .unwrap_or_default();
        slot.name
            .iter()
            .zip(name)
            .for_each(|(to, from)| to.store(*from, Ordering::Relaxed));
        slot.name_len.store(name.len(), Ordering::Release);
        Ok(Some(Listed(slot)))
    }

    /// What was in force before.
    static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();

    /// Installs the handler, once.
    fn install() -> io::Result<()> {
        static DONE: OnceLock<Result<(), i32>> = OnceLock::new();
        let done = DONE.get_or_init(|| {
            let mut before = MaybeUninit::<libc::sigaction>::zeroed();
            // SAFETY: `before` is large enough for what is written to it, and all zeroes are a
            // valid value of it.
            let before = unsafe {
                if libc::sigaction(libc::SIGBUS, std::ptr::null(), before.as_mut_ptr()) != 0 {
                    return Err(io::Error::last_os_error()
                        .raw_os_error()
                        .unwrap_or_default());
                }
                before.assume_init()
            };
            let _ = BEFORE.set(before);
            // SAFETY: all zeroes are a valid action; the handler has the form that SA_SIGINFO asks
            // for, calls only what may be called in a handler, and finds what was in force before
            // it.
            unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = handle as *const () as usize;
                action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
                libc::sigemptyset(&raw mut action.sa_mask);
                if libc::sigaction(libc::SIGBUS, &raw const action, std::ptr::null_mut()) != 0 {
                    return Err(io::Error::last_os_error()
                        .raw_os_error()
                        .unwrap_or_default());
                }
            }
            Ok(())
        });
        done.map_err(io::Error::from_raw_os_error)
    }

    /// A message on the stack of the handler.
    struct Line {
        bytes: [u8; 1024],
        len: usize,
    }

    impl Line {
        fn push(&mut self, bytes: impl Iterator<Item = u8>) {
            for byte in bytes {
                if let Some(to) = self.bytes.get_mut(self.len) {
                    *to = byte;
                    self.len += 1;
                }
            }
        }
    }

    extern "C" fn handle(
        signal: libc::c_int,
        info: *mut libc::siginfo_t,
        context: *mut libc::c_void,
    ) {
        // SAFETY: the kernel passes a valid description of the signal.
        let at = unsafe { (*info).si_addr() } as usize;
        let hit = |slot: &&Slot| {
            (slot.start.load(Ordering::Acquire)..slot.end.load(Ordering::Acquire)).contains(&at)
        };
        if let Some(slot) = SLOTS.iter().find(hit) {
            let chinese = super::CHINESE.load(std::sync::atomic::Ordering::Relaxed);
            let (before, after) = if chinese {
                (
                    "错误：`",
                    "` 在读取期间被别的程序截短，或所在磁盘出错：没有给出任何结果；请从备份恢复，或把源数据重新导入新的数据仓\n",
                )
            } else {
                (
                    "error: `",
                    "` was cut off by another program while it was being read, or its disk failed: no result was given; restore it from a backup, or import the sources into a new store\n",
                )
            };
            let mut line = Line {
                bytes: [0; 1024],
                len: 0,
            };
            line.push(before.bytes());
            line.push(
                slot.name
                    .iter()
                    .take(slot.name_len.load(Ordering::Acquire))
                    .map(|b| b.load(Ordering::Relaxed)),
            );
            line.push(after.bytes());
            // SAFETY: both calls are allowed in a handler; the line is valid for its length.
            unsafe {
                libc::write(libc::STDERR_FILENO, line.bytes.as_ptr().cast(), line.len);
                libc::_exit(super::EXIT_CUT_OFF);
            }
        }
        pass_on(signal, info, context);
    }

    /// Not a file of ours: whoever listened before us decides.
    fn pass_on(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
        let before = BEFORE.get().map(|b| (b.sa_sigaction, b.sa_flags));
        match before {
            Some((handler, flags)) if handler != libc::SIG_DFL && handler != libc::SIG_IGN => {
                // SAFETY: the system gave us this address as that of a handler, of the form that
                // its flags say.
                unsafe {
                    if flags & libc::SA_SIGINFO != 0 {
                        let handler: extern "C" fn(
                            libc::c_int,
                            *mut libc::siginfo_t,
                            *mut libc::c_void,
                        ) = std::mem::transmute(handler);
                        handler(signal, info, context);
                    } else {
                        let handler: extern "C" fn(libc::c_int) = std::mem::transmute(handler);
                        handler(signal);
                    }
                }
            }
            // The fault comes again as soon as the handler returns, and then ends the process as it
            // always would. SAFETY: setting a signal to its default is allowed in a handler.
            _ => unsafe {
                libc::signal(signal, libc::SIG_DFL);
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_removed_stays_readable() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("column");
        for text in ["", "contents"] {
            std::fs::write(&path, text).unwrap();
            let file = OpenFile::open(&path).unwrap();
            std::fs::remove_file(&path).unwrap();
            assert_eq!(file.contents().unwrap().as_slice(), text.as_bytes());
            assert_eq!(file.len(), text.len() as u64);
        }
    }
}

//! What can go wrong with a store: which file, what happened, what to do. In both languages.

use crate::base::Msg;
use crate::base::value::count_of;
use crate::msg;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What was being done when the operating system refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Doing {
    Read,
    Write,
}

/// Why a store, or a file to be imported, cannot be used. Whatever it is, what was committed before
/// is still there.
#[derive(Debug)]
pub enum StoreError {
    /// There is no store in that folder.
    NoStore(PathBuf),
    /// The folder holds something else.
    NotAStore(PathBuf),
    /// Written by a version of tagcast with another layout.
    OtherVersion {
        file: PathBuf,
        found: u64,
        known: u64,
    },
    /// A file is not what the manifest says it is.
    Damaged { file: PathBuf, what: Msg },
    /// Another process is writing.
    Busy(PathBuf),
    /// The operating system refused.
    Io {
        doing: Doing,
        file: PathBuf,
        error: io::Error,
    },
    /// More users than user numbers.
    TooManyUsers,
    /// A stored tag or field has values that its new type cannot hold.
    TypeChanged {
        name: String,
        from: String,
        to: String,
        values: usize,
    },
    /// A file to be imported cannot be read at all, or an import makes no sense as asked.
    Import(Msg),
    /// Someone asked the process to stop; nothing was changed.
    Stopped,
}

impl StoreError {
    pub(super) fn read(file: &Path, error: io::Error) -> Self {
        StoreError::Io {
            doing: Doing::Read,
            file: file.into(),
            error,
        }
    }

    pub(super) fn write(file: &Path, error: io::Error) -> Self {
        StoreError::Io {
            doing: Doing::Write,
            file: file.into(),
            error,
        }
    }

    /// What happened and what to do.
    pub fn words(&self) -> Msg {
        match self {
            StoreError::NoStore(dir) => msg!(
                "there is no store in `{0}`: fill one with `tagcast tags import FILE --id COLUMN` or `tagcast sample-data {0}`, or name another with `--store`",
                "`{0}` 中没有数据仓：请用 `tagcast tags import 文件 --id 列名` 或 `tagcast sample-data {0}` 建立，或用 `--store` 指定另一处",
                dir.display()
            ),
            StoreError::NotAStore(dir) => msg!(
                "`{0}` is a folder with other files and not a store: choose an empty or a new folder",
                "`{0}` 里是别的文件，不是数据仓：请选一个空的或新的文件夹",
                dir.display()
            ),
            StoreError::OtherVersion { file, found, known } if found > known => msg!(
                "`{}` is of store version {found}, this tagcast knows up to {known}: use a newer tagcast; nothing was changed",
                "`{}` 的数据仓版本是 {found}，此 tagcast 只认识到 {known}：请使用更新的 tagcast；未作任何改动",
                file.display()
            ),
            StoreError::OtherVersion { file, found, known } => msg!(
                "`{}` is of store version {found}, this tagcast reads versions 1 to {known}: import the sources into a new store; nothing was changed",
                "`{}` 的数据仓版本是 {found}，此 tagcast 读取版本 1 到 {known}：请把源数据重新导入新的数据仓；未作任何改动",
                file.display()
            ),
            StoreError::Damaged { file, what } => Msg {
                en: format!(
                    "`{}` is damaged: {}; restore it from a backup, or import the sources into a new store",
                    file.display(),
                    what.en
                ),
                zh: format!(
                    "`{}` 已损坏：{}；请从备份恢复，或把源数据重新导入新的数据仓",
                    file.display(),
                    what.zh
                ),
            },
            StoreError::Busy(lock) => msg!(
                "another tagcast is writing to this store (it holds `{0}`): wait until it has finished, or stop it",
                "另一个 tagcast 正在写这个数据仓（占用 `{0}`）：请等它结束，或将其停止",
                lock.display()
            ),
            StoreError::Io { doing, file, error } => io_words(*doing, file, error),
            StoreError::TooManyUsers => msg!(
                "a store holds at most {0} users: nothing was imported",
                "一个数据仓最多容纳 {0} 个用户：未导入任何数据",
                super::users::MAX_USERS
            ),
            StoreError::TypeChanged {
                name,
                from,
                to,
                values,
            } => {
                let unfit = count_of(*values, "stored value");
                msg!(
                    "`{name}` is stored as {from} and now declared as {to}, which does not fit {unfit}: declare it as before, or import the column again for all users",
                    "`{name}` 存储为 {from}，现在声明为 {to}，有 {values} 个已存的值不适合：请按原样声明，或为所有用户重新导入该列"
                )
            }
            StoreError::Import(words) => words.clone(),
            StoreError::Stopped => msg!(
                "stopped before the end: nothing was changed",
                "中途停止：未作任何改动"
            ),
        }
    }

    pub fn en(&self) -> String {
        self.words().en
    }

    pub fn zh(&self) -> String {
        self.words().zh
    }
}

fn io_words(doing: Doing, file: &Path, error: &io::Error) -> Msg {
    let file = file.display();
    match (error.kind(), doing) {
        (io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded, _) => msg!(
            "the disk is full, `{file}` could not be written: free some space and run the command again; what was there before is unchanged",
            "磁盘已满，无法写入 `{file}`：请腾出空间后重新运行；原有数据未变"
        ),
        (io::ErrorKind::ReadOnlyFilesystem, _) => msg!(
            "`{file}` could not be written, the disk is read-only: make it writable or use a store elsewhere with `--store`",
            "无法写入 `{file}`，磁盘是只读的：请改为可写，或用 `--store` 指定别处的数据仓"
        ),
        (io::ErrorKind::PermissionDenied, Doing::Write) => msg!(
            "`{file}` could not be written, permission denied: change its permissions or run as a user who may write there",
            "无法写入 `{file}`，权限不足：请修改权限，或换有写权限的用户运行"
        ),
        (io::ErrorKind::PermissionDenied, Doing::Read) => msg!(
            "`{file}` could not be read, permission denied: change its permissions or run as a user who may read it",
            "无法读取 `{file}`，权限不足：请修改权限，或换有读权限的用户运行"
        ),
        (io::ErrorKind::NotFound, Doing::Read) => {
            msg!(
                "`{file}` does not exist: check the path",
                "`{file}` 不存在：请检查路径"
            )
        }
        (_, Doing::Read) => {
            msg!(
                "`{file}` could not be read ({error}): check the path and the disk",
                "无法读取 `{file}`（{error}）：请检查路径与磁盘"
            )
        }
        (_, Doing::Write) => msg!(
            "`{file}` could not be written ({error}): check the disk and run the command again; what was there before is unchanged",
            "无法写入 `{file}`（{error}）：请检查磁盘后重新运行；原有数据未变"
        ),
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.en())
    }
}

impl std::error::Error for StoreError {}

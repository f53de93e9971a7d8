//! What can go wrong with a ledger: what happened and what to do, in both languages.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use postgres::error::SqlState;
use rusqlite::ErrorCode;

use super::sql;

use crate::base::Msg;
use crate::msg;

/// Why the ledger cannot be used. Whatever it is, what was committed before is still there, and
/// nothing was sent without a claim.
#[derive(Debug)]
pub enum LedgerError {
    /// Another process runs campaigns with this ledger.
    Busy(PathBuf),
    /// Written by a version of tagcast with another layout.
    OtherVersion {
        file: PathBuf,
        found: i64,
        known: i64,
    },
    /// Written by a development version from before the first release.
    Unreleased(PathBuf),
    /// Not what was written.
    Damaged(Msg),
    /// The disk or the database would not keep what it confirms.
    NotDurable { file: PathBuf, setting: String },
    /// The ledger is older than the messages sent with it, or nobody can read how far
    /// these were.
    Fenced {
        ledger: PathBuf,
        fence: PathBuf,
        unreadable: bool,
    },
    /// The operating system refused.
    Io { file: PathBuf, error: io::Error },
    /// The database refused.
    Sql(sql::Error),
    /// A guarded change found the ledger in another state than it was read in.
    Overtaken(&'static str),
    /// What is to be planned does not fit together.
    Plan(Msg),
}

impl LedgerError {
    pub(super) fn io(file: &Path, error: io::Error) -> Self {
        LedgerError::Io {
            file: file.into(),
            error,
        }
    }

    /// Somebody has to make room.
    pub(super) fn is_full_disk(&self) -> bool {
        match self {
            LedgerError::Io { error, .. } => matches!(
                error.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            ),
            LedgerError::Sql(sql::Error::Sqlite(error)) => {
                error.sqlite_error_code() == Some(ErrorCode::DiskFull)
            }
            _ => false,
        }
    }

    pub fn message(&self) -> Msg {
        match self {
            LedgerError::Busy(file) => msg!(
                "another tagcast is running campaigns with this store (it holds `{0}`): wait until it has finished, or stop it",
                "另一个 tagcast 正在用这个数据仓执行活动（占用 `{0}`）：请等它结束，或将其停止",
                file.display()
            ),
            LedgerError::OtherVersion { file, found, known } => msg!(
                "`{0}` is of ledger version {found}, this tagcast knows up to {known}: use a newer tagcast; nothing was changed",
                "`{0}` 的账本版本是 {found}，此 tagcast 只认识到 {known}：请使用更新的 tagcast；未作任何改动",
                file.display()
            ),
            LedgerError::Unreleased(file) => msg!(
                "`{0}` was made by a development version of tagcast from before the first release, which this one cannot read: start with a new ledger, or use the version that made it; nothing was changed",
                "`{0}` 由首个发布版之前的 tagcast 开发版本创建，此版本无法读取：请从新账本开始，或使用创建它的版本；未作任何改动",
                file.display()
            ),
            LedgerError::Damaged(what) => Msg {
                en: format!(
                    "the ledger is damaged: {}; restore it from a backup, nothing is sent with it",
                    what.en
                ),
                zh: format!(
                    "账本已损坏：{}；请从备份恢复，在此之前不会发送任何消息",
                    what.zh
                ),
            },
            LedgerError::NotDurable { file, setting } => msg!(
                "`{0}` does not keep what it confirms ({setting}): put the store on a local disk",
                "`{0}` 不能保证已确认的写入不丢失（{setting}）：请把数据仓放到本地磁盘",
                file.display()
            ),
            LedgerError::Fenced {
                ledger,
                fence,
                unreadable: true,
            } => msg!(
                "`{1}` cannot be read, so nobody knows whether `{0}` is older than the messages sent with it: put the newest copies of both back; if there are none, `tagcast resolve --after-restore --by NAME` gives up what was due and continues",
                "无法读取 `{1}`，因此无从得知 `{0}` 是否比用它完成的发送更旧：请放回两者最新的副本；若没有，`tagcast resolve --after-restore --by 姓名` 会放弃已到期的部分并继续",
                ledger.display(),
                fence.display()
            ),
            LedgerError::Fenced {
                ledger,
                fence,
                unreadable: false,
            } => msg!(
                "`{0}` is older than the messages sent with it (`{1}` is ahead of it), so messages could be sent twice: put the newest copy back; if there is none, `tagcast resolve --after-restore --by NAME` gives up what was due and continues",
                "`{0}` 比用它完成的发送更旧（`{1}` 更新），可能会重复发送：请放回最新的副本；若没有，`tagcast resolve --after-restore --by 姓名` 会放弃已到期的部分并继续",
                ledger.display(),
                fence.display()
            ),
            LedgerError::Io { file, error } => io_message(file, error),
            LedgerError::Sql(sql::Error::Sqlite(error)) => sql_message(error),
            LedgerError::Sql(sql::Error::Postgres(error)) => server_message(error),
            LedgerError::Sql(error @ (sql::Error::NoRow | sql::Error::Column(_))) => msg!(
                "the ledger is damaged ({error}): `tagcast audit verify` names what was changed",
                "账本已损坏（{error}）：`tagcast audit verify` 会指出被改动之处"
            ),
            LedgerError::Overtaken(what) => msg!(
                "the ledger was changed by someone else while this was done ({what}): run the command again, nothing was sent twice",
                "执行期间账本被他人改动（{what}）：请重新运行，没有重复发送"
            ),
            LedgerError::Plan(what) => what.clone(),
        }
    }
}

fn io_message(file: &Path, error: &io::Error) -> Msg {
    let file = file.display();
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            msg!(
                "the disk is full, `{file}` could not be written: free some space and run the command again; it continues where it stopped",
                "磁盘已满，无法写入 `{file}`：请腾出空间后重新运行，将从中断处继续"
            )
        }
        io::ErrorKind::ReadOnlyFilesystem => msg!(
            "`{file}` could not be written, the disk is read-only: make it writable or use a store elsewhere with `--store`",
            "无法写入 `{file}`，磁盘是只读的：请改为可写，或用 `--store` 指定别处的数据仓"
        ),
        io::ErrorKind::PermissionDenied => msg!(
            "no permission for `{file}`: change its permissions or run as a user who may write there",
            "没有 `{file}` 的权限：请修改权限，或换有写权限的用户运行"
        ),
        _ => msg!(
            "`{file}` could not be used ({error}): check the path and the disk, and run the command again; it continues where it stopped",
            "无法使用 `{file}`（{error}）：请检查路径与磁盘后重新运行，将从中断处继续"
        ),
    }
}

fn sql_message(error: &rusqlite::Error) -> Msg {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => msg!(
            "the disk is full, the ledger could not be written: free some space and run the command again; it continues where it stopped",
            "磁盘已满，无法写入账本：请腾出空间后重新运行，将从中断处继续"
        ),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => msg!(
            "the ledger could not be written, it is read-only: make the store's folder and its files writable",
            "无法写入账本，它是只读的：请把数据仓的文件夹和文件改为可写"
        ),
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => msg!(
            "the ledger is damaged ({error}): restore it from a backup, nothing is sent with it",
            "账本已损坏（{error}）：请从备份恢复，在此之前不会发送任何消息"
        ),
        Some(ErrorCode::CannotOpen) => {
            msg!(
                "the ledger could not be opened ({error}): check the store's folder and its permissions",
                "无法打开账本（{error}）：请检查数据仓文件夹及其权限"
            )
        }
        _ => msg!(
            "the ledger could not be used ({error}): check the disk and run the command again; it continues where it stopped",
            "无法使用账本（{error}）：请检查磁盘后重新运行，将从中断处继续"
        ),
    }
}

fn server_message(error: &postgres::Error) -> Msg {
    let Some(said) = error.as_db_error() else {
        return msg!(
            "the ledger's database could not be reached ({error}): see that it is running and that `[ledger]` names it; what was claimed is listed as unknown and looked up, nothing is sent twice",
            "无法连接账本的数据库（{error}）：请确认其正在运行且 `[ledger]` 配置正确；已认领的消息列为未知并会核实，不会重复发送"
        );
    };
    let text = said.message();
    match said.code() {
        code if *code == SqlState::DISK_FULL => msg!(
            "the disk of the ledger's database is full: free some space and run the command again; it continues where it stopped",
            "账本数据库的磁盘已满：请腾出空间后重新运行，将从中断处继续"
        ),
        code if *code == SqlState::INVALID_PASSWORD
            || *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION =>
        {
            msg!(
                "the ledger's database refuses this user ({text}): check user and password of `[ledger]`",
                "账本的数据库拒绝了此用户（{text}）：请检查 `[ledger]` 的用户名和密码"
            )
        }
        code if *code == SqlState::INSUFFICIENT_PRIVILEGE => msg!(
            "the ledger's database does not let this user write ({text}): let it own a schema `tagcast`",
            "账本的数据库不允许此用户写入（{text}）：请让其拥有 `tagcast` 模式"
        ),
        code => {
            let code = code.code();
            msg!(
                "the ledger's database refused ({code}: {text}): run the command again; it continues where it stopped",
                "账本的数据库拒绝执行（{code}：{text}）：请重新运行，将从中断处继续"
            )
        }
    }
}

impl From<sql::Error> for LedgerError {
    fn from(error: sql::Error) -> Self {
        LedgerError::Sql(error)
    }
}

impl fmt::Display for LedgerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message().en)
    }
}

impl std::error::Error for LedgerError {}

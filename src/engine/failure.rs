//! Why a command could not do its work: what happened and what to do, in both languages, with the
//! exit code of the contract.

use std::path::Path;

use crate::base::Msg;
use crate::decide::{DecideError, WordsError};
use crate::deliver::channel::ChannelError;
use crate::eval::{EvalError, TableError};
use crate::ledger::LedgerError;
use crate::msg;
use crate::store::StoreError;

/// What ends a command early.
#[derive(Debug)]
pub struct Failure {
    pub message: Msg,
    pub help: Vec<Msg>,
    /// 1: refused or stopped; 2: could not run.
    pub exit: u8,
}

impl Failure {
    /// The command could not run: exit code 2.
    pub fn new(message: Msg) -> Self {
        Failure {
            message,
            help: Vec::new(),
            exit: 2,
        }
    }

    /// The command ran and says no: exit code 1.
    pub fn refused(message: Msg) -> Self {
        Failure {
            message,
            help: Vec::new(),
            exit: 1,
        }
    }

    #[must_use]
    pub fn help(mut self, help: Msg) -> Self {
        self.help.push(help);
        self
    }

    /// A file that could not be read or written.
    pub fn io(path: &Path, error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        let shown = path.display();
        match error.kind() {
            ErrorKind::NotFound => Failure::new(msg!(
                "there is no file or folder `{shown}`",
                "没有文件或文件夹 `{shown}`"
            )),
            ErrorKind::PermissionDenied => Failure::new(msg!(
                "no permission for `{shown}`",
                "没有权限访问 `{shown}`"
            )),
            ErrorKind::ReadOnlyFilesystem => Failure::new(msg!(
                "`{shown}` is on a read-only disk",
                "`{shown}` 所在磁盘只读"
            ))
            .help(msg!(
                "mount the disk for writing, or name another folder",
                "请以可写方式挂载磁盘，或换一个文件夹"
            )),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Failure::new(msg!(
                "the disk of `{shown}` is full; nothing was lost",
                "`{shown}` 所在磁盘已满；没有丢失任何数据"
            ))
            .help(msg!(
                "free some space and run the command again",
                "请清理空间后重新运行"
            )),
            _ => Failure::new(msg!("`{shown}`: {error}", "`{shown}`:{error}")),
        }
    }

    /// Ctrl-C in the middle of something that can be repeated.
    pub fn stopped() -> Self {
        Failure {
            message: msg!(
                "stopped on request; nothing is half done",
                "已按要求停止；没有半途的改动"
            ),
            help: Vec::new(),
            exit: 1,
        }
    }
}

impl From<StoreError> for Failure {
    fn from(e: StoreError) -> Self {
        match e {
            StoreError::Stopped => Failure::stopped(),
            other => Failure::new(Msg {
                en: other.en(),
                zh: other.zh(),
            }),
        }
    }
}

impl From<EvalError> for Failure {
    fn from(e: EvalError) -> Self {
        Failure::new(e.msg())
    }
}

impl From<DecideError> for Failure {
    fn from(e: DecideError) -> Self {
        Failure::new(e.msg())
    }
}

impl From<WordsError> for Failure {
    fn from(e: WordsError) -> Self {
        let (shown, en, zh) = (e.path.display(), e.message.en, e.message.zh);
        Failure::new(msg!("`{shown}` {en}", "`{shown}` {zh}"))
    }
}

/// All of them in one message, the first ones by line.
impl From<Vec<TableError>> for Failure {
    fn from(errors: Vec<TableError>) -> Self {
        let line = |e: &TableError, zh: bool| {
            format!(
                "`{}` {}",
                e.path.display(),
                if zh { &e.message.zh } else { &e.message.en }
            )
        };
        let list = |zh: bool| {
            errors
                .iter()
                .map(|e| line(e, zh))
                .collect::<Vec<_>>()
                .join("\n  ")
        };
        Failure::new(Msg {
            en: list(false),
            zh: list(true),
        })
    }
}

impl From<LedgerError> for Failure {
    fn from(e: LedgerError) -> Self {
        Failure::new(e.message())
    }
}

impl From<ChannelError> for Failure {
    fn from(e: ChannelError) -> Self {
        Failure::new(e.message())
    }
}

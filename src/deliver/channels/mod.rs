//! The channels there are, one file each.

mod sandbox_file;

use std::fmt;
use std::path::PathBuf;

pub use sandbox_file::{Does, Fault, SandboxFile};

use crate::diag::Msg;
use crate::msg;

/// Why a channel cannot be set up.
#[derive(Debug)]
pub enum ChannelError {
    /// A file that tells a channel what to do cannot be read or makes no sense.
    Control { file: PathBuf, reason: String },
}

impl ChannelError {
    pub fn message(&self) -> Msg {
        match self {
            ChannelError::Control { file, reason } => msg!(
                "the control file `{0}` cannot be used ({reason}): write `[[fault]]` with `do`, and `campaign`, `after` and `times` as needed, or remove it",
                "无法使用控制文件 `{0}`（{reason}）：请写 `[[fault]]` 及 `do`，需要时加 `campaign`、`after`、`times`，或删除该文件",
                file.display()
            ),
        }
    }
}

impl fmt::Display for ChannelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message().en)
    }
}

impl std::error::Error for ChannelError {}

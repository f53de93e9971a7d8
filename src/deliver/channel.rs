//! What sends messages, and what it must say about itself.
//!
//! A channel is asked once for each batch and answers once. It never repeats anything on its own:
//! whether a send may be repeated is decided from the ledger and from what the channel's
//! platform file promises. (One exception: a request that the platform refused for its token, or for
//! what must be put right before it is looked at, was not looked at; it is asked again once with a
//! new token.)

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::base::{Elapsed, Instant, Msg};
use crate::decide::decision::Rendered;
use crate::ledger::{Batch, BatchEvidence, BatchOutcome, Page};
use crate::msg;
use crate::program::platform::{Endpoint, Key};

/// A way to send messages.
pub trait Channel: Send + Sync {
    /// What its platform promises: how a repeat is recognised, what becomes known of each outcome.
    fn endpoint(&self) -> &Endpoint;

    /// How many messages a batch may hold.
    fn max_batch(&self) -> usize;

    /// How long after a claim whose process is gone the platform may still receive it.
    fn settles_after(&self) -> Elapsed;

    /// Whether a send that may have arrived is recognised when it is repeated with the same
    /// bytes; the platform file says for how long.
    fn knows_repeats(&self) -> bool {
        match &self.endpoint().key {
            Key::Key {
                only_if_declared, ..
            } => !only_if_declared,
            Key::Content { .. } => true,
            Key::Proof { .. } | Key::None => false,
        }
    }

    fn send(&self, batch: &Batch) -> Reply;

    /// Sends one message to one person to look at; a channel that takes only lists may have
    /// another way for that.
    fn send_test(&self, batch: &Batch) -> Reply {
        self.send(batch)
    }

    /// Whether [`Self::look_up`] can find a send whose answer was lost.
    fn finds_lost(&self) -> bool {
        false
    }

    /// Asks what the platform knows of a batch: of one whose answer was lost (`id` is `None`)
    /// whether it arrived, of one that was accepted (`id` is the platform's, of the job or of a
    /// message) what became of it. That nothing is found proves nothing.
    fn look_up(&self, batch: &Batch, id: Option<&str>) -> Result<BatchEvidence, String> {
        let _ = (batch, id);
        Ok(BatchEvidence::default())
    }

    /// What the platform keeps about users of the account until it is fetched, by the platform's
    /// name; `None` where it calls back or says nothing.
    fn mailbox(&self) -> Option<&str> {
        None
    }

    /// Fetches the next page of its mailbox, behind the platform's mark of a place, or from the
    /// beginning where that is empty. `token` is what the platform gave when it called to say that
    /// there is something. It may be asked again at will.
    ///
    /// # Errors
    /// Why there is no page.
    fn fetch(&self, mark: &str, token: Option<&str>) -> Result<Page, String> {
        let _ = (mark, token);
        Err("this channel has no mailbox".into())
    }

    /// Takes back what was sent under one of the platform's ids; `content` is what was sent.
    fn recall(&self, id: &str, content: &Rendered) -> Recalled {
        let _ = (id, content);
        Recalled::Cannot {
            reason: "this channel takes nothing back".into(),
        }
    }

    /// Reminds the people who have to confirm what was accepted under one of the platform's ids.
    ///
    /// # Errors
    /// Where nobody has to, or the platform takes no more reminders.
    fn remind(&self, id: &str) -> Result<(), String> {
        let _ = id;
        Err("nobody has to confirm on this channel".into())
    }
}

/// What a channel says of a batch, and what follows for those that come after it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    pub answer: BatchOutcome,
    pub then: NextAction,
}

impl From<BatchOutcome> for Reply {
    fn from(answer: BatchOutcome) -> Self {
        Reply {
            answer,
            then: NextAction::GoOn,
        }
    }
}

/// How to continue with the channel after a batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NextAction {
    GoOn,
    /// Others on this channel of this account would be refused until then.
    Wait {
        until: Instant,
        why: Msg,
    },
    /// Others on this account would be refused until a person does something.
    Stop {
        why: Msg,
    },
}

/// What came of taking something back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Recalled {
    Done,
    /// What people had not confirmed yet is stopped; what they had sent stays.
    Unsent,
    Cannot {
        reason: String,
    },
    /// Whether it was taken back is not known; it may be asked again.
    Unknown {
        reason: String,
    },
}

/// Why a channel cannot be set up.
#[derive(Debug)]
pub enum ChannelError {
    /// A file that tells a channel what to do cannot be read or makes no sense.
    Control { file: PathBuf, reason: String },
    /// An account's settings cannot be used.
    Account { name: String, why: Msg },
    /// A file that a setting names cannot be read.
    File { file: PathBuf, error: io::Error },
}

impl ChannelError {
    pub fn message(&self) -> Msg {
        match self {
            ChannelError::Account { name, why } => {
                let Msg { en, zh } = why;
                msg!(
                    "`[accounts.{name}]` in `tagcast.toml`: {en}",
                    "tagcast.toml 的 `[accounts.{name}]`：{zh}"
                )
            }
            ChannelError::File { file, error } => {
                let file = file.display();
                msg!("`{file}`: {error}", "`{file}`：{error}")
            }
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

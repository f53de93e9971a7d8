//! Changes as they happen: durable before they are acknowledged, seen by every snapshot after that,
//! folded into the columns later.
//!
//! ```text
//! a change ──► LiveWriter ──► live/<n>.db ──► acknowledged
//!                  (group commit)   │
//!        snapshot = columns of the manifest + what came after its position
//!                                   │ Writer::fold_live, by an import or `tags compact`
//!                                   ▼
//!                      columns and segments of the next manifest
//! ```
//!
//! A change has a position that only rises. The manifest says up to which position the columns hold
//! everything; a reader lays the rest over them ([`mod@overlay`]). Files of rows that are folded go
//! when the manifest that holds them is durable, all but the last two, which keep the ids of events
//! so that one that is sent again is known. Users get their numbers from the store's writer before
//! a change of theirs is logged, so a number never moves.

mod background;
mod change;
mod feed;
mod fold;
mod line;
mod live_writer;
mod log;
mod overlay;

pub use change::{Change, FUTURE};
pub use feed::LiveEvent;
pub use line::json_of;
pub use live_writer::{Acknowledged, LiveError, LiveWriter, Ticket};

pub(super) use fold::collect;
pub(super) use line::not_json;
pub(super) use live_writer::LOCK;
pub(super) use log::Log;
pub(super) use overlay::overlay;

//! The tag store: what is known of each user and what each user did, as columns.
//!
//! A [`Snapshot`] is a read view that does not move. Columns are Arrow arrays in the narrowest form
//! of their declared type ([`mod@column`]), a row a user number; events are clustered by user
//! ([`event_table`]). The store hears nothing of campaigns.

mod adapt;
mod batches;
mod blocks;
mod build;
mod changed;
pub mod column;
pub mod declarations;
mod digest;
mod disk;
mod durable;
mod error;
pub mod event_table;
pub mod export;
mod file;
mod find;
pub mod import;
mod lazy;
pub mod live;
mod manifest;
pub mod mapped;
mod merge;
pub mod sample;
mod schema_file;
pub mod snapshot;
pub mod stats;
mod user_index;
mod users;
mod writer;

pub use blocks::{BLOCK_ROWS, BlockStats, ColumnStats, Extent};
pub use build::ColumnBuilder;
pub use changed::ChangedBlock;
pub use column::{Column, ColumnData};
pub use disk::Store;
pub use error::{Doing, StoreError};
pub use event_table::{EventSegment, EventTable, RowRef};
pub use find::TextIndex;
pub use manifest::ImportEntry;
pub use snapshot::{Snapshot, SnapshotBuilder};
pub use users::Users;
pub use writer::StoreWriter;

//! The ground floor: numbers that cannot be mixed up, values and their types, money, time, the
//! schema that checker and store agree on, and the one door to the outside world.
//!
//! Nothing in here knows of scripts, campaigns, stores or channels; everything above may use it.

pub mod bitmap;
pub mod decimal;
pub mod geo_point;
pub mod id;
pub mod schema;
mod stored_event;
pub mod text;
pub mod time;
pub mod value;
pub mod world;

pub use bitmap::Bitmap;
pub use decimal::Decimal;
pub use geo_point::GeoPoint;
pub use id::*;
pub use schema::{EventSchema, FieldSchema, Layer, Schema, TagSchema};
pub use stored_event::StoredEvent;
pub use text::{Lang, Msg};
pub use time::{Calendar, Date, Elapsed, Instant, TimeOfDay, Zone};
pub use value::{EnumType, Type, Value};

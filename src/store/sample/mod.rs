//! Made-up users of real size and shape: a retailer's members, where they live, what they buy,
//! which coupons they use.
//!
//! The same seed, number of users and day give the same data. Nobody in it exists: names and phone
//! numbers are masked from the start. Tags agree with events: `order_total` holds the purchases,
//! `coupon_rate` is the share of them with a coupon.

mod places;
mod random;
mod spec;
mod user;

use std::sync::Arc;

use super::build::ColumnBuilder;
use super::import::ImportProgress;
use super::merge::{self, Arrivals};
use super::users::NewUsers;
use super::{Column, EventSegment, StoreError, StoreWriter};
use crate::base::{
    EnumType, EventSchema, FieldSchema, Instant, Layer, Schema, TagSchema, Type, Value,
};
pub use spec::SampleSpec;
use spec::{CATEGORIES, DEVICES};
use user::User;

/// How many users unless said.
pub const DEFAULT_USERS: u32 = 500_000;
/// Events that are kept in memory before they are sorted away.
const CHUNK_ROWS: usize = 1 << 20;
/// Users between two tellings of progress.
const USERS_A_STEP: u32 = 8192;

/// What was made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Made {
    pub users: u32,
    /// Event and how many of it.
    pub events: Vec<(String, u64)>,
}

const LEVELS: [&str; 5] = ["none", "bronze", "silver", "gold", "platinum"];

fn enum_of<'a>(members: impl IntoIterator<Item = &'a str>) -> Type {
    Type::Enum(Arc::new(EnumType {
        members: members.into_iter().map(String::from).collect(),
    }))
}

/// The tags and events of the sample.
pub fn schema() -> Schema {
    use Layer::{Base, Behavior, Predicted};
    let text = |n| Type::Text { max: Some(n) };
    let int = |hi| Type::Int {
        lo: Some(0),
        hi: Some(hi),
    };
    let tag = |name: &str, ty, layer| TagSchema {
        private: matches!(ty, Type::Place) || name == "phone",
        consent: name == "marketing_ok",
        layer: Some(layer),
        ..TagSchema::new(name, ty)
    };
    let field = |name: &str, ty| FieldSchema {
        name: name.into(),
        ty,
        optional: name == "store",
    };
    let event = |name: &str, fields| EventSchema {
        name: name.into(),
        fields,
    };
    let category = || enum_of(CATEGORIES);
    Schema {
        tags: vec![
            tag(
                "region",
                enum_of(places::REGIONS.iter().map(|r| r.name)),
                Base,
            ),
            tag(
                "city",
                enum_of(
                    places::REGIONS
                        .iter()
                        .flat_map(|r| r.cities)
                        .map(|c| c.name),
                ),
                Base,
            ),
            tag("home", Type::Place, Base),
            tag("gender", enum_of(["female", "male"]), Base),
            tag("age", int(120), Base),
            tag("birthday", Type::Date, Base),
            tag("nickname", text(10), Base),
            tag("phone", text(20), Base),
            tag("device", enum_of(DEVICES), Base),
            tag("joined", Type::Date, Base),
            tag("openid", Type::Address("service_account".into()), Base),
            tag("wecom_id", Type::Address("wecom".into()), Base),
            tag("marketing_ok", Type::Bool, Base),
            tag("member_level", enum_of(LEVELS), Behavior),
            tag("interests", Type::Set(Box::new(category())), Behavior),
            tag("orders", int(10_000), Behavior),
            tag("order_total", Type::Money, Behavior),
            tag("coupon_rate", Type::Ratio, Behavior),
            tag("last_purchase", Type::Date, Behavior),
            tag("last_seen", Type::Instant, Behavior),
            tag("churn_risk", Type::Ratio, Predicted),
        ],
        events: vec![
            event(
                "view",
                vec![field("sku", text(20)), field("category", category())],
            ),
            event(
                "cart_add",
                vec![field("sku", text(20)), field("price", Type::Money)],
            ),
            event(
                "purchase",
                vec![
                    field("amount", Type::Money),
                    field("category", category()),
                    field("store", text(20)),
                ],
            ),
            event(
                "coupon_used",
                vec![field("coupon", text(20)), field("saved", Type::Money)],
            ),
        ],
    }
}

impl SampleSpec {
    /// Fills an empty store. Commit to keep it.
    ///
    /// # Errors
    /// Those of the file system, and the wish to stop.
    pub fn write(
        &self,
        writer: &mut StoreWriter,
        tell: &mut dyn FnMut(ImportProgress),
    ) -> Result<Made, StoreError> {
        let schema = schema();
        let world = writer.world().clone();
        let mut ids = NewUsers::after(writer.user_count());
        let mut tags: Vec<ColumnBuilder> = schema
            .tags
            .iter()
            .map(|t| ColumnBuilder::new(&t.ty))
            .collect();
        let mut events: Vec<Gathered> = schema.events.iter().map(Gathered::new).collect();
        for number in 0..self.users {
            if number % USERS_A_STEP == 0 {
                let (done, all) = (u64::from(number), u64::from(self.users));
                tell(ImportProgress {
                    rows: done,
                    bytes: done,
                    total_bytes: all,
                });
                if world.stopping() {
                    return Err(StoreError::Stopped);
                }
            }
            let user = ids
                .get_or_add(&format!("u{:07}", number + 1))
                .ok_or(StoreError::TooManyUsers)?;
            let User {
                tags: values,
                events: happened,
            } = User::make(self, number);
            tags.iter_mut()
                .zip(&values)
                .for_each(|(column, value)| column.push(value.as_ref()));
            for h in happened {
                events[h.event].push(user.0, h.at, &h.fields);
            }
        }
        writer.add_users(ids)?;
        for (tag, builder) in schema.tags.iter().zip(tags) {
            writer.put_tag(
                tag,
                None,
                &Column::new(tag.ty.clone(), builder.finish(), None),
            )?;
        }
        let mut made = Made {
            users: self.users,
            events: Vec::new(),
        };
        for (event, gathered) in schema.events.iter().zip(events) {
            let runs = gathered.finish();
            made.events.push((
                event.name.clone(),
                runs.iter().flatten().map(|s| s.len() as u64).sum(),
            ));
            writer.put_events(event, None, &runs)?;
        }
        Ok(made)
    }
}

/// Events of one kind, users in order.
struct Gathered<'a> {
    schema: &'a EventSchema,
    users: Vec<u32>,
    at: Vec<i64>,
    columns: Vec<ColumnBuilder>,
    done: Vec<Arc<EventSegment>>,
}

impl<'a> Gathered<'a> {
    fn new(schema: &'a EventSchema) -> Self {
        Gathered {
            schema,
            users: Vec::new(),
            at: Vec::new(),
            columns: builders(schema),
            done: Vec::new(),
        }
    }

    fn push(&mut self, user: u32, at: Instant, fields: &[Option<Value>]) {
        if self.at.len() >= CHUNK_ROWS && self.users.last() != Some(&user) {
            self.sort();
        }
        self.users.push(user);
        self.at.push(at.0);
        self.columns
            .iter_mut()
            .zip(fields)
            .for_each(|(column, value)| column.push(value.as_ref()));
    }

    fn sort(&mut self) {
        let columns = std::mem::replace(&mut self.columns, builders(self.schema));
        let mut arrivals = Arrivals::default();
        arrivals.add(
            std::mem::take(&mut self.users),
            std::mem::take(&mut self.at),
            columns.into_iter().map(ColumnBuilder::finish).collect(),
        );
        self.done
            .push(Arc::new(merge::sort(self.schema, &arrivals)));
    }

    /// One run: the segments' users follow each other.
    fn finish(mut self) -> Vec<Vec<Arc<EventSegment>>> {
        self.sort();
        vec![self.done]
    }
}

fn builders(schema: &EventSchema) -> Vec<ColumnBuilder> {
    schema
        .fields
        .iter()
        .map(|f| ColumnBuilder::new(&f.ty))
        .collect()
}

//! One made-up user: tags in the order of the schema, and what the user did in the last year.

use std::sync::{Arc, LazyLock};

use super::places::REGIONS;
use super::random::{Random, zipf};
use super::spec::{
    CART_ADD, CATEGORIES, COUPON_USED, DEVICES, Happened, PURCHASE, SampleSpec, VIEW,
};
use crate::base::{Date, GeoPoint, Instant, TimeOfDay, Value};

/// Days of events before now.
const HISTORY_DAYS: i64 = 365;
const MAX_PURCHASES: usize = 60;
const SURNAMES: [&str; 24] = [
    "王", "李", "张", "刘", "陈", "杨", "黄", "赵", "吴", "周", "徐", "孙", "马", "朱", "胡", "郭",
    "何", "林", "高", "罗", "郑", "梁", "谢", "宋",
];
const PHONE_STARTS: [&str; 8] = ["138", "139", "150", "158", "176", "186", "188", "199"];
const ID_SIGNS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
/// Order totals from which the member levels above `none` begin, in minor units.
const LEVEL_FROM: [i64; 4] = [20_000, 100_000, 300_000, 1_000_000];

static REGION_SUMS: LazyLock<Vec<f64>> = LazyLock::new(|| zipf(REGIONS.len(), 0.8));
static CITY_SUMS: LazyLock<Vec<Vec<f64>>> =
    LazyLock::new(|| REGIONS.iter().map(|r| zipf(r.cities.len(), 0.7)).collect());
/// The number of the first city of each region among all cities.
static FIRST_CITY: LazyLock<Vec<usize>> = LazyLock::new(|| {
    let mut next = 0;
    let cities = REGIONS.iter().map(|r| r.cities.len());
    cities
        .map(|n| {
            next += n;
            next - n
        })
        .collect()
});
static CATEGORY_SUMS: LazyLock<Vec<f64>> = LazyLock::new(|| zipf(CATEGORIES.len(), 0.6));
static DEVICE_SUMS: LazyLock<Vec<f64>> = LazyLock::new(|| zipf(DEVICES.len(), 0.9));

pub(super) struct User {
    pub tags: Vec<Option<Value>>,
    pub events: Vec<Happened>,
}

/// Purchases of the last year, summed up.
#[derive(Default)]
struct Bought {
    orders: i64,
    total: i64,
    with_coupon: i64,
    last: Option<Instant>,
}

impl User {
    pub fn make(sample: &SampleSpec, number: u32) -> User {
        let mut r = Random::of(sample.seed, number);
        let today = sample.zone.date(sample.now);
        let region = r.weighted(&REGION_SUMS);
        let city = CITY_SUMS.get(region).map_or(0, |sums| r.weighted(sums));
        let age = (34.0 + 11.0 * r.normal()).clamp(14.0, 85.0) as i64;
        let likes = likes(&mut r);
        let joined = today.plus_days(-(r.range(30, 2000) as i32));
        let mut events = Vec::new();
        let bought = shop(sample, &mut r, &likes, joined, &mut events);

        let years_before = r.exponential(1.2) * f64::from(today.0 - joined.0) / 365.0;
        let orders = bought.orders + years_before as i64;
        let order_total = bought.total + (years_before as i64) * r.range(3_000, 30_000);
        let level = LEVEL_FROM
            .iter()
            .filter(|from| order_total >= **from)
            .count();
        let idle_days = bought.last.map_or(HISTORY_DAYS as f64, |at| {
            (sample.now.0 - at.0) as f64 / 86_400e6
        });
        let risk = (1.0 - (-idle_days / 120.0).exp() + 0.1 * r.normal()).clamp(0.0, 1.0);
        let birthday = today.plus_days(-(age * 365 + age / 4 + r.range(0, 364)) as i32);
        let seen = Instant(sample.now.0 - (r.exponential(9.0).min(300.0) * 86_400e6) as i64);
        let home = REGIONS
            .get(region)
            .and_then(|reg| reg.cities.get(city))
            .and_then(|c| {
                // Most within 20 km of the centre.
                GeoPoint::new(
                    round4(c.lat + 0.08 * r.normal()),
                    round4(c.lon + 0.09 * r.normal()),
                )
            });
        let coupon_rate =
            (bought.orders > 0).then(|| bought.with_coupon as f32 / bought.orders as f32);

        let tags = vec![
            known(&mut r, 0.97, Value::Enum(region as u16)),
            known(
                &mut r,
                0.95,
                Value::Enum((FIRST_CITY.get(region).copied().unwrap_or(0) + city) as u16),
            ),
            home.filter(|_| r.chance(0.6)).map(Value::Place),
            {
                let gender = u16::from(r.chance(0.46));
                known(&mut r, 0.9, Value::Enum(gender))
            },
            known(&mut r, 0.92, Value::Int(age)),
            known(&mut r, 0.8, Value::Date(birthday)),
            {
                let name = r.pick(&SURNAMES).map(|s| Value::text(&format!("{s}**")));
                name.filter(|_| r.chance(0.85))
            },
            {
                let phone = format!(
                    "{}****{:04}",
                    r.pick(&PHONE_STARTS).unwrap_or(&"138"),
                    r.below(10_000)
                );
                known(&mut r, 0.7, Value::text(&phone))
            },
            Some(Value::Enum(r.weighted(&DEVICE_SUMS) as u16)),
            Some(Value::Date(joined)),
            {
                let openid = format!("o{}", signs(&mut r, 27));
                known(&mut r, 0.92, Value::text(&openid))
            },
            {
                let id = format!("wm{}", signs(&mut r, 20));
                known(&mut r, 0.35, Value::text(&id))
            },
            {
                let ok = r.chance(0.83);
                known(&mut r, 0.96, Value::Bool(ok))
            },
            Some(Value::Enum(level as u16)),
            known(
                &mut r,
                0.9,
                Value::Set(likes.iter().map(|c| Value::Enum(*c)).collect()),
            ),
            Some(Value::Int(orders.min(10_000))),
            Some(Value::Money(order_total)),
            coupon_rate.map(Value::Ratio),
            bought.last.map(|at| Value::Date(sample.zone.date(at))),
            Some(Value::Instant(bought.last.map_or(seen, |at| at.max(seen)))),
            known(
                &mut r,
                0.95,
                Value::Ratio((risk * 1000.0).round() as f32 / 1000.0),
            ),
        ];
        User { tags, events }
    }
}

fn known(r: &mut Random, share: f64, value: Value) -> Option<Value> {
    r.chance(share).then_some(value)
}

fn round4(x: f64) -> f64 {
    (x * 1e4).round() / 1e4
}

fn signs(r: &mut Random, n: usize) -> String {
    (0..n)
        .map(|_| char::from(r.pick(ID_SIGNS).copied().unwrap_or(b'x')))
        .collect()
}

/// One to five categories, sorted.
fn likes(r: &mut Random) -> Vec<u16> {
    let mut likes: Vec<u16> = (0..=r.below(5))
        .map(|_| r.weighted(&CATEGORY_SUMS) as u16)
        .collect();
    likes.sort_unstable();
    likes.dedup();
    likes
}

/// A moment of the last year, more often lately and by day; not before the user joined.
fn moment(sample: &SampleSpec, r: &mut Random, joined: Date) -> Instant {
    let back = (HISTORY_DAYS as f64 * r.unit().powf(1.6)) as i32;
    let day = Date(
        sample
            .zone
            .date(sample.now)
            .plus_days(-back)
            .0
            .max(joined.0),
    );
    let second = ((15.5 + 3.2 * r.normal()).clamp(0.0, 23.99) * 3600.0) as u32;
    let at = sample.zone.instant(day, TimeOfDay(second));
    at.min(Instant(sample.now.0 - r.range(1, 3600) * 1_000_000))
}

/// The year's events: most people buy little, some a lot; some use a coupon whenever there is one.
fn shop(
    sample: &SampleSpec,
    r: &mut Random,
    likes: &[u16],
    joined: Date,
    events: &mut Vec<Happened>,
) -> Bought {
    let mut bought = Bought::default();
    let purchases = (r.exponential(2.4) as usize).min(MAX_PURCHASES);
    let thrift = r.unit() * r.unit() * 1.6;
    let purse = (4.3 + 0.5 * r.normal()).exp();
    let (views, carts) = (r.exponential(2.6) as usize, r.exponential(0.9) as usize);
    let category = |r: &mut Random| match r.pick(likes) {
        Some(liked) if r.chance(0.7) => Some(Value::Enum(*liked)),
        _ => Some(Value::Enum(r.weighted(&CATEGORY_SUMS) as u16)),
    };
    let price =
        |r: &mut Random| ((purse * (0.5 * r.normal()).exp() * 100.0) as i64 / 10 * 10).max(100);
    let sku = |r: &mut Random| Some(text(format!("S{:05}", r.below(20_000))));
    for _ in 0..purchases {
        let (at, amount) = (moment(sample, r, joined), price(r));
        bought.orders += 1;
        bought.total += amount;
        bought.last = bought.last.max(Some(at));
        let store = r
            .chance(0.3)
            .then(|| text(format!("门店{:03}", r.below(300) + 1)));
        let what = category(r);
        events.push(Happened {
            event: PURCHASE,
            at,
            fields: vec![Some(Value::Money(amount)), what, store],
        });
        if r.chance(thrift.min(0.98)) {
            bought.with_coupon += 1;
            let saved = Some(Value::Money((amount / 10).max(50)));
            events.push(Happened {
                event: COUPON_USED,
                at,
                fields: vec![Some(text(format!("C{:03}", r.below(200)))), saved],
            });
        }
    }
    for _ in 0..views {
        let at = moment(sample, r, joined);
        let fields = vec![sku(r), category(r)];
        events.push(Happened {
            event: VIEW,
            at,
            fields,
        });
    }
    for _ in 0..carts {
        let at = moment(sample, r, joined);
        let fields = vec![sku(r), Some(Value::Money(price(r)))];
        events.push(Happened {
            event: CART_ADD,
            at,
            fields,
        });
    }
    bought
}

fn text(s: String) -> Value {
    Value::Text(Arc::from(s))
}

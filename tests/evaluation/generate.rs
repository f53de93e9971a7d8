//! Made-up programs, facts and expressions of every type: the same seed makes the same.
use std::sync::Arc;

use tagcast::base::*;
use tagcast::diag::Span;
use tagcast::eval::{OwnMessage, ReceiptStatus, StepOutcomes};
use tagcast::program::builtins::function::{Arity, Coercion, Function};
use tagcast::program::builtins::{BUILTINS, Builtin, builtin};
use tagcast::program::typed::*;
use tagcast::program::typed_expr::*;

use super::plain::{EventRow, Facts};

/// A small generator of numbers (splitmix64).
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    /// One time in `n`.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    fn between(&mut self, lo: i64, hi: i64) -> i64 {
        lo + (self.next() % (hi - lo + 1) as u64) as i64
    }
}

pub fn zone() -> Zone {
    Zone::SHANGHAI
}

pub fn now() -> Instant {
    zone().parse_instant("2027-03-01 09:30").unwrap()
}

pub fn span() -> Span {
    Span::new(FileId(0), 0, 0)
}

pub fn declared(name: &str) -> Declared {
    Declared {
        name: name.into(),
        name_span: span(),
        span: span(),
        doc: Vec::new(),
        failed: false,
    }
}

fn members(n: usize) -> Type {
    Type::Enum(Arc::new(EnumType {
        members: (0..n)
            .map(|i| {
                if i == 1 {
                    "上海".into()
                } else {
                    format!("m{i}")
                }
            })
            .collect(),
    }))
}

pub fn tag_schema(name: &str, ty: Type) -> TagSchema {
    TagSchema::new(name, ty)
}

fn field(name: &str, ty: Type) -> FieldSchema {
    FieldSchema {
        name: name.into(),
        ty,
        optional: true,
    }
}

/// All types that values can have; the bool comes last.
pub fn types() -> Vec<Type> {
    let int = |lo, hi| Type::Int {
        lo: Some(lo),
        hi: Some(hi),
    };
    vec![
        int(-100, 100),
        int(0, 30_000),
        int(-70_000, 70_000),
        Type::INT,
        Type::Number,
        Type::Ratio,
        Type::Money,
        Type::TEXT,
        Type::Text { max: Some(4) },
        members(3),
        members(300),
        Type::Set(Box::new(members(3))),
        Type::Set(Box::new(members(70))),
        Type::Set(Box::new(Type::TEXT)),
        Type::Set(Box::new(Type::INT)),
        Type::Date,
        Type::Time,
        Type::Instant,
        Type::Elapsed,
        Type::Distance,
        Type::Place,
        Type::Bool,
    ]
}

/// Declarations of everything, with derived tags, partitions and audiences made up.
pub fn program(rng: &mut Rng) -> Program {
    let types = types();
    let mut program = Program::default();
    for (i, ty) in types.iter().enumerate() {
        for n in 0..2 {
            program
                .schema
                .tags
                .push(tag_schema(&format!("t{i}_{n}"), ty.clone()));
        }
    }
    program.schema.tags.push(TagSchema {
        fresh: Some(Elapsed::hours(48)),
        ..tag_schema("fresh_ratio", Type::Ratio)
    });
    program.schema.tags.push(TagSchema {
        fresh: Some(Elapsed::hours(1)),
        ..tag_schema("fresh_text", Type::TEXT)
    });
    let stored = program.schema.tags.len();
    program.tags = (0..stored)
        .map(|_| Tag {
            declared: Some(declared("tag")),
            derived: None,
        })
        .collect();
    let fields: Vec<FieldSchema> = types
        .iter()
        .enumerate()
        .map(|(i, ty)| field(&format!("f{i}"), ty.clone()))
        .collect();
    program.schema.events.push(EventSchema {
        name: "purchase".into(),
        fields,
    });
    program.schema.events.push(EventSchema {
        name: "cart".into(),
        fields: vec![
            field("price", Type::Money),
            field("sku", Type::TEXT),
            field("gift", Type::Bool),
        ],
    });
    program.schema.events.push(EventSchema {
        name: "never".into(),
        fields: vec![field("n", Type::INT)],
    });
    program.events = (0..3).map(|_| declared("event")).collect();
    program.lookups.push(Lookup {
        declared: declared("weather"),
        keys: vec![field("city", Type::TEXT), field("n", Type::INT)],
        fields: vec![
            field("uv", Type::Number),
            field("rain", Type::Bool),
            field("name", Type::TEXT),
            field("of", members(3)),
        ],
        file: "weather.csv".into(),
        fresh: None,
    });
    program.lists = (0..2)
        .map(|i| List {
            declared: declared(&format!("list{i}")),
            file: "list.txt".into(),
        })
        .collect();
    for i in 0..4 {
        let audience = Gen {
            rng,
            program: &program,
            row: None,
        }
        .expr(&Type::Bool, 3);
        program.audiences.push(Audience {
            declared: declared(&format!("audience{i}")),
            when: audience,
        });
        let ty = rng.pick(&types);
        let derived = Gen {
            rng,
            program: &program,
            row: None,
        }
        .expr(&ty, 3);
        program.schema.tags.push(TagSchema {
            derived: true,
            ..tag_schema(&format!("derived{i}"), ty)
        });
        program.tags.push(Tag {
            declared: Some(declared("derived")),
            derived: Some(derived),
        });
        let arms = (0..1 + rng.below(3))
            .map(|_| {
                Gen {
                    rng,
                    program: &program,
                    row: None,
                }
                .expr(&Type::Bool, 2)
            })
            .collect::<Vec<_>>();
        let otherwise = rng.one_in(2);
        let ty = members(arms.len() + usize::from(otherwise));
        program.partitions.push(Partition {
            declared: declared(&format!("partition{i}")),
            ty,
            arms,
            otherwise,
        });
    }
    program
}

/// A value of a type: often small and repeated, sometimes as far out as the type goes.
pub fn value(rng: &mut Rng, ty: &Type) -> Value {
    let days = |rng: &mut Rng| match rng.below(12) {
        0 => Date::ymd(2000, 2, 29).unwrap(),
        1 => Date::ymd(1, 1, 1).unwrap(),
        2 => Date::ymd(9999, 12, 31).unwrap(),
        3 => Date::ymd(2026, 2, 28).unwrap(),
        _ => zone().date(now()).plus_days(rng.between(-500, 40) as i32),
    };
    match ty {
        Type::Bool => Value::Bool(rng.one_in(2)),
        Type::Int { lo, hi } => {
            let (lo, hi) = (lo.unwrap_or(i64::MIN), hi.unwrap_or(i64::MAX));
            let n = match rng.below(10) {
                0 => lo,
                1 => hi,
                2 => 9_007_199_254_740_993,
                _ => rng.between(-4, 6),
            };
            Value::Int(n.clamp(lo, hi))
        }
        Type::Number => {
            let small = rng.between(-8, 12) as f64 / 2.0;
            Value::Number(rng.pick(&[
                small,
                small,
                small,
                0.1,
                -0.0,
                1e308,
                -1e308,
                5e-324,
                9_007_199_254_740_992.0,
                9.3e18,
                1e-3,
            ]))
        }
        Type::Ratio => {
            Value::Ratio(rng.pick(&[0.0, 1.0, 0.3, 0.300_000_1, 0.5, 0.1, 0.123_456_7, 1e-7]))
        }
        Type::Money => Value::Money(match rng.below(10) {
            0 => i64::MAX,
            1 => i64::MIN,
            2 => 0,
            _ => rng.between(-3, 12) * 50 + rng.between(0, 1),
        }),
        Type::Text { max } => {
            let text = rng.pick(&[
                "",
                "a",
                "A",
                "ab",
                "b",
                "上海",
                "上",
                "Éa",
                "m1",
                "campaign1",
                "a b",
            ]);
            Value::text(
                &text
                    .chars()
                    .take(max.map_or(usize::MAX, |n| n as usize))
                    .collect::<String>(),
            )
        }
        Type::Address(_) => Value::text(rng.pick(&["o1", "o2"])),
        Type::Enum(of) => Value::Enum(match rng.below(3) {
            0 => rng.below(of.members.len()) as u16,
            _ => rng.below(of.members.len().min(3)) as u16,
        }),
        Type::Set(of) => {
            let mut items: Vec<Value> = (0..rng.below(4)).map(|_| value(rng, of)).collect();
            items.sort_by(super::plain::order);
            items.dedup();
            Value::Set(items.into())
        }
        Type::Date => Value::Date(days(rng)),
        Type::Time => Value::Time(TimeOfDay(rng.pick(&[0, 36_000, 36_000, 86_399, 60]))),
        Type::Instant => Value::Instant(match rng.below(12) {
            0 => Instant(i64::MIN),
            1 => Instant(i64::MAX),
            2 => now(),
            3 => zone().start_of(zone().date(now())),
            _ => near(rng),
        }),
        Type::Elapsed => Value::Elapsed(match rng.below(8) {
            0 => Elapsed(i64::MAX),
            1 => Elapsed(i64::MIN),
            2 => Elapsed(1),
            _ => Elapsed::hours(rng.between(-2, 100)),
        }),
        Type::Calendar => Value::Calendar(Calendar {
            months: rng.between(-14, 14) as i32,
            days: rng.pick(&[0, 0, 1, -31, 40]),
        }),
        Type::Distance => Value::Distance(rng.pick(&[0.0, 1.5, 500.0, 3000.0, 1e308])),
        Type::Place => {
            let (lat, lon) = rng.pick(&[
                (31.23, 121.47),
                (39.9, 116.4),
                (90.0, 0.0),
                (-90.0, 180.0),
                (31.24, 121.47),
                (0.0, -180.0),
            ]);
            Value::Place(GeoPoint::new(lat, lon).unwrap())
        }
    }
}

/// An instant that windows may hold; few of them, so that they meet.
fn near(rng: &mut Rng) -> Instant {
    let back = rng.pick(&[
        0, 1, 30, 60, 90, 600, 1440, 1440, 2880, 10_080, 43_200, 43_201, 525_600, -60,
    ]);
    now()
        .minus(Elapsed::minutes(back))
        .minus(Elapsed(rng.pick(&[0, 0, 1, -1])))
}

/// A value or none.
fn maybe(rng: &mut Rng, ty: &Type, one_missing_in: usize) -> Option<Value> {
    if rng.one_in(one_missing_in) {
        None
    } else {
        Some(value(rng, ty))
    }
}

/// What is known of so many users.
pub fn facts(rng: &mut Rng, program: &Program, users: usize) -> Facts {
    let mut facts = Facts {
        users,
        ..Facts::default()
    };
    for (schema, tag) in program.schema.tags.iter().zip(&program.tags) {
        // Some columns are shorter than the others, some nearly empty, some full.
        let rows = if rng.one_in(4) {
            rng.below(users + 1)
        } else {
            users
        };
        let missing = rng.pick(&[2, 3, 5, 1_000_000]);
        let column = (0..rows).map(|_| {
            let written = if schema.fresh.is_some() && !rng.one_in(5) {
                Some(near(rng))
            } else {
                None
            };
            maybe(rng, &schema.ty, missing).map(|v| (v, written))
        });
        facts.tags.push(if tag.derived.is_some() {
            Vec::new()
        } else {
            column.collect()
        });
    }
    for (event, schema) in program.schema.events.iter().enumerate() {
        let mut rows = Vec::new();
        for user in 0..users {
            let count = if event == 2 || rng.one_in(3) {
                0
            } else {
                rng.below(5)
            };
            for _ in 0..count {
                let fields = schema.fields.iter().map(|f| maybe(rng, &f.ty, 5)).collect();
                rows.push(EventRow {
                    user: UserNo(user as u32),
                    at: near(rng),
                    fields,
                });
            }
        }
        rows.sort_by_key(|r| (r.user, r.at));
        facts.events.push(rows);
    }
    for user in 0..users {
        for _ in 0..rng.below(4) {
            let at = near(rng);
            let text = |rng: &mut Rng, of: &[&str]| -> Arc<str> { rng.pick(of).into() };
            let mut receipts = [ReceiptStatus::Unknown; 7];
            for receipt in &mut receipts {
                *receipt = match rng.below(5) {
                    0 => ReceiptStatus::Unknown,
                    1 | 2 => ReceiptStatus::No,
                    _ => ReceiptStatus::Yes(at.plus(Elapsed::minutes(rng.pick(&[0, 5, 60, 4000])))),
                };
            }
            facts.messages.push(OwnMessage {
                user: UserNo(user as u32),
                at,
                campaign: text(rng, &["campaign1", "campaign2"]),
                step: text(rng, &["first", "after1"]),
                arm: if rng.one_in(2) {
                    Some(text(rng, &["a", "b"]))
                } else {
                    None
                },
                template: text(rng, &["a", "m1"]),
                channel: text(rng, &["sandbox.file", "a"]),
                receipts,
            });
        }
    }
    facts.lists = program
        .lists
        .iter()
        .map(|_| {
            (0..users as u32)
                .map(UserNo)
                .filter(|_| rng.one_in(3))
                .collect()
        })
        .collect();
    for lookup in &program.lookups {
        let mut rows: Vec<(Vec<Value>, Vec<Option<Value>>)> = Vec::new();
        for _ in 0..8 {
            let keys: Vec<Value> = lookup.keys.iter().map(|k| value(rng, &k.ty)).collect();
            // The file cannot hold an empty key, and no key twice.
            if keys[0] != Value::text("") && rows.iter().all(|(known, _)| *known != keys) {
                rows.push((
                    keys,
                    lookup.fields.iter().map(|f| maybe(rng, &f.ty, 5)).collect(),
                ));
            }
        }
        facts.lookups.push(rows);
    }
    facts.trigger = (!rng.one_in(4)).then(|| {
        program.schema.events[0]
            .fields
            .iter()
            .map(|f| maybe(rng, &f.ty, 4))
            .collect()
    });
    for user in 0..users {
        for step in 0..2 {
            if !rng.one_in(3) {
                let outcome = |rng: &mut Rng| rng.pick(&[None, Some(true), Some(false)]);
                let known = [outcome(rng), outcome(rng), outcome(rng), outcome(rng)];
                facts
                    .outcomes
                    .known
                    .insert((step, UserNo(user as u32)), known);
            }
        }
    }
    facts.outcomes = StepOutcomes {
        known: std::mem::take(&mut facts.outcomes.known),
    };
    facts
}

// ------------------------------------------------------------------ expressions

/// Makes expressions that the checker could have made.
pub struct Gen<'a> {
    pub rng: &'a mut Rng,
    pub program: &'a Program,
    /// Inside the `where` of this event: fields, constants and what is made of them.
    pub row: Option<EventSource>,
}

fn node(ty: &Type, kind: ExprKind) -> Expr {
    Expr {
        ty: ty.clone(),
        span: span(),
        optional: true,
        kind,
    }
}

fn function(name: &str) -> &'static Function {
    match builtin(name) {
        Some(Builtin::Function(function)) => function,
        other => panic!("{name}: {other:?}"),
    }
}

impl Gen<'_> {
    pub fn expr(&mut self, ty: &Type, depth: usize) -> Expr {
        let kind = if depth == 0 || self.rng.one_in(6) {
            self.leaf(ty)
        } else {
            self.composite(ty, depth - 1)
        };
        node(ty, kind)
    }

    fn boxed(&mut self, ty: &Type, depth: usize) -> Box<Expr> {
        Box::new(self.expr(ty, depth))
    }

    fn constant(&mut self, ty: &Type) -> ExprKind {
        ExprKind::Const(value(self.rng, ty))
    }

    /// Something that is read; a constant where there is nothing of the type.
    fn leaf(&mut self, ty: &Type) -> ExprKind {
        let mut options: Vec<ExprKind> = Vec::new();
        let same = |other: &Type| kind_of(other) == kind_of(ty);
        let position = |fields: &[FieldSchema]| -> Vec<u16> {
            fields
                .iter()
                .zip(0..)
                .filter(|(f, _)| same(&f.ty))
                .map(|(_, i)| i)
                .collect()
        };
        match self.row {
            Some(EventSource::Declared(id)) => {
                options.extend(
                    position(&self.program.schema.event(id).fields)
                        .into_iter()
                        .map(ExprKind::RowField),
                );
            }
            Some(EventSource::Own(_)) => {
                if same(&Type::TEXT) {
                    options.extend((0..OWN_FIELDS.len() as u16).map(ExprKind::RowField));
                }
            }
            None => {
                let tags = self
                    .program
                    .schema
                    .tags
                    .iter()
                    .zip(0..)
                    .filter(|(t, i)| same(&t.ty) && *i < self.program.tags.len() as u32);
                options.extend(tags.map(|(_, i)| ExprKind::Tag(TagId(i))));
                let lookup = &self.program.lookups[0];
                for field in position(&lookup.fields) {
                    let keys = vec![self.key(&Type::TEXT), self.key(&Type::INT)];
                    options.push(ExprKind::LookupField {
                        lookup: LookupId(0),
                        keys,
                        field,
                    });
                }
                let partitions = self
                    .program
                    .partitions
                    .iter()
                    .zip(0..)
                    .filter(|(p, _)| same(&p.ty));
                options.extend(partitions.map(|(_, i)| ExprKind::Partition(PartitionId(i))));
                if *ty == Type::Bool {
                    options.push(ExprKind::Everyone);
                    options.extend(
                        (0..self.program.lists.len() as u32).map(|i| ExprKind::List(ListId(i))),
                    );
                    options.extend(
                        (0..self.program.audiences.len() as u32)
                            .map(|i| ExprKind::Audience(AudienceId(i))),
                    );
                    let outcomes = [
                        StepOutcome::Delivered,
                        StepOutcome::Opened,
                        StepOutcome::Clicked,
                        StepOutcome::Converted,
                    ];
                    options.push(ExprKind::StepOutcome {
                        step: self.rng.below(3),
                        outcome: self.rng.pick(&outcomes),
                    });
                }
            }
        }
        options.extend(
            position(&self.program.schema.events[0].fields)
                .into_iter()
                .take(1)
                .map(ExprKind::TriggerField),
        );
        if options.is_empty() || self.rng.one_in(8) {
            return self.constant(ty);
        }
        self.rng.pick(&options)
    }

    /// What a table is asked for: a tag, computed or not, or a constant.
    fn key(&mut self, ty: &Type) -> Expr {
        let tags = self
            .program
            .schema
            .tags
            .iter()
            .zip(0..)
            .filter(|(t, i)| t.ty == *ty && *i < self.program.tags.len() as u32);
        let tags: Vec<u32> = tags.map(|(_, i)| i).collect();
        let kind = if self.rng.one_in(3) {
            self.constant(ty)
        } else {
            ExprKind::Tag(TagId(self.rng.pick(&tags)))
        };
        let key = node(ty, kind);
        if *ty == Type::TEXT && self.rng.one_in(3) {
            return node(
                ty,
                ExprKind::Call {
                    function: function("lower"),
                    args: vec![key],
                },
            );
        }
        key
    }

    fn composite(&mut self, ty: &Type, depth: usize) -> ExprKind {
        let sign = self.rng.pick(&[ArithOp::Add, ArithOp::Sub]);
        match self.rng.below(10) {
            0 => return ExprKind::Coalesce(self.boxed(ty, depth), self.boxed(ty, depth)),
            1 => {
                let when = self.boxed(&Type::Bool, depth);
                return ExprKind::If {
                    when,
                    then: self.boxed(ty, depth),
                    otherwise: self.boxed(ty, depth),
                };
            }
            2 | 3 if self.row.is_none() => {
                if let Some(query) = self.query(ty, depth) {
                    return ExprKind::Event(Box::new(query));
                }
            }
            _ => {}
        }
        match ty {
            Type::Bool => self.condition(depth),
            Type::Int { .. } => self.int(depth),
            Type::Number => self.number(depth),
            Type::Money => self.money(depth),
            Type::Text { .. } => self.text(depth),
            Type::Date => self.arith(sign, &Type::Date, &Type::Calendar, depth),
            Type::Instant => {
                let by = self.rng.pick(&[Type::Elapsed, Type::Calendar]);
                self.arith(sign, &Type::Instant, &by, depth)
            }
            Type::Elapsed => match self.rng.below(3) {
                0 => self.call(ty, depth),
                _ => self.arith(ArithOp::Sub, &Type::Instant, &Type::Instant, depth),
            },
            Type::Distance => self.call(ty, depth),
            Type::Ratio | Type::Time => self.extreme(ty, depth),
            Type::Enum(_) | Type::Set(_) | Type::Calendar | Type::Place | Type::Address(_) => {
                self.leaf(ty)
            }
        }
    }

    /// A call of any function that gives the type; every overload of every function is made
    /// sooner or later.
    fn call(&mut self, ty: &Type, depth: usize) -> ExprKind {
        let mut options: Vec<(&'static Function, Type, Coercion)> = Vec::new();
        let functions = BUILTINS.iter().filter_map(|b| match b {
            Builtin::Function(function) => Some(*function),
            Builtin::Events(..) | Builtin::If(_) | Builtin::Yearly(_) => None,
        });
        for function in functions.filter(|f| f.arity != Arity::Alike) {
            for of in types() {
                if let Some(overload) = (function.overload)(&of)
                    && kind_of(&overload.result) == kind_of(ty)
                    && overload.body.is_some()
                {
                    options.push((function, of, overload.convert));
                }
            }
        }
        let (function, of, convert) = self.rng.pick(&options);
        let args = (0..*function.arity.count().start()).map(|_| {
            let of = match of {
                Type::Date | Type::Instant => self.rng.pick(&[Type::Date, Type::Instant]),
                _ => of.clone(),
            };
            let arg = self.expr(&of, depth);
            // As the checker puts them in place.
            match (convert, &of) {
                (Coercion::Number, Type::Int { .. } | Type::Ratio) => {
                    node(&Type::Number, ExprKind::ToNumber(Box::new(arg)))
                }
                (Coercion::MemberName, Type::Enum(_)) => {
                    node(&Type::TEXT, ExprKind::MemberName(Box::new(arg)))
                }
                _ => arg,
            }
        });
        let args = args.collect();
        ExprKind::Call { function, args }
    }

    fn arith(&mut self, op: ArithOp, left: &Type, right: &Type, depth: usize) -> ExprKind {
        // Calendar time stands only as a constant.
        let right = if *right == Type::Calendar {
            node(right, self.constant(right))
        } else {
            self.expr(right, depth)
        };
        ExprKind::Arith {
            op,
            left: self.boxed(left, depth),
            right: Box::new(right),
        }
    }

    fn extreme(&mut self, ty: &Type, depth: usize) -> ExprKind {
        let function = self.rng.pick(&[function("least"), function("greatest")]);
        let args = (0..2 + self.rng.below(2))
            .map(|_| self.expr(ty, depth))
            .collect();
        ExprKind::Call { function, args }
    }

    fn int(&mut self, depth: usize) -> ExprKind {
        let op = self
            .rng
            .pick(&[ArithOp::Add, ArithOp::Sub, ArithOp::Mul, ArithOp::Mod]);
        match self.rng.below(9) {
            0 => ExprKind::Neg(self.boxed(&Type::INT, depth)),
            1..=4 => self.call(&Type::INT, depth),
            5 => self.extreme(&Type::INT, depth),
            _ => self.arith(op, &Type::INT, &Type::INT, depth),
        }
    }

    fn number(&mut self, depth: usize) -> ExprKind {
        let op = self.rng.pick(&[
            ArithOp::Add,
            ArithOp::Sub,
            ArithOp::Mul,
            ArithOp::Div,
            ArithOp::Mod,
        ]);
        let (a, b) = (
            self.rng.pick(&[Type::Number, Type::INT]),
            self.rng.pick(&[Type::Number, Type::INT]),
        );
        match self.rng.below(10) {
            0 => ExprKind::Neg(self.boxed(&Type::Number, depth)),
            1 | 2 => self.call(&Type::Number, depth),
            3 => {
                let of = self.rng.pick(&[Type::INT, Type::Ratio]);
                ExprKind::ToNumber(self.boxed(&of, depth))
            }
            4 => self.extreme(&Type::Number, depth),
            5 => self.arith(ArithOp::Div, &Type::Money, &Type::Money, depth),
            6 => self.arith(ArithOp::Div, &Type::INT, &Type::INT, depth),
            // Two ints give an int, except by division.
            _ if op != ArithOp::Div && a == Type::INT && b == Type::INT => {
                self.arith(op, &Type::Number, &b, depth)
            }
            _ => self.arith(op, &a, &b, depth),
        }
    }

    fn money(&mut self, depth: usize) -> ExprKind {
        let sign = self.rng.pick(&[ArithOp::Add, ArithOp::Sub]);
        match self.rng.below(8) {
            0 => ExprKind::Neg(self.boxed(&Type::Money, depth)),
            1 | 2 => self.call(&Type::Money, depth),
            3 => self.extreme(&Type::Money, depth),
            4 => {
                let by = self.rng.pick(&[Type::INT, Type::Number, Type::Ratio]);
                self.arith(ArithOp::Mul, &Type::Money, &by, depth)
            }
            5 => {
                let by = self.rng.pick(&[Type::INT, Type::Number]);
                self.arith(ArithOp::Div, &Type::Money, &by, depth)
            }
            _ => self.arith(sign, &Type::Money, &Type::Money, depth),
        }
    }

    fn text(&mut self, depth: usize) -> ExprKind {
        match self.rng.below(4) {
            0 | 1 => self.call(&Type::TEXT, depth),
            2 => {
                let of = self.rng.pick(&[members(3), members(300)]);
                // The name is that of the expression's own enum.
                ExprKind::MemberName(self.boxed(&of, depth))
            }
            _ => self.extreme(&Type::TEXT, depth),
        }
    }

    fn condition(&mut self, depth: usize) -> ExprKind {
        let ordered = |ty: &Type| {
            !matches!(
                ty,
                Type::Bool
                    | Type::Enum(_)
                    | Type::Set(_)
                    | Type::Calendar
                    | Type::Place
                    | Type::Address(_)
            )
        };
        let all = types();
        match self.rng.below(17) {
            0 => ExprKind::Not(self.boxed(&Type::Bool, depth)),
            1 | 2 => ExprKind::And(
                self.boxed(&Type::Bool, depth),
                self.boxed(&Type::Bool, depth),
            ),
            3 | 4 => ExprKind::Or(
                self.boxed(&Type::Bool, depth),
                self.boxed(&Type::Bool, depth),
            ),
            5 => ExprKind::Except(
                self.boxed(&Type::Bool, depth),
                self.boxed(&Type::Bool, depth),
            ),
            6 => {
                let of = self.rng.pick(&all);
                ExprKind::IsMissing(self.boxed(&of, depth))
            }
            7 => {
                let of = self.rng.pick(&all);
                ExprKind::IsKnown(self.boxed(&of, depth))
            }
            8..=10 => {
                let ty = self.rng.pick(&all);
                let ty = if matches!(ty, Type::Set(_) | Type::Place) {
                    Type::INT
                } else {
                    ty
                };
                let op = self.rng.pick(&[
                    CompareOp::Eq,
                    CompareOp::Ne,
                    CompareOp::Lt,
                    CompareOp::Le,
                    CompareOp::Gt,
                    CompareOp::Ge,
                ]);
                let op = if ordered(&ty) {
                    op
                } else {
                    self.rng.pick(&[CompareOp::Eq, CompareOp::Ne])
                };
                let other = match &ty {
                    Type::Int { .. } | Type::Number => self.rng.pick(&[Type::INT, Type::Number]),
                    ty => ty.clone(),
                };
                let left = self.boxed(&ty, depth);
                let right = if self.rng.one_in(2) {
                    Box::new(node(&other, self.constant(&other)))
                } else {
                    self.boxed(&other, depth)
                };
                let (left, right) = if self.rng.one_in(3) {
                    (right, left)
                } else {
                    (left, right)
                };
                ExprKind::Compare { op, left, right }
            }
            11 => {
                let ty = self.rng.pick(
                    &all.iter()
                        .filter(|t| ordered(t))
                        .cloned()
                        .collect::<Vec<_>>(),
                );
                let end = |g: &mut Self| {
                    if g.rng.one_in(3) {
                        g.boxed(&ty, depth)
                    } else {
                        Box::new(node(&ty, g.constant(&ty)))
                    }
                };
                let (lo, hi) = (end(self), end(self));
                ExprKind::InRange {
                    of: self.boxed(&ty, depth),
                    lo,
                    hi,
                }
            }
            12 => {
                let ty = self.rng.pick(
                    &all.iter()
                        .filter(|t| !matches!(t, Type::Set(_) | Type::Place))
                        .cloned()
                        .collect::<Vec<_>>(),
                );
                let mut list: Vec<Value> = (0..1 + self.rng.below(12))
                    .map(|_| value(self.rng, &ty))
                    .collect();
                if matches!(ty, Type::Int { .. }) && self.rng.one_in(3) {
                    list.push(value(self.rng, &Type::Number));
                }
                ExprKind::InList {
                    of: self.boxed(&ty, depth),
                    list,
                }
            }
            13 => {
                let ty = self.rng.pick(&[Type::Date, Type::Instant]);
                let yearly = ty == Type::Date && self.rng.one_in(3);
                ExprKind::InWindow {
                    of: self.boxed(&ty, depth),
                    window: self.window(true),
                    yearly,
                }
            }
            14 => {
                let sets: Vec<Type> = all
                    .into_iter()
                    .filter(|t| matches!(t, Type::Set(_)))
                    .collect();
                let ty = self.rng.pick(&sets);
                let Type::Set(of) = &ty else { unreachable!() };
                let mode = self.rng.pick(&[SetMode::One, SetMode::Any, SetMode::All]);
                let count = if mode == SetMode::One {
                    1
                } else {
                    1 + self.rng.below(3)
                };
                let items = (0..count).map(|_| value(self.rng, of)).collect();
                ExprKind::SetContains {
                    set: self.boxed(&ty, depth),
                    mode,
                    items,
                }
            }
            15 => ExprKind::TextContains {
                of: self.boxed(&Type::TEXT, depth),
                what: self.boxed(&Type::TEXT, depth.min(1)),
            },
            _ => ExprKind::StartsWith {
                of: self.boxed(&Type::TEXT, depth),
                what: self.boxed(&Type::TEXT, depth.min(1)),
            },
        }
    }

    pub fn window(&mut self, ahead: bool) -> Window {
        let length = |rng: &mut Rng| {
            rng.pick(&[
                Length::Elapsed(Elapsed::hours(1)),
                Length::Elapsed(Elapsed::hours(72)),
                Length::Calendar(Calendar::days(1)),
                Length::Calendar(Calendar::days(30)),
                Length::Calendar(Calendar::months(1)),
                Length::Calendar(Calendar::months(13)),
            ])
        };
        let day = |text: &str| text.parse::<Date>().unwrap();
        match self.rng.below(14) {
            0..=3 => Window::Last(length(self.rng)),
            4 if ahead => Window::Next(length(self.rng)),
            5 => Window::Today,
            6 => Window::Yesterday,
            7 => self
                .rng
                .pick(&[Window::ThisWeek, Window::ThisMonth, Window::ThisYear]),
            8 => self.rng.pick(&[
                Window::PreviousWeek,
                Window::PreviousMonth,
                Window::PreviousYear,
            ]),
            9 => Window::Dates(day("2027-02-20"), day("2027-02-28")),
            10 => Window::Dates(day("2026-02-28"), day("2028-01-01")),
            11 => Window::Since(day("2027-01-30")),
            _ => Window::Ever,
        }
    }

    /// A question to events whose answer has this type.
    pub fn query(&mut self, ty: &Type, depth: usize) -> Option<EventQuery> {
        use Aggregate as A;
        let own = self.rng.one_in(3);
        let source = if own {
            EventSource::Own(self.rng.pick(&OwnEvent::ALL).0)
        } else {
            EventSource::Declared(EventId(self.rng.pick(&[0, 0, 0, 1, 1, 2])))
        };
        let fields: Vec<Type> = match source {
            EventSource::Own(_) => vec![Type::TEXT; OWN_FIELDS.len()],
            EventSource::Declared(id) => self
                .program
                .schema
                .event(id)
                .fields
                .iter()
                .map(|f| f.ty.clone())
                .collect(),
        };
        let answer = |what: A, field: &Type| -> Option<Type> {
            let ordered = !matches!(
                field,
                Type::Bool | Type::Enum(_) | Type::Set(_) | Type::Place
            );
            match what {
                A::Did => Some(Type::Bool),
                A::Count | A::Distinct => Some(Type::INT),
                A::Since => Some(Type::Elapsed),
                A::First | A::Latest => Some(field.clone()),
                A::Min | A::Max => ordered.then(|| field.clone()),
                A::Sum => match field {
                    Type::Int { .. } => Some(Type::INT),
                    Type::Number | Type::Ratio => Some(Type::Number),
                    Type::Money | Type::Elapsed | Type::Distance => Some(field.clone()),
                    _ => None,
                },
                A::Avg => match field {
                    Type::Int { .. } | Type::Number => Some(Type::Number),
                    Type::Ratio | Type::Money | Type::Elapsed | Type::Distance => {
                        Some(field.clone())
                    }
                    _ => None,
                },
            }
        };
        let mut options = Vec::new();
        for what in [
            A::Did,
            A::Count,
            A::Sum,
            A::Avg,
            A::Min,
            A::Max,
            A::First,
            A::Latest,
            A::Distinct,
            A::Since,
        ] {
            let plain = matches!(what, A::Did | A::Count | A::Since);
            for (i, field) in fields.iter().enumerate() {
                if answer(what, field).is_some_and(|a| kind_of(&a) == kind_of(ty)) {
                    options.push((what, (!plain).then_some(i as u16)));
                    if plain {
                        // As often as all fields together.
                        options.extend(vec![(what, None); 8]);
                        break;
                    }
                }
            }
        }
        if options.is_empty() {
            return None;
        }
        let (what, field) = self.rng.pick(&options);
        let pattern = self.pattern(source, depth);
        let sequence = matches!(what, A::Did | A::Count) && self.rng.one_in(3);
        let then = sequence.then(|| {
            let source = if self.rng.one_in(3) {
                EventSource::Own(self.rng.pick(&OwnEvent::ALL).0)
            } else {
                EventSource::Declared(EventId(self.rng.pick(&[0, 1])))
            };
            let within = self.rng.pick(&[
                Length::Elapsed(Elapsed::minutes(30)),
                Length::Elapsed(Elapsed::hours(24)),
                Length::Calendar(Calendar::days(2)),
                Length::Calendar(Calendar::months(1)),
            ]);
            Sequence {
                no: self.rng.one_in(2),
                next: self.pattern(source, depth),
                within,
            }
        });
        Some(EventQuery {
            what,
            pattern,
            field,
            then,
            window: self.window(false),
        })
    }

    fn pattern(&mut self, source: EventSource, depth: usize) -> EventPattern {
        let filter = self.rng.one_in(2).then(|| {
            let mut inside = Gen {
                rng: self.rng,
                program: self.program,
                row: Some(source),
            };
            inside.expr(&Type::Bool, depth.min(2))
        });
        EventPattern {
            span: span(),
            source,
            filter,
        }
    }
}

/// Types that stand for each other: bounds and lengths do not count.
fn kind_of(ty: &Type) -> Type {
    match ty {
        Type::Int { .. } => Type::INT,
        Type::Text { .. } => Type::TEXT,
        Type::Set(of) => Type::Set(Box::new(kind_of(of))),
        ty => ty.clone(),
    }
}

//! Templates and users to messages: holes filled with values as people write them; equal messages
//! are one.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use rayon::prelude::*;

use super::ask;
use super::decision::Rendered;
use crate::base::value::{Shown, show_money};
use crate::base::{Bitmap, TagId, TemplateId, Type, UserNo, Value, Zone};
use crate::eval::{EvalError, EvalScope, Prepared};
use crate::program::typed::{PartKind, Piece, Program, Template};

/// How many users are asked for a default that only a costly question finds.
const LOOKED_AT: usize = 4096;

/// The messages of some users.
pub struct Texts {
    /// Each distinct one once.
    pub all: Vec<Arc<Rendered>>,
    /// In the order of the users, the position in `all`; `None` where a hole has no value.
    pub of: Vec<Option<u32>>,
}

/// The name of a part as scripts write it.
pub fn part_name(kind: &PartKind) -> String {
    match kind {
        PartKind::Title => "title".into(),
        PartKind::Body => "body".into(),
        PartKind::Link => "link".into(),
        PartKind::Image => "image".into(),
        PartKind::Video => "video".into(),
        PartKind::Miniprogram => "miniprogram".into(),
        PartKind::Entry => "entry".into(),
        PartKind::Unsubscribe => "unsubscribe".into(),
        PartKind::Platform => "platform".into(),
        PartKind::Field(name) => format!("field {name}"),
    }
}

/// The messages of some users, in the order of their numbers.
///
/// # Errors
/// Those of evaluation.
pub fn render(scope: &EvalScope, template: TemplateId, users: &Bitmap) -> Result<Texts, EvalError> {
    let holes = &scope.template(template).holes;
    let template = scope.program.template(template);
    let columns: Vec<Column> = template
        .holes()
        .zip(holes)
        .map(|(hole, prepared)| Column::of(scope, prepared, &hole.ty, users))
        .collect::<Result<_, _>>()?;
    let mut of: Vec<Option<u32>> = vec![Some(0); users.count()];
    for column in &columns {
        // Rows that were the same so far and are the same here stay the same.
        let mut pairs: HashMap<(u32, u32), u32> = HashMap::new();
        for (so_far, here) in of.iter_mut().zip(&column.of) {
            *so_far = so_far.zip(*here).map(|pair| number_of(&mut pairs, pair));
        }
    }
    // A row in which each distinct message occurs, in the order of first sight.
    let mut rows: Vec<usize> = Vec::new();
    for (row, text) in of.iter().enumerate() {
        if text.is_some_and(|n| n as usize == rows.len()) {
            rows.push(row);
        }
    }
    let all = rows
        .par_iter()
        .map(|row| {
            Arc::new(fill(
                template,
                columns.iter().map(|column| column.text(*row)),
            ))
        })
        .collect();
    Ok(Texts { all, of })
}

/// The message of one user; `None` where a hole has no value.
///
/// # Errors
/// Those of evaluation.
pub fn render_one(
    scope: &EvalScope,
    template: TemplateId,
    user: UserNo,
) -> Result<Option<Arc<Rendered>>, EvalError> {
    let users = ask::only(scope.snapshot.user_count().max(user.index() + 1), user);
    Ok(render(scope, template, &users)?.all.pop())
}

/// Where a user is reached by an account; `None` where he is not.
///
/// # Errors
/// Those of evaluation.
pub fn address_of(
    scope: &EvalScope,
    address: Option<TagId>,
    user: UserNo,
) -> Result<Option<Arc<str>>, EvalError> {
    let users = ask::only(scope.snapshot.user_count().max(user.index() + 1), user);
    Ok(ask::addresses(scope, address, &users)?.pop().flatten())
}

/// Users in whose messages a default (`??`) stands for a missing value. Where telling needs more
/// than a look at a tag, only the first users are looked at: this finds an example, not all.
///
/// # Errors
/// Those of evaluation.
pub fn with_defaults(
    scope: &EvalScope,
    template: TemplateId,
    users: &Bitmap,
) -> Result<Bitmap, EvalError> {
    let mut out = Bitmap::none(users.len());
    let mut first = None;
    for default in &scope.template(template).defaults {
        let asked = if default.of_tag {
            users
        } else {
            first.get_or_insert_with(|| {
                Bitmap::from_users(users.len(), users.iter().take(LOOKED_AT))
            })
        };
        out = out.or(&ask::audience(scope, &default.missing, asked)?.yes);
    }
    Ok(out)
}

/// The next number for something new, the same number for the same thing.
fn number_of<K: std::hash::Hash + Eq>(known: &mut HashMap<K, u32>, key: K) -> u32 {
    // There are fewer users than numbers, and so fewer texts.
    let next = u32::try_from(known.len()).unwrap_or(u32::MAX);
    *known.entry(key).or_insert(next)
}

/// What one hole shows, in the order of the users.
struct Column {
    texts: Vec<Arc<str>>,
    of: Vec<Option<u32>>,
}

impl Column {
    fn of(
        scope: &EvalScope,
        hole: &Prepared,
        ty: &Type,
        users: &Bitmap,
    ) -> Result<Self, EvalError> {
        let values = hole.values(scope, users)?;
        let mut known: HashMap<Arc<str>, u32> = HashMap::new();
        let mut texts: Vec<Arc<str>> = Vec::new();
        let mut shown = String::new();
        let mut number = |text: &str| match known.get(text) {
            Some(number) => *number,
            None => {
                let text: Arc<str> = text.into();
                texts.push(text.clone());
                number_of(&mut known, text)
            }
        };
        let mut of = Vec::with_capacity(values.len());
        for value in values {
            of.push(match value {
                None => None,
                Some(Value::Text(text)) => Some(number(&text)),
                Some(value) => {
                    shown.clear();
                    show(scope.program, &value, ty, &mut shown);
                    Some(number(&shown))
                }
            });
        }
        Ok(Column { texts, of })
    }

    fn text(&self, row: usize) -> &str {
        self.of
            .get(row)
            .copied()
            .flatten()
            .and_then(|n| self.texts.get(n as usize))
            .map_or("", |text| text)
    }
}

/// A value as people write it in a message.
fn show(program: &Program, value: &Value, ty: &Type, out: &mut String) {
    let zone: Zone = program.policy.zone;
    let written = match value {
        Value::Money(minor) => out.write_str(&show_amount(*minor, &program.policy.currency)),
        value => write!(out, "{}", Shown { value, ty, zone }),
    };
    // Writing into a string does not fail.
    let _ = written;
}

/// An amount in the policy's currency: by its sign where everyone knows it, by its code otherwise.
fn show_amount(minor: i64, currency: &str) -> String {
    let sign = match currency {
        "CNY" => return show_money(minor),
        "USD" => "$",
        "EUR" => "€",
        "GBP" => "£",
        "HKD" => "HK$",
        "TWD" => "NT$",
        other => &format!("{other} "),
    };
    show_money(minor).replacen('¥', sign, 1)
}

fn fill<'t>(template: &Template, mut texts: impl Iterator<Item = &'t str>) -> Rendered {
    let parts = template.parts.iter().map(|part| {
        let mut out = String::new();
        for piece in &part.text.pieces {
            out.push_str(match piece {
                Piece::Text(text) => text,
                Piece::Hole(_) => texts.next().unwrap_or_default(),
            });
        }
        (part_name(&part.kind), out)
    });
    Rendered {
        parts: parts.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_in_other_currencies() {
        assert_eq!(show_amount(123_450, "CNY"), "¥1,234.50");
        assert_eq!(show_amount(-50_000, "USD"), "-$500");
        assert_eq!(show_amount(50_000, "THB"), "THB 500");
    }
}

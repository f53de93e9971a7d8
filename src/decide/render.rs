//! Template and users to messages: holes filled with values as people write them; equal messages are one.

use std::collections::HashMap;
use std::sync::Arc;

use super::decision::Rendered;
use crate::base::value::Shown;
use crate::base::{Bitmap, UserNo, Value};
use crate::eval::{self, EvalError, Scope};
use crate::program::expr::Expr;
use crate::program::typed::{PartKind, Piece, Template};

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

/// The messages of some users, in the order of their numbers; `None` where a hole has no value.
///
/// # Errors
/// Those of evaluation.
pub fn render(scope: &Scope, template: &Template, users: &Bitmap) -> Result<Vec<Option<Arc<Rendered>>>, EvalError> {
    let holes: Vec<&Expr> = template
        .parts
        .iter()
        .flat_map(|p| &p.text.pieces)
        .filter_map(|piece| match piece {
            Piece::Hole(expr) => Some(expr),
            Piece::Text(_) => None,
        })
        .collect();
    let count = users.count();
    if holes.is_empty() {
        let one = Arc::new(fill(template, &[]));
        return Ok(vec![Some(one); count]);
    }
    let mut columns = Vec::with_capacity(holes.len());
    for hole in &holes {
        columns.push(eval::values(scope, hole, users)?);
    }
    let zone = scope.program.policy.zone;
    // Most texts differ in a few values only: each distinct one is made once.
    let mut made: HashMap<Vec<String>, Arc<Rendered>> = HashMap::new();
    let mut out = Vec::with_capacity(count);
    for row in 0..count {
        let text = |(column, hole): (&Vec<Option<Value>>, &&Expr)| {
            column.get(row).and_then(Option::as_ref).map(|value| Shown { value, ty: &hole.ty, zone }.to_string())
        };
        let texts: Option<Vec<String>> = columns.iter().zip(&holes).map(text).collect();
        out.push(texts.map(|texts| match made.get(&texts) {
            Some(one) => one.clone(),
            None => {
                let one = Arc::new(fill(template, &texts));
                made.insert(texts, one.clone());
                one
            }
        }));
    }
    Ok(out)
}

fn fill(template: &Template, texts: &[String]) -> Rendered {
    let mut texts = texts.iter();
    let parts = template.parts.iter().map(|part| {
        let mut out = String::new();
        for piece in &part.text.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Hole(_) => out.push_str(texts.next().map_or("", String::as_str)),
            }
        }
        (part_name(&part.kind), out)
    });
    Rendered { parts: parts.collect() }
}

/// The message of one user.
///
/// # Errors
/// Those of evaluation.
pub fn render_one(scope: &Scope, template: &Template, user: UserNo) -> Result<Option<Arc<Rendered>>, EvalError> {
    let users = Bitmap::from_users(user.index() + 1, [user]);
    Ok(render(scope, template, &users)?.pop().flatten())
}

//! Questions about some of the users: the evaluator's answers, limited to those who are asked
//! about.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::base::{Bitmap, TagId, Type, UserNo, Value};
use crate::diag::Span;
use crate::eval::{self, AudienceMask, EvalError, EvalScope};
use crate::program::typed_expr::{Expr, ExprKind};

/// For fewer of the users than one in so many, asking them one by one is cheaper than looking
/// through everyone's columns.
const FEW: usize = 256;

/// For whom of `among` the condition is true, and for whom it is known.
pub fn audience(
    scope: &EvalScope,
    condition: &Expr,
    among: &Bitmap,
) -> Result<AudienceMask, EvalError> {
    if matches!(condition.kind, ExprKind::Everyone) {
        return Ok(AudienceMask {
            yes: among.clone(),
            known: among.clone(),
        });
    }
    let count = among.count();
    if count >= among.len() / FEW && count > 1 {
        let all = eval::audience(scope, condition)?;
        return Ok(AudienceMask {
            yes: all.yes.and(among),
            known: all.known.and(among),
        });
    }
    let mut some = AudienceMask {
        yes: Bitmap::none(among.len()),
        known: Bitmap::none(among.len()),
    };
    for user in among.iter() {
        if let Some(answer) = eval::holds(scope, condition, user)? {
            some.known.insert(user);
            if answer {
                some.yes.insert(user);
            }
        }
    }
    Ok(some)
}

/// Those of `among` who have given a consent.
pub fn consenting(scope: &EvalScope, consent: TagId, among: &Bitmap) -> Result<Bitmap, EvalError> {
    Ok(audience(scope, &tag(scope, consent), among)?.yes)
}

/// Those of `among` for whom the expression has no value.
pub fn missing(scope: &EvalScope, expr: &Expr, among: &Bitmap) -> Result<Bitmap, EvalError> {
    let asked = Expr {
        ty: Type::Bool,
        span: expr.span,
        optional: false,
        kind: ExprKind::IsMissing(Box::new(expr.clone())),
    };
    Ok(audience(scope, &asked, among)?.yes)
}

/// A number for each user, in the order of the users; missing is 0.
pub fn numbers(scope: &EvalScope, expr: &Expr, users: &Bitmap) -> Result<Vec<f64>, EvalError> {
    if let ExprKind::Const(value) = &expr.kind {
        return Ok(vec![number(value); users.count()]);
    }
    Ok(eval::values(scope, expr, users)?
        .iter()
        .map(|v| v.as_ref().map_or(0.0, number))
        .collect())
}

/// The checker lets only ints and numbers be weights and priorities.
fn number(value: &Value) -> f64 {
    match value {
        Value::Int(i) => *i as f64,
        Value::Number(n) => *n,
        _ => 0.0,
    }
}

/// Where an account reaches each of the users, in the order of the users; an empty text is no
/// address.
pub fn addresses(
    scope: &EvalScope,
    address: Option<TagId>,
    users: &Bitmap,
) -> Result<Vec<Option<Arc<str>>>, EvalError> {
    let Some(address) = address else {
        return Ok(users
            .iter()
            .map(|user| scope.snapshot.user_id(user).map(Arc::from))
            .collect());
    };
    let values = eval::values(scope, &tag(scope, address), users)?;
    let text = |value| match value {
        Some(Value::Text(text)) if !text.is_empty() => Some(text),
        _ => None,
    };
    Ok(values.into_iter().map(text).collect())
}

fn tag(scope: &EvalScope, id: TagId) -> Expr {
    let span = Span::new(crate::base::FileId(0), 0, 0);
    Expr {
        ty: scope.program.schema.tag(id).ty.clone(),
        span,
        optional: true,
        kind: ExprKind::Tag(id),
    }
}

/// The consents that reading the tags of some expressions needs.
pub fn sensitive<'e>(
    scope: &EvalScope,
    read: impl IntoIterator<Item = &'e Expr>,
) -> BTreeSet<TagId> {
    let program = scope.program;
    let tags = read
        .into_iter()
        .flat_map(|expr| crate::plan::tags_of(program, expr));
    tags.filter_map(|tag| program.schema.tag(tag).sensitive_by)
        .collect()
}

/// A bitmap of one user.
pub fn only(users: usize, user: UserNo) -> Bitmap {
    Bitmap::from_users(users, [user])
}

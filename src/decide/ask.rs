//! Questions about some of the users: the evaluator's answers, limited to those who are asked
//! about.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::base::{Bitmap, TagId, UserNo, Value};
use crate::eval::{AudienceMask, EvalError, EvalScope, Prepared};
use crate::program::typed_expr::Expr;

/// For fewer of the users than one in so many, asking them one by one is cheaper than looking
/// through everyone's columns.
const FEW: usize = 256;

/// For whom of `among` the condition is true, and for whom it is known.
pub fn audience(
    scope: &EvalScope,
    condition: &Prepared,
    among: &Bitmap,
) -> Result<AudienceMask, EvalError> {
    if condition.is_everyone() {
        return Ok(AudienceMask {
            yes: among.clone(),
            known: among.clone(),
        });
    }
    let bound = condition.bind(scope)?;
    let count = among.count();
    if count >= among.len() / FEW && count > 1 {
        let all = bound.audience();
        return Ok(AudienceMask {
            yes: all.yes.and(among),
            known: all.known.and(among),
        });
    }
    Ok(bound.audience_among(among))
}

/// Those of `among` who have given a consent.
pub fn consenting(scope: &EvalScope, consent: TagId, among: &Bitmap) -> Result<Bitmap, EvalError> {
    Ok(audience(scope, scope.tag(consent), among)?.yes)
}

/// A number for each user, in the order of the users; missing is 0.
pub fn numbers(scope: &EvalScope, of: &Prepared, users: &Bitmap) -> Result<Vec<f64>, EvalError> {
    if let Some(value) = of.constant() {
        return Ok(vec![number(value); users.count()]);
    }
    Ok(of
        .values(scope, users)?
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
    let values = scope.tag(address).values(scope, users)?;
    let text = |value| match value {
        Some(Value::Text(text)) if !text.is_empty() => Some(text),
        _ => None,
    };
    Ok(values.into_iter().map(text).collect())
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

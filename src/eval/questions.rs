//! What prepared and bound plans can be asked. Who asks several times binds once.

use super::audience_mask::{AudienceCounts, AudienceMask};
use super::bind::BoundPlan;
use super::error::EvalError;
use super::eval_scope::EvalScope;
use super::point::{Point, PointTarget};
use super::prepared::Prepared;
use super::prepared_program::PreparedCampaign;
use super::{batch, unknown_causes};
use crate::base::{Bitmap, Instant, TagId, UserNo, Value};
use crate::plan::node::Node;

impl BoundPlan<'_> {
    /// Everyone for whom the root is true, false or unknown; a value is nobody's condition.
    pub fn audience(&self) -> AudienceMask {
        match self.plan.root {
            Node::Cond(root) => batch::audience(self, root),
            Node::Val(_) => {
                let nobody = Bitmap::none(self.scope.snapshot.user_count());
                AudienceMask {
                    yes: nobody.clone(),
                    known: nobody,
                }
            }
        }
    }

    /// As [`audience`](Self::audience), of some users, who are asked one by one.
    pub fn audience_among(&self, users: &Bitmap) -> AudienceMask {
        let mut some = AudienceMask {
            yes: Bitmap::none(users.len()),
            known: Bitmap::none(users.len()),
        };
        let Node::Cond(root) = self.plan.root else {
            return some;
        };
        let mut point = Point::new(self, PointTarget::User(UserNo(0)));
        for user in users.iter() {
            point.reset(PointTarget::User(user));
            if let Some(answer) = point.cond(root) {
                some.known.insert(user);
                if answer {
                    some.yes.insert(user);
                }
            }
        }
        some
    }

    /// As [`audience`](Self::audience), counted.
    pub fn counts(&self) -> AudienceCounts {
        match self.plan.root {
            Node::Cond(root) => batch::counts(self, root),
            Node::Val(_) => {
                let users = self.scope.snapshot.user_count();
                AudienceCounts {
                    users,
                    yes: 0,
                    no: 0,
                    unknown: users,
                }
            }
        }
    }

    /// Whether the root is true for one user; `None` is unknown, as is a value.
    pub fn holds(&self, user: UserNo) -> Option<bool> {
        match self.plan.root {
            Node::Cond(root) => Point::new(self, PointTarget::User(user)).cond(root),
            Node::Val(_) => None,
        }
    }

    /// The same of an event row, given by its values.
    pub fn fits(&self, row: &[Option<Value>]) -> Option<bool> {
        match self.plan.root {
            Node::Cond(root) => Point::new(self, PointTarget::Fields(row)).cond(root),
            Node::Val(_) => None,
        }
    }

    /// The root for one user: a value, or a condition as a bool.
    pub fn value(&self, user: UserNo) -> Option<Value> {
        Point::new(self, PointTarget::User(user)).value(self.plan.root)
    }

    /// The root for each of some users, in the order of their numbers.
    pub fn values(&self, users: &Bitmap) -> Vec<Option<Value>> {
        batch::values(self, users)
    }
}

impl Prepared {
    /// # Errors
    /// An expression that is nested too deep; stored values that do not fit the program's types. So
    /// for all of these.
    pub fn bind<'a>(&'a self, scope: &EvalScope<'a>) -> Result<BoundPlan<'a>, EvalError> {
        match &self.lowered {
            Ok(lowered) => BoundPlan::new(scope, lowered),
            Err(error) => Err((*error).into()),
        }
    }

    /// Everyone for whom it is true, false or unknown.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub fn audience(&self, scope: &EvalScope) -> Result<AudienceMask, EvalError> {
        Ok(self.bind(scope)?.audience())
    }

    /// As [`audience`](Self::audience), counted: faster.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub fn counts(&self, scope: &EvalScope) -> Result<AudienceCounts, EvalError> {
        Ok(self.bind(scope)?.counts())
    }

    /// Whether it is true for one user; `None` is unknown.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub fn holds(&self, scope: &EvalScope, user: UserNo) -> Result<Option<bool>, EvalError> {
        Ok(self.bind(scope)?.holds(user))
    }

    /// Whether an event row, given by its values, fits; unknown does not.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub fn fits(&self, scope: &EvalScope, row: &[Option<Value>]) -> Result<bool, EvalError> {
        Ok(self.bind(scope)?.fits(row) == Some(true))
    }

    /// What it is for one user; `None` is missing.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub fn value(&self, scope: &EvalScope, user: UserNo) -> Result<Option<Value>, EvalError> {
        Ok(self.bind(scope)?.value(user))
    }

    /// What it is for each of some users, in the order of their numbers.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub fn values(
        &self,
        scope: &EvalScope,
        users: &Bitmap,
    ) -> Result<Vec<Option<Value>>, EvalError> {
        Ok(self.bind(scope)?.values(users))
    }

    /// The tags whose missing values make it unknown for a user, in the order of the schema; a
    /// derived tag with those that it stands on.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub fn unknown_tags(&self, scope: &EvalScope, user: UserNo) -> Result<Vec<TagId>, EvalError> {
        let bound = self.bind(scope)?;
        Ok(match bound.plan.root {
            Node::Cond(root) => unknown_causes::unknown_tags(&bound, root, user),
            Node::Val(_) => Vec::new(),
        })
    }

    /// For how many users it is unknown because a tag has no value; a user counts for each such tag.
    /// Most first.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub fn unknown_because(
        &self,
        scope: &EvalScope,
        audience: &AudienceMask,
    ) -> Result<Vec<(TagId, usize)>, EvalError> {
        let bound = self.bind(scope)?;
        let Node::Cond(root) = bound.plan.root else {
            return Ok(Vec::new());
        };
        let mut list: Vec<(TagId, usize)> = unknown_causes::unknown_because(&bound, root, audience)
            .into_iter()
            .collect();
        list.retain(|(_, n)| *n > 0);
        list.sort_by_key(|(tag, n)| (std::cmp::Reverse(*n), *tag));
        Ok(list)
    }

    /// Whether the event of [`Prepared::did`] was for one user after an instant, and not after
    /// `now` of the scope; `None` is unknown.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub fn was_since(
        &self,
        scope: &EvalScope,
        after: Instant,
        user: UserNo,
    ) -> Result<Option<bool>, EvalError> {
        Ok(self.bind(scope)?.since(after).holds(user))
    }
}

impl PreparedCampaign {
    /// Whether the campaign is triggered by an event of its kind with these values; where that is
    /// not known it is not.
    ///
    /// # Errors
    /// As [`Prepared::bind`].
    pub fn takes(&self, scope: &EvalScope, row: &[Option<Value>]) -> Result<bool, EvalError> {
        match &self.filter {
            Some(filter) => filter.fits(scope, row),
            None => Ok(true),
        }
    }
}

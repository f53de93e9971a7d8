//! A block of clauses: each in its place, each once.

use crate::base::Msg;
use crate::diag::{Finding, Span, catalog};
use crate::msg;
use crate::program::check::Checker;
use crate::program::reserved::not_supported;
use crate::syntax::ast::{Clause, ClauseKind, Expr, Ident};
use crate::syntax::clause_table::{CLAUSES, ClauseId, ClauseInfo, ClausePlace, ClauseShape};

/// The clauses that count: misplaced and repeated ones are reported and left out.
pub(super) struct Clauses<'a> {
    list: Vec<&'a Clause>,
    /// Every clause that was written is here.
    pub whole: bool,
    /// Some could not be read: what seems to be missing may be among them.
    pub unread: bool,
}

impl<'a> Clauses<'a> {
    pub fn collect(checker: &mut Checker<'_>, clauses: &'a [Clause], place: ClausePlace) -> Self {
        let mut out = Clauses {
            list: Vec::new(),
            whole: true,
            unread: false,
        };
        let mut seen: Vec<(ClauseId, Span)> = Vec::new();
        for clause in clauses {
            let Some(id) = clause.kind.id() else {
                out.unread = true;
                out.whole = false;
                continue;
            };
            let info = id.info();
            if info.shape == ClauseShape::Reserved {
                checker.report(not_supported(info.name, clause.span));
                out.whole = false;
                continue;
            }
            if !info.places.contains(&place) {
                checker.report(misplaced(clause, info, place));
                out.whole = false;
                continue;
            }
            let first = seen.iter().find(|(seen, _)| *seen == id).map(|(_, s)| *s);
            match first {
                Some(first) if !info.repeats => {
                    checker.report(twice(info.name, clause.word, first));
                    out.whole = false;
                }
                Some(_) | None => {
                    seen.push((id, clause.word));
                    out.list.push(clause);
                }
            }
        }
        out
    }

    pub fn iter(&self) -> impl Iterator<Item = &'a Clause> {
        self.list.iter().copied()
    }

    /// The first clause that `pick` knows, with what it made of it.
    pub fn find<T>(&self, pick: impl Fn(&'a ClauseKind) -> Option<T>) -> Option<(&'a Clause, T)> {
        self.list
            .iter()
            .find_map(|c| pick(&c.kind).map(|t| (*c, t)))
    }

    /// The clause of that id, whose shape is one value.
    pub fn value(&self, id: ClauseId) -> Option<(&'a Clause, &'a Expr)> {
        self.find(|k| {
            if let ClauseKind::Value(of, value) = k {
                (*of == id).then_some(value)
            } else {
                None
            }
        })
    }

    /// The clause of that id, whose shape is one name.
    pub fn name(&self, id: ClauseId) -> Option<(&'a Clause, &'a Ident)> {
        self.find(|k| {
            if let ClauseKind::Name(of, name) = k {
                (*of == id).then_some(name)
            } else {
                None
            }
        })
    }
}

/// Something that may stand once stands a second time.
pub(super) fn twice(word: &str, again: Span, first: Span) -> Finding {
    Finding::new(
        &catalog::DUPLICATE_CLAUSE,
        again,
        msg!(
            "`{word}` stands here a second time",
            "`{word}` 在这里写了两次"
        ),
    )
    .label(first, msg!("the first one", "第一次在这里"))
    .help(msg!("keep one of them", "只保留其中一个"))
}

pub(super) fn duplicate_name(again: &Ident, first: Span) -> Finding {
    Finding::new(
        &catalog::DUPLICATE_NAME,
        again.span,
        msg!(
            "`{}` is the name of an earlier one",
            "`{}` 与前面的重名",
            again.name
        ),
    )
    .label(first, msg!("the first one", "第一次在这里"))
}

pub(super) fn repeated(what: &str, span: Span, first: Span) -> Finding {
    Finding::new(
        &catalog::BAD_SCHEDULE,
        span,
        msg!("`{what}` is written twice", "`{what}` 写了两次"),
    )
    .label(first, msg!("the first one", "第一次在这里"))
}

fn misplaced(clause: &Clause, info: &ClauseInfo, place: ClausePlace) -> Finding {
    let word = if let ClauseKind::Name(ClauseId::No, of) = &clause.kind {
        format!("{} {}", info.name, of.name)
    } else {
        info.name.to_owned()
    };
    let message = match place {
        ClausePlace::Campaign => msg!(
            "`{word}` is a clause of the policy, not of a campaign",
            "`{word}` 是策略的子句，不能写在活动里"
        ),
        ClausePlace::Policy => msg!(
            "`{word}` cannot stand in the policy",
            "策略里不能写 `{word}`"
        ),
        ClausePlace::Purpose => msg!("`{word}` cannot stand in `for`", "`for` 里不能写 `{word}`"),
    };
    let finding = Finding::new(&catalog::MISPLACED_CLAUSE, clause.word, message);
    match place {
        ClausePlace::Campaign if info.places == [ClausePlace::Purpose] => finding.help(msg!(
            "write it in the policy: `policy {{ for marketing {{ no cap }} }}`",
            "写在策略里：`policy {{ for marketing {{ no cap }} }}`"
        )),
        ClausePlace::Campaign => finding.help(msg!(
            "write it in `policy {{ … }}`; it holds for every campaign",
            "写在 `policy {{ … }}` 里，对所有活动生效"
        )),
        ClausePlace::Policy if info.places == [ClausePlace::Purpose] => finding.help(msg!(
            "say for which purpose: `for transaction {{ no cap }}`",
            "写明用途：`for transaction {{ no cap }}`"
        )),
        ClausePlace::Policy => finding.help(msg!("write it in a campaign", "写在活动里")),
        ClausePlace::Purpose => {
            let limits = purpose_limits();
            let own = limits.iter().map(|limit| format!("`{limit}`"));
            let none = limits.iter().map(|limit| format!("`no {limit}`"));
            let all: Vec<String> = own.chain(none).collect();
            finding.help(Msg {
                en: format!("`for` takes {}", all.join(", ")),
                zh: format!("`for` 里可以写 {}", all.join("、")),
            })
        }
    }
}

/// The limits of the policy that a purpose may set anew, or take away with `no`.
fn purpose_limits() -> Vec<&'static str> {
    CLAUSES
        .iter()
        .filter(|c| c.places.contains(&ClausePlace::Purpose) && c.id != ClauseId::No)
        .map(|c| c.name)
        .collect()
}

//! A block of clauses: each in its place, each once.

use crate::diag::{Finding, Span, catalog};
use crate::msg;
use crate::program::check::Checker;
use crate::program::reserved::not_supported;
use crate::syntax::ast::{Clause, ClauseKind};

/// Where clauses stand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ClausePlace {
    Campaign,
    Policy,
    /// `for PURPOSE { … }` of the policy.
    Purpose,
}

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
        let mut seen: Vec<(&'static str, Span)> = Vec::new();
        for clause in clauses {
            let Some(facts) = facts(&clause.kind) else {
                out.unread = true;
                out.whole = false;
                continue;
            };
            if facts.later {
                checker.report(not_supported(facts.word, clause.span));
                out.whole = false;
                continue;
            }
            if !facts.places.contains(&place) {
                checker.report(misplaced(clause, &facts, place));
                out.whole = false;
                continue;
            }
            let first = seen
                .iter()
                .find(|(word, _)| *word == facts.word)
                .map(|(_, span)| *span);
            match first {
                Some(first) if !facts.repeats => {
                    checker.report(twice(facts.word, clause.word, first));
                    out.whole = false;
                }
                _ => {
                    seen.push((facts.word, clause.word));
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

struct Facts {
    /// As in findings; clauses of one word exclude each other.
    word: &'static str,
    places: &'static [ClausePlace],
    repeats: bool,
    /// Reserved for a later version.
    later: bool,
}

const IN_CAMPAIGN: &[ClausePlace] = &[ClausePlace::Campaign];
const IN_POLICY: &[ClausePlace] = &[ClausePlace::Policy];
const ANYWHERE: &[ClausePlace] = &[
    ClausePlace::Campaign,
    ClausePlace::Policy,
    ClausePlace::Purpose,
];

/// `None` for a clause that could not be read.
fn facts(kind: &ClauseKind) -> Option<Facts> {
    let once = |word, places| Facts {
        word,
        places,
        repeats: false,
        later: false,
    };
    let many = |word, places| Facts {
        word,
        places,
        repeats: true,
        later: false,
    };
    let later = |word, places| Facts {
        word,
        places,
        repeats: true,
        later: true,
    };
    Some(match kind {
        ClauseKind::When(_) => once("when", IN_CAMPAIGN),
        ClauseKind::Top { .. } => once("top", IN_CAMPAIGN),
        ClauseKind::Sample(_) => once("sample", IN_CAMPAIGN),
        ClauseKind::Goal { .. } => once("goal", IN_CAMPAIGN),
        ClauseKind::Purpose(_) => once("purpose", IN_CAMPAIGN),
        ClauseKind::Action(_) => once("send", IN_CAMPAIGN),
        ClauseKind::Holdout { .. } => once("holdout", ANYWHERE),
        ClauseKind::Via(_) => once("via", IN_CAMPAIGN),
        ClauseKind::At { .. } => once("at", IN_CAMPAIGN),
        ClauseKind::Every(_) => once("every", IN_CAMPAIGN),
        ClauseKind::On(_) => once("on", IN_CAMPAIGN),
        ClauseKind::Again(_) => once("again", IN_CAMPAIGN),
        ClauseKind::Priority { .. } => once("priority", IN_CAMPAIGN),
        ClauseKind::Cap(_) => many("cap", ANYWHERE),
        ClauseKind::Quiet { .. } => once("quiet", ANYWHERE),
        ClauseKind::Deadline(_) => once("deadline", IN_CAMPAIGN),
        ClauseKind::Pace(_) => once("pace", IN_CAMPAIGN),
        ClauseKind::Recall(_) => once("recall", IN_CAMPAIGN),
        ClauseKind::After(_) => many("after", IN_CAMPAIGN),
        ClauseKind::LeaveWhen(_) => once("leave when", IN_CAMPAIGN),
        ClauseKind::Rollout => later("rollout", IN_CAMPAIGN),
        ClauseKind::StopIf => later("stop if", IN_CAMPAIGN),
        ClauseKind::Target(_) => once("target", IN_CAMPAIGN),
        ClauseKind::Timezone(_) => once("timezone", IN_POLICY),
        ClauseKind::Currency(_) => once("currency", IN_POLICY),
        ClauseKind::Consent(_) => once("consent", IN_POLICY),
        ClauseKind::ForbidWords(_) => many("forbid words", IN_POLICY),
        ClauseKind::Require(_) => many("require", IN_POLICY),
        ClauseKind::Exclude { .. } => many("exclude", IN_POLICY),
        ClauseKind::For { .. } => many("for", IN_POLICY),
        ClauseKind::No(_) => many("no", &[ClausePlace::Purpose]),
        ClauseKind::Review => later("review", IN_POLICY),
        ClauseKind::Broken => return None,
    })
}

fn misplaced(clause: &Clause, facts: &Facts, place: ClausePlace) -> Finding {
    let what = if let ClauseKind::No(of) = &clause.kind {
        format!(" {}", of.name)
    } else {
        String::new()
    };
    let word = format!("{}{what}", facts.word);
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
        ClausePlace::Campaign if facts.places == [ClausePlace::Purpose] => finding.help(msg!(
            "write it in the policy: `policy {{ for marketing {{ no cap }} }}`",
            "写在策略里：`policy {{ for marketing {{ no cap }} }}`"
        )),
        ClausePlace::Campaign => finding.help(msg!(
            "write it in `policy {{ … }}`; it holds for every campaign",
            "写在 `policy {{ … }}` 里，对所有活动生效"
        )),
        ClausePlace::Policy if facts.places == [ClausePlace::Purpose] => finding.help(msg!(
            "say for which purpose: `for transaction {{ no cap }}`",
            "写明用途：`for transaction {{ no cap }}`"
        )),
        ClausePlace::Policy => finding.help(msg!("write it in a campaign", "写在活动里")),
        ClausePlace::Purpose => finding.help(msg!(
            "`for` takes `cap`, `quiet`, `holdout`, `no cap`, `no quiet`, `no holdout`",
            "`for` 里可以写 `cap`、`quiet`、`holdout`、`no cap`、`no quiet`、`no holdout`"
        )),
    }
}

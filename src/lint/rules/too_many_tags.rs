//! `too-many-tags`: a condition over more than three tags, which nobody can picture and which
//! reaches few.

use std::collections::BTreeSet;

use crate::base::TagId;
use crate::diag::{Code, Finding, Findings};
use crate::lint::{LintContext, Rule};
use crate::msg;
use crate::program::typed_expr::{Expr, ExprKind};

pub static RULE: Rule = Rule {
    code: Code::lint("too-many-tags", include_str!("too_many_tags.md")),
    check,
};

/// More dimensions than this in one condition.
const MOST: usize = 3;

fn check(cx: &LintContext, out: &mut Findings) {
    let audiences = cx.program.audiences.iter().map(|a| &a.when);
    for condition in cx
        .program
        .campaigns
        .iter()
        .map(|c| &c.when)
        .chain(audiences)
    {
        let mut tags: BTreeSet<TagId> = BTreeSet::new();
        collect(condition, &mut tags);
        let n = tags.len();
        if n > MOST {
            let names: Vec<&str> = tags
                .iter()
                .map(|t| cx.program.schema.tag(*t).name.as_str())
                .collect();
            let names = names.join(", ");
            let message = msg!(
                "this condition combines {n} tags: {names}",
                "该条件组合了 {n} 个标签：{names}"
            );
            out.push(Finding::new(&RULE.code, condition.span, message).help(msg!(
                "give parts of it a name with `audience NAME = …`, or leave out what hardly matters",
                "请用 `人群 名称 = …` 为其中的部分命名，或去掉影响不大的标签"
            )));
        }
    }
}

/// The tags that the condition itself names; a named audience is one dimension that its own name
/// explains.
fn collect(expr: &Expr, tags: &mut BTreeSet<TagId>) {
    expr.each(&mut |e| {
        if let ExprKind::Tag(id) = &e.kind {
            tags.insert(*id);
        }
    });
}

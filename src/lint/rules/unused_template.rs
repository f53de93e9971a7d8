//! `unused-template`: a template that no campaign sends.

use std::collections::BTreeSet;

use crate::base::TemplateId;
use crate::diag::{Code, Finding, Findings};
use crate::lint::{LintContext, Rule};
use crate::msg;
use crate::program::typed::{Action, ExpectKind};

pub static RULE: Rule = Rule {
    code: Code::lint("unused-template", include_str!("unused_template.md")),
    check,
};

fn check(cx: &LintContext, out: &mut Findings) {
    let mut used = BTreeSet::new();
    for campaign in &cx.program.campaigns {
        sent(&campaign.action, &mut used);
        for step in &campaign.steps {
            sent(&step.action, &mut used);
            step.otherwise
                .iter()
                .for_each(|action| sent(action, &mut used));
        }
    }
    for expect in cx.program.tests.iter().flat_map(|t| &t.expects) {
        if let ExpectKind::Receives { template, .. } = &expect.kind {
            used.insert(*template);
        }
    }
    for (i, template) in cx.program.templates.iter().enumerate() {
        if !used.contains(&TemplateId(i as u32)) {
            let name = &template.declared.name;
            let message = msg!(
                "no campaign sends the template `{name}`",
                "没有活动发送模板 `{name}`"
            );
            out.push(
                Finding::new(&RULE.code, template.declared.name_span, message)
                    .help(msg!("send it, or delete it", "请使用它，或将其删除")),
            );
        }
    }
}

fn sent(action: &Action, used: &mut BTreeSet<TemplateId>) {
    match action {
        Action::Send(send) => {
            used.insert(send.template);
        }
        Action::Nothing => {}
        Action::Split(arms) => arms.iter().for_each(|arm| sent(&arm.action, used)),
        Action::Choose(arms) => arms.iter().for_each(|arm| sent(&arm.action, used)),
    }
}

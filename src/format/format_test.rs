//! The steps of `test` blocks.

use super::printer::Printer;
use crate::syntax::ast::{Ident, TestStep, TestStepKind, TestUser};

impl Printer<'_> {
    pub fn step(&mut self, step: &TestStep) {
        self.comments_before(step.span.start as usize);
        self.at(step.span);
        let text = match &step.kind {
            TestStepKind::Now(e) => self.one("now", e),
            TestStepKind::Until(e) => self.one("until", e),
            TestStepKind::User(user) => {
                let word = self.kw("user");
                format!("{word} {}", self.record(&user.name, user))
            }
            TestStepKind::Event {
                user,
                event,
                fields,
                at,
            } => {
                let word = self.kw("event");
                let fields: Vec<String> = fields
                    .iter()
                    .map(|(k, v)| format!("{}: {}", self.name(k), self.expr(v)))
                    .collect();
                let record = if fields.is_empty() {
                    String::new()
                } else {
                    format!(" {{ {} }}", fields.join(", "))
                };
                format!(
                    "{word} {} {}{record} {} {}",
                    self.name(user),
                    self.name(event),
                    self.kw("at"),
                    self.expr(at)
                )
            }
            TestStepKind::Matches {
                user,
                campaign,
                because,
            } => {
                let mut out = format!(
                    "{} {} {} {}",
                    self.kw("expect"),
                    self.name(user),
                    self.kw("matches"),
                    self.name(campaign)
                );
                if let Some(because) = because {
                    out.push_str(&format!(" {} {}", self.kw("because"), self.name(because)));
                }
                out
            }
            TestStepKind::Unknown {
                user,
                campaign,
                because,
            } => {
                let mut out = format!(
                    "{} {} {} {} {}",
                    self.kw("expect"),
                    self.name(user),
                    self.kw("unknown"),
                    self.kw("in"),
                    self.name(campaign)
                );
                if let Some(because) = because {
                    out.push_str(&format!(" {} {}", self.kw("because"), self.name(because)));
                }
                out
            }
            TestStepKind::Receives {
                user,
                template,
                at,
                via,
            } => {
                let mut out = format!(
                    "{} {} {} {} {}",
                    self.kw("expect"),
                    self.name(user),
                    self.kw("receives"),
                    self.kw("template"),
                    self.name(template)
                );
                if let Some(at) = at {
                    out.push_str(&format!(" {} {}", self.kw("at"), self.expr(at)));
                }
                if let Some(via) = via {
                    out.push_str(&format!(" {} {}", self.kw("via"), self.channel(via)));
                }
                out
            }
            TestStepKind::ReceivesNothing { user, because } => {
                let mut out = format!(
                    "{} {} {} {}",
                    self.kw("expect"),
                    self.name(user),
                    self.kw("receives"),
                    self.kw("nothing")
                );
                if let Some(because) = because {
                    out.push_str(&format!(" {} {}", self.kw("because"), self.name(because)));
                }
                out
            }
            TestStepKind::Reaches { campaign, n } => {
                format!(
                    "{} {} {} {}",
                    self.kw("expect"),
                    self.name(campaign),
                    self.kw("reaches"),
                    self.expr(n)
                )
            }
            // A table keeps the columns that its author lined up.
            TestStepKind::Users(_) | TestStepKind::Broken => {
                self.slice(step.span).trim_end().to_string()
            }
        };
        self.push(&text);
        self.trailing(step.span.end as usize);
    }

    fn record(&mut self, name: &Ident, user: &TestUser) -> String {
        let values: Vec<String> = user
            .values
            .iter()
            .map(|(k, v)| format!("{}: {}", self.name(k), self.expr(v)))
            .collect();
        if values.is_empty() {
            format!("{} {{ }}", self.name(name))
        } else {
            format!("{} {{ {} }}", self.name(name), values.join(", "))
        }
    }
}

//! `test` blocks.

use super::builder::TreeBuilder;
use super::grammar::{NodeParts, ParseNode, Rule};
use crate::diag::Span;
use crate::syntax::ast::{Expr, Ident, TestDecl, TestStep, TestStepKind, TestUser};

impl TreeBuilder<'_> {
    pub fn test(&mut self, node: ParseNode<'_>) -> TestDecl {
        let span = self.span(&node);
        let mut parts = NodeParts::of(node);
        let title = self.find_string(&mut parts, span);
        let mut steps: Vec<TestStep> = Vec::new();
        let mut before = None;
        while let Some(node) = parts.next() {
            let span = self.span(&node);
            match node.as_rule() {
                Rule::test_step => {
                    let kind = node
                        .into_inner()
                        .next()
                        .and_then(|n| self.step(n, span))
                        .unwrap_or(TestStepKind::Broken);
                    steps.push(TestStep { span, kind });
                }
                Rule::broken_step => {
                    if self.broken(&node, before, Rule::test_step_alone)
                        && let Some(last) = steps.last_mut()
                    {
                        last.kind = TestStepKind::Broken;
                    }
                    steps.push(TestStep {
                        span,
                        kind: TestStepKind::Broken,
                    });
                }
                _ => {}
            }
            before = Some(span);
        }
        TestDecl { title, steps }
    }

    fn step(&mut self, node: ParseNode<'_>, span: Span) -> Option<TestStepKind> {
        let rule = node.as_rule();
        let mut parts = NodeParts::of(node);
        let word = parts.next()?;
        Some(match rule {
            Rule::step_now => TestStepKind::Now(self.find_expr(&mut parts, span)),
            Rule::step_until => TestStepKind::Until(self.find_expr(&mut parts, span)),
            Rule::step_user => {
                let name = self.name(&mut parts)?;
                let values = self.record(parts.take(Rule::record)?);
                TestStepKind::User(TestUser { span, name, values })
            }
            Rule::step_users => TestStepKind::Users(self.users(parts)),
            Rule::step_event => {
                let (user, event) = (self.name(&mut parts)?, self.name(&mut parts)?);
                let fields = parts
                    .take(Rule::record)
                    .map(|n| self.record(n))
                    .unwrap_or_default();
                TestStepKind::Event {
                    user,
                    event,
                    fields,
                    at: self.find_expr(&mut parts, span),
                }
            }
            _ => {
                let _ = word;
                let user = self.name(&mut parts)?;
                self.expectation(user, parts.next()?, span)?
            }
        })
    }

    fn name(&mut self, parts: &mut NodeParts<'_>) -> Option<Ident> {
        parts.take(Rule::name).map(|n| self.ident(n))
    }

    fn expectation(
        &mut self,
        user: Ident,
        node: ParseNode<'_>,
        span: Span,
    ) -> Option<TestStepKind> {
        let rule = node.as_rule();
        let mut parts = NodeParts::of(node);
        Some(match rule {
            Rule::expect_matches => {
                let campaign = self.ident(parts.find(Rule::name)?);
                TestStepKind::Matches {
                    user,
                    campaign,
                    because: parts.find(Rule::name).map(|n| self.ident(n)),
                }
            }
            Rule::expect_unknown => {
                let campaign = self.ident(parts.find(Rule::name)?);
                TestStepKind::Unknown {
                    user,
                    campaign,
                    because: parts.find(Rule::name).map(|n| self.ident(n)),
                }
            }
            Rule::expect_nothing => TestStepKind::ReceivesNothing {
                user,
                because: parts.find(Rule::word_name).map(|n| self.ident(n)),
            },
            Rule::expect_receives => {
                let template = self.ident(parts.find(Rule::name)?);
                let at = if parts.eat(Rule::k_at) {
                    parts.take(Rule::expr).map(|n| self.expr(n))
                } else {
                    None
                };
                let via = parts.find(Rule::channel).and_then(|n| self.channel(n));
                TestStepKind::Receives {
                    user,
                    template,
                    at,
                    via,
                }
            }
            _ => TestStepKind::Reaches {
                campaign: user,
                n: self.find_expr(&mut parts, span),
            },
        })
    }

    /// `{ region: "Shanghai", age: missing }`; what is missing is left out.
    fn record(&mut self, node: ParseNode<'_>) -> Vec<(Ident, Expr)> {
        let mut values = Vec::new();
        for pair in node.into_inner().filter(|n| n.as_rule() == Rule::pair) {
            let mut parts = NodeParts::of(pair);
            let (Some(key), Some(value)) = (self.name(&mut parts), parts.find(Rule::row_value))
            else {
                continue;
            };
            if let Some(value) = self.row_value(value) {
                values.push((key, value));
            }
        }
        values
    }

    fn row_value(&mut self, node: ParseNode<'_>) -> Option<Expr> {
        NodeParts::of(node).take(Rule::expr).map(|n| self.expr(n))
    }

    /// `users (region, age) { u1: "Shanghai", 30  u2: missing, 41 }`
    fn users(&mut self, mut parts: NodeParts<'_>) -> Vec<TestUser> {
        let mut columns = Vec::new();
        parts.eat(Rule::lparen);
        while let Some(name) = self.name(&mut parts) {
            columns.push(name);
            parts.eat(Rule::comma);
        }
        let mut users = Vec::new();
        while let Some(row) = parts.find(Rule::user_row) {
            let span = self.span(&row);
            let mut inner = NodeParts::of(row);
            let Some(name) = self.name(&mut inner) else {
                continue;
            };
            let mut values = Vec::new();
            let mut columns = columns.iter();
            while let Some(node) = inner.find(Rule::row_value) {
                let at = self.span(&node);
                let value = self.row_value(node);
                match columns.next() {
                    Some(column) => values.extend(value.map(|v| (column.clone(), v))),
                    None => self.too_many_values(at),
                }
            }
            if columns.next().is_some() {
                self.too_few_values(span);
            }
            users.push(TestUser { span, name, values });
        }
        users
    }

    fn too_many_values(&mut self, span: Span) {
        let message = crate::msg!(
            "this row has more values than the table has columns",
            "此行的值多于表的列"
        );
        self.findings.push(crate::diag::Finding::new(
            &crate::diag::catalog::SYNTAX,
            span,
            message,
        ));
    }

    fn too_few_values(&mut self, span: Span) {
        let message = crate::msg!(
            "this row has fewer values than the table has columns; write `missing` for none",
            "此行的值少于表的列；没有值请写 `缺失`"
        );
        self.findings.push(crate::diag::Finding::new(
            &crate::diag::catalog::SYNTAX,
            span,
            message,
        ));
    }
}

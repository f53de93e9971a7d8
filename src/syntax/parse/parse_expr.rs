//! Expressions: the grammar gives a flat run of operands and operators, precedence is settled here.
//!
//! From weakest to strongest: `or` · `except` · `and` · `not` · comparison · `??` · range `..` · `+
//! -` · `* / mod` · unary `-` · field.

use super::builder::TreeBuilder;
use super::grammar::{NodeParts, ParseNode, Rule};
use crate::base::Msg;
use crate::diag::{Edit, Finding, Span, catalog};
use crate::msg;
use crate::syntax::ast::{
    Arg, BinaryOp, ContainsMode, EventExpr, Expr, ExprKind, InSet, Presence, Window, WindowKind,
};
use crate::syntax::ast::{Literal, LiteralKind};

/// An operator between two operands.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Op {
    Binary(BinaryOp),
    In { negated: bool },
    Contains(ContainsMode),
    StartsWith,
    Range,
}

impl Op {
    /// How strongly it binds; comparisons share one level.
    fn power(self) -> u8 {
        use BinaryOp as B;
        match self {
            Op::Binary(B::Or) => 1,
            Op::Binary(B::Except) => 2,
            Op::Binary(B::And) => 3,
            Op::Binary(B::Eq | B::Ne | B::Lt | B::Le | B::Gt | B::Ge)
            | Op::In { .. }
            | Op::Contains(_)
            | Op::StartsWith => COMPARISON,
            Op::Range => 6,
            Op::Binary(B::Coalesce) => 7,
            Op::Binary(B::Add | B::Sub) => 8,
            Op::Binary(B::Mul | B::Div | B::Mod) => 9,
        }
    }
}

/// Operators and operands of an expression, together with those of the expressions around it.
pub const MAX_OPERATORS: usize = 1000;

const NOT: u8 = 4;
const COMPARISON: u8 = 5;
const NEGATION: u8 = 10;

/// A piece of the flat run.
enum Token {
    Operand(Expr),
    Not(Span),
    Minus(Span),
    Op(Op, Span),
    /// `is missing` after an operand.
    Is(Presence, Span),
    /// `in last 30 days` after an operand.
    InWindow {
        negated: bool,
        op_span: Span,
        window: Window,
    },
    /// `between a and b`, answered with `in a..b`.
    Between(Expr, Expr),
}

impl TreeBuilder<'_> {
    pub fn expr(&mut self, node: ParseNode<'_>) -> Expr {
        let span = self.span(&node);
        let broken = Expr {
            span,
            kind: Box::new(ExprKind::Broken),
        };
        // A tree is at most as deep as the operators of all expressions around it: later stages may
        // recurse.
        let operators = node.clone().into_inner().take(MAX_OPERATORS + 1).count();
        if self.operators + operators > MAX_OPERATORS {
            let message = msg!(
                "this expression has more than {MAX_OPERATORS} operators and operands",
                "表达式的运算符和操作数超过 {MAX_OPERATORS} 个"
            );
            let help = msg!(
                "use `in [..]`, or name parts of it with `audience NAME = …`",
                "请使用 `属于 [..]`，或用 `人群 名称 = …` 为其中的部分命名"
            );
            self.findings.push(
                Finding::new(
                    &catalog::TOO_DEEP,
                    Span {
                        end: span.start,
                        ..span
                    },
                    message,
                )
                .help(help),
            );
            return broken;
        }
        self.operators += operators;
        let mut tokens = Vec::new();
        for part in node.into_inner() {
            self.token(part, &mut tokens);
        }
        self.operators -= operators;
        tokens.reverse();
        let mut run = Run { tokens };
        match self.climb(&mut run, 0) {
            Some(expr) if run.tokens.is_empty() => expr,
            // The grammar gives operands and operators in turn, so nothing can be left but after a
            // broken operand.
            _ => broken,
        }
    }

    fn token(&mut self, node: ParseNode<'_>, out: &mut Vec<Token>) {
        let span = self.span(&node);
        match node.as_rule() {
            Rule::prefix => match node.into_inner().next().map(|n| n.as_rule()) {
                Some(Rule::k_not) => out.push(Token::Not(span)),
                Some(Rule::minus) => out.push(Token::Minus(span)),
                _ => {
                    self.wrong(span, "not", "not ");
                    out.push(Token::Not(span));
                }
            },
            Rule::operand => {
                let operand = self.operand(node);
                out.push(Token::Operand(operand));
            }
            Rule::postfix => self.postfix(node, out),
            Rule::infix => {
                if let Some(inner) = node.into_inner().next() {
                    let op = self.infix(inner);
                    out.push(Token::Op(op, span));
                }
            }
            Rule::window_tail => {
                let mut parts = NodeParts::of(node);
                let op = parts.next();
                let op_span = op.as_ref().map_or(span, |n| self.span(n));
                let negated = op.is_some_and(|n| n.as_rule() == Rule::k_not_in);
                if let Some(w) = parts.take(Rule::window) {
                    let window = self.window(w);
                    out.push(Token::InWindow {
                        negated,
                        op_span,
                        window,
                    });
                }
            }
            _ => {}
        }
    }

    fn postfix(&mut self, node: ParseNode<'_>, out: &mut Vec<Token>) {
        let span = self.span(&node);
        let Some(inner) = node.into_inner().next() else {
            return;
        };
        match inner.as_rule() {
            Rule::field => {
                let Some(name) = NodeParts::of(inner).find(Rule::name).map(|n| self.ident(n))
                else {
                    return;
                };
                if let Some(Token::Operand(of)) = out.last_mut() {
                    let placeholder = Expr {
                        span: of.span,
                        kind: Box::new(ExprKind::Broken),
                    };
                    let of_expr = std::mem::replace(of, placeholder);
                    *of = Expr {
                        span: of_expr.span.to(span),
                        kind: Box::new(ExprKind::Field { of: of_expr, name }),
                    };
                }
            }
            Rule::is_tail => {
                let rules: Vec<Rule> = inner.into_inner().map(|n| n.as_rule()).collect();
                let has = |r: Rule| rules.contains(&r);
                if has(Rule::wrong_not_null) {
                    self.wrong(span, "is known", "is known");
                } else if has(Rule::wrong_null) {
                    self.wrong(span, "is missing", "is missing");
                }
                let known =
                    has(Rule::k_known) || has(Rule::bare_known) || has(Rule::wrong_not_null);
                out.push(Token::Is(
                    if known {
                        Presence::Known
                    } else {
                        Presence::Missing
                    },
                    span,
                ));
            }
            Rule::between_tail => {
                let mut parts = NodeParts::of(inner);
                let (Some(lo), Some(hi)) = (parts.find(Rule::operand), parts.find(Rule::operand))
                else {
                    return;
                };
                let fixed = format!("in {}..{}", lo.as_str().trim(), hi.as_str().trim());
                self.wrong(span, &fixed, &fixed);
                let (lo, hi) = (self.operand(lo), self.operand(hi));
                out.push(Token::Between(lo, hi));
            }
            _ => {}
        }
    }

    fn infix(&mut self, node: ParseNode<'_>) -> Op {
        use BinaryOp as B;
        let span = self.span(&node);
        let text = node.as_str();
        let binary = |op| Op::Binary(op);
        match node.as_rule() {
            Rule::eq => binary(B::Eq),
            Rule::ne => binary(B::Ne),
            Rule::lt => binary(B::Lt),
            Rule::le => binary(B::Le),
            Rule::gt => binary(B::Gt),
            Rule::ge => binary(B::Ge),
            Rule::coalesce => binary(B::Coalesce),
            Rule::plus => binary(B::Add),
            Rule::minus => binary(B::Sub),
            Rule::times => binary(B::Mul),
            Rule::slash => binary(B::Div),
            Rule::k_mod => binary(B::Mod),
            Rule::k_or => binary(B::Or),
            Rule::k_except => binary(B::Except),
            Rule::k_and => binary(B::And),
            Rule::k_in => Op::In { negated: false },
            Rule::k_not_in => Op::In { negated: true },
            Rule::k_contains => Op::Contains(ContainsMode::One),
            Rule::k_contains_any => Op::Contains(ContainsMode::Any),
            Rule::k_contains_all => Op::Contains(ContainsMode::All),
            Rule::k_starts_with => Op::StartsWith,
            Rule::dots => Op::Range,
            Rule::wrong_eq => {
                self.wrong(span, "==", "==");
                binary(B::Eq)
            }
            Rule::wrong_ne => {
                self.wrong(span, "!=", "!=");
                binary(B::Ne)
            }
            Rule::wrong_and => {
                self.wrong(span, "and", "and");
                binary(B::And)
            }
            Rule::wrong_or => {
                self.wrong(span, "or", "or");
                binary(B::Or)
            }
            Rule::wrong_upper => {
                let lower = text.to_lowercase();
                self.wrong(span, &lower, &lower);
                match lower.as_str() {
                    "and" => binary(B::And),
                    "or" => binary(B::Or),
                    _ => Op::In { negated: false },
                }
            }
            // `like` matches the start or any part; the nearest form is `contains`.
            _ => {
                self.wrong(span, "contains", "contains");
                Op::Contains(ContainsMode::One)
            }
        }
    }

    fn wrong(&mut self, span: Span, right: &str, replacement: &str) {
        let finding = Finding::new(
            &catalog::WRONG_SPELLING,
            span,
            msg!("this is written `{right}` here", "此处应写成 `{right}`"),
        )
        .fix(
            msg!("write `{right}`", "写成 `{right}`"),
            span,
            replacement,
            true,
        );
        self.findings.push(finding);
    }

    /// Precedence climbing over the run, taken from its end.
    fn climb(&mut self, run: &mut Run, least: u8) -> Option<Expr> {
        let mut left = self.unary(run)?;
        while let Some(power) = run.power() {
            if power < least {
                break;
            }
            left = self.apply(left, power, run)?;
        }
        Some(left)
    }

    /// Prefixes in a loop, so that a long chain of them needs no stack.
    fn unary(&mut self, run: &mut Run) -> Option<Expr> {
        let mut prefixes = Vec::new();
        loop {
            match run.tokens.pop()? {
                Token::Not(span) => prefixes.push((true, span)),
                Token::Minus(span) => prefixes.push((false, span)),
                Token::Operand(operand) => {
                    let mut expr = operand;
                    let mut first = true;
                    while let Some((not, word)) = prefixes.pop() {
                        if not {
                            if first {
                                expr = self.continue_from(expr, run, NOT + 1)?;
                                first = false;
                            }
                            expr = Expr {
                                span: word.to(expr.span),
                                kind: Box::new(ExprKind::Not { word, of: expr }),
                            };
                        } else {
                            if first {
                                expr = self.continue_from(expr, run, NEGATION)?;
                            }
                            expr = Expr {
                                span: word.to(expr.span),
                                kind: Box::new(ExprKind::Neg(expr)),
                            };
                        }
                    }
                    return Some(expr);
                }
                _ => return None,
            }
        }
    }

    fn continue_from(&mut self, mut left: Expr, run: &mut Run, least: u8) -> Option<Expr> {
        while let Some(power) = run.power().filter(|p| *p >= least) {
            left = self.apply(left, power, run)?;
        }
        Some(left)
    }

    fn apply(&mut self, left: Expr, power: u8, run: &mut Run) -> Option<Expr> {
        let token = run.tokens.pop()?;
        if power == COMPARISON && is_comparison(&left) {
            self.chained(&left, &token);
        }
        let start = left.span;
        let (span, kind) = match token {
            Token::Is(state, span) => (
                start.to(span),
                ExprKind::Is {
                    of: left,
                    state,
                    span,
                },
            ),
            Token::InWindow {
                negated,
                op_span,
                window,
            } => (
                start.to(window.span),
                ExprKind::In {
                    of: left,
                    negated,
                    op_span,
                    set: InSet::Window(window),
                },
            ),
            Token::Between(lo, hi) => {
                let op_span = start.after();
                (
                    start.to(hi.span),
                    ExprKind::In {
                        of: left,
                        negated: false,
                        op_span,
                        set: InSet::Range(lo, hi),
                    },
                )
            }
            Token::Op(op, op_span) => {
                let right = self.climb(run, power + 1)?;
                let span = start.to(right.span);
                let kind = match op {
                    Op::Binary(op) => {
                        self.mixed_except(op, op_span, &left, &right);
                        ExprKind::Binary {
                            op,
                            op_span,
                            left,
                            right,
                        }
                    }
                    Op::In { negated } => ExprKind::In {
                        of: left,
                        negated,
                        op_span,
                        set: in_set(right),
                    },
                    Op::Contains(mode) => ExprKind::Contains {
                        of: left,
                        mode,
                        op_span,
                        what: right,
                    },
                    Op::StartsWith => ExprKind::StartsWith {
                        of: left,
                        op_span,
                        what: right,
                    },
                    Op::Range => ExprKind::Range(left, right),
                };
                (span, kind)
            }
            Token::Operand(_) | Token::Not(_) | Token::Minus(_) => return None,
        };
        Some(Expr {
            span,
            kind: Box::new(kind),
        })
    }

    /// `1 < x < 5`: both readings are offered.
    fn chained(&mut self, left: &Expr, token: &Token) {
        let op = match token {
            Token::Op(_, span) | Token::Is(_, span) | Token::InWindow { op_span: span, .. } => {
                *span
            }
            _ => left.span.after(),
        };
        let finding = Finding::new(
            &catalog::CHAINED_COMPARISON,
            op,
            msg!("comparisons are not chained", "比较不能连写"),
        )
        .label(
            left.span,
            msg!("this is already a comparison", "这已经是一个比较"),
        )
        .help(msg!(
            "write `x in lo..hi`, or two comparisons joined by `and`",
            "请写成 `x in lo..hi`，或用 `且` 连接两个比较"
        ));
        self.findings.push(finding);
    }

    /// `a or b except c`: which one first is not guessed.
    fn mixed_except(&mut self, op: BinaryOp, op_span: Span, left: &Expr, right: &Expr) {
        let is = |e: &Expr, ops: &[BinaryOp]| matches!(e.kind.as_ref(), ExprKind::Binary { op, .. } if ops.contains(op));
        let partner = match op {
            BinaryOp::Except if is(left, &[BinaryOp::And]) => left,
            BinaryOp::Except if is(right, &[BinaryOp::And]) => right,
            BinaryOp::Or if is(left, &[BinaryOp::Except]) => left,
            BinaryOp::Or if is(right, &[BinaryOp::Except]) => right,
            _ => return,
        };
        let ExprKind::Binary {
            op: inner,
            op_span: inner_span,
            left: a,
            right: b,
        } = partner.kind.as_ref()
        else {
            return;
        };
        let names = |o: BinaryOp| match o {
            BinaryOp::Or => "or",
            BinaryOp::And => "and",
            _ => "except",
        };
        let (outer_name, inner_name) = (names(op), names(*inner));
        let wrap = |from: Span, to: Span| {
            vec![
                Edit {
                    span: from.before(),
                    text: "(".into(),
                },
                Edit {
                    span: to.after(),
                    text: ")".into(),
                },
            ]
        };
        let first = wrap(a.span, b.span);
        // The other reading binds the outer operator to the nearer operand of the partner.
        let other = if partner.span == left.span {
            wrap(b.span, right.span)
        } else {
            wrap(left.span, a.span)
        };
        let finding = Finding::new(
            &catalog::MIXED_EXCEPT,
            op_span,
            msg!(
                "`{outer_name}` beside `{inner_name}` needs parentheses",
                "`{outer_name}` 与 `{inner_name}` 并用时需要括号"
            ),
        )
        .label(
            *inner_span,
            msg!("which of the two comes first?", "两者谁先？"),
        )
        .fix_all(
            msg!("`{inner_name}` first", "先 `{inner_name}`"),
            first,
            false,
        )
        .fix_all(
            msg!("`{outer_name}` first", "先 `{outer_name}`"),
            other,
            false,
        );
        self.findings.push(finding);
    }

    pub fn operand(&mut self, node: ParseNode<'_>) -> Expr {
        let span = self.span(&node);
        let Some(inner) = node.into_inner().next() else {
            return Expr {
                span,
                kind: Box::new(ExprKind::Broken),
            };
        };
        let kind = match inner.as_rule() {
            Rule::literal => match self.literal(inner) {
                Some(literal) => ExprKind::Literal(literal),
                None => ExprKind::Broken,
            },
            Rule::string => {
                let text = self.string(inner);
                ExprKind::Literal(Literal {
                    span: text.span,
                    kind: LiteralKind::Text(text.value),
                })
            }
            Rule::place_or_paren => {
                let mut exprs: Vec<Expr> = inner
                    .into_inner()
                    .filter(|n| n.as_rule() == Rule::expr)
                    .map(|n| self.expr(n))
                    .collect();
                match (exprs.pop(), exprs.pop()) {
                    (Some(b), Some(a)) => ExprKind::Place(a, b),
                    (Some(a), None) => ExprKind::Paren(a),
                    _ => ExprKind::Broken,
                }
            }
            Rule::list => ExprKind::List(
                inner
                    .into_inner()
                    .filter(|n| n.as_rule() == Rule::expr)
                    .map(|n| self.expr(n))
                    .collect(),
            ),
            Rule::k_everyone => ExprKind::Everyone,
            Rule::call_or_name => {
                let mut parts = NodeParts::of(inner);
                match parts.find(Rule::op_name).map(|n| self.ident(n)) {
                    Some(name) => match parts.take(Rule::call_args) {
                        Some(args) => {
                            let args = args
                                .into_inner()
                                .filter(|n| n.as_rule() == Rule::arg)
                                .map(|n| self.arg(n))
                                .collect();
                            ExprKind::Call { name, args }
                        }
                        None => ExprKind::Name(name),
                    },
                    None => ExprKind::Broken,
                }
            }
            _ => ExprKind::Broken,
        };
        Expr {
            span,
            kind: Box::new(kind),
        }
    }

    fn arg(&mut self, node: ParseNode<'_>) -> Arg {
        let span = self.span(&node);
        let mut parts = NodeParts::of(node);
        if let Some(w) = parts.take(Rule::window) {
            return Arg::Window(self.window(w));
        }
        let Some(first) = parts.take(Rule::expr).map(|n| self.expr(n)) else {
            return Arg::Expr(Expr {
                span,
                kind: Box::new(ExprKind::Broken),
            });
        };
        let Some(tail) = parts.take(Rule::arg_tail) else {
            return match *first.kind {
                ExprKind::Range(a, b) => match (date_of(&a), date_of(&b)) {
                    (true, true) => Arg::Window(Window {
                        span,
                        kind: WindowKind::Dates(a, b),
                    }),
                    _ => Arg::Expr(Expr {
                        span,
                        kind: Box::new(ExprKind::Range(a, b)),
                    }),
                },
                _ => Arg::Expr(first),
            };
        };
        let mut tail = NodeParts::of(tail);
        if tail.eat(Rule::k_within) {
            let Some(by) = tail.take(Rule::expr).map(|n| self.expr(n)) else {
                return Arg::Expr(first);
            };
            return Arg::Within(first, by);
        }
        let filter = if tail.eat(Rule::k_where) {
            tail.take(Rule::expr).map(|n| self.expr(n))
        } else {
            None
        };
        let mut then = Vec::new();
        while let Some(n) = tail.take(Rule::then) {
            then.extend(self.then(n));
        }
        let (event, field) = match *first.kind {
            ExprKind::Name(event) => (event, None),
            ExprKind::Field { of, name } => match *of.kind {
                ExprKind::Name(event) => (event, Some(name)),
                _ => return self.not_an_event(first.span),
            },
            _ => return self.not_an_event(first.span),
        };
        Arg::Event(EventExpr {
            span,
            event,
            field,
            filter,
            then,
        })
    }

    fn not_an_event(&mut self, span: Span) -> Arg {
        let message: Msg = msg!(
            "`where` and `then` follow the name of an event",
            "`其中` 与 `然后` 须跟在事件名称之后"
        );
        self.findings
            .push(Finding::new(&catalog::SYNTAX, span, message));
        Arg::Expr(Expr {
            span,
            kind: Box::new(ExprKind::Broken),
        })
    }
}

/// The run, last token first.
struct Run {
    tokens: Vec<Token>,
}

impl Run {
    /// How strongly the next operator binds; `None` at the end.
    fn power(&self) -> Option<u8> {
        match self.tokens.last()? {
            Token::Op(op, _) => Some(op.power()),
            Token::Is(..) | Token::InWindow { .. } | Token::Between(..) => Some(COMPARISON),
            Token::Operand(_) | Token::Not(_) | Token::Minus(_) => None,
        }
    }
}

fn is_comparison(e: &Expr) -> bool {
    use BinaryOp as B;
    match e.kind.as_ref() {
        ExprKind::Binary { op, .. } => matches!(op, B::Eq | B::Ne | B::Lt | B::Le | B::Gt | B::Ge),
        ExprKind::In { .. }
        | ExprKind::Contains { .. }
        | ExprKind::StartsWith { .. }
        | ExprKind::Is { .. } => true,
        _ => false,
    }
}

fn date_of(e: &Expr) -> bool {
    matches!(
        e.kind.as_ref(),
        ExprKind::Literal(Literal {
            kind: LiteralKind::Date(_),
            ..
        })
    )
}

fn in_set(right: Expr) -> InSet {
    match *right.kind {
        ExprKind::Range(lo, hi) => InSet::Range(lo, hi),
        kind => InSet::Expr(Expr {
            span: right.span,
            kind: Box::new(kind),
        }),
    }
}

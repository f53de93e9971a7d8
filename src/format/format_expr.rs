//! Expressions in one layout: one blank around operators, none inside brackets.

use super::printer::{Printer, WIDTH};
use crate::syntax::ast::{
    Arg, BinaryOp, ContainsMode, EventExpr, Expr, ExprKind, InSet, Literal, LiteralKind, Period,
    Presence, Then, Window, WindowKind,
};

impl Printer<'_> {
    pub fn expr(&mut self, e: &Expr) -> String {
        use ExprKind as K;
        match e.kind.as_ref() {
            K::Literal(l) => self.literal(l),
            K::Name(n) => self.name(n),
            K::Field { of, name } => {
                let of = self.expr(of);
                format!("{of}.{}", self.name(name))
            }
            K::Call { name, args } => {
                let args: Vec<String> = args.iter().map(|a| self.arg(a)).collect();
                format!("{}({})", self.name(name), args.join(", "))
            }
            K::Paren(of) => format!("({})", self.expr(of)),
            K::Not { word, of } => {
                self.at(*word);
                let not = self.kw("not");
                format!("{not} {}", self.expr(of))
            }
            K::Neg(of) => format!("-{}", self.expr(of)),
            K::Binary {
                op,
                op_span,
                left,
                right,
            } => {
                let left = self.expr(left);
                self.at(*op_span);
                let op = self.operator(*op);
                format!("{left} {op} {}", self.expr(right))
            }
            K::Is { of, state, span } => {
                let text = self.expr(of);
                self.at(*span);
                let state = match state {
                    Presence::Missing => "missing",
                    Presence::Known => "known",
                };
                // Chinese says `年龄 缺失`, without a verb.
                let verb = matches!(self.slice(*span).chars().next(), Some('i' | 'I' | '是'));
                let is = self.kw("is");
                self.at(*span);
                let word = self.kw(state);
                if word.is_ascii() || (verb && is == "是" && self.keeps_language()) {
                    format!("{text} {is} {word}")
                } else {
                    format!("{text} {word}")
                }
            }
            K::In {
                of,
                negated,
                op_span,
                set,
            } => {
                let of = self.expr(of);
                self.at(*op_span);
                let word = self.kw(if *negated { "not_in" } else { "in" });
                let set = match set {
                    InSet::Range(lo, hi) => format!("{}..{}", self.expr(lo), self.expr(hi)),
                    InSet::Window(w) => self.window(w),
                    InSet::Expr(e) => self.expr(e),
                };
                format!("{of} {word} {set}")
            }
            K::Contains {
                of,
                mode,
                op_span,
                what,
            } => {
                let of = self.expr(of);
                self.at(*op_span);
                let word = self.kw(match mode {
                    ContainsMode::One => "contains",
                    ContainsMode::Any => "contains_any",
                    ContainsMode::All => "contains_all",
                });
                format!("{of} {word} {}", self.expr(what))
            }
            K::StartsWith { of, op_span, what } => {
                let of = self.expr(of);
                self.at(*op_span);
                let word = self.kw("starts_with");
                format!("{of} {word} {}", self.expr(what))
            }
            K::Range(a, b) => format!("{}..{}", self.expr(a), self.expr(b)),
            K::List(items) => {
                let items: Vec<String> = items.iter().map(|e| self.expr(e)).collect();
                format!("[{}]", items.join(", "))
            }
            K::Place(a, b) => format!("({}, {})", self.expr(a), self.expr(b)),
            K::Everyone => {
                self.at(e.span);
                self.kw("everyone")
            }
            K::Broken => self.slice(e.span).to_string(),
        }
    }

    /// A condition behind a clause word; a long chain of one operator is broken before it.
    pub fn condition(&mut self, e: &Expr, used: usize) -> String {
        let one = self.expr(e);
        let width = |s: &str| {
            s.chars()
                .map(|c| if c.is_ascii() { 1 } else { 2 })
                .sum::<usize>()
        };
        if width(&one) + used + self.indent * 2 <= WIDTH {
            return one;
        }
        let ExprKind::Binary {
            op: top @ (BinaryOp::And | BinaryOp::Or),
            ..
        } = e.kind.as_ref()
        else {
            return one;
        };
        let mut parts = Vec::new();
        let mut rest = e;
        while let ExprKind::Binary {
            op,
            op_span,
            left,
            right,
        } = rest.kind.as_ref()
        {
            if op != top {
                break;
            }
            let text = self.expr(right);
            self.at(*op_span);
            let word = self.operator(*op);
            parts.push(format!("\n  {word} {text}"));
            rest = left;
        }
        let mut out = self.expr(rest);
        parts.reverse();
        parts.iter().for_each(|p| out.push_str(p));
        out
    }

    fn operator(&mut self, op: BinaryOp) -> String {
        let sign = match op {
            BinaryOp::Or => return self.kw("or"),
            BinaryOp::Except => return self.kw("except"),
            BinaryOp::And => return self.kw("and"),
            BinaryOp::Mod => return self.kw("mod"),
            BinaryOp::Eq => "==",
            BinaryOp::Ne => "!=",
            BinaryOp::Lt => "<",
            BinaryOp::Le => "<=",
            BinaryOp::Gt => ">",
            BinaryOp::Ge => ">=",
            BinaryOp::Coalesce => "??",
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
        };
        sign.to_string()
    }

    fn arg(&mut self, arg: &Arg) -> String {
        match arg {
            Arg::Expr(e) => self.expr(e),
            Arg::Within(a, b) => {
                let a = self.expr(a);
                let within = self.kw("within");
                format!("{a} {within} {}", self.expr(b))
            }
            Arg::Event(e) => self.event(e),
            Arg::Window(w) => self.window(w),
        }
    }

    pub fn event(&mut self, e: &EventExpr) -> String {
        self.at(e.event.span);
        let mut out = self.name(&e.event);
        if let Some(field) = &e.field {
            out.push('.');
            out.push_str(&self.name(field));
        }
        if let Some(filter) = &e.filter {
            let word = self.kw("where");
            out.push_str(&format!(" {word} {}", self.expr(filter)));
        }
        for then in &e.then {
            out.push(' ');
            let then = self.then(then);
            out.push_str(&then);
        }
        out
    }

    fn then(&mut self, then: &Then) -> String {
        self.at(then.span);
        let mut out = self.kw("then");
        if then.no {
            out.push(' ');
            out.push_str(&self.kw("no"));
        }
        out.push(' ');
        out.push_str(&self.name(&then.event));
        if let Some(filter) = &then.filter {
            let word = self.kw("where");
            out.push_str(&format!(" {word} {}", self.expr(filter)));
        }
        let word = self.kw("within");
        format!("{out} {word} {}", self.expr(&then.within))
    }

    pub fn window(&mut self, w: &Window) -> String {
        self.at(w.span);
        match &w.kind {
            WindowKind::Last(l) => format!("{} {}", self.kw("last"), self.literal(l)),
            WindowKind::Next(l) => format!("{} {}", self.kw("next"), self.literal(l)),
            WindowKind::Today => self.kw("today"),
            WindowKind::Yesterday => self.kw("yesterday"),
            WindowKind::This(p) => self.kw(match p {
                Period::Week => "this_week",
                Period::Month => "this_month",
                Period::Year => "this_year",
            }),
            WindowKind::Previous(p) => self.kw(match p {
                Period::Week => "previous_week",
                Period::Month => "previous_month",
                Period::Year => "previous_year",
            }),
            WindowKind::Dates(a, b) => format!("{}..{}", self.expr(a), self.expr(b)),
            WindowKind::Since(d) => format!("{} {}", self.kw("since"), self.expr(d)),
            WindowKind::Ever => self.kw("ever"),
        }
    }

    /// As it was written, in ASCII; only true and false are keywords.
    pub fn literal(&mut self, l: &Literal) -> String {
        match &l.kind {
            LiteralKind::Bool(b) => {
                self.at(l.span);
                self.kw(if *b { "true" } else { "false" })
            }
            LiteralKind::Text(_) => self.string_at(l.span),
            _ => {
                let text = self.slice(l.span);
                let mut out = String::with_capacity(text.len());
                for c in text.chars() {
                    match c {
                        '０'..='９' => {
                            out.extend(char::from_u32(c as u32 - '０' as u32 + '0' as u32))
                        }
                        '．' => out.push('.'),
                        '％' => out.push('%'),
                        '：' => out.push(':'),
                        '￥' => out.push('¥'),
                        '\t' => out.push(' '),
                        c => out.push(c),
                    }
                }
                // One blank between number and word, and between date and time.
                out.split(' ')
                    .filter(|p| !p.is_empty())
                    .collect::<Vec<_>>()
                    .join(" ")
            }
        }
    }

    /// A string as it was written; typographic quotes become straight ones.
    pub fn string_at(&self, span: crate::diag::Span) -> String {
        let text = self.slice(span);
        let inner = text
            .strip_prefix(['“', '‘'])
            .and_then(|t| t.strip_suffix(['”', '’']));
        match inner {
            Some(inner) => format!("\"{}\"", inner.replace('\\', "\\\\").replace('"', "\\\"")),
            None => text.to_string(),
        }
    }
}

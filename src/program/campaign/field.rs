//! Typed fields (`field thing1 = …`): the platform gives each type a length and an alphabet.

use super::extent::{self, KnownFacts};
use super::route::quoted;
use super::template::part_name;
use super::template_use::{TemplateUse, no_longest, over};
use crate::base::Type;
use crate::base::Value;
use crate::diag::{Finding, Level, Span, catalog};
use crate::msg;
use crate::program::platform::{Alphabet, FieldType, Platform, Shape, Unit};
use crate::program::scope::nearest;
use crate::program::typed::{PartKind, Piece, Route, Template, TemplatePart};
use crate::program::typed_expr::{Expr, ExprKind};

/// The most digits of an amount.
const AMOUNT_DIGITS: usize = 10;

pub(super) fn check(
    u: &TemplateUse<'_>,
    template: &Template,
    route: &Route,
    platform: &Platform,
    shape: &Shape,
) -> Vec<Finding> {
    let mut out = Vec::new();
    if shape.fields.is_empty() {
        return out;
    }
    for part in &template.parts {
        let PartKind::Field(name) = &part.kind else {
            continue;
        };
        match platform.field_type(shape, name) {
            Some(ty) => one(u, part, route, ty, &mut out),
            None => out.push(unknown_type(part, route, shape, name)),
        }
    }
    out
}

fn unknown_type(part: &TemplatePart, route: &Route, shape: &Shape, name: &str) -> Finding {
    let types: Vec<&str> = shape.fields.iter().map(String::as_str).collect();
    let channel = &route.channel;
    let bare = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let finding = Finding::new(
        &catalog::FIELD_CONTENT,
        part.span,
        msg!(
            "`{channel}` has no field type `{bare}`",
            "`{channel}` 没有字段类型 `{bare}`"
        ),
    );
    match nearest(bare, types.iter().copied()) {
        Some(near) => finding.help(msg!("did you mean `{near}`?", "是否想写 `{near}`？")),
        None => finding.help(msg!("the types are {}", "字段类型有 {}", quoted(&types))),
    }
}

fn one(
    u: &TemplateUse<'_>,
    part: &TemplatePart,
    route: &Route,
    ty: &FieldType,
    out: &mut Vec<Finding>,
) {
    let known = KnownFacts {
        program: u.program,
        present: u.present,
    };
    if let Some(max) = ty.max {
        let ascii = part.text.pieces.iter().all(is_ascii);
        let max = u64::from(ty.max_ascii.filter(|_| ascii).unwrap_or(max));
        match extent::longest_text(known, &part.text, Unit::Chars) {
            Ok(longest) if longest.size <= max => {}
            Ok(longest) => {
                let names = [format!("`{}`", part_name(&part.kind))];
                out.push(over(
                    u,
                    route,
                    &names,
                    (part.span, &[]),
                    &longest,
                    (max, Unit::Chars),
                    Level::Error,
                ));
            }
            Err(unbounded) => out.push(no_longest(
                u,
                route,
                &unbounded,
                (max, Unit::Chars),
                Level::Error,
            )),
        }
    }
    out.extend(wrong_content(part, ty));
}

/// What a piece holds does not fit the type; of a free text it is not known: a warning.
fn wrong_content(part: &TemplatePart, ty: &FieldType) -> Option<Finding> {
    let words = ty.takes.words();
    let found = |span: Span, level: Level| {
        let (name, en, zh) = (&ty.name, &words.en, &words.zh);
        let message = match level {
            Level::Error => msg!(
                "a field of type `{name}` holds {en}",
                "`{name}` 类型的字段只能是{zh}"
            ),
            Level::Warning | Level::Note => msg!(
                "a field of type `{name}` holds {en}; this text can hold anything",
                "`{name}` 类型的字段只能是{zh}，而这里可以是任意文字"
            ),
        };
        let mut finding = Finding::new(&catalog::FIELD_CONTENT, span, message);
        finding.level = level;
        finding.help(msg!(
            "the platform refuses the message; a field of type `thing` takes any text",
            "平台会拒收；`thing` 类型的字段可以是任意文字"
        ))
    };
    let mut digits = 0;
    for piece in &part.text.pieces {
        match piece {
            Piece::Text(t) => {
                digits += t.chars().filter(char::is_ascii_digit).count();
                if !t.chars().all(|c| allows(ty.takes, c)) {
                    return Some(found(part.span, Level::Error));
                }
            }
            Piece::Hole(e) => match fits(ty.takes, e) {
                Fit::Yes => {}
                Fit::Perhaps => return Some(found(e.span, Level::Warning)),
                Fit::No => return Some(found(e.span, Level::Error)),
            },
        }
    }
    (ty.takes == Alphabet::Amount && digits > AMOUNT_DIGITS).then(|| found(part.span, Level::Error))
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Yes,
    Perhaps,
    No,
}

fn fits(alphabet: Alphabet, e: &Expr) -> Fit {
    if alphabet == Alphabet::Any {
        return Fit::Yes;
    }
    let all = |text: &str| {
        if text.chars().all(|c| allows(alphabet, c)) {
            Fit::Yes
        } else {
            Fit::No
        }
    };
    match &e.kind {
        ExprKind::Const(Value::Text(t)) => return all(t),
        ExprKind::Coalesce(a, b)
        | ExprKind::If {
            then: a,
            otherwise: b,
            ..
        } => return fits(alphabet, a).max(fits(alphabet, b)),
        ExprKind::ToNumber(a) | ExprKind::MemberName(a) => return fits(alphabet, a),
        ExprKind::Call { function, args } if function.facts.keeps_alphabet => {
            return args
                .iter()
                .map(|a| fits(alphabet, a))
                .max()
                .unwrap_or(Fit::Perhaps);
        }
        _ => {}
    }
    let when = |yes: bool| if yes { Fit::Yes } else { Fit::No };
    match &e.ty {
        Type::Text { .. } => Fit::Perhaps,
        Type::Enum(of) => of.members.iter().map(|m| all(m)).max().unwrap_or(Fit::Yes),
        Type::Int { .. } => when(matches!(
            alphabet,
            Alphabet::Number | Alphabet::Ascii | Alphabet::Phone | Alphabet::Amount
        )),
        Type::Number => when(matches!(
            alphabet,
            Alphabet::Number | Alphabet::Ascii | Alphabet::Amount
        )),
        Type::Money => when(alphabet == Alphabet::Amount),
        Type::Date | Type::Time | Type::Instant => {
            when(matches!(alphabet, Alphabet::Time | Alphabet::Ascii))
        }
        Type::Bool
        | Type::Ratio
        | Type::Set(_)
        | Type::Elapsed
        | Type::Calendar
        | Type::Distance
        | Type::Place
        | Type::Address(_) => {
            when(alphabet == Alphabet::Ascii && !matches!(e.ty, Type::Set(_) | Type::Address(_)))
        }
    }
}

fn allows(alphabet: Alphabet, c: char) -> bool {
    match alphabet {
        Alphabet::Any => true,
        Alphabet::Number => c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | ','),
        Alphabet::Letters => c.is_ascii_alphabetic(),
        Alphabet::Symbols => !c.is_alphanumeric() && !c.is_whitespace(),
        Alphabet::Ascii => c.is_ascii_graphic() || c == ' ',
        Alphabet::Time => {
            c.is_ascii_digit()
                || matches!(
                    c,
                    ':' | '-' | '/' | '~' | ' ' | '年' | '月' | '日' | '时' | '点' | '分' | '秒'
                )
        }
        Alphabet::Amount => {
            c.is_ascii_digit() || matches!(c, '.' | ',' | '¥' | '￥' | '$' | '€' | '£' | '元')
        }
        Alphabet::Phone => c.is_ascii_digit() || c.is_ascii_punctuation() || c == ' ',
        Alphabet::Chinese => is_chinese(c),
    }
}

fn is_chinese(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}' | '〇')
}

fn is_ascii(piece: &Piece) -> bool {
    match piece {
        Piece::Text(t) => t.is_ascii(),
        Piece::Hole(e) => fits(Alphabet::Ascii, e) == Fit::Yes,
    }
}

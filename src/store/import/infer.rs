//! Declarations for a file that has none: what its values look like, written as `tag` lines for a
//! person to correct.
//!
//! A guess is made only where all values of a column agree. A ratio is guessed only from percent
//! signs, money only from currency signs: a plain `0.3` is a number until someone says what it
//! means.

use crate::base::Msg;
use crate::msg;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use super::cell::{Cell, plain_text};
use super::open_rows::open_rows;
use super::reading::Reading;
use super::row_source::Bad;
use super::{ImportError, no_column};
use crate::base::{EnumType, EventSchema, FieldSchema, Schema, TagSchema, Type, Value};
use crate::store::declarations;

/// Different texts up to which a column is an enum.
pub const MAX_ENUM_MEMBERS: usize = 64;
/// Characters that an enum member may have.
const MAX_MEMBER_CHARS: usize = 64;
/// Digits up to which a column of digits is numbers; longer ones are codes.
const MAX_INT_DIGITS: usize = 15;
/// Names of columns that hold what a person can be reached or known by.
const PRIVATE_NAMES: [&str; 16] = [
    "phone",
    "mobile",
    "tel",
    "telephone",
    "email",
    "mail",
    "id_card",
    "idcard",
    "passport",
    "real_name",
    "手机",
    "手机号",
    "电话",
    "邮箱",
    "身份证",
    "姓名",
];

/// What was inferred.
#[derive(Clone, Debug, PartialEq)]
pub struct Inferred {
    pub tags: Vec<TagSchema>,
    /// Columns without a guess, and why.
    pub skipped: Vec<(String, Msg)>,
    /// The declarations as a file for the program's folder.
    pub text: String,
}

/// Looks at all rows of a file and says what its columns are: those that are `wanted`, and not the
/// one with the ids.
///
/// # Errors
/// When the file cannot be read or has no such column.
pub fn tags(
    file: &Path,
    id: &str,
    reading: &Reading,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<Inferred, ImportError> {
    let mut source = open_rows(file)?;
    let mut columns: Vec<Seen> = Vec::new();
    loop {
        let read = source.next_row(&mut |position, _, cell| {
            if columns.len() <= position {
                columns.resize_with(position + 1, Seen::default);
            }
            columns[position].add(&cell, reading);
        });
        match read {
            Ok(Some(_)) | Err(Bad::Row { .. }) => {} // A bad row says nothing of types; the import reports it.
            Ok(None) => break,
            Err(Bad::File(e)) => return Err(e.into()),
        }
    }
    let names = source.columns();
    if !names.iter().any(|n| n == id) {
        return Err(no_column(file, id, ("user id", "用户编号"), names));
    }
    let mut inferred = Inferred {
        tags: Vec::new(),
        skipped: Vec::new(),
        text: String::new(),
    };
    columns.resize_with(names.len(), Seen::default);
    for (name, seen) in names
        .iter()
        .zip(&columns)
        .filter(|(name, _)| *name != id && !name.is_empty() && wanted(name))
    {
        let unfit = name.contains(['`', '\n', '\r']).then(|| {
            msg!(
                "its name cannot be quoted: rename the column",
                "列名无法引用：请改名"
            )
        });
        let private = PRIVATE_NAMES.contains(&name.to_lowercase().as_str());
        match (unfit, seen.ty()) {
            (Some(why), _) | (None, Err(why)) => inferred.skipped.push((name.clone(), why)),
            // A phone number is no number, and four of them are no enum.
            (None, Ok(_)) if private => {
                inferred
                    .tags
                    .push(tag(name, text_up_to(seen.longest), true))
            }
            (None, Ok(ty)) => inferred.tags.push(tag(name, ty, false)),
        }
    }
    let schema = Schema {
        tags: inferred.tags,
        events: Vec::new(),
    };
    inferred.text = text(file, &schema, &inferred.skipped);
    inferred.tags = schema.tags;
    Ok(inferred)
}

fn tag(name: &str, ty: Type, private: bool) -> TagSchema {
    TagSchema {
        private: private || ty == Type::Place,
        ..TagSchema::new(name, ty)
    }
}

/// What the values of a column have in common.
struct Seen {
    /// Values that are there.
    count: u64,
    /// Readings that all values so far allow, most telling first.
    candidates: Vec<Type>,
    int: Option<(i64, i64)>,
    /// Texts and how they stand: alone, or as items of sets.
    texts: BTreeSet<String>,
    items: BTreeSet<String>,
    /// Whether a value was a list, and whether a text had a `|` in it.
    lists: bool,
    bars: bool,
    longest: usize,
    /// The first value that is nothing a column can hold.
    other: bool,
}

impl Default for Seen {
    fn default() -> Self {
        let candidates = vec![
            Type::Bool,
            Type::INT,
            Type::Money,
            Type::Ratio,
            Type::Number,
            Type::Date,
            Type::Instant,
            Type::Time,
            Type::Place,
        ];
        Seen {
            count: 0,
            candidates,
            int: None,
            texts: BTreeSet::new(),
            items: BTreeSet::new(),
            lists: false,
            bars: false,
            longest: 0,
            other: false,
        }
    }
}

impl Seen {
    fn add(&mut self, cell: &Cell<'_>, reading: &Reading) {
        if reading.is_missing(cell, &Type::Bool) {
            return;
        }
        self.count += 1;
        self.candidates
            .retain(|ty| looks_like(cell, ty) && reading.value(cell, ty).is_ok());
        if self.candidates.contains(&Type::INT)
            && let Ok(Some(Value::Int(i))) = reading.value(cell, &Type::INT)
        {
            let (lo, hi) = self.int.unwrap_or((i, i));
            self.int = Some((lo.min(i), hi.max(i)));
        }
        match cell {
            Cell::List(items) => {
                self.lists = true;
                items
                    .iter()
                    .for_each(|item| self.add_item(plain_text(item)));
            }
            Cell::Place(..) => {}
            other => match plain_text(other) {
                Some(text) => {
                    self.longest = self.longest.max(text.chars().count());
                    self.bars |= text.contains('|');
                    text.split('|')
                        .for_each(|item| self.add_item(Some(item.trim().into())));
                    if self.texts.len() <= MAX_ENUM_MEMBERS {
                        self.texts.insert(text);
                    }
                }
                None if self.candidates.is_empty() => self.other = true,
                None => {}
            },
        }
    }

    fn add_item(&mut self, item: Option<String>) {
        match item {
            Some(item) if self.items.len() <= MAX_ENUM_MEMBERS => {
                self.items.insert(item);
            }
            Some(_) => {}
            None => self.other = true,
        }
    }

    fn ty(&self) -> Result<Type, Msg> {
        if self.count == 0 {
            return Err(msg!(
                "it has no values: no type can be told",
                "没有任何值：无法判断类型"
            ));
        }
        if self.other {
            return Err(msg!(
                "it holds structures that no tag can hold",
                "含有标签无法表示的结构"
            ));
        }
        match enum_of(&self.items) {
            Some(members) if self.lists || self.bars => return Ok(Type::Set(Box::new(members))),
            None if self.lists => return Ok(Type::Set(Box::new(Type::TEXT))),
            _ => {}
        }
        match self.candidates.first() {
            Some(Type::Int { .. }) => Ok(self.int.map_or(Type::INT, |(lo, hi)| int_range(lo, hi))),
            Some(ty) => Ok(ty.clone()),
            None => {
                // As many members as values would be names, not an enum.
                let repeats = self.texts.len() as u64 * 2 <= self.count;
                let members = enum_of(&self.texts).filter(|_| repeats);
                Ok(members.unwrap_or_else(|| text_up_to(self.longest)))
            }
        }
    }
}

/// What a guess asks beyond being readable as `ty`.
fn looks_like(cell: &Cell<'_>, ty: &Type) -> bool {
    let Cell::Text(text) = cell else {
        return match ty {
            Type::Bool => matches!(cell, Cell::Bool(_)),
            Type::Int { .. } => matches!(cell, Cell::Int(_)),
            Type::Number => matches!(cell, Cell::Int(_) | Cell::Float(_) | Cell::Decimal(..)),
            Type::Date => matches!(cell, Cell::Date(_)),
            Type::Instant => matches!(cell, Cell::Instant(_) | Cell::Local(_)),
            Type::Time => matches!(cell, Cell::Time(_)),
            Type::Place => matches!(cell, Cell::Place(..)),
            _ => false,
        };
    };
    let text = text.trim();
    let bare = text.strip_prefix('-').unwrap_or(text);
    // `007` is a code, not a number; `0.5` and `0` are numbers.
    let code = bare.len() > 1 && bare.starts_with('0') && !bare.starts_with("0.");
    match ty {
        Type::Bool => matches!(text, "true" | "false" | "True" | "False" | "TRUE" | "FALSE"),
        Type::Int { .. } => {
            !code
                && bare.len() <= MAX_INT_DIGITS
                && !bare.is_empty()
                && bare.bytes().all(|b| b.is_ascii_digit())
        }
        Type::Number => {
            !code
                && bare.len() <= 2 * MAX_INT_DIGITS
                && (bare.contains('.') || bare.len() <= MAX_INT_DIGITS)
        }
        Type::Ratio => text.ends_with(['%', '％']),
        Type::Money => bare.starts_with(['¥', '￥']) || bare.ends_with('元'),
        Type::Date => text.len() >= 10,
        Type::Instant => text.len() > 10,
        Type::Time => text.contains(':'),
        Type::Place => text.contains(['.']) && text.contains([',', '，']),
        _ => false,
    }
}

fn enum_of(texts: &BTreeSet<String>) -> Option<Type> {
    let fits = texts.len() <= MAX_ENUM_MEMBERS
        && texts
            .iter()
            .all(|t| (1..=MAX_MEMBER_CHARS).contains(&t.chars().count()));
    fits.then(|| {
        Type::Enum(Arc::new(EnumType {
            members: texts.iter().cloned().collect(),
        }))
    })
}

/// Bounds with room to grow: twice what was seen, rounded up to 1, 2 or 5 times a power of ten.
fn int_range(lo: i64, hi: i64) -> Type {
    let round_up = |n: i64| {
        let wanted = n.checked_mul(2)?;
        (0..18u32)
            .flat_map(|e| [1, 2, 5].map(|m: i64| m * 10i64.pow(e)))
            .find(|bound| *bound >= wanted)
    };
    match (
        if lo < 0 {
            lo.checked_neg().and_then(round_up)
        } else {
            Some(0)
        },
        round_up(hi.max(1)),
    ) {
        (Some(below), Some(above)) => Type::Int {
            lo: Some(-below),
            hi: Some(above),
        },
        _ => Type::INT,
    }
}

/// Text with room to grow; without a limit where it is long already.
fn text_up_to(longest: usize) -> Type {
    let limits = [10, 20, 40, 80, 120, 200, 500, 1000];
    Type::Text {
        max: limits.into_iter().find(|l| *l as usize * 4 >= longest * 5),
    }
}

/// The declarations as a file.
fn text(file: &Path, schema: &Schema, skipped: &[(String, Msg)]) -> String {
    let name = file.file_name().map_or_else(String::new, |n| {
        n.to_string_lossy().escape_debug().to_string()
    });
    let mut out = format!(
        "# Inferred from {name}: correct what is wrong, then import again.\n{}",
        declarations::tags(schema)
    );
    for (column, why) in skipped {
        let _ = writeln!(out, "# {}: {}", column.escape_debug(), why.en);
    }
    out
}

/// An event declaration that a file would fit, for the message that says there is none.
///
/// # Errors
/// When the file cannot be read or has no such columns.
pub fn event(
    file: &Path,
    event: &str,
    id: &str,
    at: &str,
    reading: &Reading,
) -> Result<String, ImportError> {
    let inferred = tags(file, id, reading, &|column| column != at)?;
    let fields = inferred.tags.into_iter().map(|t| FieldSchema {
        name: t.name,
        ty: t.ty,
        optional: false,
    });
    Ok(declarations::event(&EventSchema {
        name: event.into(),
        fields: fields.collect(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn infer(values: &[&str]) -> Result<String, String> {
        let mut seen = Seen::default();
        values
            .iter()
            .for_each(|v| seen.add(&Cell::Text(v), &Reading::default()));
        seen.ty().map(|t| declarations::ty(&t)).map_err(|w| w.en)
    }

    #[test]
    fn guesses() {
        for (values, ty) in [
            (&["true", "", "false"][..], "bool"),
            (&["1", "0"], "int 0..2"),
            (&["72", "1"], "int 0..200"),
            (&["-5", "3"], "int -10..10"),
            (&["29.85", "29"], "number"),
            (&["0.3", "0.5"], "number"),
            (&["30%", "5%"], "ratio"),
            (&["¥30", "¥5.50"], "money"),
            (&["007", "008"], "text(10)"),
            (&["8613800000000001", "8613800000000002"], "text(20)"),
            (&["2026-01-01", "2026-02-01"], "date"),
            (&["2026-01-01 10:00", "2026-02-01T11:00:00Z"], "instant"),
            (&["10:00", "9:30"], "time"),
            (&["31.2,121.4", "30.1,120.0"], "place"),
            (&["Yes", "No", "Yes", "No"], "enum(\"No\", \"Yes\")"),
            (&["Wang", "Li"], "text(10)"),
            (&["a|b", "b", "c"], "set of enum(\"a\", \"b\", \"c\")"),
            (&["say \"hi\"", "say \"hi\""], "enum(\"say \\\"hi\\\"\")"),
        ] {
            assert_eq!(infer(values).as_deref(), Ok(ty), "{values:?}");
        }
        assert!(infer(&["", ""]).unwrap_err().contains("no values"));
    }
}

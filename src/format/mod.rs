//! One layout for every file: a clause a line in one order, two blanks of indentation, ASCII
//! punctuation.
//!
//! Comments are kept where they stand: above what follows them, or behind what they follow.
//! Literals and strings are printed as they were written. Keywords keep their language unless told
//! otherwise. What is printed is read again and compared; if it means something else, nothing is
//! returned.

mod format_clause;
mod format_expr;
mod format_test;
mod item;
mod printer;
mod same;

use crate::base::FileId;
use crate::base::{Lang, Msg};
use crate::diag::Findings;
use crate::msg;
use crate::syntax::{ast, parse};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FormatOptions {
    /// Rewrite keywords in this language.
    pub keywords: Option<Lang>,
}

/// Why a file is left as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormatError {
    /// It has syntax errors.
    Broken,
    /// The result would not mean the same: a mistake of the formatter.
    Changed,
}

impl FormatError {
    pub fn msg(self) -> Msg {
        match self {
            FormatError::Broken => msg!(
                "has syntax errors, so it is left as it is",
                "有语法错误，未作改动"
            ),
            FormatError::Changed => {
                msg!(
                    "formatting would change its meaning, so it is left as it is; please report this",
                    "格式化会改变其含义，未作改动；请报告此问题"
                )
            }
        }
    }
}

/// The file in the one layout.
///
/// # Errors
/// A file that cannot be read, or whose layout would change its meaning.
pub fn format(
    file: &ast::File,
    text: &str,
    options: &FormatOptions,
) -> Result<String, FormatError> {
    let broken = |i: &ast::Item| matches!(i.kind, ast::ItemKind::Broken { .. });
    if file.items.iter().any(broken) {
        return Err(FormatError::Broken);
    }
    let out = printer::Printer::new(file, text, options.keywords).file(file);
    let mut findings = Findings::default();
    let again = parse::parse(FileId(0), &out, &mut findings);
    if findings.has_errors() || !same::same(file, &again) {
        return Err(FormatError::Changed);
    }
    Ok(out)
}

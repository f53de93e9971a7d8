//! Names, strings and comments.

use crate::diag::Span;

/// A name, after NFC. `span` covers the quotes of a quoted one.
#[derive(Clone, PartialEq, Debug)]
pub struct Ident {
    pub name: String,
    pub span: Span,
    pub quoted: bool,
}

/// A string literal: its value with escapes resolved.
#[derive(Clone, PartialEq, Debug)]
pub struct Str {
    pub value: String,
    pub span: Span,
}

/// A comment with its marker, in source order; the formatter puts it back.
#[derive(Clone, PartialEq, Debug)]
pub struct Comment {
    pub span: Span,
    pub text: String,
}

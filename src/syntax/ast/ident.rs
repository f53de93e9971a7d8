//! Names as they are written.

use crate::diag::Span;

/// A name, after NFC. `span` covers the quotes of a quoted one.
#[derive(Clone, PartialEq, Debug)]
pub struct Ident {
    pub name: String,
    pub span: Span,
    pub quoted: bool,
}

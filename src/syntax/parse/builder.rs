//! The state of reading one file: spans, names, and findings for what cannot be read.

use std::collections::BTreeMap;

use pest::Parser as _;

use super::grammar::{Grammar, ParseNode, Rule};
use super::wording;
use crate::base::FileId;
use crate::diag::{Finding, Findings, Span};
use crate::syntax::ast;

/// Builds the tree of one file from pest's pairs.
pub(super) struct TreeBuilder<'f> {
    pub file: FileId,
    /// Where the text that pest read begins in the file: template holes and broken pieces are read
    /// alone.
    pub offset: usize,
    pub findings: &'f mut Findings,
    /// Unclosed brackets and strings, already reported: a broken piece that contains one needs no
    /// second finding.
    pub unclosed: Vec<Finding>,
    /// Comments of the file, end to start.
    pub comments: BTreeMap<usize, usize>,
    /// Of the expressions that are being built, one inside the other.
    pub operators: usize,
}

impl TreeBuilder<'_> {
    /// Where a node stands, without the blanks and comments after it: a grammar rule that ends in
    /// an optional part takes them in.
    pub fn span(&self, node: &ParseNode<'_>) -> Span {
        let s = node.as_span();
        let (start, mut text) = (self.offset + s.start(), s.as_str());
        loop {
            text = text.trim_end_matches(|c: char| c.is_whitespace() || c == '\u{FEFF}');
            let comment = self
                .comments
                .get(&(start + text.len()))
                .and_then(|from| from.checked_sub(start))
                .and_then(|len| text.get(..len));
            match comment {
                Some(before) if before.len() < text.len() => text = before,
                _ => return Span::new(self.file, start, start + text.len()),
            }
        }
    }

    pub fn ident(&self, node: ParseNode<'_>) -> ast::Ident {
        let span = self.span(&node);
        let text = node.as_str();
        let bare = text.trim_matches(|c| matches!(c, '`' | '「' | '」'));
        let quoted = bare.len() != text.len();
        use unicode_normalization::UnicodeNormalization;
        let name = if bare.is_ascii() {
            bare.to_string()
        } else {
            bare.nfc().collect()
        };
        ast::Ident { name, span, quoted }
    }

    /// Reports one finding for a piece that the grammar could not read as `rule`, which is the
    /// piece alone. A piece that continues in the line of the one before it is the rest of that one
    /// (`when a >`): both are read again together. Says whether that was so.
    pub fn broken(&mut self, node: &ParseNode<'_>, before: Option<Span>, rule: Rule) -> bool {
        let span = self.span(node);
        let covered = self
            .unclosed
            .iter()
            .any(|f| span.start <= f.span.start && f.span.start <= span.end);
        let input = node.as_span().get_input();
        let gap = |b: Span| {
            input
                .get(b.end as usize - self.offset..span.start as usize - self.offset)
                .is_some_and(|g| !g.contains('\n'))
        };
        let whole = before.filter(|b| gap(*b)).map_or(span, |b| b.to(span));
        if !covered {
            let text = input
                .get(whole.start as usize - self.offset..whole.end as usize - self.offset)
                .unwrap_or("");
            self.syntax_at(text, whole, rule);
        }
        whole != span
    }

    pub fn syntax_at(&mut self, text: &str, span: Span, rule: Rule) {
        let finding = match Grammar::parse(rule, text) {
            Ok(_) => wording::unexpected(self.file, text, span, 0, &[]),
            Err(error) => {
                let at = match error.location {
                    pest::error::InputLocation::Pos(p) => p,
                    pest::error::InputLocation::Span((p, _)) => p,
                };
                let expected = match &error.variant {
                    pest::error::ErrorVariant::ParsingError { positives, .. } => positives.clone(),
                    pest::error::ErrorVariant::CustomError { .. } => Vec::new(),
                };
                wording::unexpected(self.file, text, span, at, &expected)
            }
        };
        self.findings.push(finding);
    }

    /// Reads a text of its own (a condition, a hole) that begins at `offset` in the file.
    pub fn whole_expr(&mut self, text: &str, offset: usize, span: Span) -> Option<ast::Expr> {
        match Grammar::parse(Rule::condition_alone, text) {
            Ok(mut pairs) => {
                let outer = std::mem::replace(&mut self.offset, offset);
                let node = pairs.next().and_then(|p| p.into_inner().next());
                let expr = node.map(|n| self.expr(n));
                self.offset = outer;
                expr
            }
            Err(_) => {
                self.syntax_at(text, span, Rule::condition_alone);
                None
            }
        }
    }
}

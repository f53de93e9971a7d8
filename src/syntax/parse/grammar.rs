//! The grammar as pest reads it, and the nodes that pest gives.

use pest::iterators::{Pair, Pairs};

#[derive(pest_derive::Parser)]
#[grammar = "../grammar/campaign.pest"]
pub(super) struct Grammar;

pub(super) type ParseNode<'i> = Pair<'i, Rule>;

/// The children of a node, taken one by one by the rule that is wanted.
pub(super) struct NodeParts<'i> {
    inner: std::iter::Peekable<Pairs<'i, Rule>>,
}

impl<'i> NodeParts<'i> {
    pub fn of(node: ParseNode<'i>) -> Self {
        NodeParts {
            inner: node.into_inner().peekable(),
        }
    }

    pub fn next(&mut self) -> Option<ParseNode<'i>> {
        self.inner.next()
    }

    /// The next child if it is of this rule.
    pub fn take(&mut self, rule: Rule) -> Option<ParseNode<'i>> {
        self.inner.next_if(|n| n.as_rule() == rule)
    }

    /// Whether the next child is of this rule; it is consumed then.
    pub fn eat(&mut self, rule: Rule) -> bool {
        self.take(rule).is_some()
    }

    /// The next child of this rule, children of other rules before it being passed over (keywords,
    /// punctuation).
    pub fn find(&mut self, rule: Rule) -> Option<ParseNode<'i>> {
        self.inner.find(|n| n.as_rule() == rule)
    }
}

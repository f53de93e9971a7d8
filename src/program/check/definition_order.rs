//! The order in which audiences, derived tags and partitions must be checked: each after those that
//! it names. Circles and overlong chains end here.

use std::collections::BTreeMap;

use super::checker::Checker;
use super::collect::Items;
use crate::diag::{Finding, Span, catalog};
use crate::msg;
use crate::program::scope::Symbol;
use crate::syntax::ast::{self, Arg, ExprKind, InSet, TagKind};

/// A definition may stand on so many others, one above the other: evaluators walk down the chain.
pub const MAX_CHAIN: u32 = 32;

/// An audience, a derived tag or a partition.
struct Node<'a> {
    name: &'a str,
    name_span: Span,
    /// What it names: position among the nodes, and where.
    needs: Vec<(usize, Span)>,
}

/// The definition with its position in its list of items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Definition {
    Tag(usize),
    Partition(usize),
    Audience(usize),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Open,
    Done,
}

impl Checker<'_> {
    /// All definitions, each after those that it names. What is part of a circle or of a chain that
    /// is too long is left out.
    pub(super) fn definition_order(&mut self, items: &Items<'_>) -> Vec<Definition> {
        let (nodes, definitions) = self.nodes(items);
        let mut states = vec![State::New; nodes.len()];
        let mut height = vec![1u32; nodes.len()];
        let mut bad = vec![false; nodes.len()];
        let mut order = Vec::with_capacity(nodes.len());
        // Depth first with an own stack: (node, how many of its needs have been looked at).
        let mut stack: Vec<(usize, usize)> = Vec::new();
        for start in 0..nodes.len() {
            if states[start] != State::New {
                continue;
            }
            states[start] = State::Open;
            stack.push((start, 0));
            while let Some((node, looked)) = stack.pop() {
                if let Some(&(need, _)) = nodes[node].needs.get(looked) {
                    stack.push((node, looked + 1));
                    match states[need] {
                        State::New => {
                            states[need] = State::Open;
                            stack.push((need, 0));
                        }
                        State::Open => self.report_circle(&nodes, &stack, need, &mut bad),
                        State::Done => {}
                    }
                    continue;
                }
                states[node] = State::Done;
                height[node] = 1 + nodes[node]
                    .needs
                    .iter()
                    .map(|(n, _)| height[*n])
                    .max()
                    .unwrap_or(0);
                if height[node] == MAX_CHAIN + 1 && !bad[node] {
                    bad[node] = true;
                    let name = nodes[node].name;
                    self.report(Finding::new(
                        &catalog::TOO_DEEP,
                        nodes[node].name_span,
                        msg!(
                            "`{name}` stands on a chain of more than {MAX_CHAIN} definitions",
                            "`{name}` 依赖的定义链超过 {MAX_CHAIN} 层"
                        ),
                    ));
                }
                if !bad[node] {
                    order.push(definitions[node]);
                }
            }
        }
        order
    }

    /// `need` is on the stack: everything from there to the top goes round in a circle. A circle
    /// that shares a member with a reported one is not reported again.
    fn report_circle(
        &mut self,
        nodes: &[Node<'_>],
        stack: &[(usize, usize)],
        need: usize,
        bad: &mut [bool],
    ) {
        let from = stack.iter().position(|(n, _)| *n == need).unwrap_or(0);
        let circle: Vec<usize> = stack[from..].iter().map(|(n, _)| *n).collect();
        let reported = circle.iter().any(|n| bad[*n]);
        for n in &circle {
            bad[*n] = true;
        }
        if reported {
            return;
        }
        let mut path: Vec<&str> = circle.iter().map(|n| nodes[*n].name).collect();
        path.push(nodes[need].name);
        let (name, path) = (nodes[need].name, path.join("` → `"));
        let mut finding = Finding::new(
            &catalog::CYCLIC_DEFINITION,
            nodes[need].name_span,
            msg!(
                "`{name}` is defined by itself: `{path}`",
                "`{name}` 的定义绕回了自己：`{path}`"
            ),
        );
        for (&(node, looked), next) in stack[from..]
            .iter()
            .zip(circle.iter().skip(1).chain([&need]))
        {
            if let Some((_, span)) = nodes[node].needs.get(looked.saturating_sub(1)) {
                let (a, b) = (nodes[node].name, nodes[*next].name);
                finding = finding.label(*span, msg!("`{a}` needs `{b}`", "`{a}` 需要 `{b}`"));
            }
        }
        self.report(finding);
    }

    fn nodes<'a>(&self, items: &Items<'a>) -> (Vec<Node<'a>>, Vec<Definition>) {
        let mut definitions = Vec::new();
        let mut roots: Vec<(&'a ast::Ident, Vec<&'a ast::Expr>)> = Vec::new();
        let mut by_symbol: BTreeMap<(u8, u32), usize> = BTreeMap::new();
        for (i, tag) in items.tags.iter().enumerate() {
            if let TagKind::Derived(e) = &tag.ast.kind {
                by_symbol.insert((0, tag.id.0), roots.len());
                roots.push((&tag.ast.name, vec![e]));
                definitions.push(Definition::Tag(i));
            }
        }
        for (i, partition) in items.partitions.iter().enumerate() {
            by_symbol.insert((1, partition.id.0), roots.len());
            roots.push((
                &partition.ast.name,
                partition
                    .ast
                    .arms
                    .iter()
                    .filter_map(|a| a.when.as_ref())
                    .collect(),
            ));
            definitions.push(Definition::Partition(i));
        }
        for (i, audience) in items.audiences.iter().enumerate() {
            by_symbol.insert((2, audience.id.0), roots.len());
            roots.push((&audience.ast.name, vec![&audience.ast.when]));
            definitions.push(Definition::Audience(i));
        }
        let nodes = roots
            .into_iter()
            .map(|(name, exprs)| {
                let mut needs = Vec::new();
                for name in exprs.into_iter().flat_map(names) {
                    let key = match self.scope.get(&name.name).map(|e| e.symbol) {
                        Some(Symbol::Tag(id)) => (0, id.0),
                        Some(Symbol::Partition(id)) => (1, id.0),
                        Some(Symbol::Audience(id)) => (2, id.0),
                        _ => continue,
                    };
                    if let Some(node) = by_symbol.get(&key) {
                        needs.push((*node, name.span));
                    }
                }
                Node {
                    name: &name.name,
                    name_span: name.span,
                    needs,
                }
            })
            .collect();
        (nodes, definitions)
    }
}

/// All names that stand for values in an expression, in the order of the text; inside a `where`
/// names are fields. An own stack: no input decides how deep ours gets.
fn names(e: &ast::Expr) -> Vec<&ast::Ident> {
    let mut found = Vec::new();
    let mut open = vec![e];
    while let Some(e) = open.pop() {
        match &*e.kind {
            ExprKind::Name(name) => found.push(name),
            ExprKind::Literal(_) | ExprKind::Everyone | ExprKind::Broken => {}
            ExprKind::Field { of, .. }
            | ExprKind::Paren(of)
            | ExprKind::Not { of, .. }
            | ExprKind::Neg(of)
            | ExprKind::Is { of, .. } => {
                open.push(of);
            }
            ExprKind::Call { args, .. } => {
                for arg in args.iter().rev() {
                    match arg {
                        Arg::Expr(e) => open.push(e),
                        Arg::Within(a, b) => open.extend([b, a]),
                        Arg::Event(_) | Arg::Window(_) => {}
                    }
                }
            }
            ExprKind::Binary {
                left: a, right: b, ..
            }
            | ExprKind::Contains { of: a, what: b, .. }
            | ExprKind::StartsWith { of: a, what: b, .. }
            | ExprKind::Range(a, b)
            | ExprKind::Place(a, b) => open.extend([b, a]),
            ExprKind::In { of, set, .. } => {
                match set {
                    InSet::Range(a, b) => open.extend([b, a]),
                    InSet::Expr(e) => open.push(e),
                    InSet::Window(_) => {}
                }
                open.push(of);
            }
            ExprKind::List(items) => open.extend(items.iter().rev()),
        }
    }
    found
}

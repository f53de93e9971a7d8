//! Items: declarations of tags, events, tables, audiences, templates, accounts.

use super::builder::TreeBuilder;
use super::grammar::{NodeParts, ParseNode, Rule};
use super::parse_literal::{escape, inside};
use crate::base::{FileId, Layer};
use crate::diag::{Finding, Span, catalog};
use crate::msg;
use crate::syntax::ast::{
    AccountDecl, AudienceDecl, EventDecl, Expr, ExprKind, FieldDecl, Ident, Item, ItemKind,
    ListDecl, Literal, LiteralKind, LookupDecl, PartKind, PartitionArm, PartitionDecl, Piece,
    PlaceDecl, Str, TagDecl, TagKind, TagQualifier, TagQualifierKind, TemplateDecl, TemplatePart,
    TemplateText, TypeExpr, TypeExprKind,
};
use crate::syntax::keyword;

impl TreeBuilder<'_> {
    pub fn item(&mut self, node: ParseNode<'_>) -> Item {
        let span = self.span(&node);
        let kind = node.into_inner().next().map(|inner| self.item_kind(inner));
        Item {
            span,
            doc: Vec::new(),
            kind: kind.unwrap_or(ItemKind::Broken { name: None }),
        }
    }

    fn item_kind(&mut self, node: ParseNode<'_>) -> ItemKind {
        let rule = node.as_rule();
        let span = self.span(&node);
        match rule {
            Rule::campaign_decl => return ItemKind::Campaign(self.campaign(node)),
            Rule::bare_rule => return ItemKind::Campaign(self.bare_rule(node)),
            Rule::policy_decl => return ItemKind::Policy(self.policy(node)),
            Rule::test_decl => return ItemKind::Test(self.test(node)),
            Rule::reserved_decl => {
                let pool = node
                    .into_inner()
                    .next()
                    .is_some_and(|n| n.as_rule() == Rule::k_pool);
                return ItemKind::Reserved {
                    word: if pool { "pool" } else { "page" },
                };
            }
            _ => {}
        }
        let mut parts = NodeParts::of(node);
        parts.next();
        let Some(name) = parts.take(Rule::name).map(|n| self.ident(n)) else {
            return ItemKind::Broken { name: None };
        };
        match rule {
            Rule::tag_decl => self.tag(name, parts),
            Rule::event_decl => ItemKind::Event(EventDecl {
                name,
                fields: self.fields(parts),
            }),
            Rule::lookup_decl => {
                let keys = parts
                    .find(Rule::lookup_keys)
                    .map(|n| self.fields(NodeParts::of(n)))
                    .unwrap_or_default();
                let fields = parts
                    .find(Rule::lookup_fields)
                    .map(|n| self.fields(NodeParts::of(n)))
                    .unwrap_or_default();
                let from = self.find_string(&mut parts, span);
                let fresh = parts.find(Rule::expr).map(|n| self.expr(n));
                ItemKind::Lookup(LookupDecl {
                    name,
                    keys,
                    fields,
                    from,
                    fresh,
                })
            }
            Rule::place_decl => ItemKind::Place(PlaceDecl {
                name,
                value: self.find_expr(&mut parts, span),
            }),
            Rule::list_decl => ItemKind::List(ListDecl {
                name,
                from: self.find_string(&mut parts, span),
            }),
            Rule::partition_decl => {
                let mut arms = Vec::new();
                while let Some(n) = parts.find(Rule::partition_arm) {
                    arms.extend(self.partition_arm(n));
                }
                ItemKind::Partition(PartitionDecl { name, arms })
            }
            Rule::audience_decl => ItemKind::Audience(AudienceDecl {
                name,
                when: self.find_expr(&mut parts, span),
            }),
            Rule::account_decl => {
                let platform = parts
                    .take(Rule::word_name)
                    .map(|n| self.ident(n))
                    .unwrap_or(Ident {
                        name: String::new(),
                        span,
                        quoted: false,
                    });
                let title = parts.take(Rule::string).map(|n| self.string(n));
                ItemKind::Account(AccountDecl {
                    name,
                    platform,
                    title,
                })
            }
            Rule::template_decl => self.template(name, parts),
            _ => ItemKind::Broken { name: Some(name) },
        }
    }

    pub fn find_expr(&mut self, parts: &mut NodeParts<'_>, span: Span) -> Expr {
        parts
            .find(Rule::expr)
            .map(|n| self.expr(n))
            .unwrap_or(Expr {
                span,
                kind: Box::new(ExprKind::Broken),
            })
    }

    pub fn find_string(&mut self, parts: &mut NodeParts<'_>, span: Span) -> Str {
        parts
            .find(Rule::string)
            .map(|n| self.string(n))
            .unwrap_or(Str {
                value: String::new(),
                span,
            })
    }

    fn tag(&mut self, name: Ident, mut parts: NodeParts<'_>) -> ItemKind {
        let kind = if parts.eat(Rule::equals) {
            TagKind::Derived(self.find_expr(&mut parts, name.span))
        } else {
            match parts.take(Rule::type_expr) {
                Some(n) => TagKind::Stored(self.type_expr(n)),
                None => return ItemKind::Broken { name: Some(name) },
            }
        };
        let mut qualifiers = Vec::new();
        while let Some(n) = parts.take(Rule::tag_qualifier) {
            qualifiers.extend(self.qualifier(n));
        }
        ItemKind::Tag(TagDecl {
            name,
            kind,
            qualifiers,
        })
    }

    fn qualifier(&mut self, node: ParseNode<'_>) -> Option<TagQualifier> {
        let span = self.span(&node);
        let mut parts = NodeParts::of(node);
        let kind = match parts.next()?.as_rule() {
            Rule::k_base => TagQualifierKind::Layer(Layer::Base),
            Rule::k_behavior => TagQualifierKind::Layer(Layer::Behavior),
            Rule::k_predicted => TagQualifierKind::Layer(Layer::Predicted),
            Rule::k_always => TagQualifierKind::Always,
            Rule::k_private => TagQualifierKind::Private,
            Rule::k_consent => TagQualifierKind::Consent,
            Rule::k_sensitive => TagQualifierKind::SensitiveBy(self.ident(parts.find(Rule::name)?)),
            Rule::k_fresh => TagQualifierKind::Fresh(self.find_expr(&mut parts, span)),
            Rule::k_refresh => TagQualifierKind::Refresh(self.ident(parts.find(Rule::word_name)?)),
            _ => TagQualifierKind::From(self.find_string(&mut parts, span)),
        };
        Some(TagQualifier { span, kind })
    }

    fn type_expr(&mut self, node: ParseNode<'_>) -> TypeExpr {
        let span = self.span(&node);
        let mut parts = NodeParts::of(node);
        let first = parts.next();
        let named = |text: &str| {
            TypeExprKind::Named(Ident {
                name: text.to_string(),
                span,
                quoted: false,
            })
        };
        let kind = match first.as_ref().map(|n| n.as_rule()) {
            Some(Rule::k_set) => match parts.find(Rule::type_expr) {
                Some(of) => TypeExprKind::Set(Box::new(self.type_expr(of))),
                None => named("set"),
            },
            Some(Rule::k_enum) => {
                let mut members = Vec::new();
                while let Some(n) = parts.find(Rule::string) {
                    members.push(self.string(n));
                }
                TypeExprKind::Enum(members)
            }
            Some(Rule::k_text) => match parts.find(Rule::number).and_then(|n| self.literal_kind(n))
            {
                Some(n) => TypeExprKind::Text(n),
                None => named("text"),
            },
            Some(Rule::k_address) => match parts.find(Rule::name) {
                Some(n) => TypeExprKind::Address(self.ident(n)),
                None => named("address"),
            },
            Some(Rule::k_int) => match (parts.find(Rule::signed), parts.find(Rule::signed)) {
                (Some(lo), Some(hi)) => TypeExprKind::Int {
                    lo: Box::new(self.signed(lo)),
                    hi: Box::new(self.signed(hi)),
                },
                _ => named("int"),
            },
            Some(Rule::word_name) => {
                first.map_or_else(|| named(""), |n| TypeExprKind::Named(self.ident(n)))
            }
            _ => named(""),
        };
        TypeExpr { span, kind }
    }

    fn signed(&mut self, node: ParseNode<'_>) -> Expr {
        let span = self.span(&node);
        let mut parts = NodeParts::of(node);
        let negative = parts.eat(Rule::minus);
        let literal = parts.find(Rule::number).and_then(|n| self.literal_kind(n));
        match literal {
            Some(Literal {
                span: at,
                kind: LiteralKind::Number(d),
            }) => {
                let d = if negative { d.negated() } else { d };
                Expr {
                    span,
                    kind: Box::new(ExprKind::Literal(Literal {
                        span: at,
                        kind: LiteralKind::Number(d),
                    })),
                }
            }
            _ => Expr {
                span,
                kind: Box::new(ExprKind::Broken),
            },
        }
    }

    fn fields(&mut self, mut parts: NodeParts<'_>) -> Vec<FieldDecl> {
        let mut fields = Vec::new();
        while let Some(node) = parts.find(Rule::field_decl) {
            let span = self.span(&node);
            let mut inner = NodeParts::of(node);
            let (Some(name), Some(ty)) = (inner.take(Rule::name), inner.take(Rule::type_expr))
            else {
                continue;
            };
            fields.push(FieldDecl {
                span,
                name: self.ident(name),
                ty: self.type_expr(ty),
                optional: inner.eat(Rule::k_optional),
            });
        }
        fields
    }

    fn partition_arm(&mut self, node: ParseNode<'_>) -> Option<PartitionArm> {
        let span = self.span(&node);
        let mut parts = NodeParts::of(node);
        parts.eat(Rule::k_otherwise);
        let name = parts.take(Rule::name).map(|n| self.ident(n))?;
        let when = parts.find(Rule::expr).map(|n| self.expr(n));
        Some(PartitionArm { span, name, when })
    }

    fn template(&mut self, name: Ident, mut parts: NodeParts<'_>) -> ItemKind {
        let for_event = if parts.eat(Rule::k_for) {
            parts.take(Rule::name).map(|n| self.ident(n))
        } else {
            None
        };
        let mut list = Vec::new();
        if let Some(n) = parts.take(Rule::string) {
            let text = self.template_text(n);
            list.push(TemplatePart {
                span: text.span,
                kind: PartKind::Body,
                text,
            });
        }
        while let Some(node) = parts.find(Rule::template_part) {
            let span = self.span(&node);
            let mut inner = NodeParts::of(node);
            let Some(kind) = inner.take(Rule::part_kind).and_then(|n| self.part_kind(n)) else {
                continue;
            };
            let Some(text) = inner.take(Rule::string) else {
                continue;
            };
            list.push(TemplatePart {
                span,
                kind,
                text: self.template_text(text),
            });
        }
        ItemKind::Template(TemplateDecl {
            name,
            for_event,
            parts: list,
        })
    }

    fn part_kind(&mut self, node: ParseNode<'_>) -> Option<PartKind> {
        let mut parts = NodeParts::of(node);
        Some(match parts.next()?.as_rule() {
            Rule::k_title => PartKind::Title,
            Rule::k_body => PartKind::Body,
            Rule::k_link => PartKind::Link,
            Rule::k_image => PartKind::Image,
            Rule::k_video => PartKind::Video,
            Rule::k_miniprogram => PartKind::Miniprogram,
            Rule::k_entry => PartKind::Entry,
            Rule::k_unsubscribe => PartKind::Unsubscribe,
            Rule::k_platform => PartKind::Platform,
            _ => PartKind::Field(self.ident(parts.find(Rule::name)?)),
        })
    }

    /// The pieces of a template text; `{{` and `}}` are braces.
    fn template_text(&mut self, node: ParseNode<'_>) -> TemplateText {
        let span = self.span(&node);
        let token = node.as_str();
        let (inner, escapes) = inside(token);
        self.check_length(span, inner);
        let base = span.start as usize + (inner.as_ptr() as usize - token.as_ptr() as usize);
        let file = self.file;
        let at = |from: usize, to: usize| Span::new(file, base + from, base + to);
        let (mut pieces, mut text) = (Vec::new(), String::new());
        let mut findings = Vec::new();
        let mut i = 0;
        while let Some(c) = inner.get(i..).and_then(|r| r.chars().next()) {
            let rest = &inner[i..];
            match c {
                '{' | '}' if rest.starts_with("{{") || rest.starts_with("}}") => {
                    text.push(c);
                    i += 2;
                }
                '{' => {
                    let len = hole_length(rest);
                    let Some(len) = len else {
                        let finding = Finding::new(
                            &catalog::UNCLOSED,
                            at(i, i + 1),
                            msg!("`{{` is never closed", "`{{` 没有关闭"),
                        )
                        .help(msg!(
                            "a brace in the text is written `{{{{`",
                            "文本中的花括号请写成 `{{{{`"
                        ));
                        findings.push(finding);
                        pieces.push(Piece::Broken(at(i, inner.len())));
                        break;
                    };
                    if !text.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut text)));
                    }
                    let source = &rest[1..len - 1];
                    let hole = at(i, i + len);
                    let piece = self.whole_expr(
                        source,
                        base + i + 1,
                        Span {
                            start: hole.start + 1,
                            end: hole.end - 1,
                            ..hole
                        },
                    );
                    pieces.push(piece.map_or(Piece::Broken(hole), Piece::Hole));
                    i += len;
                }
                '}' => {
                    let finding = Finding::new(
                        &catalog::UNCLOSED,
                        at(i, i + 1),
                        msg!(
                            "nothing is open that `}}` could close",
                            "没有可由 `}}` 关闭的括号"
                        ),
                    )
                    .fix(
                        msg!("write `}}}}` for a brace", "花括号请写成 `}}}}`"),
                        at(i, i + 1),
                        "}}",
                        true,
                    );
                    findings.push(finding);
                    i += 1;
                }
                '\\' if escapes => {
                    let (_, len) = escape(&rest[1..]);
                    let piece = &rest[..(1 + len).min(rest.len())];
                    let resolved = self.unescape(piece, at(i, i + piece.len()));
                    text.push_str(&resolved);
                    i += piece.len();
                }
                c => {
                    text.push(c);
                    i += c.len_utf8();
                }
            }
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(text));
        }
        findings.into_iter().for_each(|f| self.findings.push(f));
        TemplateText { span, pieces }
    }
}

/// The length of `{…}` with its braces; single-quoted strings inside may contain braces.
fn hole_length(rest: &str) -> Option<usize> {
    let mut quoted = false;
    for (i, c) in rest.char_indices().skip(1) {
        match c {
            '\'' => quoted = !quoted,
            '}' if !quoted => return Some(i + 1),
            '{' if !quoted => return None,
            _ => {}
        }
    }
    None
}

/// Whether an item ends in an expression or a word that more text may belong to, rather than in its
/// closing brace.
pub fn is_open_ended(kind: &ItemKind) -> bool {
    match kind {
        ItemKind::Tag(_)
        | ItemKind::Audience(_)
        | ItemKind::Place(_)
        | ItemKind::List(_)
        | ItemKind::Lookup(_)
        | ItemKind::Account(_) => true,
        ItemKind::Campaign(campaign) => campaign.bare,
        ItemKind::Event(_)
        | ItemKind::Partition(_)
        | ItemKind::Template(_)
        | ItemKind::Policy(_)
        | ItemKind::Test(_)
        | ItemKind::Reserved { .. }
        | ItemKind::Broken { .. } => false,
    }
}

/// The name that an item declares.
pub fn name_of(kind: &ItemKind) -> Option<Ident> {
    match kind {
        ItemKind::Tag(d) => Some(d.name.clone()),
        ItemKind::Event(d) => Some(d.name.clone()),
        ItemKind::Lookup(d) => Some(d.name.clone()),
        ItemKind::Place(d) => Some(d.name.clone()),
        ItemKind::List(d) => Some(d.name.clone()),
        ItemKind::Partition(d) => Some(d.name.clone()),
        ItemKind::Audience(d) => Some(d.name.clone()),
        ItemKind::Account(d) => Some(d.name.clone()),
        ItemKind::Template(d) => Some(d.name.clone()),
        ItemKind::Campaign(d) => d.name.clone(),
        ItemKind::Broken { name } => name.clone(),
        ItemKind::Policy(_) | ItemKind::Test(_) | ItemKind::Reserved { .. } => None,
    }
}

/// The name that a broken item would have declared, so that its uses are not reported too.
pub fn name_of_broken(file: FileId, text: &str, span: Span) -> Option<Ident> {
    let mut words = text.split_whitespace();
    let keyword = words.next()?;
    let id = keyword::spelled(keyword)?.id;
    let unnamed = ["policy", "test", "pool", "page"];
    if !keyword::ITEM_WORDS.contains(&id) || unnamed.contains(&id) {
        return None;
    }
    let word = words.next()?;
    let name: String = word
        .trim_start_matches(['`', '「'])
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect();
    let start = text.find(word)? + span.start as usize;
    (!name.is_empty()).then(|| Ident {
        span: Span::new(file, start, start + name.len()),
        name,
        quoted: false,
    })
}

//! First pass: every declaration of every file gets its number and its name, so that order does not
//! matter.

use super::checker::{Checker, Declaration};
use crate::base::Msg;
use crate::base::{
    AudienceId, CampaignId, EventId, ListId, LookupId, PartitionId, TagId, TemplateId,
};
use crate::diag::{Finding, Span, catalog};
use crate::msg;
use crate::program::builtins::{RESERVED_NAMES, builtin};
use crate::program::platform;
use crate::program::reserved::not_supported;
use crate::program::scope::Symbol;
use crate::program::typed::Declared;
use crate::program::typed_expr::OwnEvent;
use crate::syntax::ast::{self, ItemKind};

/// All declarations of a program by kind, in the order of the files.
#[derive(Default)]
pub(super) struct Items<'a> {
    pub tags: Vec<Declaration<'a, TagId, ast::TagDecl>>,
    pub events: Vec<Declaration<'a, EventId, ast::EventDecl>>,
    pub lookups: Vec<Declaration<'a, LookupId, ast::LookupDecl>>,
    pub places: Vec<Declaration<'a, usize, ast::PlaceDecl>>,
    pub lists: Vec<Declaration<'a, ListId, ast::ListDecl>>,
    pub partitions: Vec<Declaration<'a, PartitionId, ast::PartitionDecl>>,
    pub audiences: Vec<Declaration<'a, AudienceId, ast::AudienceDecl>>,
    pub accounts: Vec<&'a ast::AccountDecl>,
    pub templates: Vec<Declaration<'a, TemplateId, ast::TemplateDecl>>,
    pub campaigns: Vec<Declaration<'a, CampaignId, ast::CampaignDecl>>,
    pub policy: Option<&'a ast::PolicyDecl>,
    pub tests: Vec<(Span, &'a ast::TestDecl)>,
}

impl Checker<'_> {
    pub(super) fn collect<'a>(&mut self, files: &'a [ast::File]) -> Items<'a> {
        let mut items = Items::default();
        let mut first_policy: Option<Span> = None;
        for file in files {
            let mut unnamed: Option<Span> = None;
            for item in &file.items {
                macro_rules! collect {
                    ($list:ident, $ast:expr, $id:expr, $symbol:expr) => {{
                        let id = $id(items.$list.len());
                        let declared = self.declare_name(item, &$ast.name, $symbol(id));
                        items.$list.push(Declaration {
                            id,
                            declared,
                            ast: $ast,
                        });
                    }};
                }
                match &item.kind {
                    ItemKind::Tag(tag) => collect!(tags, tag, |n| TagId(n as u32), Symbol::Tag),
                    ItemKind::Event(event) => {
                        collect!(events, event, |n| EventId(n as u32), Symbol::Event)
                    }
                    ItemKind::Lookup(lookup) => {
                        collect!(lookups, lookup, |n| LookupId(n as u32), Symbol::Lookup)
                    }
                    ItemKind::Place(place) => collect!(places, place, |n| n, Symbol::Place),
                    ItemKind::List(list) => {
                        collect!(lists, list, |n| ListId(n as u32), Symbol::List)
                    }
                    ItemKind::Partition(p) => {
                        collect!(partitions, p, |n| PartitionId(n as u32), Symbol::Partition)
                    }
                    ItemKind::Audience(audience) => collect!(
                        audiences,
                        audience,
                        |n| AudienceId(n as u32),
                        Symbol::Audience
                    ),
                    ItemKind::Template(template) => collect!(
                        templates,
                        template,
                        |n| TemplateId(n as u32),
                        Symbol::Template
                    ),
                    ItemKind::Account(account) => {
                        // The platforms' own accounts come first.
                        self.declare_name(
                            item,
                            &account.name,
                            Symbol::Account(platform::names().len() + items.accounts.len()),
                        );
                        items.accounts.push(account);
                    }
                    ItemKind::Campaign(campaign) => {
                        let id = CampaignId(items.campaigns.len() as u32);
                        let declared = match &campaign.name {
                            Some(name) => self.declare_name(item, name, Symbol::Campaign(id)),
                            None => self.declare_unnamed(item, campaign, id, &mut unnamed),
                        };
                        items.campaigns.push(Declaration {
                            id,
                            declared,
                            ast: campaign,
                        });
                    }
                    ItemKind::Policy(policy) => {
                        let word = Span {
                            end: item
                                .span
                                .start
                                .saturating_add("policy".len() as u32)
                                .min(item.span.end),
                            ..item.span
                        };
                        match first_policy {
                            Some(first) => self.report(
                                Finding::new(
                                    &catalog::DUPLICATE_NAME,
                                    word,
                                    msg!(
                                        "a program has one `policy`: this is a second one",
                                        "一个程序只有一个 `policy`：这是第二个"
                                    ),
                                )
                                .label(first, msg!("the first one", "第一个"))
                                .help(msg!(
                                    "put the clauses of both into one",
                                    "请把两处的子句合并到一处"
                                )),
                            ),
                            None => {
                                first_policy = Some(word);
                                items.policy = Some(policy);
                            }
                        }
                    }
                    ItemKind::Test(test) => items.tests.push((item.span, test)),
                    ItemKind::Reserved { word } => self.report(not_supported(word, item.span)),
                    ItemKind::Broken { name } => {
                        if let Some(name) = name {
                            self.scope
                                .declare(&name.name, Symbol::Broken, Some(name.span));
                        }
                    }
                }
            }
        }
        items
    }

    fn declare_name(&mut self, item: &ast::Item, name: &ast::Ident, symbol: Symbol) -> Declared {
        self.take_name(&name.name, name.span, symbol);
        Declared {
            name: name.name.clone(),
            name_span: name.span,
            span: item.span,
            doc: item.doc.clone(),
            failed: false,
        }
    }

    /// A bare rule without a label is named by its file: names carry the ledger's keys, so they
    /// never come from a position.
    fn declare_unnamed(
        &mut self,
        item: &ast::Item,
        rule: &ast::CampaignDecl,
        id: CampaignId,
        earlier: &mut Option<Span>,
    ) -> Declared {
        let word = rule.clauses.first().map_or(item.span, |c| c.word);
        let stem = self
            .sources
            .path(item.span.file)
            .file_stem()
            .map_or_else(String::new, |s| s.to_string_lossy().into_owned());
        match *earlier {
            Some(first) => self.report(
                Finding::new(
                    &catalog::UNNAMED_RULE,
                    word,
                    msg!(
                        "a second rule without a name: only one of a file can be named `{stem}` by the file",
                        "第二条没有名字的规则：一个文件只能有一条以文件名 `{stem}` 命名"
                    ),
                )
                .label(first, msg!("the first one", "第一条"))
                .fix(msg!("give it a name", "给它起个名字"), word.before(), format!("{stem}_2: "), false),
            ),
            None => {
                *earlier = Some(word);
                self.take_name(&stem, word, Symbol::Campaign(id));
            }
        }
        Declared {
            name: stem,
            name_span: word,
            span: item.span,
            doc: item.doc.clone(),
            failed: false,
        }
    }

    fn take_name(&mut self, name: &str, span: Span, symbol: Symbol) {
        // Campaigns and templates never stand where functions and events do: a rule in
        // `first.campaign` may be called `first`.
        let beside = matches!(symbol, Symbol::Campaign(_) | Symbol::Template(_));
        if let Some(Msg { en, zh }) = built_in(name).filter(|_| !beside) {
            self.report(
                Finding::new(
                    &catalog::BUILT_IN_NAME,
                    span,
                    msg!("`{name}` is the name of {en}", "`{name}` 是{zh}的名字"),
                )
                .help(msg!(
                    "take another name, for instance `my_{name}`",
                    "请换一个名字，例如 `my_{name}`"
                )),
            );
        }
        if let Some(earlier) = self.scope.declare(name, symbol, Some(span)) {
            let Msg { en, zh } = earlier.symbol.words();
            let mut finding = Finding::new(
                &catalog::DUPLICATE_NAME,
                span,
                msg!(
                    "`{name}` is declared twice: it is already {en}",
                    "`{name}` 声明了两次：它已经是{zh}"
                ),
            );
            if let Some(first) = earlier.span {
                finding = finding.label(first, msg!("first declared here", "先在这里声明"));
            }
            self.report(finding);
        }
    }
}

/// What of the language has this name.
fn built_in(name: &str) -> Option<Msg> {
    if builtin(name).is_some() {
        Some(msg!("a built-in function", "内置函数"))
    } else if OwnEvent::ALL.iter().any(|(_, own)| *own == name) {
        Some(msg!(
            "a built-in event (of one's own messages)",
            "内置事件（自己发出的消息）"
        ))
    } else if platform::find(name).is_some() {
        Some(msg!("a platform", "平台"))
    } else if RESERVED_NAMES.contains(&name) {
        Some(msg!("something built in", "内置的东西"))
    } else {
        None
    }
}

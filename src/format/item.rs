//! Items in one layout.

use super::format_clause::clause_rank;
use super::printer::{Printer, WIDTH};
use crate::base::Layer;
use crate::diag::Span;
use crate::syntax::ast::{
    CampaignDecl, Clause, ClauseKind, Expr, FieldDecl, File, Item, ItemKind, PartKind, TagDecl,
    TagKind, TagQualifierKind, TemplateDecl, TypeExpr, TypeExprKind,
};

impl Printer<'_> {
    pub fn keeps_language(&self) -> bool {
        self.language().is_none()
    }

    pub fn file(mut self, file: &File) -> String {
        for item in &file.items {
            self.item(item);
        }
        self.comments_before(usize::MAX);
        let text = self.out.trim_end();
        if text.is_empty() {
            String::new()
        } else {
            format!("{text}\n")
        }
    }

    fn item(&mut self, item: &Item) {
        let start = item.span.start as usize;
        self.comments_before(start);
        self.at(item.span);
        match &item.kind {
            ItemKind::Tag(tag) => {
                let text = self.tag(tag);
                self.push(&text);
            }
            ItemKind::Event(event) => {
                let head = format!("{} {}", self.kw("event"), self.name(&event.name));
                self.fields(&head, &event.fields, "");
            }
            ItemKind::Lookup(lookup) => {
                let mut head = format!("{} {}", self.kw("lookup"), self.name(&lookup.name));
                let keys: Vec<String> = lookup.keys.iter().map(|f| self.field(f)).collect();
                head.push_str(&format!("({})", keys.join(", ")));
                let fields: Vec<String> = lookup.fields.iter().map(|f| self.field(f)).collect();
                let mut text = format!(
                    "{head} {{ {} }} {} {}",
                    fields.join(", "),
                    self.kw("from"),
                    self.string_at(lookup.from.span)
                );
                if let Some(fresh) = &lookup.fresh {
                    text.push_str(&format!(" {} {}", self.kw("fresh"), self.expr(fresh)));
                }
                self.push(&text);
            }
            ItemKind::Place(place) => {
                let text = format!(
                    "{} {} = {}",
                    self.kw("place"),
                    self.name(&place.name),
                    self.expr(&place.value)
                );
                self.push(&text);
            }
            ItemKind::List(list) => {
                let text = format!(
                    "{} {} {} {}",
                    self.kw("list"),
                    self.name(&list.name),
                    self.kw("from"),
                    self.string_at(list.from.span)
                );
                self.push(&text);
            }
            ItemKind::Partition(partition) => {
                let head = format!("{} {} {{", self.kw("partition"), self.name(&partition.name));
                self.open(&head);
                for arm in &partition.arms {
                    self.comments_before(arm.span.start as usize);
                    self.at(arm.span);
                    let text = match &arm.when {
                        Some(when) => format!(
                            "{} {} {}",
                            self.name(&arm.name),
                            self.kw("when"),
                            self.expr(when)
                        ),
                        None => format!("{} {}", self.kw("otherwise"), self.name(&arm.name)),
                    };
                    self.push(&text);
                    self.trailing(arm.span.end as usize);
                }
                self.close(item.span);
            }
            ItemKind::Audience(audience) => {
                let head = format!("{} {} = ", self.kw("audience"), self.name(&audience.name));
                let when = self.condition(&audience.when, head.chars().count());
                self.push(&format!("{head}{when}"));
            }
            ItemKind::Account(account) => {
                let mut text = format!(
                    "{} {} {}",
                    self.kw("account"),
                    self.name(&account.name),
                    self.name(&account.platform)
                );
                if let Some(title) = &account.title {
                    text.push_str(&format!(" {}", self.string_at(title.span)));
                }
                self.push(&text);
            }
            ItemKind::Template(template) => self.template(template, item.span),
            ItemKind::Campaign(campaign) if campaign.bare => self.bare_rule(campaign),
            ItemKind::Campaign(campaign) => {
                let mut head = self.kw("campaign");
                if let Some(name) = &campaign.name {
                    head.push_str(&format!(" {}", self.name(name)));
                }
                if let Some(title) = &campaign.title {
                    head.push_str(&format!(" {}", self.string_at(title.span)));
                }
                self.open(&format!("{head} {{"));
                self.clauses(&campaign.clauses);
                self.close(item.span);
            }
            ItemKind::Policy(policy) => {
                let head = format!("{} {{", self.kw("policy"));
                self.open(&head);
                self.clauses(&policy.clauses);
                self.close(item.span);
            }
            ItemKind::Test(test) => {
                let head = format!("{} {} {{", self.kw("test"), self.string_at(test.title.span));
                self.open(&head);
                for step in &test.steps {
                    self.step(step);
                }
                self.close(item.span);
            }
            ItemKind::Reserved { .. } | ItemKind::Broken { .. } => {
                let text = self.slice(item.span).trim_end().to_string();
                self.out.push_str(&text);
                self.out.push('\n');
            }
        }
        self.trailing(item.span.end as usize);
    }

    pub fn open(&mut self, head: &str) {
        self.push(head);
        self.indent += 1;
    }

    /// The comments before the closing brace, then the brace.
    pub fn close(&mut self, span: Span) {
        self.comments_before((span.end as usize).saturating_sub(1));
        self.indent = self.indent.saturating_sub(1);
        self.push("}");
    }

    fn tag(&mut self, tag: &TagDecl) -> String {
        let mut out = format!("{} {}", self.kw("tag"), self.name(&tag.name));
        match &tag.kind {
            TagKind::Stored(ty) => out.push_str(&format!(" {}", self.type_expr(ty))),
            TagKind::Derived(e) => out.push_str(&format!(" = {}", self.expr(e))),
        }
        for q in &tag.qualifiers {
            self.at(q.span);
            let text = match &q.kind {
                TagQualifierKind::Layer(Layer::Base) => self.kw("base"),
                TagQualifierKind::Layer(Layer::Behavior) => self.kw("behavior"),
                TagQualifierKind::Layer(Layer::Predicted) => self.kw("predicted"),
                TagQualifierKind::Always => self.kw("always"),
                TagQualifierKind::Private => self.kw("private"),
                TagQualifierKind::Consent => self.kw("consent"),
                TagQualifierKind::SensitiveBy(by) => format!(
                    "{} {} {}",
                    self.kw("sensitive"),
                    self.kw("by"),
                    self.name(by)
                ),
                TagQualifierKind::Fresh(e) => format!("{} {}", self.kw("fresh"), self.expr(e)),
                TagQualifierKind::Refresh(word) => {
                    format!("{} {}", self.kw("refresh"), self.name(word))
                }
                TagQualifierKind::From(from) => {
                    format!("{} {}", self.kw("from"), self.string_at(from.span))
                }
            };
            out.push_str(&format!(" {text}"));
        }
        out
    }

    fn type_expr(&mut self, ty: &TypeExpr) -> String {
        self.at(ty.span);
        match &ty.kind {
            TypeExprKind::Named(name) if name.name == "int" => self.kw("int"),
            TypeExprKind::Named(name) => self.name(name),
            TypeExprKind::Text(n) => format!("{}({})", self.kw("text"), self.literal(n)),
            TypeExprKind::Int { lo, hi } => format!(
                "{} {}..{}",
                self.kw("int"),
                self.slice(lo.span),
                self.slice(hi.span)
            ),
            TypeExprKind::Enum(members) => {
                let word = self.kw("enum");
                let members: Vec<String> = members.iter().map(|m| self.string_at(m.span)).collect();
                format!("{word}({})", members.join(", "))
            }
            TypeExprKind::Set(of) => {
                let words = format!("{} {}", self.kw("set"), self.kw("of"));
                format!("{words} {}", self.type_expr(of))
            }
            TypeExprKind::Address(account) => {
                format!("{}({})", self.kw("address"), self.name(account))
            }
        }
    }

    fn field(&mut self, f: &FieldDecl) -> String {
        let mut out = format!("{} {}", self.name(&f.name), self.type_expr(&f.ty));
        if f.optional {
            out.push_str(&format!(" {}", self.kw("optional")));
        }
        out
    }

    fn fields(&mut self, head: &str, fields: &[FieldDecl], tail: &str) {
        let fields: Vec<String> = fields.iter().map(|f| self.field(f)).collect();
        let text = if fields.is_empty() {
            format!("{head} {{ }}{tail}")
        } else {
            format!("{head} {{ {} }}{tail}", fields.join(", "))
        };
        self.push(&text);
    }

    fn template(&mut self, template: &TemplateDecl, span: Span) {
        let mut head = format!("{} {}", self.kw("template"), self.name(&template.name));
        if let Some(event) = &template.for_event {
            head.push_str(&format!(" {} {}", self.kw("for"), self.name(event)));
        }
        // `template T "one line"` is a body whose place is the text itself.
        if let [only] = &template.parts[..]
            && only.span == only.text.span
        {
            self.push(&format!("{head} {}", self.string_at(only.text.span)));
            return;
        }
        let mut parts = Vec::new();
        for part in &template.parts {
            self.at(part.span);
            let word = match &part.kind {
                PartKind::Title => self.kw("title"),
                PartKind::Body => self.kw("body"),
                PartKind::Link => self.kw("link"),
                PartKind::Image => self.kw("image"),
                PartKind::Video => self.kw("video"),
                PartKind::Miniprogram => self.kw("miniprogram"),
                PartKind::Entry => self.kw("entry"),
                PartKind::Unsubscribe => self.kw("unsubscribe"),
                PartKind::Platform => self.kw("platform"),
                PartKind::Field(name) => format!("{} {} =", self.kw("field"), self.name(name)),
            };
            parts.push((
                part.span,
                format!("{word} {}", self.string_at(part.text.span)),
            ));
        }
        let one = format!(
            "{head} {{ {} }}",
            parts
                .iter()
                .map(|p| p.1.as_str())
                .collect::<Vec<_>>()
                .join(" ")
        );
        let same_line = !self.slice(span).contains('\n');
        if same_line && parts.len() <= 2 && one.chars().count() <= WIDTH {
            self.push(&one);
            return;
        }
        self.open(&format!("{head} {{"));
        for (at, text) in parts {
            self.comments_before(at.start as usize);
            self.push_verbatim(&text);
            self.trailing(at.end as usize);
        }
        self.close(span);
    }

    /// A line whose text may hold line ends that belong to it.
    fn push_verbatim(&mut self, text: &str) {
        self.out.push_str(&"  ".repeat(self.indent));
        self.out.push_str(text);
        self.out.push('\n');
    }

    /// On one line if it fits, else a clause a line.
    fn bare_rule(&mut self, rule: &CampaignDecl) {
        let mut clauses: Vec<&Clause> = rule.clauses.iter().collect();
        clauses.sort_by_key(|c| clause_rank(&c.kind));
        // The first word must be `when` or `on`.
        if let Some(first) = clauses
            .iter()
            .position(|c| matches!(c.kind, ClauseKind::When(_) | ClauseKind::On(_)))
        {
            let clause = clauses.remove(first);
            clauses.insert(0, clause);
        }
        let mut texts = Vec::new();
        for clause in &clauses {
            texts.push(self.clause(clause));
        }
        let label = rule
            .name
            .as_ref()
            .map_or(String::new(), |n| format!("{}: ", self.name(n)));
        let one = format!("{label}{}", texts.join(" "));
        if one.chars().count() <= WIDTH && !one.contains('\n') {
            self.push(&one);
            return;
        }
        for (i, text) in texts.iter().enumerate() {
            if i == 0 {
                self.push(&format!("{label}{text}"));
                self.indent += 1;
            } else {
                self.push(text);
            }
        }
        self.indent = self.indent.saturating_sub(1);
    }

    pub fn one(&mut self, id: &str, e: &Expr) -> String {
        let word = self.kw(id);
        format!("{word} {}", self.expr(e))
    }
}

//! Items and clauses in one layout and one order.

use super::printer::{Printer, WIDTH};
use crate::base::Layer;
use crate::diag::Span;
use crate::syntax::ast::{
    Action, Again, AtExpr, CampaignDecl, CapPeriod, ChannelPath, Clause, ClauseKind, EveryPeriod,
    Expr, FieldDecl, File, Item, ItemKind, MonthDay, PartKind, TagDecl, TagKind, TagQualifierKind,
    TemplateDecl, TestStep, TestStepKind, TestUser, TypeExpr, TypeExprKind, Via,
};
use crate::syntax::clause_table::{ClauseId, Shape};

/// The place of a clause in the order of the clause table; one that could not be read comes last.
pub fn clause_rank(kind: &ClauseKind) -> usize {
    kind.id().map_or(usize::MAX, |id| id as usize)
}

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

    fn open(&mut self, head: &str) {
        self.push(head);
        self.indent += 1;
    }

    /// The comments before the closing brace, then the brace.
    fn close(&mut self, span: Span) {
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

    fn clauses(&mut self, clauses: &[Clause]) {
        let mut order: Vec<&Clause> = clauses.iter().collect();
        order.sort_by_key(|c| clause_rank(&c.kind));
        let moved = order
            .iter()
            .map(|c| c.span.start)
            .ne(clauses.iter().map(|c| c.span.start));
        if moved {
            // Comments could not follow their clauses, so they all come first.
            if let Some(last) = clauses.iter().map(|c| c.span.end).max() {
                self.comments_before(last as usize);
            }
        }
        for clause in order {
            self.comments_before(clause.span.start as usize);
            if let ClauseKind::For { purpose, clauses } = &clause.kind {
                self.at(clause.span);
                let head = format!("{} {} {{", self.kw("for"), self.name(purpose));
                self.open(&head);
                self.clauses(clauses);
                self.close(clause.span);
            } else {
                let text = self.clause(clause);
                self.push(&text);
            }
            self.trailing(clause.span.end as usize);
        }
    }

    fn clause(&mut self, clause: &Clause) -> String {
        use ClauseKind as K;
        self.at(clause.span);
        match &clause.kind {
            K::Value(id, e) => {
                let mut out = format!("{} {}", self.words(*id), self.expr(e));
                if let Shape::Value(unit) = id.info().shape {
                    for word in unit {
                        out.push_str(&format!(" {}", self.kw(word)));
                    }
                }
                out
            }
            K::Name(id, name) => format!("{} {}", self.words(*id), self.name(name)),
            K::Names(id, names) => {
                let names: Vec<String> = names.iter().map(|n| self.name(n)).collect();
                format!("{} {}", self.words(*id), names.join(", "))
            }
            K::Text(id, text) => format!("{} {}", self.words(*id), self.string_at(text.span)),
            K::Texts(id, texts) => {
                let texts: Vec<String> = texts.iter().map(|t| self.string_at(t.span)).collect();
                format!("{} {}", self.words(*id), texts.join(", "))
            }
            K::When(e) => {
                let word = self.kw("when");
                format!("{word} {}", self.condition(e, 6))
            }
            K::Top { n, by } => format!(
                "{} {} {} {}",
                self.kw("top"),
                self.expr(n),
                self.kw("by"),
                self.expr(by)
            ),
            K::Goal { event, within } => {
                let mut out = format!("{} {}", self.kw("goal"), self.event(event));
                if let Some(within) = within {
                    out.push_str(&format!(" {} {}", self.kw("within"), self.expr(within)));
                }
                out
            }
            K::Action(action) => self.action(action),
            K::Holdout { share, key } => {
                let mut out = self.one("holdout", share);
                if let Some(key) = key {
                    out.push_str(&format!(" {} {}", self.kw("as"), self.string_at(key.span)));
                }
                out
            }
            K::Via(via) => self.via(via),
            K::At { when, on } => {
                let mut out = self.kw("at");
                match when {
                    AtExpr::Now(_) => out.push_str(&format!(" {}", self.kw("now"))),
                    AtExpr::Expr(e) => out.push_str(&format!(" {}", self.expr(e))),
                }
                if let Some(on) = on {
                    // In the order of the text, which keywords are read from.
                    let word = self.kw("on");
                    let counts: Vec<String> = on
                        .numbers
                        .iter()
                        .chain([&on.last])
                        .map(|e| self.expr(e))
                        .collect();
                    let side = self.kw(if on.after { "after" } else { "before" });
                    out.push_str(&format!(
                        " {word} {} {side} {}",
                        counts.join(", "),
                        self.expr(&on.of)
                    ));
                }
                out
            }
            K::Every(every) => {
                let word = self.kw("every");
                let period = match &every.period {
                    EveryPeriod::Day => self.kw("day"),
                    EveryPeriod::Weekdays(days) => days
                        .iter()
                        .map(|(_, span)| self.slice(*span))
                        .collect::<Vec<_>>()
                        .join(", "),
                    EveryPeriod::Month(days) => {
                        let head = format!("{} {}", self.kw("month"), self.kw("on"));
                        let days: Vec<String> = days
                            .iter()
                            .map(|d| match d {
                                MonthDay::Day(e) => self.expr(e),
                                MonthDay::Last(_) => self.kw("last"),
                            })
                            .collect();
                        format!("{head} {}", days.join(", "))
                    }
                    EveryPeriod::Days(e) => self.expr(e),
                    EveryPeriod::Hour { from, to } => {
                        let word = self.kw("hour");
                        match (from, to) {
                            (Some(from), Some(to)) => {
                                format!("{word} {}..{}", self.expr(from), self.expr(to))
                            }
                            _ => word,
                        }
                    }
                };
                // Chinese writes 每天 as one word.
                let gap = if word.is_ascii()
                    || period.is_ascii() && !period.starts_with(|c: char| c.is_ascii_digit())
                {
                    " "
                } else {
                    ""
                };
                let mut out = format!("{word}{gap}{period}");
                for (id, value) in [
                    ("at", &every.at),
                    ("from", &every.from),
                    ("until", &every.until),
                ] {
                    if let Some(value) = value {
                        self.at(clause.span);
                        out.push_str(&format!(" {} {}", self.kw(id), self.expr(value)));
                    }
                }
                out
            }
            K::On(on) => {
                let mut out = format!("{} {}", self.kw("on"), self.event(&on.event));
                if let Some(wait) = &on.wait {
                    out.push_str(&format!(" {} {}", self.kw("wait"), self.expr(wait)));
                }
                if on.from_last {
                    out.push_str(&format!(" {} {}", self.kw("from"), self.kw("last")));
                }
                if let Some(unless) = &on.unless {
                    out.push_str(&format!(" {} {}", self.kw("unless"), self.event(unless)));
                }
                out
            }
            K::Again(again) => {
                let word = self.kw("again");
                let rest = match again {
                    Again::Never(_) => self.kw("never"),
                    Again::Always(_) => self.kw("always"),
                    Again::After(e) => format!("{} {}", self.kw("after"), self.expr(e)),
                    Again::Per(e) => format!("{} {}", self.kw("per"), self.expr(e)),
                };
                format!("{word} {rest}")
            }
            K::Priority { value, rising } => {
                let mut out = self.one("priority", value);
                if let Some(rising) = rising {
                    out.push_str(&format!(
                        " {} {} {} {}",
                        self.kw("rising"),
                        self.expr(rising),
                        self.kw("per"),
                        self.kw("hour")
                    ));
                }
                out
            }
            K::Cap(cap) => {
                let mut out = self.kw("cap");
                if let Some(channel) = &cap.channel {
                    out.push_str(&format!(" {}", self.channel(channel)));
                }
                out.push_str(&format!(" {} {}", self.expr(&cap.n), self.kw("per")));
                let period = match &cap.per {
                    CapPeriod::Day => self.kw("day"),
                    CapPeriod::Week => self.kw("week"),
                    CapPeriod::Month => self.kw("month"),
                    CapPeriod::Rolling(e) => format!("{} {}", self.kw("rolling"), self.expr(e)),
                };
                out.push_str(&format!(" {period}"));
                if let Some(keep) = &cap.keep {
                    self.at(keep.span);
                    let head = format!(
                        " {} {} {} {} >= ",
                        self.kw("keep"),
                        self.expr(&keep.n),
                        self.kw("for"),
                        self.kw("priority")
                    );
                    out.push_str(&head);
                    out.push_str(&self.expr(&keep.priority));
                }
                out
            }
            K::Quiet { from, to } => format!(
                "{} {}..{}",
                self.kw("quiet"),
                self.expr(from),
                self.expr(to)
            ),
            K::After(after) => {
                let mut out = after
                    .name
                    .as_ref()
                    .map_or(String::new(), |n| format!("{}: ", self.name(n)));
                out.push_str(&self.one("after", &after.delay));
                if let Some(from) = &after.from {
                    out.push_str(&format!(" {} {}", self.kw("from"), self.name(from)));
                }
                if let Some(at) = &after.at {
                    out.push_str(&format!(" {} {}", self.kw("at"), self.expr(at)));
                }
                if let Some(cond) = &after.cond {
                    out.push_str(&format!(" {} {}", self.kw("if"), self.expr(cond)));
                }
                out.push_str(&format!(" {}", self.action(&after.action)));
                if let Some(otherwise) = &after.otherwise {
                    out.push_str(&format!(" {} {}", self.kw("else"), self.action(otherwise)));
                }
                out
            }
            K::Target(bands) => {
                let mut out = self.kw("target");
                for (i, band) in bands.iter().enumerate() {
                    let comma = if i == 0 { "" } else { "," };
                    out.push_str(&format!(
                        "{comma} {} >= {}",
                        self.name(&band.outcome),
                        self.expr(&band.at_least)
                    ));
                }
                out
            }
            K::Exclude { when, reason } => {
                let mut out = self.one("exclude", when);
                if let Some(reason) = reason {
                    out.push_str(&format!(" {}", self.string_at(reason.span)));
                }
                out
            }
            K::For { .. } | K::Reserved(_) | K::Broken => self
                .slice(clause.span)
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" "),
        }
    }

    /// The keywords that a clause begins with.
    fn words(&mut self, id: ClauseId) -> String {
        let words: Vec<String> = id.info().words().map(|word| self.kw(word)).collect();
        words.join(" ")
    }

    fn one(&mut self, id: &str, e: &Expr) -> String {
        let word = self.kw(id);
        format!("{word} {}", self.expr(e))
    }

    fn via(&mut self, via: &Via) -> String {
        self.at(via.span);
        let mut out = self.kw("via");
        if via.all_of {
            out.push_str(&format!(" {} {}", self.kw("all"), self.kw("of")));
        }
        for (i, route) in via.routes.iter().enumerate() {
            out.push_str(if i == 0 { " " } else { ", " });
            out.push_str(&self.channel(&route.channel));
            if let Some(weight) = &route.weight {
                out.push_str(&format!(" {} {}", self.kw("weight"), self.expr(weight)));
            }
        }
        out
    }

    fn channel(&self, channel: &ChannelPath) -> String {
        match &channel.endpoint {
            Some(endpoint) => format!("{}.{}", self.name(&channel.account), self.name(endpoint)),
            None => self.name(&channel.account),
        }
    }

    /// Arms stand one a line, indented by what is open around them.
    fn action(&mut self, action: &Action) -> String {
        match action {
            Action::Send(send) => {
                self.at(send.span);
                let mut out = self.kw("send");
                // `send X` gains the word `template`: one layout.
                out.push_str(&format!(
                    " {} {}",
                    self.kw("template"),
                    self.name(&send.template)
                ));
                if let Some(via) = &send.via {
                    out.push_str(&format!(" {}", self.via(via)));
                }
                out
            }
            Action::Nothing(span) => {
                self.at(*span);
                self.kw("nothing")
            }
            Action::Split { span, arms } => {
                self.at(*span);
                let mut out = format!("{} {{", self.kw("split"));
                for arm in arms {
                    let share = self.expr(&arm.share);
                    let action = self.action(&arm.action);
                    out.push_str(&indented(&format!(
                        "{} {share} {action}",
                        self.name(&arm.name)
                    )));
                }
                out + "\n}"
            }
            Action::Choose { span, arms } => {
                self.at(*span);
                let mut out = format!("{} {{", self.kw("choose"));
                for arm in arms {
                    self.at(arm.span);
                    let head = match &arm.when {
                        Some(when) => format!("{} {}", self.kw("when"), self.expr(when)),
                        None => self.kw("otherwise"),
                    };
                    let action = self.action(&arm.action);
                    out.push_str(&indented(&format!("{head} {action}")));
                }
                out + "\n}"
            }
        }
    }

    fn step(&mut self, step: &TestStep) {
        self.comments_before(step.span.start as usize);
        self.at(step.span);
        let text = match &step.kind {
            TestStepKind::Now(e) => self.one("now", e),
            TestStepKind::Until(e) => self.one("until", e),
            TestStepKind::User(user) => {
                let word = self.kw("user");
                format!("{word} {}", self.record(&user.name, user))
            }
            TestStepKind::Event {
                user,
                event,
                fields,
                at,
            } => {
                let word = self.kw("event");
                let fields: Vec<String> = fields
                    .iter()
                    .map(|(k, v)| format!("{}: {}", self.name(k), self.expr(v)))
                    .collect();
                let record = if fields.is_empty() {
                    String::new()
                } else {
                    format!(" {{ {} }}", fields.join(", "))
                };
                format!(
                    "{word} {} {}{record} {} {}",
                    self.name(user),
                    self.name(event),
                    self.kw("at"),
                    self.expr(at)
                )
            }
            TestStepKind::Matches {
                user,
                campaign,
                because,
            } => {
                let mut out = format!(
                    "{} {} {} {}",
                    self.kw("expect"),
                    self.name(user),
                    self.kw("matches"),
                    self.name(campaign)
                );
                if let Some(because) = because {
                    out.push_str(&format!(" {} {}", self.kw("because"), self.name(because)));
                }
                out
            }
            TestStepKind::Unknown {
                user,
                campaign,
                because,
            } => {
                let mut out = format!(
                    "{} {} {} {} {}",
                    self.kw("expect"),
                    self.name(user),
                    self.kw("unknown"),
                    self.kw("in"),
                    self.name(campaign)
                );
                if let Some(because) = because {
                    out.push_str(&format!(" {} {}", self.kw("because"), self.name(because)));
                }
                out
            }
            TestStepKind::Receives {
                user,
                template,
                at,
                via,
            } => {
                let mut out = format!(
                    "{} {} {} {} {}",
                    self.kw("expect"),
                    self.name(user),
                    self.kw("receives"),
                    self.kw("template"),
                    self.name(template)
                );
                if let Some(at) = at {
                    out.push_str(&format!(" {} {}", self.kw("at"), self.expr(at)));
                }
                if let Some(via) = via {
                    out.push_str(&format!(" {} {}", self.kw("via"), self.channel(via)));
                }
                out
            }
            TestStepKind::ReceivesNothing { user, because } => {
                let mut out = format!(
                    "{} {} {} {}",
                    self.kw("expect"),
                    self.name(user),
                    self.kw("receives"),
                    self.kw("nothing")
                );
                if let Some(because) = because {
                    out.push_str(&format!(" {} {}", self.kw("because"), self.name(because)));
                }
                out
            }
            TestStepKind::Reaches { campaign, n } => {
                format!(
                    "{} {} {} {}",
                    self.kw("expect"),
                    self.name(campaign),
                    self.kw("reaches"),
                    self.expr(n)
                )
            }
            // A table keeps the columns that its author lined up.
            TestStepKind::Users(_) | TestStepKind::Broken => {
                self.slice(step.span).trim_end().to_string()
            }
        };
        self.push(&text);
        self.trailing(step.span.end as usize);
    }

    fn record(&mut self, name: &crate::syntax::ast::Ident, user: &TestUser) -> String {
        let values: Vec<String> = user
            .values
            .iter()
            .map(|(k, v)| format!("{}: {}", self.name(k), self.expr(v)))
            .collect();
        if values.is_empty() {
            format!("{} {{ }}", self.name(name))
        } else {
            format!("{} {{ {} }}", self.name(name), values.join(", "))
        }
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("\n  {line}")).collect()
}

//! Clauses and actions in one layout, in the order of the clause table.

use super::printer::Printer;
use crate::syntax::ast::{
    Action, Again, AtExpr, CapPeriod, ChannelPath, Clause, ClauseKind, EveryPeriod, MonthDay, Via,
};
use crate::syntax::clause_table::{ClauseId, ClauseShape};

/// The place of a clause in the order of the clause table; one that could not be read comes last.
pub fn clause_rank(kind: &ClauseKind) -> usize {
    kind.id().map_or(usize::MAX, |id| id as usize)
}

impl Printer<'_> {
    pub fn clauses(&mut self, clauses: &[Clause]) {
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

    pub fn clause(&mut self, clause: &Clause) -> String {
        use ClauseKind as K;
        self.at(clause.span);
        match &clause.kind {
            K::Value(id, e) => {
                let mut out = format!("{} {}", self.words(*id), self.expr(e));
                if let ClauseShape::Value(unit) = id.info().shape {
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

    pub fn channel(&self, channel: &ChannelPath) -> String {
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
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("\n  {line}")).collect()
}

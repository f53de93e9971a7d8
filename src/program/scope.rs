//! The one name space of a program: what each name stands for, and which known name a misspelt one
//! is near to.

use std::cell::Cell;
use std::collections::HashMap;

use super::typed::Program;
use crate::base::Msg;
use crate::base::{
    AudienceId, CampaignId, EventId, ListId, LookupId, PartitionId, TagId, TemplateId,
};
use crate::diag::Span;
use crate::msg;

/// What a name stands for. The number of a place or an account is its position in the typed
/// program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Symbol {
    Tag(TagId),
    Event(EventId),
    Lookup(LookupId),
    Place(usize),
    List(ListId),
    Partition(PartitionId),
    Audience(AudienceId),
    Account(usize),
    Template(TemplateId),
    Campaign(CampaignId),
    /// Declared, but by an item that could not be read: uses of it are silent.
    Broken,
}

impl Symbol {
    /// "a tag", "标签"
    pub fn words(self) -> Msg {
        match self {
            Symbol::Tag(_) => msg!("a tag", "标签"),
            Symbol::Event(_) => msg!("an event", "事件"),
            Symbol::Lookup(_) => msg!("a lookup", "查表"),
            Symbol::Place(_) => msg!("a place", "地点"),
            Symbol::List(_) => msg!("a list", "名单"),
            Symbol::Partition(_) => msg!("a partition", "分层"),
            Symbol::Audience(_) => msg!("an audience", "人群"),
            Symbol::Account(_) => msg!("an account", "账号"),
            Symbol::Template(_) => msg!("a template", "模板"),
            Symbol::Campaign(_) => msg!("a campaign", "活动"),
            Symbol::Broken => msg!("a broken item", "无法读取的声明"),
        }
    }

    /// Whether the name can stand in an expression by itself.
    pub fn is_value(self) -> bool {
        match self {
            Symbol::Tag(_)
            | Symbol::Place(_)
            | Symbol::List(_)
            | Symbol::Partition(_)
            | Symbol::Audience(_) => true,
            Symbol::Event(_)
            | Symbol::Lookup(_)
            | Symbol::Account(_)
            | Symbol::Template(_)
            | Symbol::Campaign(_)
            | Symbol::Broken => false,
        }
    }
}

/// A name with the place where it was declared; tags and events that only the store knows have
/// none.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub symbol: Symbol,
    pub span: Option<Span>,
}

/// So many pairs of an unknown and a known name are compared in one check; a generated file full of
/// unknown names gets no more suggestions.
pub const MAX_COMPARISONS: usize = 200_000;

#[derive(Clone, Debug, Default)]
pub struct Scope {
    names: HashMap<String, Entry>,
    compared: Cell<usize>,
}

impl Scope {
    /// The names of a checked program.
    pub fn of(program: &Program) -> Scope {
        let mut scope = Scope::default();
        for (i, tag) in program.schema.tags.iter().enumerate() {
            let span = program
                .tags
                .get(i)
                .and_then(|t| t.declared.as_ref())
                .map(|d| d.name_span);
            scope.declare(&tag.name, Symbol::Tag(TagId(i as u32)), span);
        }
        for (i, event) in program.schema.events.iter().enumerate() {
            let span = program.events.get(i).map(|d| d.name_span);
            scope.declare(&event.name, Symbol::Event(EventId(i as u32)), span);
        }
        macro_rules! declare {
            ($($list:ident $symbol:expr;)*) => {$(
                for (i, item) in program.$list.iter().enumerate() {
                    scope.declare(&item.declared.name, $symbol(i), Some(item.declared.name_span));
                }
            )*};
        }
        declare! {
            lookups |i| Symbol::Lookup(LookupId(i as u32));
            places Symbol::Place;
            lists |i| Symbol::List(ListId(i as u32));
            partitions |i| Symbol::Partition(PartitionId(i as u32));
            audiences |i| Symbol::Audience(AudienceId(i as u32));
            templates |i| Symbol::Template(TemplateId(i as u32));
            campaigns |i| Symbol::Campaign(CampaignId(i as u32));
        }
        for (i, account) in program.accounts.iter().enumerate() {
            scope.declare(&account.name, Symbol::Account(i), None);
        }
        scope
    }

    pub fn get(&self, name: &str) -> Option<Entry> {
        self.names.get(name).copied()
    }

    /// Takes the name; the entry that already has it is returned and stays.
    pub fn declare(&mut self, name: &str, symbol: Symbol, span: Option<Span>) -> Option<Entry> {
        if let Some(earlier) = self.get(name) {
            return Some(earlier);
        }
        self.names.insert(name.to_owned(), Entry { symbol, span });
        None
    }

    /// The name of the wanted kind that `name` was probably meant to be.
    pub fn nearest(&self, name: &str, wanted: impl Fn(Symbol) -> bool) -> Option<&str> {
        self.nearest_of(
            name,
            self.names
                .iter()
                .filter(|(_, e)| wanted(e.symbol))
                .map(|(n, _)| n.as_str()),
        )
    }

    /// [`nearest`] among other names than those of the scope, within the limit of one check.
    pub fn nearest_of<'n>(
        &self,
        name: &str,
        candidates: impl Iterator<Item = &'n str> + Clone,
    ) -> Option<&'n str> {
        let compared = self
            .compared
            .get()
            .saturating_add(candidates.clone().count());
        if compared > MAX_COMPARISONS {
            return None;
        }
        self.compared.set(compared);
        nearest(name, candidates)
    }
}

/// The candidate that `name` was probably meant to be: equal but for case, few letters apart, or
/// the only one that begins with it. The order of the candidates does not matter.
pub fn nearest<'n>(name: &str, candidates: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let wanted = name.to_lowercase();
    let length = wanted.chars().count();
    let mut best: Option<(usize, &str)> = None;
    let mut longer: Vec<&str> = Vec::new();
    for candidate in candidates {
        let lower = candidate.to_lowercase();
        let its_length = lower.chars().count();
        let allowed = allowed(&wanted, length.max(its_length));
        // Two names are at least as far apart as their lengths are.
        let distance = match length.abs_diff(its_length) {
            _ if lower == wanted => 0,
            apart if apart > allowed => apart,
            _ => strsim::osa_distance(&wanted, &lower),
        };
        if (lower == wanted || distance <= allowed)
            && best.is_none_or(|b| (distance, candidate) < b)
        {
            best = Some((distance, candidate));
        }
        if length >= 2
            && longer.len() < 2
            && (lower.starts_with(&wanted)
                || wanted.starts_with(&lower) && lower.chars().count() >= 2)
        {
            longer.push(candidate);
        }
    }
    match (best, &longer[..]) {
        (Some((_, name)), _) => Some(name),
        (None, [only]) => Some(only),
        (None, _) => None,
    }
}

/// How many letters two names of this length may be apart. A Chinese character says as much as
/// several letters: one may differ from two on.
fn allowed(name: &str, length: usize) -> usize {
    match length {
        0 | 1 => 0,
        2 => usize::from(!name.is_ascii()),
        _ => length.div_ceil(4).min(3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses() {
        let near = |name, of: &[&'static str]| nearest(name, of.iter().copied());
        assert_eq!(
            near("coupon_rat", &["coupon_rate", "region"]),
            Some("coupon_rate")
        );
        assert_eq!(near("Region", &["region", "religion"]), Some("region"));
        assert_eq!(near("地区", &["地域", "昵称"]), Some("地域"));
        assert_eq!(
            near("优惠券", &["优惠券使用率", "地域"]),
            Some("优惠券使用率")
        );
        assert_eq!(near("coupon", &["coupon_rate", "coupon_count"]), None);
        assert_eq!(near("age", &["region", "nickname"]), None);
        assert_eq!(near("ab", &["ac"]), None);
        assert_eq!(near("Shanghia", &["Shanghai", "Beijing"]), Some("Shanghai"));
        assert_eq!(near("x", &["y"]), None);
    }

    #[test]
    fn ties_do_not_depend_on_order() {
        let near = |of: &[&'static str]| nearest("tagx", of.iter().copied());
        assert_eq!(near(&["tagb", "taga"]), near(&["taga", "tagb"]));
    }
}

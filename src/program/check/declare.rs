//! Second pass: types of tags and events, lookups, places and lists. Nothing here needs the value
//! of an expression.

use std::collections::HashMap;
use std::sync::Arc;

use super::check_expr::bare;
use super::checker::{Checker, Declaration};
use super::collect::Items;
use crate::base::Msg;
use crate::base::{
    Elapsed, EnumType, EventId, EventSchema, FieldSchema, GeoPoint, TagId, TagSchema, Type,
};
use crate::diag::{Finding, Span, catalog};
use crate::msg;
use crate::program::platform;
use crate::program::scope::{Symbol, nearest};
use crate::program::typed::{Audience, Declared, List, Lookup, Partition, PlaceDef, Tag};
use crate::program::types;
use crate::syntax::ast::{self, LiteralKind, TagKind, TagQualifierKind, TypeExprKind};

/// So many members an enum can have: codes are 16 bits.
pub const MAX_MEMBERS: usize = 65_535;
/// Longest `text(n)`.
pub const MAX_TEXT: i64 = 65_535;
/// So many fields an event or a lookup can have.
pub const MAX_FIELDS: usize = 1_000;

impl Checker<'_> {
    pub(super) fn declare(&mut self, items: &Items<'_>) {
        for tag in &items.tags {
            self.declare_tag(tag);
        }
        for event in &items.events {
            let fields = self.fields(&event.ast.fields);
            let mut declared = event.declared.clone();
            declared.failed = fields.is_none();
            self.program.schema.events.push(EventSchema {
                name: declared.name.clone(),
                fields: fields.unwrap_or_default(),
            });
            self.program.events.push(declared);
        }
        for lookup in &items.lookups {
            self.declare_lookup(lookup);
        }
        for place in &items.places {
            let value = match &*bare(&place.ast.value).kind {
                ast::ExprKind::Place(lat, lon) => {
                    self.exprs().place(place.ast.value.span, lat, lon)
                }
                _ => {
                    self.exprs().not_constant(
                        &place.ast.value,
                        "place",
                        &Type::Place,
                        Some("(31.2304, 121.4737)"),
                    );
                    None
                }
            };
            let declared = failed_if(&place.declared, value.is_none());
            self.program.places.push(PlaceDef {
                declared,
                place: value.unwrap_or(GeoPoint { lat: 0.0, lon: 0.0 }),
            });
        }
        for list in &items.lists {
            self.need_file(&list.ast.from);
            self.program.lists.push(List {
                declared: list.declared.clone(),
                file: list.ast.from.value.clone(),
            });
        }
        for partition in &items.partitions {
            self.declare_partition(partition);
        }
        for audience in &items.audiences {
            let when = Self::placeholder(audience.ast.when.span);
            self.program.audiences.push(Audience {
                declared: failed_if(&audience.declared, true),
                when,
            });
        }
        self.take_store_schema();
        for tag in &items.tags {
            self.check_qualifiers(tag);
        }
    }

    /// Tags and events that are declared nowhere take the store's type.
    fn take_store_schema(&mut self) {
        let Some(store) = &self.options.store_schema else {
            return;
        };
        // The store's numbers are not the program's: `sensitive by` is found again by name.
        let first = self.program.schema.tags.len();
        for tag in &store.tags {
            let id = TagId(self.program.schema.tags.len() as u32);
            if self
                .scope
                .declare(&tag.name, Symbol::Tag(id), None)
                .is_none()
            {
                self.program.schema.tags.push(tag.clone());
                self.program.tags.push(Tag {
                    declared: None,
                    derived: None,
                });
            }
        }
        for i in first..self.program.schema.tags.len() {
            let by = self.program.schema.tags[i]
                .sensitive_by
                .and_then(|id| store.tags.get(id.index()))
                .map(|t| t.name.clone());
            self.program.schema.tags[i].sensitive_by =
                by.and_then(|name| match self.scope.get(&name)?.symbol {
                    Symbol::Tag(id) => Some(id),
                    _ => None,
                });
        }
        for event in &store.events {
            let id = EventId(self.program.schema.events.len() as u32);
            if self
                .scope
                .declare(&event.name, Symbol::Event(id), None)
                .is_none()
            {
                self.program.schema.events.push(event.clone());
            }
        }
    }

    // -------------------------------------------------------------- tags

    fn declare_tag(&mut self, tag: &Declaration<'_, TagId, ast::TagDecl>) {
        let mut schema = TagSchema {
            derived: matches!(tag.ast.kind, TagKind::Derived(_)),
            ..TagSchema::new(&tag.declared.name, Type::Bool)
        };
        let ty = match &tag.ast.kind {
            TagKind::Stored(ty) => self.type_of(ty),
            TagKind::Derived(_) => None,
        };
        let failed = ty.is_none();
        schema.ty = ty.unwrap_or(Type::Bool);
        self.program.schema.tags.push(schema);
        self.program.tags.push(Tag {
            declared: Some(failed_if(&tag.declared, failed)),
            derived: None,
        });
    }

    /// After all names have types: qualifiers may name other tags.
    fn check_qualifiers(&mut self, tag: &Declaration<'_, TagId, ast::TagDecl>) {
        let mut seen: Vec<(std::mem::Discriminant<TagQualifierKind>, Span)> = Vec::new();
        for qualifier in &tag.ast.qualifiers {
            let kind = std::mem::discriminant(&qualifier.kind);
            if let Some((_, first)) = seen.iter().find(|(k, _)| *k == kind) {
                let text = self.text(qualifier.span);
                let first = *first;
                self.report(
                    Finding::new(
                        &catalog::WRONG_QUALIFIER,
                        qualifier.span,
                        msg!("`{text}` repeats a qualifier", "`{text}` 重复了限定词"),
                    )
                    .label(first, msg!("the first one", "第一个")),
                );
                continue;
            }
            seen.push((kind, qualifier.span));
            self.check_qualifier(tag, qualifier);
        }
    }

    fn check_qualifier(
        &mut self,
        tag: &Declaration<'_, TagId, ast::TagDecl>,
        qualifier: &ast::TagQualifier,
    ) {
        let index = tag.id.index();
        let derived = matches!(tag.ast.kind, TagKind::Derived(_));
        let stored_only = matches!(
            qualifier.kind,
            TagQualifierKind::Always
                | TagQualifierKind::Consent
                | TagQualifierKind::Fresh(_)
                | TagQualifierKind::Refresh(_)
                | TagQualifierKind::From(_)
        );
        if derived && stored_only {
            let text = self.text(qualifier.span);
            return self.report(
                Finding::new(
                    &catalog::WRONG_QUALIFIER,
                    qualifier.span,
                    msg!(
                        "`{text}` is for stored tags: this one is computed from its expression",
                        "`{text}` 只用于存储的标签：这个标签由表达式算出"
                    ),
                )
                .fix(msg!("leave it out", "去掉它"), qualifier.span, "", false),
            );
        }
        let known = !self.program.tags[index]
            .declared
            .as_ref()
            .is_some_and(|d| d.failed);
        match &qualifier.kind {
            TagQualifierKind::Layer(layer) => self.program.schema.tags[index].layer = Some(*layer),
            TagQualifierKind::Always => self.program.schema.tags[index].always = true,
            TagQualifierKind::Private => self.program.schema.tags[index].private = true,
            TagQualifierKind::Consent => {
                let ty = &self.program.schema.tags[index].ty;
                if known && *ty != Type::Bool {
                    let Msg { en, zh } = types::words(ty);
                    self.report(Finding::new(
                        &catalog::WRONG_QUALIFIER,
                        qualifier.span,
                        msg!(
                            "a consent is given or not: `consent` needs a bool tag, this one is {en}",
                            "同意只有是或否：`consent` 需要 bool 标签，而它是{zh}"
                        ),
                    ));
                } else {
                    self.program.schema.tags[index].consent = true;
                }
            }
            TagQualifierKind::SensitiveBy(by) => self.sensitive_by(tag.id, by),
            TagQualifierKind::Fresh(e) => {
                let fresh = self.elapsed(e, "fresh");
                if fresh == Some(Elapsed(0)) {
                    let text = self.text(e.span);
                    self.report(Finding::new(
                        &catalog::OUT_OF_RANGE,
                        e.span,
                        msg!(
                            "`{text}`: nothing is that fresh, the tag would always be missing",
                            "`{text}`：没有值会这么新，标签将总是缺失"
                        ),
                    ));
                }
                self.program.schema.tags[index].fresh = fresh;
            }
            TagQualifierKind::Refresh(word) => {
                self.program.schema.tags[index].refresh = Some(word.name.clone())
            }
            TagQualifierKind::From(source) => {
                self.program.schema.tags[index].source = Some(source.value.clone())
            }
        }
    }

    fn sensitive_by(&mut self, tag: TagId, by: &ast::Ident) {
        let Some(Symbol::Tag(consent)) = self.symbol(by, &Symbol::Tag(tag)) else {
            return;
        };
        let n = &by.name;
        let schema = self.program.schema.tag(consent);
        let failed = self.program.tags[consent.index()]
            .declared
            .as_ref()
            .is_some_and(|d| d.failed);
        if schema.derived || (!failed && schema.ty != Type::Bool) {
            return self.report(
                Finding::new(
                    &catalog::WRONG_QUALIFIER,
                    by.span,
                    msg!("`{n}` is not a consent", "`{n}` 不是同意标签"),
                )
                .help(msg!(
                    "a consent is a stored bool tag: `tag {n} bool consent`",
                    "同意是存储的 bool 标签：`tag {n} bool consent`"
                )),
            );
        }
        if consent == tag {
            return self.report(Finding::new(
                &catalog::WRONG_QUALIFIER,
                by.span,
                msg!("`{n}` names itself", "`{n}` 指向了自己"),
            ));
        }
        self.program.schema.tags[tag.index()].sensitive_by = Some(consent);
    }

    // -------------------------------------------------------------- types

    pub(super) fn type_of(&mut self, ty: &ast::TypeExpr) -> Option<Type> {
        match &ty.kind {
            TypeExprKind::Named(name) => {
                let found = types::named(&name.name);
                if found.is_none() {
                    self.unknown_type(name);
                }
                found
            }
            TypeExprKind::Text(literal) => match &literal.kind {
                LiteralKind::Number(d) => match d.to_int().filter(|n| (1..=MAX_TEXT).contains(n)) {
                    Some(n) => Some(Type::Text {
                        max: u32::try_from(n).ok(),
                    }),
                    None => {
                        self.wrong_type(
                            literal.span,
                            msg!(
                                "a text holds 1 to {MAX_TEXT} characters",
                                "文本的长度为 1 到 {MAX_TEXT} 个字"
                            ),
                        );
                        None
                    }
                },
                _ => {
                    self.wrong_type(
                        literal.span,
                        msg!(
                            "write the number of characters: `text(20)`",
                            "请写字数：`text(20)`"
                        ),
                    );
                    None
                }
            },
            TypeExprKind::Int { lo, hi } => {
                let (low, high) = (self.integer(lo, "int"), self.integer(hi, "int"));
                let (low, high) = (low?, high?);
                self.exprs().ordered(low <= high, lo, hi)?;
                Some(Type::Int {
                    lo: Some(low),
                    hi: Some(high),
                })
            }
            TypeExprKind::Enum(members) => self.enum_type(ty.span, members),
            TypeExprKind::Set(of) => match self.type_of(of)? {
                member @ (Type::Enum(_) | Type::Text { .. } | Type::Int { .. }) => {
                    Some(Type::Set(Box::new(member)))
                }
                other => {
                    let Msg { en, zh } = types::words(&other);
                    self.wrong_type(
                        of.span,
                        msg!(
                            "a set holds enum members, texts or ints, not {en}",
                            "集合的元素是枚举成员、文本或整数，而不是{zh}"
                        ),
                    );
                    None
                }
            },
            TypeExprKind::Address(account) => self.address_type(account),
        }
    }

    fn wrong_type(&mut self, span: Span, message: Msg) {
        self.report(Finding::new(&catalog::UNKNOWN_TYPE, span, message));
    }

    fn unknown_type(&mut self, name: &ast::Ident) {
        let n = &name.name;
        let finding = match n.as_str() {
            "enum" => Finding::new(
                &catalog::UNKNOWN_TYPE,
                name.span,
                msg!("an enum needs its members", "枚举要写出成员"),
            )
            .help(msg!(
                "write `enum(\"a\", \"b\")`",
                "请写 `enum(\"a\", \"b\")`"
            )),
            "set" => Finding::new(
                &catalog::UNKNOWN_TYPE,
                name.span,
                msg!("a set of what?", "什么的集合？"),
            )
            .help(msg!(
                "write `set of enum(\"a\", \"b\")`",
                "请写 `set of enum(\"a\", \"b\")`"
            )),
            "address" => Finding::new(
                &catalog::UNKNOWN_TYPE,
                name.span,
                msg!("an address on which account?", "哪个账号上的地址？"),
            )
            .help(msg!(
                "write `address(service_account)`",
                "请写 `address(service_account)`"
            )),
            "calendar" => Finding::new(
                &catalog::UNKNOWN_TYPE,
                name.span,
                msg!("a tag cannot hold calendar time", "标签不能存放日历时长"),
            )
            .help(msg!(
                "store an `int` of days, or `elapsed`",
                "请存放天数 `int`，或 `elapsed`"
            )),
            _ => {
                let finding = Finding::new(
                    &catalog::UNKNOWN_TYPE,
                    name.span,
                    msg!("no type is named `{n}`", "没有名为 `{n}` 的类型"),
                );
                match types::nearest_type(n) {
                    Some(near) => finding.fix(
                        msg!("did you mean `{near}`", "是否想写 `{near}`"),
                        name.span,
                        near,
                        false,
                    ),
                    None => {
                        let list = types::TYPE_NAMES
                            .iter()
                            .filter(|(n, _)| n.is_ascii())
                            .map(|(n, _)| *n)
                            .collect::<Vec<_>>()
                            .join(", ");
                        finding.help(msg!(
                            "the types are {list}, text(n), enum(…), set of …, address(…)",
                            "类型有 {list}、text(n)、enum(…)、set of …、address(…)"
                        ))
                    }
                }
            }
        };
        self.report(finding);
    }

    fn enum_type(&mut self, span: Span, members: &[ast::Str]) -> Option<Type> {
        if members.is_empty() || members.len() > MAX_MEMBERS {
            let n = members.len();
            self.wrong_type(
                span,
                msg!(
                    "an enum has 1 to {MAX_MEMBERS} members, this one has {n}",
                    "枚举有 1 到 {MAX_MEMBERS} 个成员，这里有 {n} 个"
                ),
            );
            return None;
        }
        let mut seen: HashMap<&str, Span> = HashMap::with_capacity(members.len());
        let mut fine = true;
        for member in members {
            let m = &member.value;
            if let Some(first) = seen.insert(m, member.span) {
                fine = false;
                self.report(
                    Finding::new(
                        &catalog::DUPLICATE_NAME,
                        member.span,
                        msg!("the member `{m}` is written twice", "成员 `{m}` 写了两次"),
                    )
                    .label(first, msg!("first here", "先写在这里")),
                );
            }
        }
        fine.then(|| {
            Type::Enum(Arc::new(EnumType {
                members: members.iter().map(|m| m.value.clone()).collect(),
            }))
        })
    }

    fn address_type(&mut self, account: &ast::Ident) -> Option<Type> {
        let n = &account.name;
        match self.scope.get(n).map(|e| e.symbol) {
            Some(Symbol::Account(_)) => return Some(Type::Address(n.as_str().into())),
            Some(Symbol::Broken) => return None,
            _ if platform::find(n).is_some() => return Some(Type::Address(n.as_str().into())),
            _ => {}
        }
        let finding = Finding::new(
            &catalog::UNKNOWN_NAME,
            account.span,
            msg!("no account is named `{n}`", "没有名为 `{n}` 的账号"),
        );
        let near = nearest(n, platform::names().iter().copied()).map(str::to_owned);
        let near = near.or_else(|| {
            self.scope
                .nearest(n, |s| matches!(s, Symbol::Account(_)))
                .map(str::to_owned)
        });
        self.report(match near {
            Some(near) => finding.fix(
                msg!("did you mean `{near}`", "是否想写 `{near}`"),
                account.span,
                near.clone(),
                false,
            ),
            None => {
                let list = platform::names().join(", ");
                finding.help(msg!(
                    "a platform ({list}) or an account declared by `account`",
                    "平台（{list}）或用 `account` 声明的账号"
                ))
            }
        });
        None
    }

    // -------------------------------------------------------------- events, lookups, lists,
    // partitions

    /// The fields of an event or a lookup; `None` when one of them failed.
    fn fields(&mut self, fields: &[ast::FieldDecl]) -> Option<Vec<FieldSchema>> {
        if let Some(over) = fields.get(MAX_FIELDS) {
            self.report(Finding::new(
                &catalog::OUT_OF_RANGE,
                over.span,
                msg!("more than {MAX_FIELDS} fields", "字段超过 {MAX_FIELDS} 个"),
            ));
            return None;
        }
        let mut seen: HashMap<&str, Span> = HashMap::new();
        let mut all = Vec::with_capacity(fields.len());
        let mut fine = true;
        for field in fields {
            let n = &field.name.name;
            if let Some(first) = seen.insert(n, field.name.span) {
                fine = false;
                self.report(
                    Finding::new(
                        &catalog::DUPLICATE_NAME,
                        field.name.span,
                        msg!("the field `{n}` is declared twice", "字段 `{n}` 声明了两次"),
                    )
                    .label(first, msg!("first declared here", "先在这里声明")),
                );
                continue;
            }
            match self.type_of(&field.ty) {
                Some(ty) => all.push(FieldSchema {
                    name: n.clone(),
                    ty,
                    optional: field.optional,
                }),
                None => fine = false,
            }
        }
        fine.then_some(all)
    }

    fn declare_lookup(&mut self, lookup: &Declaration<'_, crate::base::LookupId, ast::LookupDecl>) {
        let (keys, fields) = (
            self.fields(&lookup.ast.keys),
            self.fields(&lookup.ast.fields),
        );
        let fresh = match &lookup.ast.fresh {
            Some(e) => self.elapsed(e, "fresh").map(Some),
            None => Some(None),
        };
        self.need_file(&lookup.ast.from);
        let mut fine = true;
        for key in &lookup.ast.keys {
            if let Some(field) = lookup
                .ast
                .fields
                .iter()
                .find(|f| f.name.name == key.name.name)
            {
                let n = &key.name.name;
                fine = false;
                self.report(
                    Finding::new(
                        &catalog::DUPLICATE_NAME,
                        field.name.span,
                        msg!("`{n}` is a key of the table already", "`{n}` 已是表的键"),
                    )
                    .label(key.name.span, msg!("the key", "键")),
                );
            }
        }
        if let Some(keys) = &keys {
            for (key, ast) in keys.iter().zip(&lookup.ast.keys) {
                if !matches!(
                    key.ty,
                    Type::Text { .. } | Type::Int { .. } | Type::Enum(_) | Type::Bool | Type::Date
                ) {
                    let Msg { en, zh } = types::words(&key.ty);
                    fine = false;
                    self.wrong_type(
                        ast.ty.span,
                        msg!(
                            "a key is text, int, enum, bool or date, not {en}",
                            "键的类型是 text、int、enum、bool 或 date，而不是{zh}"
                        ),
                    );
                }
            }
        }
        let failed = !fine || keys.is_none() || fields.is_none() || fresh.is_none();
        self.program.lookups.push(Lookup {
            declared: failed_if(&lookup.declared, failed),
            keys: keys.unwrap_or_default(),
            fields: fields.unwrap_or_default(),
            file: lookup.ast.from.value.clone(),
            fresh: fresh.flatten(),
        });
    }

    /// A file that the program names lies inside its folder. Whether it is there is asked when it
    /// is read: data may come later than the program.
    pub(in crate::program) fn need_file(&mut self, file: &ast::Str) {
        let name = &file.value;
        let path = std::path::Path::new(name);
        if name.is_empty()
            || path.is_absolute()
            || path
                .components()
                .any(|c| matches!(c, std::path::Component::ParentDir))
        {
            self.report(Finding::new(
                &catalog::BAD_PATH,
                file.span,
                msg!(
                    "`{name}` must be a path inside the program's folder",
                    "`{name}` 必须是程序文件夹内的路径"
                ),
            ));
        }
    }

    /// The members of a partition are its arms, known before any of its conditions is.
    fn declare_partition(
        &mut self,
        partition: &Declaration<'_, crate::base::PartitionId, ast::PartitionDecl>,
    ) {
        let mut seen: HashMap<&str, Span> = HashMap::new();
        let mut members = Vec::new();
        for (i, arm) in partition.ast.arms.iter().enumerate() {
            let n = &arm.name.name;
            if let Some(first) = seen.insert(n, arm.name.span) {
                self.report(
                    Finding::new(
                        &catalog::DUPLICATE_NAME,
                        arm.name.span,
                        msg!("the arm `{n}` is written twice", "分支 `{n}` 写了两次"),
                    )
                    .label(first, msg!("first here", "先写在这里")),
                );
            }
            if arm.when.is_none() && i + 1 < partition.ast.arms.len() {
                self.report(
                    Finding::new(
                        &catalog::UNREACHABLE_ARM,
                        arm.span,
                        msg!(
                            "`otherwise` takes everyone who is left: no arm after it is reached",
                            "`otherwise` 接收其余所有人：之后的分支不会到达"
                        ),
                    )
                    .help(msg!("put it last", "请把它放在最后")),
                );
            }
            members.push(n.clone());
        }
        if members.is_empty() {
            let n = &partition.declared.name;
            self.report(Finding::new(
                &catalog::UNKNOWN_TYPE,
                partition.declared.name_span,
                msg!("the partition `{n}` has no arms", "分层 `{n}` 没有分支"),
            ));
        }
        let otherwise = partition.ast.arms.last().is_some_and(|a| a.when.is_none());
        self.program.partitions.push(Partition {
            declared: failed_if(&partition.declared, true),
            ty: Type::Enum(Arc::new(EnumType { members })),
            arms: Vec::new(),
            otherwise,
        });
    }

    fn text(&self, span: Span) -> String {
        super::check_expr::shorten(self.sources.slice(span))
    }
}

fn failed_if(declared: &Declared, failed: bool) -> Declared {
    Declared {
        failed,
        ..declared.clone()
    }
}

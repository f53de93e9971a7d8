//! `tagcast tags`: fill the store with what is known of users, list it, sum it up.

use std::path::PathBuf;

use serde_json::{Value as Json, json};

use super::live;
use super::loading::{self, Bar};
use crate::base::Lang;
use crate::base::value::{Shown, count_of, group_digits};
use crate::base::{Elapsed, Instant, Schema, TagSchema, Type, Value, Zone};
use crate::cli::args::{OutputFormat, TagsCommand, TagsImportArgs, TagsStatsArgs};
use crate::cli::output::{Context, print_json, print_out};
use crate::diag::Level;
use crate::engine::{Failure, Project};
use crate::msg;
use crate::store::import::{Reading, TAGS, TagImport, infer};
use crate::store::stats::{Spread, Stats};
use crate::store::{ImportEntry, Snapshot, Store, declarations};

/// Where `--infer` writes.
const DECLARATIONS: &str = "tags.campaign";
/// Values that `stats` shows of a tag.
const SHOWN_VALUES: usize = 5;

pub fn run(cx: &Context, command: &TagsCommand) -> Result<u8, Failure> {
    match command {
        TagsCommand::Import(args) => import(cx, args),
        TagsCommand::Set(args) => live::set(cx, args),
        TagsCommand::Compact => live::compact(cx),
        TagsCommand::List => list(cx),
        TagsCommand::Stats(args) => stats(cx, args),
    }
}

fn import(cx: &Context, args: &TagsImportArgs) -> Result<u8, Failure> {
    let format = cx.format(&[OutputFormat::Human, OutputFormat::Json])?;
    let (store, mut project) = loading::open(cx)?;
    let reading = Reading {
        minor_units: args.minor_units,
        ..loading::reading(&project)
    };
    if args.infer {
        let inferred = match write_declarations(cx, args, &project, &reading) {
            Ok(Some(file)) => file,
            Ok(None) => return Err(nothing_to_infer(args)),
            Err(e) => return Err(e),
        };
        project = loading::project(cx, &store)?;
        let wrong: Vec<_> = project
            .findings
            .iter()
            .filter(|f| {
                f.level == Level::Error && project.sources.path(f.span.file).ends_with(DECLARATIONS)
            })
            .cloned()
            .collect();
        if !wrong.is_empty() {
            cx.print_findings(&project, &wrong, OutputFormat::Human)?;
            let shown = inferred.display();
            return Err(Failure::refused(msg!(
                "wrote `{shown}`, which does not check yet: correct it, then import again without --infer; nothing was imported",
                "已写出 `{shown}`，但尚未通过检查：请更正后不带 --infer 重新导入；未导入任何数据"
            )));
        }
    }
    let mut writer = store.writer()?;
    let only = (!args.only.is_empty()).then_some(&args.only[..]);
    let import = TagImport {
        reading,
        only,
        replace: args.replace,
        ..TagImport::of(&args.file, &args.id)
    };
    let bar = Bar::new(cx, TAGS);
    let result = import.run(&mut writer, &project.program.schema, &mut |p| bar.tell(p));
    drop(bar);
    match result {
        Ok(report) => {
            writer.commit()?;
            loading::report(cx, &args.file, &report, format)?;
            Ok(0)
        }
        Err(e) => loading::refuse(cx, e, format),
    }
}

/// Writes what the file's columns look like, as far as the program does not declare them; `None`
/// when it declares all.
fn write_declarations(
    cx: &Context,
    args: &TagsImportArgs,
    project: &Project,
    reading: &Reading,
) -> Result<Option<PathBuf>, Failure> {
    let refused = |e: crate::store::import::ImportError| Failure::new(e.words());
    let wanted = |name: &str| {
        let declared = project
            .program
            .schema
            .tag_named(name)
            .and_then(|id| project.program.tags.get(id.index()));
        declared.is_none_or(|t| t.declared.is_none())
            && (args.only.is_empty() || args.only.iter().any(|o| o == name))
    };
    let inferred = infer::tags(&args.file, &args.id, reading, &wanted).map_err(refused)?;
    if inferred.tags.is_empty() {
        return Ok(None);
    }
    let path = project.folder.join(DECLARATIONS);
    let shown = path.strip_prefix(".").unwrap_or(&path).display();
    let write = std::fs::File::create_new(&path)
        .and_then(|mut file| std::io::Write::write_all(&mut file, inferred.text.as_bytes()));
    match write {
        Ok(()) => {}
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
            let lines = inferred.text;
            return Err(
                Failure::new(msg!("`{shown}` is there already", "`{shown}` 已经存在")).help(msg!(
                    "add to it what is missing:\n{lines}",
                    "请把缺少的声明加进去：\n{lines}"
                )),
            );
        }
        Err(e) => return Err(Failure::io(&path, &e)),
    }
    let count = inferred.tags.len();
    cx.say(&msg!(
        "wrote {count} declarations to `{shown}`: look them over",
        "已将 {count} 条声明写入 `{shown}`：请过目"
    ));
    for (column, why) in &inferred.skipped {
        let why = why.clone();
        let (en, zh) = (why.en, why.zh);
        cx.say(&msg!(
            "note: no declaration for `{column}`: {en}",
            "注意：`{column}` 没有声明：{zh}"
        ));
    }
    Ok(Some(path))
}

fn nothing_to_infer(args: &TagsImportArgs) -> Failure {
    let shown = args.file.display();
    Failure::new(msg!(
        "all columns of `{shown}` that can be are declared already",
        "`{shown}` 中能声明的列都已声明"
    ))
    .help(msg!("import it without --infer", "请不带 --infer 导入"))
}

/// The program's tags, then those that only the store has.
fn all_tags<'a>(program: &'a Schema, stored: &'a Schema) -> Schema {
    let only_stored = stored
        .tags
        .iter()
        .filter(|t| program.tag_named(&t.name).is_none());
    Schema {
        tags: program.tags.iter().chain(only_stored).cloned().collect(),
        events: Vec::new(),
    }
}

fn list(cx: &Context) -> Result<u8, Failure> {
    let format = cx.format(&[OutputFormat::Human, OutputFormat::Json])?;
    let snapshot = existing(cx)?;
    let stored = snapshot
        .as_ref()
        .map_or_else(Schema::default, |(_, s)| s.schema().clone());
    let options = crate::engine::ProjectOptions {
        store_schema: Some(stored.clone()),
        ..Default::default()
    };
    let project = cx.project(&[], options)?;
    let schema = all_tags(&project.program.schema, &stored);
    match format {
        OutputFormat::Json => {
            let tag = |t: &TagSchema| json!({"tag": t.name, "type": declarations::ty(&t.ty), "qualifiers": declarations::qualifiers(t, &schema), "derived": t.derived, "stored": stored.tag_named(&t.name).is_some()});
            print_json(&json!(schema.tags.iter().map(tag).collect::<Vec<_>>()))?;
        }
        _ => print_out(&declarations::tags(&schema))?,
    }
    Ok(0)
}

/// The store, if there is one.
fn existing(cx: &Context) -> Result<Option<(Store, std::sync::Arc<Snapshot>)>, Failure> {
    if !Store::exists(&cx.store_dir()) {
        return Ok(None);
    }
    let store = Store::open(cx.store_dir(), cx.world())?;
    let snapshot = store.snapshot()?;
    Ok(Some((store, snapshot)))
}

fn stats(cx: &Context, args: &TagsStatsArgs) -> Result<u8, Failure> {
    let format = cx.format(&[OutputFormat::Human, OutputFormat::Json])?;
    let store = Store::open(cx.store_dir(), cx.world())?;
    if args.verify {
        store.verify()?;
    }
    let snapshot = store.snapshot()?;
    let project = loading::project(cx, &store)?;
    let schema = all_tags(&project.program.schema, snapshot.schema());
    if let Some(unknown) = args
        .tags
        .iter()
        .find(|name| schema.tag_named(name).is_none())
    {
        return Err(
            Failure::new(msg!("there is no tag `{unknown}`", "没有标签 `{unknown}`")).help(msg!(
                "`tagcast tags list` shows them all",
                "`tagcast tags list` 可列出全部"
            )),
        );
    }
    let imports = store.imports()?;
    let now = cx.now(&project);
    let zone = project.program.policy.zone;
    let (mut text, mut rows) = (String::new(), Vec::new());
    for tag in schema
        .tags
        .iter()
        .filter(|t| !t.derived && (args.tags.is_empty() || args.tags.contains(&t.name)))
    {
        let column = snapshot.tag(&tag.name)?;
        let stats = column.map(|column| Stats::of(column, snapshot.user_count()));
        let ty = column.map_or(&tag.ty, |c| &c.ty);
        let imported = imports
            .iter()
            .rfind(|i| i.into == TAGS && i.columns.contains(&tag.name));
        let stale = imported.and_then(|i| overdue(tag, i, now));
        match format {
            OutputFormat::Json => rows.push(json_of(
                tag,
                ty,
                stats.as_ref(),
                imported,
                stale.is_some(),
                zone,
            )),
            _ => text.push_str(&line_of(
                tag,
                ty,
                stats.as_ref(),
                imported,
                stale,
                zone,
                cx.lang(),
            )),
        }
    }
    match format {
        OutputFormat::Json => print_json(
            &json!({"users": snapshot.user_count(), "snapshot": snapshot.digest(), "tags": rows}),
        )?,
        _ => {
            let users = snapshot.user_count();
            print_out(&match cx.lang() {
                Lang::En => format!("{}\n{text}", count_of(users, "user")),
                Lang::Zh => format!("{} 个用户\n{text}", group_digits(users as u64)),
            })?;
        }
    }
    Ok(0)
}

/// How long ago a tag was imported, if that is longer than its `refresh` allows (twice the period,
/// as a file may be a little late).
fn overdue(tag: &TagSchema, import: &ImportEntry, now: Instant) -> Option<Elapsed> {
    let hours = match tag.refresh.as_deref()?.trim() {
        "realtime" | "hourly" => 1,
        "daily" => 24,
        "weekly" => 7 * 24,
        "monthly" => 31 * 24,
        "yearly" => 366 * 24,
        _ => return None,
    };
    let age = now.since(Zone::UTC.parse_instant(&import.at)?);
    (age > Elapsed::hours(2 * hours)).then_some(age)
}

fn shown(value: &Value, ty: &Type, zone: Zone) -> String {
    Shown { value, ty, zone }.to_string()
}

/// The type of the values that are counted: of a set, its members.
fn counted(ty: &Type) -> &Type {
    if let Type::Set(of) = ty { of } else { ty }
}

fn mean_text(mean: f64, ty: &Type, zone: Zone) -> String {
    match ty {
        Type::Money => shown(&Value::Money(mean.round() as i64), ty, zone),
        Type::Ratio => format!("{}%", (mean * 1000.0).round() / 10.0),
        _ => format!("{}", (mean * 100.0).round() / 100.0),
    }
}

fn line_of(
    tag: &TagSchema,
    ty: &Type,
    stats: Option<&Stats>,
    imported: Option<&ImportEntry>,
    stale: Option<Elapsed>,
    zone: Zone,
    lang: Lang,
) -> String {
    let say = |en: String, zh: String| if lang == Lang::Zh { zh } else { en };
    let Some(Stats {
        known,
        missing,
        values,
    }) = stats
    else {
        return say(
            format!("{}  no values: never imported\n", tag.name),
            format!("{}  没有值：从未导入\n", tag.name),
        );
    };
    let all = (known + missing).max(1);
    let percent = (*known as f64 / all as f64 * 1000.0).round() / 10.0;
    let mut parts = vec![say(format!("known {percent}%"), format!("已知 {percent}%"))];
    match values {
        // What people are called and where they are reached is nobody's business here.
        _ if tag.private || matches!(ty, Type::Address(_)) => {
            parts.push(say("private".into(), "私密".into()))
        }
        Spread::None => {}
        Spread::Range { lo, hi, mean } => {
            parts.push(format!(
                "{} .. {}",
                shown(lo, ty, zone),
                shown(hi, ty, zone)
            ));
            parts.extend(mean.map(|m| {
                say(
                    format!("mean {}", mean_text(m, ty, zone)),
                    format!("均值 {}", mean_text(m, ty, zone)),
                )
            }));
        }
        Spread::Counts(counts) => {
            let one = |(v, n): &(Value, usize)| {
                format!(
                    "{} {}%",
                    shown(v, counted(ty), zone),
                    (*n as f64 / (*known).max(1) as f64 * 1000.0).round() / 10.0
                )
            };
            let mut list: Vec<String> = counts.iter().take(SHOWN_VALUES).map(one).collect();
            let more = counts.len().saturating_sub(SHOWN_VALUES);
            if more > 0 {
                list.push(say(format!("{more} more"), format!("其余 {more} 个")));
            }
            parts.push(list.join(", "));
        }
        Spread::Texts { distinct, longest } => {
            let distinct = distinct.map_or_else(
                || say("many".into(), "很多".into()),
                |n| group_digits(n as u64),
            );
            parts.push(say(
                format!("{distinct} different, up to {longest} characters"),
                format!("{distinct} 个不同的值，最长 {longest} 字"),
            ));
        }
    }
    let at = imported
        .and_then(|i| Zone::UTC.parse_instant(&i.at))
        .map(|at| zone.show(at));
    parts.extend(at.map(|at| say(format!("imported {at}"), format!("导入于 {at}"))));
    if let (Some(age), Some(refresh)) = (stale, &tag.refresh) {
        let days = age.0 / 86_400_000_000;
        parts.push(say(
            format!("stale: `refresh {refresh}`, {days} days old"),
            format!("已过期：`refresh {refresh}`，已有 {days} 天"),
        ));
    }
    format!("{}  {}\n", tag.name, parts.join(" · "))
}

fn json_of(
    tag: &TagSchema,
    ty: &Type,
    stats: Option<&Stats>,
    imported: Option<&ImportEntry>,
    stale: bool,
    zone: Zone,
) -> Json {
    let mut out = json!({"tag": tag.name, "type": declarations::ty(ty), "imported": imported.map(|i| &i.at), "stale": stale});
    let Some(Stats {
        known,
        missing,
        values,
    }) = stats
    else {
        return out;
    };
    out["known"] = json!(known);
    out["missing"] = json!(missing);
    let plain = |v: &Value, ty: &Type| crate::store::export::plain(v, ty, zone);
    if tag.private || matches!(ty, Type::Address(_)) {
        return out;
    }
    match values {
        Spread::None => {}
        Spread::Range { lo, hi, mean } => {
            out["min"] = json!(plain(lo, ty));
            out["max"] = json!(plain(hi, ty));
            out["mean"] = json!(mean);
        }
        Spread::Counts(counts) => {
            let counts: serde_json::Map<String, Json> = counts
                .iter()
                .map(|(v, n)| (plain(v, counted(ty)), json!(n)))
                .collect();
            out["counts"] = Json::Object(counts);
        }
        Spread::Texts { distinct, longest } => {
            out["distinct"] = json!(distinct);
            out["longest"] = json!(longest);
        }
    }
    out
}

//! `tagcast sync`: imports the sources that `tagcast.toml` names, where they changed. All of them
//! in one change.
//!
//! A source has changed when its content is another than at its last import, or when the
//! declarations are. Tags update users; events replace what the same source gave before.

use super::loading::{self, Bar};
use crate::cli::args::OutputFormat;
use crate::cli::output::Context;
use crate::engine::Failure;
use crate::msg;
use crate::store::import::{EventImport, Fingerprint, ImportError, TAGS, TagImport};
use crate::store::{Store, declarations};

pub fn run(cx: &Context) -> Result<u8, Failure> {
    let format = cx.format(&[OutputFormat::Human])?;
    if cx.config.tags.is_empty() && cx.config.events.is_empty() {
        let folder = cx.folder().display();
        return Err(Failure::new(msg!(
            "`tagcast.toml` in `{folder}` names no sources",
            "`{folder}` 的 `tagcast.toml` 没有指定数据源"
        ))
        .help(msg!(
            "add for instance: [[tags]] file = \"users.csv\" id = \"user_id\"",
            "例如加上：[[tags]] file = \"users.csv\" id = \"user_id\""
        )));
    }
    sync(cx, format)
}

/// Before `plan` and `run`: fills a store that is not there or has never been filled, if
/// `tagcast.toml` says from what.
///
/// # Errors
/// As the imports; rows that are bad are told first.
pub fn fill_if_empty(cx: &Context) -> Result<(), Failure> {
    let has_sources = !cx.config.tags.is_empty() || !cx.config.events.is_empty();
    if !has_sources {
        return Ok(());
    }
    if Store::exists(&cx.store_dir()) {
        let store = Store::open(cx.store_dir(), cx.world())?;
        let filled = !store.imports()?.is_empty() || store.snapshot()?.user_count() > 0;
        if filled {
            return Ok(());
        }
    }
    sync(cx, OutputFormat::Human).map(drop)
}

fn sync(cx: &Context, format: OutputFormat) -> Result<u8, Failure> {
    let (store, project) = loading::open(cx)?;
    let mut writer = store.writer()?;
    let schema = &project.program.schema;
    let (mut imported, mut unchanged) = (Vec::new(), 0);
    for source in &cx.config.tags {
        let (file, name) = (
            cx.folder().join(&source.file),
            source.file.display().to_string(),
        );
        let print = Fingerprint::of(&file, &declarations::tags(schema))?;
        if print.is_current(TAGS, &name, writer.imports()) {
            unchanged += 1;
            continue;
        }
        let bar = Bar::new(cx, &name);
        let import = TagImport {
            reading: loading::reading(&project),
            source: Some(&name),
            ..TagImport::of(&file, &source.id)
        };
        match import.run(&mut writer, schema, &mut |p| bar.tell(p)) {
            Ok(report) => imported.push((source.file.clone(), report)),
            Err(e) => return refuse(cx, bar, e, format),
        }
    }
    for source in &cx.config.events {
        let (file, name) = (
            cx.folder().join(&source.file),
            source.file.display().to_string(),
        );
        let stored = writer.schema();
        let Some(event) = super::events::declared(&project, &source.event)
            .or_else(|| stored.events.iter().find(|e| e.name == source.event))
        else {
            let event = &source.event;
            return Err(Failure::new(msg!(
                "`tagcast.toml` fills the event `{event}`, which is not declared",
                "`tagcast.toml` 要填充事件 `{event}`，但它没有声明"
            ))
            .help(msg!(
                "declare it: event {event} {{ amount money }}",
                "请声明:event {event} {{ amount money }}"
            )));
        };
        let print = Fingerprint::of(&file, &declarations::event(event))?;
        if print.is_current(&event.name, &name, writer.imports()) {
            unchanged += 1;
            continue;
        }
        let bar = Bar::new(cx, &name);
        let always = schema.tags.iter().filter(|t| t.always && !t.derived);
        let reading = loading::reading(&project);
        let import = EventImport {
            file: &file,
            id: &source.id,
            at: &source.at,
            reading,
            again: true,
            source: Some(&name),
        };
        match import.run(&mut writer, event, always, &mut |p| bar.tell(p)) {
            Ok(report) => imported.push((source.file.clone(), report)),
            Err(e) => return refuse(cx, bar, e, format),
        }
    }
    if !imported.is_empty() {
        writer.commit()?;
    }
    for (file, report) in &imported {
        loading::report(cx, file, report, format)?;
    }
    if unchanged > 0 {
        cx.say(&msg!(
            "unchanged sources: {unchanged}",
            "{unchanged} 个数据源没有变化"
        ));
    }
    Ok(0)
}

fn refuse(cx: &Context, bar: Bar, error: ImportError, format: OutputFormat) -> Result<u8, Failure> {
    drop(bar);
    loading::refuse(cx, error, format)
}

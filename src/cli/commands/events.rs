//! `tagcast events`: fill the store with what users did, and list what there is.

use std::path::Path;

use serde_json::json;

use super::live;
use super::loading::{self, Bar};
use crate::base::EventSchema;
use crate::base::value::{count_of, group_digits};
use crate::cli::args::{EventsCommand, EventsImportArgs, OutputFormat};
use crate::cli::output::{Context, print_json, print_out};
use crate::engine::{Failure, Project};
use crate::msg;
use crate::store::import::{EventImport, infer};
use crate::store::{Store, declarations};

pub fn run(cx: &Context, command: &EventsCommand) -> Result<u8, Failure> {
    match command {
        EventsCommand::Import(args) => import(cx, args),
        EventsCommand::Add(args) => live::add(cx, args),
        EventsCommand::List => list(cx),
    }
}

fn import(cx: &Context, args: &EventsImportArgs) -> Result<u8, Failure> {
    let format = cx.format(&[OutputFormat::Human, OutputFormat::Json])?;
    let (store, project) = loading::open(cx)?;
    let mut writer = store.writer()?;
    let stored = writer.schema();
    let Some(event) = declared(&project, &args.event)
        .or_else(|| stored.events.iter().find(|e| e.name == args.event))
    else {
        return Err(undeclared(&project, args, &loading::reading(&project)));
    };
    let reading = crate::store::import::Reading {
        minor_units: args.minor_units,
        ..loading::reading(&project)
    };
    let import = EventImport {
        file: &args.file,
        id: &args.id,
        at: &args.at,
        reading,
        again: args.again,
        source: None,
    };
    let bar = Bar::new(cx, &args.event);
    let always = project
        .program
        .schema
        .tags
        .iter()
        .filter(|t| t.always && !t.derived);
    let result = import.run(&mut writer, event, always, &mut |p| bar.tell(p));
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

/// An event as the program declares it.
pub fn declared<'a>(project: &'a Project, name: &str) -> Option<&'a EventSchema> {
    project
        .program
        .schema
        .events
        .iter()
        .find(|e| e.name == name)
}

fn undeclared(
    project: &Project,
    args: &EventsImportArgs,
    reading: &crate::store::import::Reading,
) -> Failure {
    let name = &args.event;
    let folder = project.folder.display();
    let failure = Failure::new(msg!(
        "no event `{name}` is declared in `{folder}`",
        "`{folder}` 中没有声明事件 `{name}`"
    ));
    match infer::event(Path::new(&args.file), name, &args.id, &args.at, reading) {
        Ok(line) => failure.help(msg!(
            "for this file, declare: {line}",
            "针对此文件可声明：{line}"
        )),
        Err(_) => failure.help(msg!(
            "declare it: event {name} {{ amount money }}",
            "请声明:event {name} {{ amount money }}"
        )),
    }
}

fn list(cx: &Context) -> Result<u8, Failure> {
    let format = cx.format(&[OutputFormat::Human, OutputFormat::Json])?;
    let store = Store::open(cx.store_dir(), cx.world())?;
    let snapshot = store.snapshot()?;
    let project = loading::project(cx, &store)?;
    let only_stored = snapshot
        .schema()
        .events
        .iter()
        .filter(|e| declared(&project, &e.name).is_none());
    let (mut text, mut rows) = (String::new(), Vec::new());
    for event in project.program.schema.events.iter().chain(only_stored) {
        let (count, users) = snapshot
            .event(&event.name)?
            .map_or((0, 0), |t| (t.len(), t.users_with_events().count()));
        let line = declarations::event(event);
        match cx.lang() {
            crate::base::Lang::En => text.push_str(&format!(
                "{line}  # {} of {}\n",
                group_digits(count as u64),
                count_of(users, "user")
            )),
            crate::base::Lang::Zh => text.push_str(&format!(
                "{line}  # {} 条，{} 个用户\n",
                group_digits(count as u64),
                group_digits(users as u64)
            )),
        }
        rows.push(
            json!({"event": event.name, "declaration": line, "count": count, "users": users}),
        );
    }
    match format {
        OutputFormat::Json => print_json(&json!(rows))?,
        _ => print_out(&text)?,
    }
    Ok(0)
}

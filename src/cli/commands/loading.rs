//! What `tags import`, `events import` and `sync` share: progress, the report, and the telling of
//! bad rows.

use std::path::Path;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use crate::base::value::{count_of, group_digits};
use crate::base::{Lang, Msg};
use crate::cli::args::OutputFormat;
use crate::cli::output::{Context, print_err, print_json};
use crate::engine::{Failure, Project, ProjectOptions};
use crate::msg;
use crate::store::Store;
use crate::store::import::{ImportError, ImportProgress, ImportReport, Reading, RejectedFile};

/// The store that an import fills, made if it is not there, and the program that says what the
/// columns are. A program with mistakes elsewhere does not stop an import: only its declarations
/// are needed.
pub fn open(cx: &Context) -> Result<(Store, Project), Failure> {
    let store = Store::create_or_open(cx.store_dir(), cx.world())?;
    let project = project(cx, &store)?;
    Ok((store, project))
}

/// The program, with the tags that only the store declares.
pub fn project(cx: &Context, store: &Store) -> Result<Project, Failure> {
    let stored = store.snapshot()?.schema().clone();
    cx.project(
        &[],
        ProjectOptions {
            store_schema: Some(stored),
            ..ProjectOptions::default()
        },
    )
}

/// How files are read for a program.
pub fn reading(project: &Project) -> Reading {
    Reading {
        zone: project.program.policy.zone,
        ..Reading::default()
    }
}

/// A bar on a terminal, nothing elsewhere.
pub struct Bar(Option<ProgressBar>);

impl Bar {
    pub fn new(cx: &Context, what: &str) -> Self {
        let style = ProgressStyle::with_template("{prefix} [{bar:30}] {percent:>3}%  {msg}  {eta}");
        let style = style
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> ");
        let bar = cx.progress().then(|| {
            ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(5))
                .with_style(style)
        });
        Bar(bar.map(|b| b.with_prefix(what.to_string())))
    }

    pub fn tell(&self, p: ImportProgress) {
        if let Some(bar) = &self.0 {
            bar.set_length(p.total_bytes);
            bar.set_position(p.bytes);
            bar.set_message(group_digits(p.rows));
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// Says what was imported.
pub fn report(
    cx: &Context,
    file: &Path,
    report: &ImportReport,
    format: OutputFormat,
) -> Result<(), Failure> {
    let ImportReport {
        rows,
        new_users,
        columns,
        ignored,
    } = report;
    if format == OutputFormat::Json {
        let file = file.display().to_string();
        return print_json(
            &json!({"file": file, "imported": true, "rows": rows, "new_users": new_users, "columns": columns, "ignored": ignored}),
        );
    }
    let (all, users) = (count_of(*rows, "row"), count_of(*new_users, "new user"));
    let (rows, new, names) = (
        group_digits(*rows),
        group_digits(*new_users),
        columns.join(", "),
    );
    let file = file.display();
    cx.say(&msg!(
        "imported {all} of `{file}`: {names}; {users}",
        "已导入 `{file}` 的 {rows} 行：{names}；新增用户 {new} 个"
    ));
    if !ignored.is_empty() {
        let names = ignored
            .iter()
            .map(|n| format!("`{n}`"))
            .collect::<Vec<_>>()
            .join(", ");
        cx.say(&msg!(
            "note: nothing declares {names}: left out",
            "注意：{names} 没有声明，已忽略"
        ));
    }
    Ok(())
}

/// Tells why an import was refused, row by row where rows are to blame; gives the exit code.
pub fn refuse(cx: &Context, error: ImportError, format: OutputFormat) -> Result<u8, Failure> {
    let words = error.words();
    let rejected = match error {
        ImportError::Store(e) => return Err(e.into()),
        ImportError::Rows(rejected) => rejected,
    };
    let lang = cx.lang();
    let text = |w: &Msg| {
        if lang == Lang::Zh {
            w.zh.clone()
        } else {
            w.en.clone()
        }
    };
    let RejectedFile {
        file,
        errors,
        total,
        rows,
    } = &rejected;
    if format == OutputFormat::Json {
        let errors: Vec<_> = errors
            .iter()
            .map(|e| json!({"line": e.line, "column": e.column, "message": text(&e.why)}))
            .collect();
        print_json(
            &json!({"file": file.display().to_string(), "imported": false, "rows": rows, "error_count": total, "errors": errors}),
        )?;
        return Ok(1);
    }
    for e in errors {
        let column = e
            .column
            .as_ref()
            .map_or(String::new(), |c| format!("{c}: "));
        print_err(&format!(
            "{}:{}: {column}{}\n",
            file.display(),
            e.line,
            text(&e.why)
        ));
    }
    let more = *total - errors.len() as u64;
    if more > 0 {
        cx.say(&msg!("… and {more} more", "…… 还有 {more} 处"));
    }
    Err(Failure::refused(words))
}

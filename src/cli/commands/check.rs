//! `tagcast check`: parse, check, lint; every finding of every file in one go.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::base::value::count_of;
use crate::cli::args::{CheckArgs, FailLevel, OutputFormat};
use crate::cli::output::Context;
use crate::diag::{Edit, Level};
use crate::engine::{Failure, Project, ProjectOptions, project};
use crate::msg;

pub fn run(cx: &Context, args: &CheckArgs) -> Result<u8, Failure> {
    let format = cx.format(&[
        OutputFormat::Human,
        OutputFormat::Concise,
        OutputFormat::Json,
        OutputFormat::Sarif,
        OutputFormat::Github,
    ])?;
    let mut worst = None;
    for paths in by_program(cx, &args.paths)? {
        let mut loaded = cx.project(&paths, ProjectOptions::default())?;
        if args.fix && apply_fixes(cx, &loaded)? > 0 {
            loaded = cx.project(&paths, ProjectOptions::default())?;
        }
        worst = worst.max(cx.print_findings(&loaded, &loaded.focused_findings(), format)?);
        report_rest(cx, &loaded);
    }
    let fails = match args.fail_level {
        FailLevel::Error => Level::Error,
        FailLevel::Warning => Level::Warning,
        FailLevel::Note => Level::Note,
    };
    Ok(u8::from(worst.is_some_and(|w| w >= fails)))
}

/// Paths of one program together, in the order given.
fn by_program(cx: &Context, paths: &[PathBuf]) -> Result<Vec<Vec<PathBuf>>, Failure> {
    if paths.is_empty() {
        return Ok(vec![vec![cx.global.program.clone()]]);
    }
    let mut groups: Vec<(PathBuf, Vec<PathBuf>)> = Vec::new();
    for path in paths {
        let folder = project::folder_of(path)?;
        match groups.iter_mut().find(|(f, _)| *f == folder) {
            Some((_, group)) => group.push(path.clone()),
            None => groups.push((folder, vec![path.clone()])),
        }
    }
    Ok(groups.into_iter().map(|(_, group)| group).collect())
}

fn report_rest(cx: &Context, project: &Project) {
    let elsewhere = project.errors_elsewhere();
    if elsewhere > 0 {
        let folder = project.folder.display();
        let errors = count_of(elsewhere, "error");
        cx.say(&msg!(
            "note: {errors} in other files of this program; `tagcast check {folder}` shows what",
            "注意：该程序的其他文件中还有 {elsewhere} 个错误；运行 `tagcast check {folder}` 查看"
        ));
    }
}

/// Writes the first safe fix of each finding into the files; overlapping ones wait for the next
/// run.
fn apply_fixes(cx: &Context, project: &Project) -> Result<usize, Failure> {
    let mut by_file: BTreeMap<_, Vec<&Edit>> = BTreeMap::new();
    let mut applied = 0;
    for finding in project
        .findings
        .iter()
        .filter(|f| project.in_focus(f.span.file))
    {
        let Some(fix) = finding.fixes.iter().find(|f| f.safe) else {
            continue;
        };
        let clash = |e: &Edit| {
            by_file.get(&e.span.file).is_some_and(|l| {
                l.iter().any(|o| {
                    e.span.start < o.span.end && o.span.start < e.span.end || e.span == o.span
                })
            })
        };
        if fix.edits.iter().any(clash) {
            continue;
        }
        applied += 1;
        for edit in &fix.edits {
            by_file.entry(edit.span.file).or_default().push(edit);
        }
    }
    for (file, mut edits) in by_file {
        edits.sort_by_key(|e| std::cmp::Reverse((e.span.start, e.span.end)));
        let mut text = project.sources.text(file).to_string();
        for edit in edits {
            text.replace_range(edit.span.range(), &edit.text);
        }
        let path = project.sources.path(file);
        super::fmt::replace_file(path, &text)?;
    }
    if applied > 0 {
        cx.say(&msg!("applied {applied} fixes", "已应用 {applied} 处修正"));
    }
    Ok(applied)
}

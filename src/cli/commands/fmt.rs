//! `tagcast fmt`: one layout; refuses to change what a file means.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::base::FileId;
use crate::base::Lang;
use crate::cli::args::{FmtArgs, OutputFormat};
use crate::cli::output::{Context, print_err, print_out};
use crate::diag::render::{self, RenderFormat};
use crate::diag::{Findings, Level, Sources};
use crate::engine::{Failure, project};
use crate::format;
use crate::msg;
use crate::syntax::{keyword, parse};

pub fn run(cx: &Context, args: &FmtArgs) -> Result<u8, Failure> {
    cx.format(&[OutputFormat::Human])?;
    let keywords = args.keywords.map(Lang::from);
    if let [only] = &args.paths[..]
        && only.as_os_str() == "-"
    {
        return standard_input(cx, keywords);
    }
    let default = [cx.global.program.clone()];
    let paths = if args.paths.is_empty() {
        &default[..]
    } else {
        &args.paths
    };
    let (mut would_change, mut broken, mut changed) = (0, 0, 0);
    for file in files(paths)? {
        let bytes = std::fs::read(&file).map_err(|e| Failure::io(&file, &e))?;
        match formatted(cx, &file, &bytes, keywords) {
            None => broken += 1,
            Some(text) if text.as_bytes() == bytes => {}
            Some(_) if args.check => {
                would_change += 1;
                print_out(&format!("{}\n", file.display()))?;
            }
            Some(text) => {
                replace_file(&file, &text)?;
                changed += 1;
            }
        }
    }
    if broken > 0 {
        return Ok(2);
    }
    if args.check {
        return Ok(u8::from(would_change > 0));
    }
    if changed > 0 {
        let files = if changed == 1 { "file" } else { "files" };
        cx.say(&msg!(
            "formatted {changed} {files}",
            "已格式化 {changed} 个文件"
        ));
    }
    Ok(0)
}

fn standard_input(cx: &Context, keywords: Option<Lang>) -> Result<u8, Failure> {
    let mut bytes = Vec::new();
    let path = Path::new("<stdin>");
    std::io::stdin()
        .read_to_end(&mut bytes)
        .map_err(|e| Failure::io(path, &e))?;
    match formatted(cx, path, &bytes, keywords) {
        Some(text) => print_out(&text).map(|()| 0),
        None => Ok(2),
    }
}

/// The file in the one layout; `None` when it cannot be read, which has been said.
fn formatted(cx: &Context, path: &Path, bytes: &[u8], keywords: Option<Lang>) -> Option<String> {
    let mut findings = Findings::default();
    let mut sources = Sources::default();
    let id = FileId(0);
    let text = parse::decode(id, bytes, &mut findings);
    let tree = parse::parse(id, &text, &mut findings);
    sources.add(path, text);
    let text = sources.text(id);
    let lang = cx
        .global
        .lang
        .map_or_else(|| keyword::language_of(text), Lang::from);
    if findings.has_errors() {
        let errors: Vec<_> = findings
            .sorted()
            .into_iter()
            .filter(|f| f.level == Level::Error)
            .collect();
        print_err(&render::render(
            RenderFormat::Human,
            &sources,
            &errors,
            &|_| lang,
            cx.color_err(),
        ));
        return None;
    }
    match format::format(&tree, text, &format::FormatOptions { keywords }) {
        Ok(text) => Some(text),
        Err(error) => {
            let shown = path.display();
            let why = error.msg();
            print_err(&format!("{shown}: {}\n", why.get(lang)));
            None
        }
    }
}

/// The `.campaign` files below the paths, whatever program they belong to.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut out = Vec::new();
    for path in paths {
        if std::fs::metadata(path)
            .map_err(|e| Failure::io(path, &e))?
            .is_dir()
        {
            project::collect_all(path, &mut out)?;
        } else {
            out.push(path.clone());
        }
    }
    Ok(out)
}

/// Replaces a file whole or not at all: written beside it, synced, renamed.
pub fn replace_file(path: &Path, text: &str) -> Result<(), Failure> {
    let fail = |e: std::io::Error| Failure::io(path, &e);
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".tagcast-new");
    let beside = path.with_file_name(name);
    let written = std::fs::File::create(&beside)
        .and_then(|mut f| f.write_all(text.as_bytes()).and_then(|()| f.sync_all()));
    if let Ok(meta) = std::fs::metadata(path) {
        // Keep who may read the file; not worth failing for.
        let _ = std::fs::set_permissions(&beside, meta.permissions());
    }
    written
        .and_then(|()| std::fs::rename(&beside, path))
        .map_err(|e| {
            let _ = std::fs::remove_file(&beside);
            fail(e)
        })
}

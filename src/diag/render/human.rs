//! Source excerpts with labels, drawn by ariadne.

use std::collections::BTreeSet;

use ariadne::{CharSet, Color, Config, IndexType, Label, Report, ReportKind, Source};

use crate::diag::{Finding, Lang, Level, Sources};

pub fn render(sources: &Sources, findings: &[Finding], lang: &dyn Fn(&Finding) -> Lang, color: bool) -> String {
    let mut cache = ariadne::FnCache::new(|path: &String| Err(format!("no source `{path}`")))
        .with_sources(sources.iter().map(|(id, f)| (key(sources, id), Source::from(f.text.clone()))).collect());
    let mut out = Vec::new();
    for finding in findings {
        let lang = lang(finding);
        // ariadne writes a code before the word; `error[name]` reads better and can be searched for.
        let kind = format!("{}[{}]", word(finding.level, lang), finding.code.name);
        let report = report(sources, finding, &kind, lang, color);
        // Writing to memory cannot fail; a source that is missing would only leave the excerpt out.
        let mut one = Vec::new();
        let _ = report.write(&mut cache, &mut one);
        match lang {
            Lang::En => out.extend(one),
            // The one word that ariadne writes itself.
            Lang::Zh => out.extend(String::from_utf8_lossy(&one).replace("Help", "帮助").into_bytes()),
        }
        out.push(b'\n');
    }
    let text = String::from_utf8_lossy(&out);
    // The head of a report is painted even when colours are off.
    let text = if color { text.into_owned() } else { without_escapes(&text) };
    let mut text: String = text.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    if let Some(first) = findings.first() {
        text.push_str(&summary(findings, lang(first)));
    }
    text
}

fn word(level: Level, lang: Lang) -> &'static str {
    match (level, lang) {
        (Level::Error, Lang::En) => "error",
        (Level::Warning, Lang::En) => "warning",
        (Level::Note, Lang::En) => "note",
        (Level::Error, Lang::Zh) => "错误",
        (Level::Warning, Lang::Zh) => "警告",
        (Level::Note, Lang::Zh) => "提示",
    }
}

fn paint(level: Level) -> Color {
    match level {
        Level::Error => Color::Red,
        Level::Warning => Color::Yellow,
        Level::Note => Color::Blue,
    }
}

fn key(sources: &Sources, file: crate::base::FileId) -> String {
    sources.path(file).to_string_lossy().replace('\\', "/")
}

type Place = (String, std::ops::Range<usize>);

fn report<'a>(sources: &Sources, finding: &Finding, kind: &'a str, lang: Lang, color: bool) -> Report<'a, Place> {
    let paint = paint(finding.level);
    let kind = ReportKind::Custom(kind, paint);
    let place = |span: crate::diag::Span| (key(sources, span.file), visible(sources, span));
    let config = Config::default().with_index_type(IndexType::Byte).with_char_set(CharSet::Unicode).with_color(color).with_compact(false);
    let mut builder = Report::build(kind, place(finding.span)).with_config(config).with_message(finding.message.get(lang));
    let word = match lang {
        Lang::En => "here",
        Lang::Zh => "此处",
    };
    // ariadne draws an arrow only to a label that says something.
    let here = finding.label.as_ref().map_or(word, |l| l.get(lang));
    let primary = Label::new(place(finding.span)).with_message(here).with_color(paint).with_priority(1);
    builder = builder.with_label(primary);
    for label in &finding.labels {
        builder = builder.with_label(Label::new(place(label.span)).with_message(label.text.get(lang)).with_color(Color::Cyan));
    }
    let helps = finding.help.iter().map(|h| h.get(lang).to_string());
    let fixes = finding.fixes.iter().map(|f| f.title.get(lang).to_string());
    for help in helps.chain(fixes).collect::<Vec<_>>() {
        builder = builder.with_help(help);
    }
    builder.finish()
}

/// An empty span shows as the character at it, so that there is something to point at.
fn visible(sources: &Sources, span: crate::diag::Span) -> std::ops::Range<usize> {
    let text = sources.text(span.file);
    let (start, end) = ((span.start as usize).min(text.len()), (span.end as usize).min(text.len()));
    if start < end {
        return start..end;
    }
    match text.get(start..).and_then(|rest| rest.chars().next()) {
        Some(c) => start..start + c.len_utf8(),
        None => start..start,
    }
}

/// `2 errors, 1 warning in 2 files`
fn summary(findings: &[Finding], lang: Lang) -> String {
    let count = |level| findings.iter().filter(|f| f.level == level).count();
    let files = findings.iter().map(|f| f.span.file).collect::<BTreeSet<_>>().len();
    let kinds =
        [(count(Level::Error), "error", "个错误"), (count(Level::Warning), "warning", "个警告"), (count(Level::Note), "note", "条提示")];
    let plural = |n: usize| if n == 1 { "" } else { "s" };
    let parts: Vec<String> = kinds
        .iter()
        .filter(|(n, _, _)| *n > 0)
        .map(|(n, en, zh)| match lang {
            Lang::En => format!("{n} {en}{}", plural(*n)),
            Lang::Zh => format!("{n} {zh}"),
        })
        .collect();
    match lang {
        Lang::En => format!("{} in {files} file{}\n", parts.join(", "), plural(files)),
        Lang::Zh => format!("{files} 个文件中有 {}\n", parts.join("、")),
    }
}

/// Takes the colour escapes (`ESC [ … m`) out of a text.
fn without_escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\u{1b}[") {
        out.push_str(&rest[..at]);
        rest = rest[at..].find('m').map_or("", |end| &rest[at + end + 1..]);
    }
    out.push_str(rest);
    out
}

//! Source excerpts with labels, drawn by ariadne.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use ariadne::{CharSet, Color, Config, IndexType, Label, Report, ReportKind, Source};

use crate::base::FileId;
use crate::base::Lang;
use crate::base::value::count_of;
use crate::diag::{Finding, Level, Sources, Span};

pub fn render(
    sources: &Sources,
    findings: &[Finding],
    lang: &dyn Fn(&Finding) -> Lang,
    color: bool,
) -> String {
    let mut cache = ariadne::FnCache::new(|path: &String| Err(format!("no source `{path}`")))
        .with_sources(
            sources
                .iter()
                .map(|(id, f)| (key(sources, id), Source::from(f.text.clone())))
                .collect(),
        );
    let mut out = Vec::new();
    let mut places = Places {
        sources,
        lines: BTreeMap::new(),
    };
    for finding in findings {
        let lang = lang(finding);
        // ariadne writes a code before the word; `error[name]` reads better and can be searched
        // for.
        let kind = format!("{}[{}]", word(finding.level, lang), finding.code.name);
        let report = report(&mut places, finding, &kind, lang, color);
        // Writing to memory cannot fail; a source that is missing would only leave the excerpt out.
        let mut one = Vec::new();
        let _ = report.write(&mut cache, &mut one);
        match lang {
            Lang::En => out.extend(one),
            Lang::Zh => out.extend(in_chinese(&String::from_utf8_lossy(&one)).into_bytes()),
        }
        out.push(b'\n');
    }
    let text = String::from_utf8_lossy(&out);
    // The head of a report is painted even when colours are off.
    let text = if color {
        text.into_owned()
    } else {
        without_escapes(&text)
    };
    let mut text: String = text
        .lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect();
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

fn key(sources: &Sources, file: FileId) -> String {
    sources.path(file).to_string_lossy().replace('\\', "/")
}

type Place = (String, Range<usize>);

/// Spans as ariadne wants them: by file name, in characters. (It can count in bytes, but not for a
/// label in another file than the finding's.)
struct Places<'a> {
    sources: &'a Sources,
    /// For each file that was asked for, where its lines begin: bytes and characters.
    lines: BTreeMap<FileId, Vec<(usize, usize)>>,
}

impl Places<'_> {
    fn of(&mut self, span: Span) -> Place {
        let bytes = visible(self.sources, span);
        (
            key(self.sources, span.file),
            self.characters(span.file, bytes.start)..self.characters(span.file, bytes.end),
        )
    }

    /// How many characters stand before a byte.
    fn characters(&mut self, file: FileId, byte: usize) -> usize {
        let text = self.sources.text(file);
        let lines = self.lines.entry(file).or_insert_with(|| {
            let mut at = (0, 0);
            let starts = text.split_inclusive('\n').map(|line| {
                let start = at;
                at = (at.0 + line.len(), at.1 + line.chars().count());
                start
            });
            starts.collect()
        });
        let line = lines
            .partition_point(|(start, _)| *start <= byte)
            .checked_sub(1);
        let (start, before) = line.and_then(|i| lines.get(i)).copied().unwrap_or((0, 0));
        before + text.get(start..byte).map_or(0, |part| part.chars().count())
    }
}

/// The one word that ariadne writes itself; the lines that quote the program begin with a number
/// and are left alone.
fn in_chinese(report: &str) -> String {
    let line = |line: &str| {
        if line.trim_start().starts_with('│') {
            line.replacen("Help", "帮助", 1)
        } else {
            line.to_owned()
        }
    };
    report.split_inclusive('\n').map(line).collect()
}

fn report<'a>(
    places: &mut Places<'_>,
    finding: &Finding,
    kind: &'a str,
    lang: Lang,
    color: bool,
) -> Report<'a, Place> {
    let paint = paint(finding.level);
    let kind = ReportKind::Custom(kind, paint);
    let mut place = |span: Span| places.of(span);
    let config = Config::default()
        .with_index_type(IndexType::Char)
        .with_char_set(CharSet::Unicode)
        .with_color(color)
        .with_compact(false);
    let mut builder = Report::build(kind, place(finding.span))
        .with_config(config)
        .with_message(finding.message.get(lang));
    let word = match lang {
        Lang::En => "here",
        Lang::Zh => "此处",
    };
    // ariadne draws an arrow only to a label that says something.
    let here = finding.label.as_ref().map_or(word, |l| l.get(lang));
    // One excerpt a file: the finding's own first, its lines from top to bottom.
    let order = |span: Span| {
        if span.file == finding.span.file {
            i32::try_from(span.end).unwrap_or(i32::MAX - 1)
        } else {
            i32::MAX
        }
    };
    let primary = Label::new(place(finding.span))
        .with_message(here)
        .with_color(paint)
        .with_priority(1);
    builder = builder.with_label(primary.with_order(order(finding.span)));
    for label in &finding.labels {
        let text = Label::new(place(label.span))
            .with_message(label.text.get(lang))
            .with_color(Color::Cyan);
        builder = builder.with_label(text.with_order(order(label.span)));
    }
    let helps = finding.help.iter().map(|h| h.get(lang).to_string());
    let fixes = finding.fixes.iter().map(|f| f.title.get(lang).to_string());
    for help in helps.chain(fixes).collect::<Vec<_>>() {
        builder = builder.with_help(help);
    }
    builder.finish()
}

/// An empty span shows as the character at it, so that there is something to point at.
fn visible(sources: &Sources, span: Span) -> Range<usize> {
    let text = sources.text(span.file);
    let (start, end) = (
        (span.start as usize).min(text.len()),
        (span.end as usize).min(text.len()),
    );
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
    let files = findings
        .iter()
        .map(|f| f.span.file)
        .collect::<BTreeSet<_>>()
        .len();
    let kinds = [
        (count(Level::Error), "error", "个错误"),
        (count(Level::Warning), "warning", "个警告"),
        (count(Level::Note), "note", "条提示"),
    ];
    let parts: Vec<String> = kinds
        .iter()
        .filter(|(n, _, _)| *n > 0)
        .map(|(n, en, zh)| match lang {
            Lang::En => count_of(*n, en),
            Lang::Zh => format!("{n} {zh}"),
        })
        .collect();
    match lang {
        Lang::En => format!("{} in {}\n", parts.join(", "), count_of(files, "file")),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::catalog;
    use crate::msg;

    /// A label in another file is found there, whatever characters stand before it.
    #[test]
    fn labels_in_other_files() {
        let mut sources = Sources::default();
        let one = sources.add("一.campaign", "# 第一个文件\ntag 甲 int\n");
        let two = sources.add(
            "二.campaign",
            "template 模板 \"朋友们大家好\" # 一行\ntag 乙 int\ntag 甲 int # Help\n",
        );
        let span = |file: FileId| {
            let start = sources.text(file).find("甲").unwrap_or_default() as u32;
            Span {
                file,
                start,
                end: start + 3,
            }
        };
        let finding = Finding::new(&catalog::DUPLICATE_NAME, span(one), msg!("twice", "重复"))
            .label(span(two), msg!("the other", "另一处"))
            .help(msg!("rename one", "改名"));
        for (lang, help) in [(Lang::En, "Help: rename one"), (Lang::Zh, "帮助: 改名")] {
            let text = render(&sources, std::slice::from_ref(&finding), &|_| lang, false);
            for wanted in [
                "一.campaign:2:5",
                "二.campaign:3:5",
                "tag 甲 int # Help",
                help,
            ] {
                assert!(text.contains(wanted), "{wanted}: {text}");
            }
        }
    }
}

//! One line a finding, JSON, and GitHub workflow commands.

use serde_json::{Value, json};

use super::shown_path::shown_path;
use crate::base::Lang;
use crate::diag::{Finding, Level, Sources, Span};

fn level(finding: &Finding) -> &'static str {
    match finding.level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Note => "note",
    }
}

pub fn concise(sources: &Sources, findings: &[Finding], lang: &dyn Fn(&Finding) -> Lang) -> String {
    let line = |f: &Finding| {
        let (line, column) = sources.line_column(f.span.file, f.span.start);
        format!(
            "{}:{line}:{column}: {}[{}]: {}\n",
            shown_path(sources, f),
            level(f),
            f.code.name,
            f.message.get(lang(f))
        )
    };
    findings.iter().map(line).collect()
}

/// GitHub counts columns in UTF-16 units from 1; `%`, line ends, and in properties `,` and `:`, are
/// escaped.
pub fn github(sources: &Sources, findings: &[Finding], lang: &dyn Fn(&Finding) -> Lang) -> String {
    let text = |s: &str| {
        s.replace('%', "%25")
            .replace('\r', "%0D")
            .replace('\n', "%0A")
    };
    let property = |s: &str| text(s).replace(':', "%3A").replace(',', "%2C");
    let line = |f: &Finding| {
        let command = if f.level == Level::Note {
            "notice"
        } else {
            level(f)
        };
        let (line, column) = sources.line_column(f.span.file, f.span.start);
        let (end_line, end_column) = sources.line_column(f.span.file, f.span.end);
        let lang = lang(f);
        let mut message = f.message.get(lang).to_string();
        for help in &f.help {
            message.push('\n');
            message.push_str(help.get(lang));
        }
        format!(
            "::{command} file={},line={line},endLine={end_line},col={column},endColumn={end_column},title={}::{}\n",
            property(&shown_path(sources, f)),
            property(f.code.name),
            text(&message)
        )
    };
    findings.iter().map(line).collect()
}

pub fn json(sources: &Sources, findings: &[Finding], lang: &dyn Fn(&Finding) -> Lang) -> String {
    let list: Vec<Value> = findings
        .iter()
        .map(|f| finding(sources, f, lang(f)))
        .collect();
    format!("{:#}\n", Value::Array(list))
}

/// Bytes from 0, lines and columns from 1, columns in Unicode scalar values.
fn place(sources: &Sources, span: Span) -> Value {
    let (line, column) = sources.line_column(span.file, span.start);
    let (end_line, end_column) = sources.line_column(span.file, span.end);
    json!({
        "path": sources.path(span.file).to_string_lossy().replace('\\', "/"),
        "start": {"byte": span.start, "line": line, "column": column},
        "end": {"byte": span.end, "line": end_line, "column": end_column},
    })
}

fn finding(sources: &Sources, f: &Finding, lang: Lang) -> Value {
    let labels: Vec<Value> = f
        .labels
        .iter()
        .map(|l| json!({"message": l.text.get(lang), "place": place(sources, l.span)}))
        .collect();
    let fixes: Vec<Value> = f
        .fixes
        .iter()
        .map(|fix| {
            let edits: Vec<Value> = fix
                .edits
                .iter()
                .map(|e| json!({"place": place(sources, e.span), "text": e.text}))
                .collect();
            json!({"title": fix.title.get(lang), "safe": fix.safe, "edits": edits})
        })
        .collect();
    json!({
        "name": f.code.name,
        "level": level(f),
        "message": f.message.get(lang),
        "place": place(sources, f.span),
        "label": f.label.as_ref().map(|l| l.get(lang)),
        "labels": labels,
        "help": f.help.iter().map(|h| h.get(lang)).collect::<Vec<_>>(),
        "fixes": fixes,
    })
}

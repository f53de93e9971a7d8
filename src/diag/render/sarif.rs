//! SARIF 2.1.0 (OASIS), for code scanning: one run, a rule for each name that occurs, fixes as
//! replacements.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::shown_path::shown_path;
use crate::base::Lang;
use crate::diag::{Code, Finding, Level, Sources, Span};

pub fn render(sources: &Sources, findings: &[Finding], lang: &dyn Fn(&Finding) -> Lang) -> String {
    let codes: BTreeMap<&str, &Code> = findings.iter().map(|f| (f.code.name, f.code)).collect();
    let names: Vec<&str> = codes.keys().copied().collect();
    let rules: Vec<Value> = codes.values().map(|code| rule(code)).collect();
    let results: Vec<Value> = findings
        .iter()
        .map(|f| result(sources, f, lang(f), &names))
        .collect();
    let document = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "tagcast",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    format!("{document:#}\n")
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Note => "note",
    }
}

fn rule(code: &Code) -> Value {
    // The first paragraph of the page, without its mark-up, says what the finding is about.
    let first = code
        .page
        .split("\n\n")
        .nth(1)
        .unwrap_or(code.name)
        .replace("**", "")
        .replace('\n', " ");
    json!({
        "id": code.name,
        "shortDescription": {"text": first},
        "help": {"text": code.page, "markdown": code.page},
        "defaultConfiguration": {"level": level(code.level)},
    })
}

fn region(sources: &Sources, span: Span) -> Value {
    let (line, column) = sources.line_column(span.file, span.start);
    let (end_line, end_column) = sources.line_column(span.file, span.end);
    json!({"startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column})
}

fn location(sources: &Sources, span: Span, message: Option<&str>) -> Value {
    let uri = uri(&sources.path(span.file).to_string_lossy().replace('\\', "/"));
    let mut place = json!({"physicalLocation": {"artifactLocation": {"uri": uri}, "region": region(sources, span)}});
    if let (Some(text), Some(object)) = (message, place.as_object_mut()) {
        object.insert("message".into(), json!({"text": text}));
    }
    place
}

/// A relative path as a URI: everything but unreserved characters and slashes is percent-encoded.
fn uri(path: &str) -> String {
    path.bytes()
        .map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                char::from(b).to_string()
            }
            b => format!("%{b:02X}"),
        })
        .collect()
}

fn result(sources: &Sources, f: &Finding, lang: Lang, names: &[&str]) -> Value {
    let mut text = f.message.get(lang).to_string();
    for help in &f.help {
        text.push('\n');
        text.push_str(help.get(lang));
    }
    let related: Vec<Value> = f
        .labels
        .iter()
        .map(|l| location(sources, l.span, Some(l.text.get(lang))))
        .collect();
    let fixes: Vec<Value> = f
        .fixes
        .iter()
        .map(|fix| {
            let mut by_file: BTreeMap<u32, Vec<Value>> = BTreeMap::new();
            for edit in &fix.edits {
                let change = json!({"deletedRegion": region(sources, edit.span), "insertedContent": {"text": edit.text}});
                by_file.entry(edit.span.file.0).or_default().push(change);
            }
            let changes: Vec<Value> = by_file
                .into_iter()
                .map(|(file, replacements)| {
                    let path = sources.path(crate::base::FileId(file)).to_string_lossy().replace('\\', "/");
                    json!({"artifactLocation": {"uri": uri(&path)}, "replacements": replacements})
                })
                .collect();
            json!({"description": {"text": fix.title.get(lang)}, "artifactChanges": changes})
        })
        .collect();
    let mut out = json!({
        "ruleId": f.code.name,
        "ruleIndex": names.iter().position(|n| *n == f.code.name),
        "level": level(f.level),
        "message": {"text": text},
        "locations": [location(sources, f.span, None)],
        "partialFingerprints": {"tagcast/v1": fingerprint(sources, f)},
    });
    if let Some(object) = out.as_object_mut() {
        if !related.is_empty() {
            object.insert("relatedLocations".into(), Value::Array(related));
        }
        if !fixes.is_empty() {
            object.insert("fixes".into(), Value::Array(fixes));
        }
    }
    out
}

/// Stable while lines move: file, name and the text under the span.
fn fingerprint(sources: &Sources, f: &Finding) -> String {
    let text = format!(
        "{}\0{}\0{}",
        shown_path(sources, f),
        f.code.name,
        sources.slice(f.span)
    );
    blake3::hash(text.as_bytes())
        .to_hex()
        .chars()
        .take(32)
        .collect()
}

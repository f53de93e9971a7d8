//! Any text: checked and linted without a panic, every finding rendered in every format.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tagcast::base::FileId;
use tagcast::diag::render::{RenderFormat, render};
use tagcast::diag::{Findings, Sources};
use tagcast::base::Lang;
use tagcast::lint;
use tagcast::program::check::{CheckOptions, check};
use tagcast::syntax::parse;

fuzz_target!(|text: &str| {
    let mut findings = Findings::default();
    let mut sources = Sources::default();
    let files = vec![parse::parse(FileId(0), text, &mut findings)];
    sources.add("fuzz.campaign", text);
    let program = check(&sources, &files, &CheckOptions::default(), &mut findings);
    lint::run(
        &lint::LintContext {
            sources: &sources,
            files: &files,
            program: &program,
            now: None,
        },
        &mut findings,
    );
    let findings = findings.sorted();
    for format in [
        RenderFormat::Human,
        RenderFormat::Concise,
        RenderFormat::Json,
        RenderFormat::Sarif,
        RenderFormat::Github,
    ] {
        render(format, &sources, &findings, &|_| Lang::Zh, true);
    }
});

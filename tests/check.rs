//! What the checker says of small programs, finding by finding.

use tagcast::base::Zone;
use tagcast::diag::{Findings, Sources};
use tagcast::program::check::{CheckOptions, check};
use tagcast::program::typed::Program;
use tagcast::syntax::parse::parse;

/// Checks files given as texts: the program, and each finding as `name: message [fix | fix]`.
fn check_files(files: &[(&str, &str)]) -> (Program, Vec<String>) {
    let mut sources = Sources::default();
    let mut findings = Findings::default();
    let mut trees = Vec::new();
    for (path, text) in files {
        let id = sources.add(*path, *text);
        trees.push(parse(id, text, &mut findings));
    }
    let options = CheckOptions { now: Zone::SHANGHAI.parse_instant("2026-11-01"), ..CheckOptions::default() };
    let program = check(&sources, &trees, &options, &mut findings);
    let shown = findings
        .sorted()
        .into_iter()
        .map(|f| {
            let fixes: Vec<String> = f.fixes.iter().map(|fix| fix.title.en.clone()).collect();
            let fixes = if fixes.is_empty() { String::new() } else { format!(" [{}]", fixes.join(" | ")) };
            format!("{}: {}{fixes}", f.code.name, f.message.en)
        })
        .collect();
    (program, shown)
}

#[test]
fn play() {
    let text = std::fs::read_to_string(std::env::var("PLAY").unwrap()).unwrap();
    for line in check_files(&[("play.campaign", &text)]).1 {
        println!("{line}");
    }
}

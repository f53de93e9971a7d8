//! Any bytes: a tree or findings, never a panic; every span lies in the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tagcast::base::FileId;
use tagcast::diag::Findings;
use tagcast::syntax::parse;

fuzz_target!(|bytes: &[u8]| {
    let mut findings = Findings::default();
    let text = parse::decode(FileId(0), bytes, &mut findings);
    parse::parse(FileId(0), &text, &mut findings);
    parse::parse_condition(FileId(0), &text, &mut findings);
    for finding in findings.iter() {
        assert!(text.get(finding.span.range()).is_some());
    }
});

//! A text without syntax errors can be formatted; formatting twice changes nothing more. That the
//! meaning is kept the formatter checks itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tagcast::base::FileId;
use tagcast::diag::Findings;
use tagcast::format::{Options, format};
use tagcast::syntax::parse;

fuzz_target!(|text: &str| {
    let once = |text: &str| {
        let mut findings = Findings::default();
        let file = parse::parse(FileId(0), text, &mut findings);
        (!findings.has_errors())
            .then(|| format(&file, text, &Options::default()).expect("a sound text is formatted"))
    };
    if let Some(formatted) = once(text) {
        assert_eq!(once(&formatted).as_deref(), Some(formatted.as_str()));
    }
});

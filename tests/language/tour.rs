//! The tour of the language reference checks without findings.

use tagcast::base::Zone;
use tagcast::diag::{Findings, Sources};
use tagcast::program::check::{CheckOptions, check};
use tagcast::syntax::parse::parse;

#[test]
fn the_tour_checks_without_findings() {
    let text = include_str!("programs/tour.campaign");
    let mut sources = Sources::default();
    let mut findings = Findings::default();
    let file = sources.add("tour.campaign", text);
    let tree = parse(file, text, &mut findings);
    let options = CheckOptions {
        now: Zone::SHANGHAI.parse_instant("2027-11-01"),
        ..CheckOptions::default()
    };
    let program = check(&sources, &[tree], &options, &mut findings);
    let shown: Vec<String> = findings
        .sorted()
        .into_iter()
        .map(|f| format!("{}: {}", f.code.name, f.message.en))
        .collect();
    assert_eq!(shown, Vec::<String>::new());
    assert_eq!(
        (
            program.schema.tags.len(),
            program.schema.events.len(),
            program.audiences.len()
        ),
        (12, 2, 2)
    );
    assert_eq!(
        (
            program.tests.len(),
            program.tests[0].users.len(),
            program.tests[0].expects.len()
        ),
        (1, 2, 3)
    );
}

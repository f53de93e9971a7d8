//! Follow-ups and campaigns that events start.

use super::Bench;
use super::memory::Memory;
use tagcast::base::UserNo;
use tagcast::decide::history::NoHistory;
use tagcast::eval::StepOutcomes;

fn opened(bench: &Bench, step: usize, answers: &[(&str, Option<bool>)]) -> StepOutcomes {
    let known = answers
        .iter()
        .map(|(u, a)| ((step, bench.user(u)), [None, *a, None, None]))
        .collect();
    StepOutcomes { known }
}

#[test]
fn unknown_outcomes_select_nobody() {
    let program = "campaign first { when age >= 18 via wecom.app send template hi at 10:00
            again: after 1 day if age > 50 send template named else send template hi }";
    let users = "user u1 { age: 60, wecom_id: \"1\" } user u2 { age: 20, wecom_id: \"2\" } user u3 { wecom_id: \"3\" } user u4 { age: 60, wecom_id: \"4\" }";
    let bench = Bench::new(program, users);
    let decision = bench.step(
        "first",
        1,
        &["u1", "u2", "u3"],
        "2027-01-02 10:00",
        &StepOutcomes::default(),
        &NoHistory,
    );
    let shown: Vec<String> = bench.shown(&decision).into_values().collect();
    assert_eq!(
        shown,
        [
            "named by wecom.app to 1",
            "hi by wecom.app to 2",
            "unknown",
            "not_matched"
        ]
    );
}

#[test]
fn outcomes_of_the_step_before_are_asked() {
    let program = "campaign first { when everyone via wecom.group send template hi at 10:00
            remind: after 1 day if not delivered send template hi leave when banned }";
    let users = "user u1 { wecom_id: \"1\" } user u2 { wecom_id: \"2\" } user u3 { wecom_id: \"3\" } user u4 { wecom_id: \"4\", banned: true }";
    let bench = Bench::new(program, users);
    let mut outcomes = StepOutcomes::default();
    for (user, delivered) in [
        (0, Some(true)),
        (1, Some(false)),
        (2, None),
        (3, Some(false)),
    ] {
        outcomes
            .known
            .insert((0, UserNo(user)), [delivered, None, None, None]);
    }
    let decision = bench.step(
        "first",
        1,
        &["u1", "u2", "u3", "u4"],
        "2027-01-02 10:00",
        &outcomes,
        &NoHistory,
    );
    let shown: Vec<String> = bench.shown(&decision).into_values().collect();
    // Who has left the series is asked nothing.
    assert_eq!(
        shown,
        [
            "not_matched",
            "hi by wecom.group to 2",
            "unknown",
            "not_matched"
        ]
    );
}

#[test]
fn follow_ups_pass_all_gates_again_but_not_when() {
    let program = "policy { consent ok cap 1 per day }
        campaign first { when age >= 18 send template hi every day at 10:00 again never remind: after 1 day send template named }
        campaign other { when everyone send template hi at 9:00 }";
    let users = "user u1 { age: 20, ok: true } user u2 { age: 20, ok: false } user u3 { ok: true }";
    let bench = Bench::new(program, users);
    let mut history = Memory::default();
    let first = bench
        .decide(&["first"], bench.at("2027-01-01 10:00"), &history)
        .remove(0);
    history.record(&bench.program, &first, None);
    let none = opened(&bench, 0, &[]);
    let step = bench.step(
        "first",
        1,
        &["u1", "u2", "u3"],
        "2027-01-02 10:00",
        &none,
        &history,
    );
    let shown: Vec<String> = bench.shown(&step).into_values().collect();
    // `when` and `again` are of the first message only.
    assert_eq!(
        shown,
        [
            "named by sandbox.file to u1",
            "no_consent",
            "named by sandbox.file to u3"
        ]
    );
    let same_day = bench.step("first", 1, &["u1"], "2027-01-01 20:00", &none, &history);
    assert_eq!(bench.shown(&same_day)["u1"], "capped by first");
}

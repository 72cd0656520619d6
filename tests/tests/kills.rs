//! Kill loops on every change: few enough to be quick. `kill-loop` is the campaign.

use std::path::Path;

#[test]
fn no_line_is_lost_or_doubled_when_agent_and_collector_are_killed_thirty_times_each() {
    let outcome = plumb_tests::kills::run(Path::new(env!("CARGO_BIN_EXE_plumb-agent-lines")), 30, 7, |_| {});
    assert!(outcome.written > 1000 && outcome.rate >= 50, "the writer was too slow to mean anything: {outcome:?}");
    assert_eq!((outcome.lost, outcome.doubled, outcome.chain_holds), (0, 0, true), "{outcome:?}");
}

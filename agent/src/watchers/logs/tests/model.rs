//! Any order of writing, rotating, looking and dying, against a model.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    Write(u64),
    Look,
    /// What the last looks told was never committed.
    Kill,
    Restart,
    RenameCreate,
    CopyTruncate,
    Compress,
    Truncate,
    Delete,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (1_u64..30).prop_map(Step::Write),
        6 => Just(Step::Look),
        2 => Just(Step::Kill),
        1 => Just(Step::Restart),
        2 => Just(Step::RenameCreate),
        2 => Just(Step::CopyTruncate),
        1 => Just(Step::Compress),
        1 => Just(Step::Truncate),
        1 => Just(Step::Delete),
    ];
    proptest::collection::vec(step, 1..40)
}

/// Lines are numbered, and each number is told as bytes: their count and their sum say which were counted.
fn run(steps: &[Step]) -> Result<(), TestCaseError> {
    let stage = stage(&SPEC).file(LOG, "");
    let place = |suffix: &str| stage.host().full_path(Path::new(&format!("{LOG}{suffix}")));
    let shift = || {
        for number in (1..45).rev() {
            for end in ["", ".gz"] {
                let _ = fs::rename(place(&format!(".{number}{end}")), place(&format!(".{}{end}", number + 1)));
            }
        }
    };
    stage.look();
    let (mut written, mut committed, mut gaps) = (0, stage.cursors(), 0);
    let mut commit = 0;
    // What was written and taken away before any look that was kept could see it leaves no trace that could be told.
    let (mut known, mut unseen) = (false, 0);
    for (number, step) in steps.iter().chain([&Step::Look]).enumerate() {
        match step {
            Step::Write(lines) => {
                let text: String = (written + 1..=written + lines).map(request).collect();
                stage.append(LOG, text);
                written += lines;
            }
            Step::Look => {
                let told = later(&stage);
                gaps += told.lines().filter(|line| line.starts_with("event log_gap")).count();
                let sum = |name: &str| {
                    let line = told.lines().find(|line| line.starts_with(&format!("sample {name}")));
                    line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
                };
                let (lines, bytes) = (sum("requests_total{"), sum("response_bytes_total{"));
                let all = (written, written * (written + 1) / 2);
                prop_assert!(lines <= all.0 && bytes <= all.1, "something counted twice: {lines} of {written}");
                prop_assert!(
                    gaps > 0 || (lines, bytes) == all,
                    "{lines} of {written} counted, and no gap told\n{told}"
                );
                if number % 3 != 2 {
                    (committed, commit) = (stage.cursors(), gaps);
                    (known, unseen) = (fs::metadata(place("")).is_ok_and(|meta| meta.len() > 0), 0);
                }
            }
            Step::Kill => {
                stage.restart();
                stage.set_cursors(committed.clone());
                gaps = commit;
            }
            Step::Restart => stage.restart(),
            Step::RenameCreate if place("").exists() => {
                shift();
                fs::rename(place(""), place(".1")).unwrap();
                fs::write(place(""), "").unwrap();
                (known, unseen) = (false, unseen + u32::from(!known || unseen > 0));
            }
            Step::CopyTruncate if place("").exists() => {
                shift();
                fs::copy(place(""), place(".1")).unwrap();
                fs::OpenOptions::new().write(true).open(place("")).unwrap().set_len(0).unwrap();
                (known, unseen) = (false, unseen + u32::from(!known || unseen > 0));
            }
            Step::Compress if place(".1").exists() && unseen == 0 => {
                fs::write(place(".1.gz"), "x").unwrap();
                fs::remove_file(place(".1")).unwrap();
            }
            Step::Truncate if known => {
                stage.write(LOG, "");
                known = false;
            }
            Step::Delete if known => {
                fs::remove_file(place("")).unwrap();
                known = false;
            }
            _ => {}
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn each_line_is_counted_once_or_a_gap_is_told(steps in steps()) {
        run(&steps)?;
    }
}

use super::*;

#[test]
fn a_fork_begins_a_new_epoch_and_takes_everything_unacknowledged_along() {
    let folder = Folder::new();
    let (mut state, mut seed) = (open(&folder), 1);
    append(&mut state, samples(80, &mut seed), MINUTE).unwrap();
    append(&mut state, report("acknowledged"), MINUTE).unwrap();
    append(&mut state, report("waits"), MINUTE).unwrap();
    append(&mut state, samples(80, &mut seed), MINUTE).unwrap();
    let before = state.position().unwrap();
    let second = records(&state)[1].hash();
    state.acked(&ack(&state, 2, second)).unwrap();
    assert!(state.fork(AT, MINUTE).unwrap());
    let after = state.position().unwrap();
    assert_ne!(after.epoch, before.epoch);
    assert_eq!((after.first_seq, after.next_seq, after.acked_seq), (1, 4, 0));
    assert_eq!(after.dict_digest, before.dict_digest);
    verify(&state);
    assert_eq!(texts(&state), ["waits"]);
    let begin = wire::decode(&records(&state)[0].open().unwrap(), &mut Dictionary::default()).unwrap().begin.unwrap();
    assert_eq!((begin.old_epoch, begin.old_seq), (before.epoch.0, 4));
    assert!(!state.fork(AT, 2 * MINUTE).unwrap(), "not twice within an hour");
    drop(state);
    let mut state = open(&folder);
    verify(&state);
    assert!(state.fork(AT, Duration::from_hours(1)).unwrap());
    verify(&state);
}

#[test]
fn a_fork_carries_gaps_along() {
    let folder = Folder::new();
    let (mut state, mut seed) = (open(&folder), 1);
    for _ in 0..100 {
        append(&mut state, samples(100_000, &mut seed), MINUTE).unwrap();
    }
    append(&mut state, report("last"), MINUTE).unwrap();
    let gaps = |state: &State| -> Vec<u64> {
        all(state)
            .into_iter()
            .filter_map(|item| if let Item::Tombstone(gap) = item { Some(gap.records) } else { None })
            .collect()
    };
    let before = gaps(&state);
    assert_eq!(before.len(), 1);
    assert!(state.fork(AT, MINUTE).unwrap());
    assert_eq!(gaps(&state), before);
    verify(&state);
    append(&mut state, report("after"), MINUTE).unwrap();
    assert_eq!(texts(&state), ["last", "after"]);
}

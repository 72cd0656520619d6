use super::*;

#[test]
fn the_replay_tail_goes_after_a_day() {
    let folder = Folder::new();
    let mut state = open(&folder);
    let hour = Duration::from_hours(1);
    for passed in 0..30 {
        append(&mut state, report("x"), passed * hour).unwrap();
    }
    let last = records(&state).pop().unwrap();
    state.acked(&ack(&state, 30, last.hash())).unwrap();
    append(&mut state, report("y"), 30 * hour).unwrap();
    assert_eq!(state.position().unwrap().first_seq, 7, "those of the hours 0 to 5 are older than a day");
    verify(&state);
    drop(state);
    assert_eq!(records(&open(&folder)).len(), 25);
}

#[test]
fn a_full_spool_drops_the_oldest_samples_leaves_counted_gaps_and_keeps_every_event() {
    let folder = Folder::new();
    let (mut state, mut seed) = (open(&folder), 1);
    for number in 0..200 {
        append(&mut state, samples(100_000, &mut seed), MINUTE).unwrap();
        append(&mut state, report(&format!("event {number}")), MINUTE).unwrap();
        assert!(state.identity.total.bytes <= 8 << 20);
    }
    assert_eq!(texts(&state), (0..200).map(|number| format!("event {number}")).collect::<Vec<_>>());
    verify(&state);
    let gaps: Vec<Tombstone> = all(&state)
        .into_iter()
        .filter_map(|item| if let Item::Tombstone(gap) = item { Some(gap) } else { None })
        .collect();
    assert!(gaps.iter().all(|gap| gap.records == 1 && gap.reason == DropReason::SpoolFull && gap.bytes > 90_000));
    assert_eq!(gaps.first().map(|gap| (gap.first, gap.last)), Some((3, 3)), "record 1 declares, so it stays");
    drop(state);
    verify(&open(&folder));
}

#[test]
fn a_bound_that_was_lowered_is_reached_in_steps() {
    let folder = Folder::new();
    let mut state = State::open(Options { bound: 64 << 20, ..options(&folder) }, Duration::ZERO).unwrap();
    let mut seed = 1;
    for _ in 0..5 {
        let parts: Vec<Part> = (0..1_000).map(|_| samples(4_000, &mut seed)).collect();
        state.append(&Batch { parts: &parts, cursors: &[], kept: &[], look: 1 }, AT, MINUTE).unwrap();
    }
    let before = state.identity.total;
    assert!(before.bytes > 16 << 20);
    state.bound(8 << 20);
    append(&mut state, report("x"), MINUTE).unwrap();
    assert_eq!(state.identity.total.records, before.records + 1 - 2_000);
    append(&mut state, report("y"), MINUTE).unwrap();
    assert!(state.identity.total.bytes <= 8 << 20);
    verify(&state);
}

#[test]
fn dropped_neighbours_become_one_gap() {
    let folder = Folder::new();
    let (mut state, mut seed) = (open(&folder), 1);
    append(&mut state, samples(80, &mut seed), MINUTE).unwrap();
    append(&mut state, report("between"), MINUTE).unwrap();
    for _ in 0..120 {
        append(&mut state, samples(100_000, &mut seed), MINUTE).unwrap();
    }
    let gaps = all(&state).into_iter().filter_map(|item| match item {
        Item::Tombstone(gap) => Some((gap.first, gap.last - gap.first + 1 == gap.records)),
        Item::Record(_) => None,
    });
    assert_eq!(gaps.collect::<Vec<_>>(), [(3, true)]);
    verify(&state);
}

#[test]
fn a_spool_full_of_events_refuses_more_and_takes_them_after_an_ack() {
    let folder = Folder::new();
    let mut state = open(&folder);
    let mut seed = 1u64;
    let mut noise = || -> Part {
        let mut part = report("");
        part.payload.reports[0].events = (0..50)
            .map(|_| {
                let text: String = (0..2000)
                    .map(|_| {
                        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        char::from(b' ' + u8::try_from((seed >> 33) % 95).unwrap())
                    })
                    .collect();
                Event { text: text.into(), ..report("").payload.reports[0].events[0].clone() }
            })
            .collect();
        part
    };
    let mut written = 0;
    let full = loop {
        match append(&mut state, noise(), MINUTE) {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
        assert_eq!(state.is_tight(), state.waiting().bytes >= 7 << 20);
    };
    assert!(matches!(full, StateError::SpoolFull), "{full}");
    assert!(written > 80 && state.is_tight());
    verify(&state);
    let third = records(&state)[2].hash();
    state.acked(&ack(&state, 3, third)).unwrap();
    append(&mut state, noise(), MINUTE).unwrap();
    verify(&state);
}

#[test]
fn on_a_nearly_full_disk_the_spool_shrinks_to_what_the_floor_leaves() {
    let folder = Folder::new();
    let free = Arc::new(AtomicU64::new(50 << 30));
    let told = free.clone();
    let ask: Ask = Arc::new(move |_: &Path| Ok(Room { free: told.load(Ordering::Relaxed), total: 100 << 30 }));
    let mut state = State::open(Options { bound: 64 << 20, ask, ..options(&folder) }, Duration::ZERO).unwrap();
    let mut seed = 1;
    (0..150).for_each(|_| append(&mut state, samples(100_000, &mut seed), MINUTE).unwrap());
    let size = || std::fs::metadata(folder.path().join("state.db")).unwrap().len();
    assert!(state.identity.total.bytes > 14 << 20);
    free.store(100 << 20, Ordering::Relaxed);
    (0..60).for_each(|_| append(&mut state, report("x"), MINUTE).unwrap());
    assert!(state.identity.total.bytes <= disk::LEAST);
    state.db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    assert!(size() < 10 << 20, "pages go back to the disk: {}", size());
    assert!(all(&state).iter().any(|item| matches!(item, Item::Tombstone(gap) if gap.reason == DropReason::DiskFull)));
    verify(&state);
}

#[test]
fn the_reserve_is_set_aside_again_though_the_disk_stays_short_of_room() {
    let folder = Folder::new();
    let ask: Ask = Arc::new(|_: &Path| Ok(Room { free: 100 << 20, total: 100 << 30 }));
    let mut state = State::open(Options { bound: 64 << 20, ask, ..options(&folder) }, Duration::ZERO).unwrap();
    assert!(state.allowed() < 64 << 20 && state.use_reserve() && !state.is_reserved());
    append(&mut state, report("x"), MINUTE).unwrap();
    assert!(state.is_reserved());
}

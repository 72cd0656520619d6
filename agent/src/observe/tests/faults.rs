use super::*;

/// Lines with their number in front that do not compress away.
fn noise(count: usize, length: usize) -> Vec<String> {
    let mut seed = 1u64;
    let line = |number: usize| {
        let mut line = format!("{number} ");
        while line.len() < length {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            line.extend((0..6).map(|at| char::from(b'A' + u8::try_from((seed >> (16 + at * 8)) % 26).unwrap())));
        }
        line
    };
    (0..count).map(line).collect()
}

#[test]
fn after_a_restart_everything_is_told_whole_and_no_line_twice() {
    let mut scene = Scene::new();
    scene.write("lines", "one\ntwo\n");
    scene.pass(SECOND);
    scene.write("lines", "one\ntwo\nthree\nfou");
    scene.crash();
    scene.pass(SECOND);
    assert_eq!(scene.events("line"), ["one", "two", "three"]);
    assert_eq!(scene.last().slices[0].tell, Tell::FullOnly);
    assert_eq!(scene.events("agent_started").len(), 2);
    let looks: Vec<u64> = scene.probe_reports().iter().map(|report| report.look).collect();
    assert!(looks.is_sorted() && looks[0] < looks[1], "{looks:?}");
}

#[test]
fn what_was_seen_but_not_written_is_seen_again_after_a_crash() {
    let mut scene = Scene::new();
    scene.pass(SECOND);
    scene.write("lines", "one\n");
    while scene.observer.pending.events() == 0 {
        scene.clock.advance(SECOND);
        scene.observer.hear(scene.clock.monotonic());
        if let Some(due) = scene.observer.schedule.due(scene.clock.monotonic()) {
            scene.observer.look(due, scene.clock.monotonic());
        }
    }
    scene.crash(); // before the record was closed
    scene.pass(SECOND);
    assert_eq!(scene.events("line"), ["one"]);
}

#[test]
fn a_full_spool_makes_a_cursor_wait_and_nothing_is_lost_or_doubled() {
    let mut scene = Scene::new();
    let lines = noise(12_000, 1200);
    scene.write("lines", &(lines.join("\n") + "\n"));
    scene.pass(Duration::from_secs(900));
    let spool = scene.observer.status().spool;
    assert!(spool.bytes >= 7 << 20 && spool.bytes <= 8 << 20 && spool.waits.is_none(), "{spool:?}");
    let (mut dictionary, mut told, mut next) = (Dictionary::default(), Vec::new(), 1);
    for round in 0..10 {
        for item in scene.items() {
            let Item::Record(record) = item else { continue };
            if record.header.seq < next {
                continue;
            }
            next = record.header.seq + 1;
            let payload = wire::decode(&record.open().unwrap(), &mut dictionary).unwrap();
            let events = payload.reports.iter().flat_map(|report| &report.events);
            told.extend(events.filter(|event| event.kind == "line").map(|event| event.text.to_string()));
        }
        assert!(round > 0 || (4_000..11_000).contains(&told.len()), "{}", told.len());
        scene.ack_all();
        scene.pass(Duration::from_secs(60));
    }
    assert_eq!(told, lines);
}

#[test]
fn a_full_disk_is_recorded_with_the_reserve_then_waited_out_without_loss() {
    let free = Arc::new(Mutex::new(Room { free: 50 << 30, total: 100 << 30 }));
    let told = free.clone();
    let mut scene = Scene::with(Arc::new(move |_: &Path| Ok(*told.lock().unwrap())));
    scene.pass(SECOND);
    assert!(scene.observer.status().spool.reserve);
    *free.lock().unwrap() = Room { free: 0, total: 100 << 30 };
    let disk = scene.observer.state.as_ref().unwrap().fill_disk();
    let lines = noise(20, 3000);
    scene.write("lines", &(lines[..10].join("\n") + "\n"));
    scene.pass(Duration::from_secs(20));
    let status = scene.observer.status();
    assert_eq!(status.spool.waits.as_deref(), Some("the disk of the state folder is full"));
    assert!(!status.spool.reserve, "it was given back");
    scene.write("lines", &(lines.join("\n") + "\n"));
    scene.pass(Duration::from_secs(300));
    *free.lock().unwrap() = Room { free: 50 << 30, total: 100 << 30 };
    scene.observer.state.as_ref().unwrap().free_disk(disk);
    scene.pass(Duration::from_secs(90));
    assert_eq!(scene.events("line"), lines);
    assert_eq!(scene.events("disk_full").len(), 1);
    assert!(scene.events("observation_paused")[0].contains("disk of the state folder is full"));
    assert!(scene.observer.status().spool.reserve && scene.observer.status().spool.waits.is_none());
}

#[test]
fn a_state_that_turns_out_damaged_is_replaced_while_running() {
    let mut scene = Scene::new();
    scene.pass(SECOND);
    let before = scene.observer.state.as_ref().unwrap().position().unwrap();
    scene.observer.state.as_ref().unwrap().damage();
    scene.write("lines", "after\n");
    scene.say(ToObserve::Fetch { from: 1, records: 10, bytes: 100_000 });
    scene.pass(20 * SECOND);
    let records = scene.records();
    let begin = records[0].1.begin.as_ref().unwrap();
    assert_eq!((begin.old_epoch, begin.old_seq), (before.epoch.0, 1));
    assert!(scene.events("state_replaced")[0].contains("its hash differs"));
    assert_eq!(scene.events("line"), ["after"]);
    assert_eq!(records[0].1.tables.len(), 2);
    assert!(scene.state.path().join("state.db.damaged").exists());
}

#[test]
fn a_watcher_that_kills_the_agent_is_left_alone_and_says_why() {
    let mut scene = Scene::new();
    scene.pass(SECOND);
    for _ in 0..3 {
        scene.observer.breadcrumb.enter("probe");
        scene.crash();
    }
    scene.pass(SECOND);
    let report = scene.last();
    assert_eq!(report.outcome, Outcome::Failed);
    assert!(report.problems[0].error.starts_with("left alone for a day"));
    assert_eq!(scene.observer.status().watchers[0].problems.len(), 1);
    scene.pass(Duration::from_hours(25));
    assert_eq!(scene.last().outcome, Outcome::Done);
}

//! What watchers keep.

use super::*;

fn keep(state: &mut State, parts: &[Part], rows: &[(&str, Option<&str>)]) {
    let mut kept = Kept::default();
    rows.iter()
        .for_each(|(key, value)| kept.set(key.as_bytes().to_vec(), value.map(|value| value.as_bytes().to_vec())));
    state.append(&Batch { parts, cursors: &[], kept: &[("integrity", kept)], look: 1 }, AT, MINUTE).unwrap();
}

/// Keys and values in order.
fn rows(state: &State, watcher: &str) -> Vec<String> {
    let (mut found, mut last) = (Vec::new(), Vec::new());
    while let Some((key, value)) = state.kept_after(watcher, &last).unwrap() {
        found.push(String::from_utf8([&key[..], b"=", &value[..]].concat()).unwrap());
        last = key;
    }
    found
}

#[test]
fn rows_are_written_with_the_record_or_alone_and_come_back_in_order() {
    let folder = Folder::new();
    let mut state = open(&folder);
    keep(&mut state, &[report("one")], &[("b", Some("1")), ("a", Some("2")), ("a\0x", Some("3"))]);
    keep(&mut state, &[], &[("b", None), ("a-", Some("4")), ("a", Some("5"))]);
    assert_eq!(state.next_seq(), 2, "rows alone make no record");
    drop(state);
    let state = open(&folder);
    assert_eq!(rows(&state, "integrity"), ["a=5", "a\0x=3", "a-=4"]);
    assert!(rows(&state, "other").is_empty());
    assert_eq!(state.kept("integrity", b"a\0x").unwrap().unwrap(), b"3");
    assert_eq!(state.kept("integrity", b"b").unwrap(), None);
}

#[test]
fn a_spool_of_format_1_is_brought_up_and_keeps_what_is_in_it() {
    let folder = Folder::new();
    let mut state = open(&folder);
    append(&mut state, report("before"), MINUTE).unwrap();
    state.age_to_format_1();
    drop(state);
    let mut state = open(&folder);
    keep(&mut state, &[report("after")], &[("k", Some("v"))]);
    drop(state);
    let state = open(&folder);
    assert_eq!(texts(&state), ["before", "after"]);
    assert_eq!(rows(&state, "integrity"), ["k=v"]);
    verify(&state);
}

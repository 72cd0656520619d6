use std::time::Duration;

use plumb_agent::deliver::identity::enroll::{EnrollOptions, enroll};
use plumb_collector::store::rows::HostState;
use plumb_proto::record::HostId;
use plumb_proto::secret::Secret;

use crate::agent::options;
use crate::collector::Collector;
use crate::{Folder, clock};

fn refused(options: &EnrollOptions, collector: &Collector) -> String {
    format!("{:#}", enroll(options, collector.clock.clone()).unwrap_err())
}

#[test]
fn a_host_enrols_once_and_again_with_the_same_token_without_harm() {
    let (folder, clock) = (Folder::new(), clock());
    let collector = Collector::start(&folder.sub("collector"), &clock);
    let token = collector.token(1);
    let options = options(&collector, &folder.sub("host"), &token);
    let first = enroll(&options, clock.clone()).unwrap();
    assert_eq!((first.name.as_str(), first.ingest), ("web1", collector.ingest.to_string()));
    assert_eq!(collector.host(first.host).state, HostState::Active);
    assert_eq!(enroll(&options, clock).unwrap().host, first.host);
    assert!(!options.dir.join("enroll.key").exists());
}

#[test]
fn a_lost_answer_is_asked_for_again_with_the_same_key_and_gives_the_same_certificate() {
    let (folder, clock) = (Folder::new(), clock());
    let collector = Collector::start(&folder.sub("collector"), &clock);
    let token = collector.token(1);
    let options = options(&collector, &folder.sub("host"), &token);
    let first = enroll(&options, clock.clone()).unwrap();
    let read = |name: &str| std::fs::read(options.dir.join("current").join(name)).unwrap();
    let (key, chain) = (read("key.pem"), read("chain.pem"));
    // as if the host had died before it could write the answer down
    std::fs::remove_dir_all(&options.dir).unwrap();
    std::fs::create_dir_all(&options.dir).unwrap();
    std::fs::write(options.dir.join("enroll.key"), &key).unwrap();
    assert_eq!(enroll(&options, clock).unwrap().host, first.host);
    assert_eq!((read("key.pem"), read("chain.pem")), (key, chain));
    assert_eq!(collector.write(move |tx| tx.issuances(&first.host)).len(), 1);
}

#[test]
fn a_used_token_with_another_key_is_refused_and_told() {
    let (folder, clock) = (Folder::new(), clock());
    let mut collector = Collector::start(&folder.sub("collector"), &clock);
    let token = collector.token(1);
    let first = enroll(&options(&collector, &folder.sub("one"), &token), clock).unwrap();
    let other = EnrollOptions { hostname: "web2".into(), ..options(&collector, &folder.sub("two"), &token) };
    assert!(refused(&other, &collector).contains("used by another key"));
    assert_eq!(collector.told(first.host), ["token_reused"]);
    assert!(!other.dir.join("current").exists());
}

#[test]
fn an_expired_token_is_refused() {
    let (folder, clock) = (Folder::new(), clock());
    let collector = Collector::start(&folder.sub("collector"), &clock);
    let token = collector.token(1);
    clock.advance(Duration::from_secs(3600));
    assert!(refused(&options(&collector, &folder.sub("host"), &token), &collector).contains("expired"));
}

#[test]
fn a_guessed_token_is_refused_and_the_guesser_must_wait() {
    let (folder, clock) = (Folder::new(), clock());
    let collector = Collector::start(&folder.sub("collector"), &clock);
    let token = collector.token(1);
    let guess = String::from_utf8(token.expose().to_vec()).unwrap();
    let at = guess.len() - 70; // within the secret
    let digit = if guess.as_bytes()[at] == b'0' { "1" } else { "0" };
    let guess = Secret::new(format!("{}{digit}{}", &guess[..at], &guess[at + 1..]));
    let options = |secret: &Secret| options(&collector, &folder.sub("host"), secret);
    for _ in 0..5 {
        assert!(refused(&options(&guess), &collector).contains("does not know this token"));
    }
    assert!(refused(&options(&token), &collector).contains("wait a minute"));
    clock.advance(Duration::from_secs(60));
    enroll(&options(&token), clock).unwrap();
}

#[test]
fn a_token_of_another_collector_trusts_only_that_one() {
    let (folder, clock) = (Folder::new(), clock());
    let ours = Collector::start(&folder.sub("ours"), &clock);
    let theirs = Collector::start(&folder.sub("theirs"), &clock);
    let token = theirs.token(1);
    let said = refused(&options(&ours, &folder.sub("host"), &token), &ours);
    assert!(said.contains("this is not the collector that made the token"), "{said}");
}

#[test]
fn a_name_that_is_taken_is_refused_until_its_host_is_retired() {
    let (folder, clock) = (Folder::new(), clock());
    let collector = Collector::start(&folder.sub("collector"), &clock);
    let first = enroll(&options(&collector, &folder.sub("one"), &collector.token(1)), clock.clone()).unwrap();
    let again = options(&collector, &folder.sub("two"), &collector.token(1));
    assert!(refused(&again, &collector).contains("retire it first"));
    collector.set_state(first.host, HostState::Retired);
    assert_ne!(enroll(&again, clock).unwrap().host, first.host);
}

#[test]
fn an_image_with_a_token_for_three_enrols_three() {
    let (folder, clock) = (Folder::new(), clock());
    let collector = Collector::start(&folder.sub("collector"), &clock);
    let token = collector.token(3);
    let enrol = |name: &str| {
        let options = EnrollOptions { hostname: name.into(), ..options(&collector, &folder.sub(name), &token) };
        enroll(&options, clock.clone()).map(|enrolled| enrolled.host)
    };
    let hosts: Vec<HostId> = ["a", "b", "c"].map(|name| enrol(name).unwrap()).into();
    assert!(hosts[0] != hosts[1] && hosts[1] != hosts[2]);
    assert!(enrol("d").is_err());
}

#[test]
fn what_is_no_token_is_said_before_anything_is_sent() {
    let (folder, clock) = (Folder::new(), clock());
    let collector = Collector::start(&folder.sub("collector"), &clock);
    let said = refused(&options(&collector, &folder.sub("host"), &Secret::new(*b"hello")), &collector);
    assert!(said.contains("paste the whole line"), "{said}");
}

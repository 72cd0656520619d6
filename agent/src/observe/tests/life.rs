//! What the service manager hears of an agent at work.

use super::*;
use crate::manager::testing::Ear;

const WATCHDOG: Duration = Duration::from_secs(30);

fn scene(watchdog: Duration) -> (Ear, Scene) {
    let (ear, manager) = Ear::new(Some(watchdog));
    let mut scene = Scene::new();
    let (spare, placeholder) = (link().unwrap().0, Folder::new());
    let other = options(scene.root.path(), placeholder.path(), &scene.clock, spare, &scene.ask);
    let observer = std::mem::replace(&mut scene.observer, Observer::open(other).unwrap());
    scene.observer = observer.reporting_to(manager);
    (ear, scene)
}

/// Lets time pass as an agent does whose deliver is alive, and says what is heard meanwhile.
fn pass((ear, scene): &mut (Ear, Scene), seconds: u32) -> Vec<String> {
    let pulse = scene.deliver.pulse();
    let ten = |_| {
        pulse.beat();
        scene.pass(Duration::from_secs(10));
        ear.heard()
    };
    (0..seconds / 10).flat_map(ten).collect()
}

fn fed(heard: &[String]) -> usize {
    heard.iter().filter(|word| *word == "WATCHDOG=1").count()
}

#[test]
fn an_agent_that_steps_is_alive_and_one_that_does_not_is_not() {
    let mut both = scene(WATCHDOG);
    let times = fed(&pass(&mut both, 300));
    assert!((30..=90).contains(&times), "fed {times} times in 300 s");
    both.1.clock.advance(Duration::from_secs(300)); // it hangs in a look
    assert_eq!(fed(&both.0.heard()), 0);
}

#[test]
fn it_wakes_in_time_for_a_short_watchdog() {
    let heard = pass(&mut scene(Duration::from_secs(6)), 60);
    assert!(fed(&heard) >= 29, "{heard:?}");
}

#[test]
fn an_agent_whose_deliver_hangs_is_not_alive_until_it_goes_on() {
    let mut both = scene(WATCHDOG);
    pass(&mut both, 60);
    both.1.pass(Duration::from_secs(40));
    assert!(fed(&both.0.heard()) > 0);
    both.1.pass(Duration::from_secs(20));
    both.0.heard();
    both.1.pass(Duration::from_secs(40));
    assert_eq!(fed(&both.0.heard()), 0, "deliver has said nothing for more than a minute");
    assert!(fed(&pass(&mut both, 20)) > 0);
}

#[test]
fn a_machine_that_stood_still_does_not_make_deliver_mute() {
    let mut both = scene(WATCHDOG);
    pass(&mut both, 60);
    both.1.clock.advance(Duration::from_mins(10));
    both.1.pass(Duration::from_secs(20));
    assert!(fed(&both.0.heard()) > 0, "it has not had the time to say anything");
    both.1.pass(Duration::from_secs(80));
    both.0.heard();
    both.1.pass(Duration::from_secs(40));
    assert_eq!(fed(&both.0.heard()), 0, "it has said nothing for more than a minute");
}

#[test]
fn its_status_says_what_is_wrong_and_is_repeated_only_when_it_changes() {
    let mut both = scene(WATCHDOG);
    let said = |heard: Vec<String>| heard.into_iter().filter(|word| word.starts_with("STATUS=")).collect::<Vec<_>>();
    assert_eq!(said(pass(&mut both, 60)), ["STATUS=observing; not enrolled: run plumb-agent enroll"]);
    both.1.say(ToObserve::Link(LinkState::Connecting("connection refused".to_owned())));
    assert_eq!(said(pass(&mut both, 30)), ["STATUS=not delivering: connection refused"]);
    both.1.observer.end();
    assert_eq!(both.0.heard(), ["STOPPING=1"]);
}

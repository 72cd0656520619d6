use std::sync::Mutex;

use plumb_proto::time::ManualClock;

use super::*;
use crate::notify::testing::{START, alert};

/// An outbox in memory.
#[derive(Default)]
struct Desk {
    alerts: Mutex<Vec<Alert>>,
    messages: Mutex<Vec<Message>>,
    passed: Mutex<Vec<(u64, u32)>>,
}

impl Desk {
    fn put(&self, alert: Alert) {
        self.alerts.lock().unwrap().push(alert);
    }

    fn told(&self) -> Vec<(Vec<u64>, Delivery, u32)> {
        let messages = self.messages.lock().unwrap();
        let drifts = |message: &Message| message.alerts.iter().map(|(drift, _)| *drift).collect();
        messages.iter().map(|each| (drifts(each), each.delivery.clone(), each.tries)).collect()
    }
}

impl Outbox for Desk {
    fn alerts(&self, _: &str, limit: usize) -> Result<Vec<Alert>> {
        let messages = self.messages.lock().unwrap();
        let passed = self.passed.lock().unwrap();
        let known = |alert: &Alert| {
            let number = (alert.drift, alert.transition);
            passed.contains(&number) || messages.iter().any(|each| each.alerts.contains(&number))
        };
        Ok(self.alerts.lock().unwrap().iter().filter(|alert| !known(alert)).take(limit).cloned().collect())
    }

    fn pass_over(&self, _: &str, alerts: &[(u64, u32)]) -> Result<()> {
        self.passed.lock().unwrap().extend(alerts);
        Ok(())
    }

    fn waiting(&self, _: &str) -> Result<Vec<Message>> {
        let messages = self.messages.lock().unwrap();
        Ok(messages.iter().filter(|each| matches!(each.delivery, Delivery::Waiting { .. })).cloned().collect())
    }

    fn alerts_of(&self, message: &Message) -> Result<Vec<Alert>> {
        let alerts = self.alerts.lock().unwrap();
        Ok(alerts.iter().filter(|each| message.alerts.contains(&(each.drift, each.transition))).cloned().collect())
    }

    fn save(&self, message: &Message) -> Result<()> {
        let mut messages = self.messages.lock().unwrap();
        match messages.iter_mut().find(|each| each.key == message.key) {
            Some(known) => *known = message.clone(),
            None => messages.push(message.clone()),
        }
        Ok(())
    }
}

/// Answers what it is told to, and keeps the keys that it was shown.
struct Mouth {
    answers: Arc<Mutex<VecDeque<Result<String, DeliveryError>>>>,
    keys: Arc<Mutex<Vec<String>>>,
}

impl Receiver for Mouth {
    fn deliver(&mut self, message: &Outgoing<'_>) -> Result<String, DeliveryError> {
        self.keys.lock().unwrap().push(message.key.to_owned());
        self.answers.lock().unwrap().pop_front().unwrap_or_else(|| Ok("fine".to_owned()))
    }
}

struct Scene {
    desk: Arc<Desk>,
    clock: Arc<ManualClock>,
    answers: Arc<Mutex<VecDeque<Result<String, DeliveryError>>>>,
    keys: Arc<Mutex<Vec<String>>>,
    courier: Courier,
    begun: bool,
}

fn scene(rate: Duration, burst: u32, routes: Routes) -> Scene {
    let (desk, clock) = (Arc::new(Desk::default()), Arc::new(ManualClock::at(START)));
    let scene = |courier| Scene {
        desk: Arc::clone(&desk),
        clock: Arc::clone(&clock),
        answers: Arc::default(),
        keys: Arc::default(),
        courier,
        begun: false,
    };
    let (answers, keys): (Arc<Mutex<VecDeque<_>>>, Arc<Mutex<Vec<_>>>) = (Arc::default(), Arc::default());
    let out = Box::new(Mouth { answers: Arc::clone(&answers), keys: Arc::clone(&keys) });
    let courier = Courier {
        name: "ops".to_owned(),
        out,
        routes: Arc::new(routes),
        pace: Pace { group_wait: Duration::from_secs(30), give_up_after: Duration::from_secs(7 * 86_400) },
        bucket: Bucket::new(rate, burst),
        outbox: Arc::clone(&desk) as Arc<dyn Outbox>,
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        random: SystemRandom::new(),
        pending: VecDeque::new(),
        more: true,
        waiting: Vec::new(),
    };
    Scene { answers, keys, ..scene(courier) }
}

impl Scene {
    fn pass(&mut self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        self.courier.more = true;
        self.courier.work(&mut self.begun, &|| false).unwrap();
    }

    fn fails(&self, after: Option<Duration>) {
        self.answers.lock().unwrap().push_back(Err(DeliveryError::Later { why: "status 500".to_owned(), after }));
    }
}

#[test]
fn a_critical_alert_goes_at_once_and_takes_along_what_waits() {
    let mut scene = scene(Duration::ZERO, 1, Routes::default());
    scene.desk.put(alert(1, Severity::Warning));
    scene.pass(1);
    assert_eq!(scene.desk.told(), []);
    scene.desk.put(alert(2, Severity::Critical));
    scene.pass(1);
    assert_eq!(scene.desk.told(), [(vec![1, 2], Delivery::Delivered, 1)]);
}

#[test]
fn other_alerts_wait_for_each_other() {
    let mut scene = scene(Duration::ZERO, 1, Routes::default());
    scene.desk.put(alert(1, Severity::Warning));
    scene.pass(20);
    scene.desk.put(Alert { at: START + Duration::from_secs(20), ..alert(2, Severity::Info) });
    scene.pass(9);
    assert_eq!(scene.desk.told(), []);
    scene.pass(1);
    assert_eq!(scene.desk.told(), [(vec![1, 2], Delivery::Delivered, 1)]);
}

#[test]
fn each_try_carries_the_same_key() {
    let mut scene = scene(Duration::ZERO, 1, Routes::default());
    scene.desk.put(alert(1, Severity::Critical));
    scene.fails(None);
    scene.pass(0);
    scene.desk.put(alert(2, Severity::Critical));
    scene.pass(2);
    let keys = scene.keys.lock().unwrap();
    assert_eq!(keys.len(), 3);
    // SHA-256 of "1:1".
    assert_eq!(keys[0], "d6b5915c46057bcb005f46f6433df65609dd3a7a57af75ac1a5a4a7c299ebffb");
    assert!(keys[1] != keys[0] && keys[2] == keys[0], "{keys:?}");
    assert_eq!(scene.desk.told(), [(vec![1], Delivery::Delivered, 2), (vec![2], Delivery::Delivered, 1)]);
}

#[test]
fn a_receiver_that_asks_for_patience_gets_it() {
    let mut scene = scene(Duration::ZERO, 1, Routes::default());
    scene.desk.put(alert(1, Severity::Critical));
    scene.fails(Some(Duration::from_secs(120)));
    scene.pass(0);
    scene.pass(119);
    assert_eq!(scene.keys.lock().unwrap().len(), 1);
    scene.pass(1);
    assert_eq!(scene.desk.told(), [(vec![1], Delivery::Delivered, 2)]);
}

#[test]
fn what_cannot_arrive_has_failed_at_once_and_what_does_not_arrive_for_a_week_then() {
    let mut scene = scene(Duration::ZERO, 1, Routes::default());
    scene.desk.put(alert(1, Severity::Critical));
    scene.answers.lock().unwrap().push_back(Err(DeliveryError::Never("status 404".to_owned())));
    scene.pass(0);
    assert_eq!(scene.desk.told(), [(vec![1], Delivery::Failed, 1)]);

    scene.desk.put(alert(2, Severity::Critical));
    for _ in 0..10_000 {
        scene.fails(None);
    }
    for _ in 0..(7 * 24 + 1) {
        scene.pass(3600);
    }
    let (_, delivery, tries) = scene.desk.told().pop().unwrap();
    assert_eq!(delivery, Delivery::Failed);
    assert!(tries > 100, "{tries} tries");
}

#[test]
fn a_message_whose_try_was_cut_off_is_tried_again_after_a_start() {
    let mut scene = scene(Duration::ZERO, 1, Routes::default());
    scene.desk.put(alert(1, Severity::Critical));
    let message = scene.courier.message(&[alert(1, Severity::Critical)], START);
    scene.desk.save(&message).unwrap();
    scene.pass(0);
    assert_eq!(scene.desk.told(), [(vec![1], Delivery::Delivered, 1)]);
}

#[test]
fn a_storm_is_held_to_the_rate_and_travels_together() {
    let mut scene = scene(Duration::from_secs(10), 2, Routes::default());
    for drift in 1..=500 {
        scene.desk.put(alert(drift, Severity::Critical));
    }
    scene.pass(0);
    assert_eq!(scene.desk.told().len(), 2);
    scene.pass(10);
    assert_eq!(scene.desk.told().len(), 3);
    scene.pass(20);
    assert_eq!(scene.desk.told().iter().map(|(drifts, ..)| drifts.len()).sum::<usize>(), 500);
}

#[test]
fn what_no_route_leads_here_is_put_aside_for_good() {
    let route = crate::notify::route::Route {
        receiver: "ops".to_owned(),
        severity: Severity::Critical,
        kinds: Vec::new(),
        groups: crate::store::rows::Groups::new(),
    };
    let mut scene = scene(Duration::ZERO, 1, Routes(vec![route]));
    scene.desk.put(alert(1, Severity::Warning));
    scene.desk.put(alert(2, Severity::Critical));
    scene.pass(0);
    assert_eq!(scene.desk.told(), [(vec![2], Delivery::Delivered, 1)]);
    assert_eq!(*scene.desk.passed.lock().unwrap(), [(1, 1)]);
    assert!(scene.desk.alerts("ops", 10).unwrap().is_empty());
}

#[test]
fn what_is_so_old_that_it_would_have_failed_by_now_is_not_begun() {
    let mut scene = scene(Duration::ZERO, 1, Routes::default());
    scene.desk.put(alert(1, Severity::Critical));
    scene.pass(8 * 86_400);
    assert_eq!(scene.desk.told(), []);
    assert_eq!(*scene.desk.passed.lock().unwrap(), [(1, 1)]);
}

use plumb_proto::frame::{DropReason, Tombstone, WANT_STATE};
use plumb_proto::record::{Class, Epoch, Moment, Record, Sealer, genesis};
use proptest::prelude::*;

use super::*;

const EPOCH: Epoch = Epoch([7; 16]);

/// `count` records of one chain.
fn chain(count: u64) -> Vec<Record> {
    let mut sealer = Sealer::new().unwrap();
    let mut prev = genesis(EPOCH);
    let at = Moment { boot_id: [0; 16], t_boot_ns: 0, wall: Timestamp::from_secs(0) };
    (1..=count)
        .map(|seq| {
            let record = sealer.seal((EPOCH, seq, prev), at, Class::Facts, &seq.to_be_bytes()).unwrap();
            prev = record.hash();
            record
        })
        .collect()
}

fn position(records: &[Record], first_seq: u64) -> Position {
    Position {
        epoch: EPOCH,
        first_seq,
        prev_of_first: Hash::default(),
        next_seq: records.len() as u64 + 1,
        acked_seq: 0,
        acked_hash: Hash::default(),
        dict_digest: Hash::default(),
    }
}

fn welcome(resend_from: u64, window_records: u32) -> ToAgent {
    let time = Timestamp::from_secs(0);
    ToAgent::Welcome(Welcome { protocol: 1, resend_from, window_records, window_bytes: 1 << 20, want: 0, time })
}

fn ack(record: &Record, window_records: u32) -> Ack {
    Ack {
        epoch: EPOCH,
        through: record.header.seq,
        head_hash: record.hash(),
        window_records,
        window_bytes: 1 << 20,
        time: Timestamp::from_secs(0),
    }
}

fn retry(code: RetryCode, resend_from: u64) -> ToAgent {
    ToAgent::Retry(Retry { code, after_ms: 0, resend_from })
}

/// Answers a fetch as observe does.
fn answer(records: &[Record], action: &Action) -> Option<ToDeliver> {
    let Action::Tell(ToObserve::Fetch { from, records: count, .. }) = action else { return None };
    let rest = &records[(usize::try_from(*from).unwrap() - 1).min(records.len())..];
    Some(ToDeliver::Items(rest.iter().take(*count).cloned().map(Item::Record).collect()))
}

fn fetch(from: u64, records: usize) -> Action {
    Action::Tell(ToObserve::Fetch { from, records, bytes: BATCH_BYTES })
}

fn closed(actions: &[Action]) -> Option<&Close> {
    actions.iter().find_map(|action| if let Action::Close(close) = action { Some(close) } else { None })
}

#[test]
fn nothing_is_asked_for_before_the_welcome_and_then_as_much_as_fits_a_batch() {
    let records = chain(100);
    let mut stream = Stream::new(position(&records, 1));
    assert_eq!(stream.hand(ToDeliver::Available(101)), []);
    assert_eq!(stream.receive(welcome(1, 256)), [fetch(1, 64)]);
}

#[test]
fn records_flow_until_the_window_is_full_and_go_on_with_the_ack() {
    let records = chain(5);
    let mut stream = Stream::new(position(&records, 1));
    let asked = stream.receive(welcome(1, 2));
    assert_eq!(asked, [fetch(1, 2)]);
    let sent = stream.hand(answer(&records, &asked[0]).unwrap());
    assert_eq!(sent.len(), 1); // the batch, and no further fetch
    assert_eq!(stream.waits_for(), Some(1));
    let told = stream.receive(ToAgent::Ack(ack(&records[1], 2)));
    assert_eq!(told, [Action::Tell(ToObserve::Acked(ack(&records[1], 2))), fetch(3, 2)]);
    assert_eq!(stream.waits_for(), None);
}

#[test]
fn a_window_of_nothing_lets_one_record_through_at_a_time() {
    let records = chain(2);
    let mut stream = Stream::new(position(&records, 1));
    assert!(matches!(stream.receive(welcome(1, 0))[..], [Action::Tell(ToObserve::Fetch { from: 1, records: 1, .. })]));
}

#[test]
fn what_was_dropped_here_is_not_asked_for() {
    let records = chain(9);
    let mut stream = Stream::new(position(&records, 4));
    assert_eq!(stream.receive(welcome(2, 256)), [fetch(4, 64)]);
}

#[test]
fn a_tombstone_that_reaches_further_back_is_sent_whole() {
    let records = chain(9);
    let mut stream = Stream::new(position(&records, 1));
    stream.receive(welcome(3, 256));
    let last_hash = records[4].hash();
    let gap = Tombstone { first: 1, last: 5, last_hash, records: 5, bytes: 500, reason: DropReason::SpoolFull };
    let items = vec![Item::Tombstone(gap), Item::Record(records[5].clone())];
    let sent = stream.hand(ToDeliver::Items(items.clone()));
    assert_eq!(sent, [Action::Send(ToCollector::Batch(items)), fetch(7, 64)]);
    assert!(closed(&stream.receive(ToAgent::Ack(ack(&records[4], 256)))).is_none());
}

#[test]
fn a_collector_that_has_more_than_we_do_means_a_fork() {
    let mut stream = Stream::new(position(&chain(3), 1));
    let actions = stream.receive(welcome(9, 256));
    assert_eq!(actions[0], Action::Tell(ToObserve::Fork));
    assert!(matches!(closed(&actions), Some(Close::Asked(Retry { code: RetryCode::Fork, .. }))));
}

#[test]
fn what_the_collector_wants_is_passed_on() {
    let mut stream = Stream::new(position(&[], 1));
    let ToAgent::Welcome(welcome) = welcome(1, 1) else { unreachable!() };
    let actions = stream.receive(ToAgent::Welcome(Welcome { want: WANT_STATE, ..welcome }));
    assert_eq!(actions, [Action::Tell(ToObserve::Want(WANT_STATE))]);
}

#[test]
fn a_forged_ack_is_not_believed() {
    let records = chain(3);
    let mut stream = Stream::new(position(&records, 1));
    let asked = stream.receive(welcome(1, 256));
    stream.hand(answer(&records, &asked[0]).unwrap());
    let forged = Ack { head_hash: Hash([1; 32]), ..ack(&records[1], 256) };
    let actions = stream.receive(ToAgent::Ack(forged));
    assert_eq!(actions, [Action::Close(Close::Violation("acknowledges another record than was sent"))]);
    let mut ahead = ack(&records[2], 256);
    ahead.through = 4;
    assert!(closed(&stream.receive(ToAgent::Ack(ahead))).is_some());
}

#[test]
fn a_gap_is_sent_again_once_and_closes_when_it_does_not_help() {
    let records = chain(3);
    let mut stream = Stream::new(position(&records, 1));
    let asked = stream.receive(welcome(2, 256));
    stream.hand(answer(&records, &asked[0]).unwrap());
    assert_eq!(stream.receive(retry(RetryCode::Gap, 1)), [fetch(1, 64)]);
    assert!(matches!(closed(&stream.receive(retry(RetryCode::Gap, 1))), Some(Close::Asked(_))));
}

#[test]
fn an_answer_that_crosses_a_gap_is_let_go() {
    let records = chain(3);
    let mut stream = Stream::new(position(&records, 1));
    let asked = stream.receive(welcome(3, 256));
    assert_eq!(stream.receive(retry(RetryCode::Gap, 1)), []); // the fetch of 3 is still on its way
    assert_eq!(stream.hand(answer(&records, &asked[0]).unwrap()), [fetch(1, 64)]);
}

#[test]
fn a_new_epoch_greets_again() {
    let mut stream = Stream::new(position(&[], 1));
    let other = Position { epoch: Epoch([8; 16]), ..position(&[], 1) };
    assert_eq!(stream.hand(ToDeliver::Position(other)), [Action::Close(Close::GreetAgain)]);
}

/// A collector that keeps what continues its chain; it may lose an ack, or everything behind a point, and the line may
/// break at any moment.
#[derive(Debug, Clone)]
enum Step {
    Commit(u64),
    Deliver,
    SetBack(u64),
    Gap,
    Reconnect,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1..5u64).prop_map(Step::Commit),
        6 => Just(Step::Deliver),
        1 => (0..9u64).prop_map(Step::SetBack),
        1 => Just(Step::Gap),
        1 => Just(Step::Reconnect),
    ]
}

struct World {
    records: Vec<Record>,
    committed: u64,
    acked: u64,
    kept: u64,
    stream: Stream,
    window: u32,
}

impl World {
    fn connect(&mut self) {
        let there = &self.records[..usize::try_from(self.committed).unwrap()];
        self.stream = Stream::new(Position { acked_seq: self.acked, ..position(there, 1) });
        let actions = self.stream.receive(welcome(self.kept + 1, self.window));
        self.act(actions, true);
    }

    /// Runs what follows from a step to its end.
    fn act(&mut self, actions: Vec<Action>, answers: bool) {
        let mut queue: VecDeque<Action> = actions.into();
        while let Some(action) = queue.pop_front() {
            if let Action::Tell(ToObserve::Acked(ack)) = &action {
                assert!(ack.through > self.acked, "an ack never goes back");
                self.acked = ack.through;
            }
            if matches!(action, Action::Close(_)) {
                return self.connect();
            }
            if let Some(items) = answer(&self.records[..usize::try_from(self.committed).unwrap()], &action) {
                queue.extend(self.stream.hand(items));
            }
            if let Action::Send(ToCollector::Batch(items)) = action {
                for item in &items {
                    let (first, last) = item.range();
                    assert!(first <= self.kept + 1, "record {first} arrives behind {}", self.kept);
                    self.kept = self.kept.max(last);
                }
                let in_flight = self.stream.in_flight.len();
                assert!(in_flight <= self.window.max(1) as usize, "{in_flight} in flight");
                if answers {
                    queue.extend(self.ack());
                }
            }
        }
    }

    fn ack(&mut self) -> Vec<Action> {
        if self.kept == 0 {
            return Vec::new();
        }
        let ack = ack(&self.records[usize::try_from(self.kept).unwrap() - 1], self.window);
        self.stream.receive(ToAgent::Ack(ack))
    }
}

proptest! {
    #[test]
    fn whatever_breaks_everything_arrives_in_order_once_the_line_holds(
        window in 0..6u32, steps in prop::collection::vec(step(), 0..60)
    ) {
        let stream = Stream::new(position(&[], 1));
        let mut world = World { records: chain(240), committed: 0, acked: 0, kept: 0, stream, window };
        world.connect();
        for step in steps {
            match step {
                Step::Commit(count) => {
                    world.committed = (world.committed + count).min(240);
                    let actions = world.stream.hand(ToDeliver::Available(world.committed + 1));
                    world.act(actions, false);
                }
                Step::Deliver => {
                    let actions = world.ack();
                    world.act(actions, true);
                }
                Step::SetBack(count) => {
                    world.kept = world.kept.saturating_sub(count);
                    world.connect();
                }
                Step::Gap => {
                    let actions = world.stream.receive(retry(RetryCode::Gap, world.kept + 1));
                    world.act(actions, true);
                }
                Step::Reconnect => world.connect(),
            }
        }
        world.connect();
        let actions = world.ack();
        world.act(actions, true);
        prop_assert_eq!(world.kept, world.committed);
        prop_assert_eq!(world.stream.waits_for(), None);
    }
}

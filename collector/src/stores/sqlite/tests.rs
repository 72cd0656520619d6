//! What only this engine has: its files, its rows, its settings.

mod files;
mod rows;
mod small;

use plumb_proto::model::Payload;
use plumb_proto::record::Epoch;
use rusqlite::Connection;

use super::Sqlite;
use super::testing::Folder;
use crate::store::{Keep, Store};
use crate::stores::contract::bench::{Sender, commit, host_row};
use crate::view::HostView;

const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);
/// As shipped, with samples for three days.
const KEEP: Keep = Keep {
    samples: DAY.saturating_mul(3),
    rollups: DAY.saturating_mul(9),
    events: DAY.saturating_mul(9),
    facts: DAY.saturating_mul(9),
    drifts: DAY.saturating_mul(9),
};

struct Bench {
    store: Sqlite,
    folder: Folder,
}

impl Bench {
    fn new() -> Self {
        let folder = Folder::empty();
        Self { store: Sqlite::open(&folder.file("db")).unwrap(), folder }
    }

    fn enrol(&mut self, digit: u8) -> Sender {
        let host = host_row(digit, &format!("web{digit}"));
        self.store.commit(&mut |tx| tx.save_host(&host)).unwrap();
        Sender::new(host.id, Epoch([digit; 16]))
    }

    fn send(&mut self, sender: &mut Sender, payload: &Payload) {
        let record = sender.seal(payload);
        self.store.commit(&mut |tx| sender.take(tx, &record).map(drop)).unwrap();
    }

    fn view(&mut self, sender: &Sender) -> HostView {
        commit(&mut self.store, |tx| Ok((*tx.view(&sender.host)?).clone())).unwrap()
    }

    /// As somebody with a shell and the rights of the collector has it.
    fn by_hand(&self) -> Connection {
        Connection::open(self.folder.file("db")).unwrap()
    }

    fn verify(&self) -> (u64, String) {
        let (links, faults) = self.store.questions().unwrap().verify().unwrap();
        (links, faults.join("\n"))
    }
}

fn number(conn: &Connection, sql: &str) -> i64 {
    conn.query_row(sql, [], |row| row.get(0)).unwrap()
}

//! A state folder with a host in its store and an authority, for tests of the commands.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use plumb_proto::record::Epoch;
use plumb_proto::time::{ManualClock, Timestamp};

use super::{Cli, obey};
use crate::config::Config;
use crate::enroll::ca::Authority;
use crate::serve::{authority_dir, database, make_state_dir, open_store};
use crate::store::{Questions, Store};
use crate::stores::contract::bench::{Sender, full, host_row};
use crate::stores::sqlite::testing::Folder;

pub(super) const NOW: Timestamp = Timestamp::from_secs(1_795_255_262);

pub(super) struct Scene {
    pub(super) folder: Folder,
    pub(super) config: Config,
    sender: Sender,
}

impl Scene {
    pub(super) fn new() -> Self {
        let folder = Folder::empty();
        let state = folder.file("state");
        let config = config(&state);
        make_state_dir(&state).unwrap();
        Authority::open(&authority_dir(&state), NOW).unwrap();
        let mut scene = Self { folder, config, sender: Sender::new(host_row(1, "web1").id, Epoch([1; 16])) };
        scene.store().commit(&mut |tx| tx.save_host(&host_row(1, "web1"))).unwrap();
        scene.send();
        scene
    }

    pub(super) fn state(&self) -> &Path {
        &self.config.state_dir
    }

    pub(super) fn db(&self) -> PathBuf {
        database(self.state())
    }

    pub(super) fn store(&self) -> Box<dyn Store> {
        open_store(self.state()).unwrap()
    }

    pub(super) fn questions(&self) -> Box<dyn Questions> {
        self.store().questions().unwrap()
    }

    /// Links of the history; it must hold.
    pub(super) fn links(&self) -> u64 {
        let (links, faults) = self.questions().verify().unwrap();
        assert_eq!(faults, Vec::<String>::new());
        links
    }

    /// One more record of the host.
    pub(super) fn send(&mut self) {
        let record = self.sender.seal(&full(self.sender.next, vec![]));
        let mut store = open_store(&self.config.state_dir).unwrap();
        store.commit(&mut |tx| self.sender.take(tx, &record).map(drop)).unwrap();
    }

    /// Runs a command on it: what it answers, or its words.
    pub(super) fn run(&self, arguments: &[&str]) -> Result<(), String> {
        let arguments = [&["plumb-collector"], arguments].concat();
        let command = <Cli as clap::Parser>::try_parse_from(arguments).unwrap().command;
        let done = obey(command, None, config(&self.config.state_dir), Arc::new(ManualClock::at(NOW)));
        done.map_err(|error| format!("{error:#}"))
    }

    /// The path of a file beside the state folder, as an argument.
    pub(super) fn path(&self, name: &str) -> String {
        self.folder.file(name).display().to_string()
    }

    /// Names of what is in the state folder, without what SQLite and the lock leave there.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names = names(self.state());
        names.retain(|name| name != "lock" && !name.ends_with("-wal") && !name.ends_with("-shm"));
        names
    }
}

fn config(state: &Path) -> Config {
    Config::parse(Path::new("test.toml"), &format!("state_dir = {state:?}\npolicy_dirs = []\n")).unwrap()
}

pub(super) fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

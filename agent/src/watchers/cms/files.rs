//! What files said, as long as they stay as they are: a handful of words of each, never its content.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::apps::json::Fault;
use crate::apps::look_at;
use crate::apps::php::assignments;
use crate::host::{ErrorKind, Host, HostError, Identity, Kind, Meta};

/// What a file said: names and values.
pub(super) type Words = Vec<(&'static str, Box<str>)>;

/// How a file is read.
#[derive(Clone, Copy)]
pub(super) enum How {
    /// Its first bytes only.
    Head(u64, fn(&[u8], &mut Words)),
    /// All of it, if it is not bigger.
    Whole(usize, fn(&[u8], &mut Words)),
    /// As a stream; the error says that it is not understood.
    Stream(fn(&mut dyn Read, &mut Words) -> Result<(), Fault>),
}

/// Stands for a file that is not understood.
const BROKEN: &str = "!";
/// Bytes of a file that is read as a stream.
const STREAM: u64 = 16 << 20;

#[derive(Default)]
pub(super) struct Files {
    known: BTreeMap<PathBuf, Known>,
    /// Work of this slice: each file asked for, and more for each that was read.
    pub(super) work: usize,
    round: bool,
}

struct Known {
    identity: Identity,
    /// The look in which it was asked for last.
    round: bool,
    words: Words,
}

impl Files {
    pub(super) fn begin(&mut self) {
        self.round = !self.round;
    }

    /// Forgets what nobody asked for in this look.
    pub(super) fn end(&mut self) {
        let round = self.round;
        self.known.retain(|_, known| known.round == round);
    }

    /// What a file says, with its state.
    pub(super) fn read(&mut self, host: &Host, path: &Path, how: How) -> Result<(&Words, Meta), HostError> {
        self.work += 1;
        let (real, meta) = look_at(host, path)?;
        if meta.kind != Kind::File {
            return Err(ErrorKind::NotRegular.at(path));
        }
        let known = self.known.get(path).is_some_and(|known| known.identity == meta.identity);
        if !known {
            self.work += 10;
            let words = words(host, &real, how)?;
            self.known.insert(path.to_owned(), Known { identity: meta.identity, round: self.round, words });
        }
        self.told(path, meta)
    }

    /// What was worked out of a folder, for as long as nothing comes or goes there, or of a file in a way of its own.
    pub(super) fn work_out(
        &mut self,
        host: &Host,
        path: &Path,
        work: &mut dyn FnMut(&Path, &mut Words, &mut usize) -> Result<(), HostError>,
    ) -> Result<(&Words, Meta), HostError> {
        self.work += 1;
        let (real, meta) = look_at(host, path)?;
        let known = self.known.get(path).is_some_and(|known| known.identity == meta.identity);
        if !known {
            let mut words = Words::new();
            work(&real, &mut words, &mut self.work)?;
            words.shrink_to_fit();
            self.known.insert(path.to_owned(), Known { identity: meta.identity, round: self.round, words });
        }
        self.told(path, meta)
    }

    fn told(&mut self, path: &Path, meta: Meta) -> Result<(&Words, Meta), HostError> {
        let round = self.round;
        let known = self.known.get_mut(path).ok_or_else(|| ErrorKind::NotFound.at(path))?;
        known.round = round;
        if word(&known.words, BROKEN).is_some() {
            return Err(ErrorKind::Io("not of the format that is expected there").at(path));
        }
        Ok((&known.words, meta))
    }
}

/// Reads a file whose path has no links.
pub(super) fn words(host: &Host, path: &Path, how: How) -> Result<Words, HostError> {
    let mut words = Words::new();
    match how {
        How::Head(limit, parse) => {
            let mut bytes = Vec::new();
            let read = host.open(path)?.take(limit).read_to_end(&mut bytes);
            read.map_err(|error| ErrorKind::from_io(&error).at(path))?;
            parse(&bytes, &mut words);
        }
        How::Whole(limit, parse) => parse(&host.read(path, limit)?, &mut words),
        How::Stream(parse) => {
            let file = host.open(path)?;
            if file.meta().size > STREAM {
                return Err(ErrorKind::TooBig(STREAM).at(path));
            }
            if parse(&mut file.take(STREAM), &mut words).is_err() {
                // Kept like an answer: it stays as it is until the file changes.
                words = vec![(BROKEN, "".into())];
            }
        }
    }
    words.shrink_to_fit();
    Ok(words)
}

/// The value of a name, if the file has it.
pub(super) fn word<'a>(words: &'a Words, name: &str) -> Option<&'a str> {
    words.iter().find(|(each, _)| *each == name).map(|(_, value)| &**value)
}

/// Adds a value unless its name has one: what PHP defines first stands.
pub(super) fn add(words: &mut Words, name: &'static str, value: &str) {
    if word(words, name).is_none() {
        words.push((name, value.into()));
    }
}

/// `const VERSION`, `_PS_VERSION_`, `'version' =>`: each file has one of them.
pub(super) fn constant(source: &[u8], words: &mut Words) {
    assignments(source, &mut |name, value| {
        let named = matches!(name, "VERSION" | "_PS_VERSION_" | "version");
        if let Some(value) =
            value.text().filter(|value| named && value.starts_with(|first: char| first.is_ascii_digit()))
        {
            add(words, "version", value);
        }
    });
}

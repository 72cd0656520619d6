//! A visit with a login: who we are is proved, a few fixed questions are asked, and we say good-bye.

use std::path::Path;

use super::handshake;
use crate::databases::login::{Answer, BUSY, LIMIT, Login, PATIENCE, Wanted};
use crate::databases::wire::mysql::{HEADER, Plugin, Step};
use crate::databases::{Refusal, wire::mysql as wire};
use crate::host::{Host, HostError, Talk};

/// Columns and rows of an answer; `SHOW REPLICA STATUS` has some 60 columns.
const COLUMNS: usize = 200;
const ROWS: usize = 1_000;
/// Steps of a login, all ways of it.
const STEPS: usize = 6;
/// A statement's syntax is not known: another make or age of server.
const SYNTAX: u16 = 1064;
const GRANT: &str = "create the user as the sample of `login` in agent.toml says, or take `login` out; without a password \
                     only a process of that name gets in, so it is the service that counts";

/// Why a question has no answer.
enum Failed {
    /// The server says so.
    Said(u16),
    /// It is not understood, or gone.
    Lost(String),
}

impl From<HostError> for Failed {
    fn from(error: HostError) -> Self {
        Self::Lost(error.to_string())
    }
}

/// Rows by the names of their columns.
struct Rows(Vec<String>, Vec<Vec<Option<String>>>);

/// Logs in and asks.
pub(super) fn ask(host: &Host, socket: &Path, login: &Login, wanted: &[Wanted]) -> Result<Answer, Refusal> {
    let begun = host.clock().monotonic();
    let mut talk = host.talk(socket, PATIENCE, LIMIT).map_err(|error| super::refused(&error))?;
    log_in(&mut talk, login)?;
    // Neither is needed; both make sure. Each make knows one of the two limits, in seconds and in milliseconds.
    for set in [
        "SET SESSION TRANSACTION READ ONLY",
        "SET SESSION max_statement_time = 1",
        "SET SESSION max_execution_time = 1000",
    ] {
        let _ = query(&mut talk, set);
    }
    let mut answer = Answer::default();
    let lost = |failed| match failed {
        Failed::Lost(why) => Err(Refusal::Silent(why)),
        Failed::Said(_) => Ok(Rows(Vec::new(), Vec::new())),
    };
    let status = "SHOW GLOBAL STATUS WHERE Variable_name IN ('Threads_connected', 'Slow_queries')";
    for row in &query(&mut talk, status).or_else(lost)?.1 {
        match (row.first().and_then(Option::as_deref), number(row.get(1))) {
            (Some("Threads_connected"), value) => answer.connections = value,
            (Some("Slow_queries"), value) => answer.slow = value,
            _ => {}
        }
    }
    let limit = query(&mut talk, "SELECT @@GLOBAL.max_connections").or_else(lost)?;
    answer.limit = limit.1.first().and_then(|row| number(row.first()));
    let replica = match query(&mut talk, "SHOW REPLICA STATUS") {
        Err(Failed::Said(SYNTAX)) => query(&mut talk, "SHOW SLAVE STATUS"),
        other => other,
    };
    answer.lag = lag(&replica.or_else(lost)?);
    for each in wanted {
        if host.clock().monotonic() >= begun + BUSY {
            break;
        }
        let counted = query(&mut talk, &autoload(each));
        let is_lost = matches!(counted, Err(Failed::Lost(_)));
        answer.autoload.push(counted.ok().and_then(|rows| number(rows.1.first()?.first())));
        if is_lost {
            return Ok(answer); // a table that keeps it busy hides nothing that it said before
        }
    }
    let _ = talk.say(&wire::packet(0, b"\x01")); // COM_QUIT: a visit that ends without it is an aborted one
    Ok(answer)
}

fn log_in(talk: &mut Talk<'_>, login: &Login) -> Result<(), Refusal> {
    let silent = |error: HostError| Refusal::Silent(error.to_string());
    let odd = || Refusal::Silent("it does not speak the protocol of a MySQL server".to_owned());
    let hello = talk.hear(&wire::length).map_err(silent)?;
    let body = hello.get(HEADER..).unwrap_or_default();
    if let Some((number, text)) = wire::error(body) {
        return Err(handshake::refusal(number, &text));
    }
    let (mut name, nonce) = wire::handshake(body).ok_or_else(odd)?;
    // Of a way that we do not know, nothing is proved: the account may have another one.
    let plugin = Plugin::named(&name);
    let proof = plugin.map_or_else(Vec::new, |plugin| plugin.proof(&login.password, &nonce));
    talk.say(&wire::packet(1, &wire::login(&login.user, &name, &proof))).map_err(silent)?;
    for _ in 0..STEPS {
        let said = talk.hear(&wire::length).map_err(silent)?;
        let sequence = said.get(3).map_or(0, |sequence| sequence.wrapping_add(1));
        match wire::step(said.get(HEADER..).unwrap_or_default()) {
            Step::In => return Ok(()),
            Step::Fast => {}
            Step::Switch(other, nonce) => {
                let Some(plugin) = Plugin::named(&other) else {
                    let why = format!("the user's plugin {} is not supported", String::from_utf8_lossy(&other));
                    let hint = "identify the user by unix_socket (MariaDB) or auth_socket (MySQL)";
                    return Err(Refusal::Denied(why, hint));
                };
                name = other;
                talk.say(&wire::packet(sequence, &plugin.proof(&login.password, &nonce))).map_err(silent)?;
            }
            Step::Full if login.trusted => {
                let said = [login.password.as_slice(), b"\0"].concat();
                talk.say(&wire::packet(sequence, &said)).map_err(silent)?;
            }
            Step::Full => {
                let why =
                    "it wants the password itself, but its socket belongs to another user than the server runs as";
                return Err(Refusal::Denied(why.to_owned(), "look who has made the socket"));
            }
            Step::Error(number, text) => {
                return Err(match handshake::refusal(number, &text) {
                    Refusal::Silent(why) => Refusal::Denied(why, GRANT),
                    turned => turned,
                });
            }
            Step::Odd => return Err(odd()),
        }
    }
    Err(Refusal::Silent(format!("the login with {} has no end", String::from_utf8_lossy(&name))))
}

fn query(talk: &mut Talk<'_>, text: &str) -> Result<Rows, Failed> {
    let odd = || Failed::Lost("its answer is not understood".to_owned());
    let hear = |talk: &mut Talk<'_>| {
        let mut said = talk.hear(&wire::length)?;
        Ok::<_, Failed>(said.split_off(HEADER.min(said.len())))
    };
    talk.say(&wire::query(text))?;
    let first = hear(talk)?;
    if let Some((number, _)) = wire::error(&first) {
        return Err(Failed::Said(number));
    }
    if first.first() == Some(&0) {
        return Ok(Rows(Vec::new(), Vec::new()));
    }
    let count = wire::columns(&first).filter(|count| *count <= COLUMNS).ok_or_else(odd)?;
    let mut names = Vec::with_capacity(count);
    for _ in 0..count {
        names.push(wire::column(&hear(talk)?).ok_or_else(odd)?);
    }
    if !wire::is_end(&hear(talk)?) {
        return Err(odd());
    }
    let mut rows = Vec::new();
    loop {
        let said = hear(talk)?;
        if wire::is_end(&said) {
            return Ok(Rows(names, rows));
        }
        if let Some((number, _)) = wire::error(&said) {
            return Err(Failed::Said(number)); // it took too long
        }
        if rows.len() >= ROWS {
            return Err(odd());
        }
        rows.push(wire::row(&said).ok_or_else(odd)?);
    }
}

/// The greatest lag of all sources; of one that does not run the server tells NULL.
fn lag(Rows(names, rows): &Rows) -> Option<f64> {
    let is_lag = |name: &String| matches!(name.as_str(), "Seconds_Behind_Master" | "Seconds_Behind_Source");
    let place = names.iter().position(is_lag)?;
    rows.iter().filter_map(|row| number(row.get(place))).reduce(f64::max)
}

fn number(value: Option<&Option<String>>) -> Option<f64> {
    value?.as_deref()?.parse().ok().filter(|number: &f64| number.is_finite())
}

/// WordPress loads these options with every page (wp_autoload_values_to_autoload of its source).
fn autoload(Wanted { schema, prefix }: &Wanted) -> String {
    let (schema, table) = (schema.replace('`', "``"), format!("{prefix}options").replace('`', "``"));
    let values = "'yes', 'on', 'auto', 'auto-on'";
    format!("SELECT SUM(LENGTH(option_value)) FROM `{schema}`.`{table}` WHERE autoload IN ({values})")
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::sync::Arc;

    use plumb_proto::time::SystemClock;

    use super::*;

    #[test]
    fn names_of_schemas_cannot_leave_their_quotes() {
        let wanted = Wanted { schema: "a`; DROP".to_owned(), prefix: "w`_".to_owned() };
        assert!(autoload(&wanted).contains("FROM `a``; DROP`.`w``_options` WHERE"));
    }

    #[test]
    fn the_lag_is_the_greatest_of_all_sources_that_run() {
        let names = vec!["Host".to_owned(), "Seconds_Behind_Master".to_owned()];
        let row = |lag: Option<&str>| vec![Some("db".to_owned()), lag.map(str::to_owned)];
        assert_eq!(lag(&Rows(names.clone(), vec![row(Some("3")), row(Some("70")), row(None)])), Some(70.0));
        assert_eq!(lag(&Rows(names, vec![row(None)])), None);
        assert_eq!(lag(&Rows(Vec::new(), Vec::new())), None);
    }

    /// A false server that speaks caching_sha2_password and wants the password itself; what was said to it.
    fn said_to_a_stranger(trusted: bool) -> (Result<(), Refusal>, Vec<u8>) {
        let folder = crate::state::testing::Folder::new();
        let path = folder.path().join("s.sock");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let server = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let middle = [0, 0xff, 0xff, 45, 2, 0, 0xff, 0xff, 21, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            let hello =
                [b"\n8.4.0\0\x01\0\0\0abcdefgh", &middle[..], b"ijklmnopqrst\0caching_sha2_password\0"].concat();
            socket.write_all(&wire::packet(0, &hello)).unwrap();
            let mut heard = vec![0; 512];
            let read = socket.read(&mut heard).unwrap();
            assert!(read > 0);
            socket.write_all(&wire::packet(2, b"\x01\x04")).unwrap();
            let read = socket.read(&mut heard).unwrap();
            heard.truncate(read);
            let _ = socket.write_all(&wire::packet(4, b"\0\0\0\x02\0\0\0"));
            heard
        });
        let host = Host::new("/", Arc::new(SystemClock::new()));
        let login = Login { user: "plumb".to_owned(), password: b"secret".to_vec(), trusted };
        let came = host.talk(&path, PATIENCE, LIMIT).map_err(|error| super::super::refused(&error));
        let came = came.and_then(|mut talk| log_in(&mut talk, &login));
        (came, server.join().unwrap())
    }

    #[test]
    fn the_password_itself_is_said_to_the_server_and_to_no_stranger() {
        assert_eq!(said_to_a_stranger(true), (Ok(()), wire::packet(3, b"secret\0")));
        let (refused, said) = said_to_a_stranger(false);
        assert!(matches!(refused, Err(Refusal::Denied(..))) && said.is_empty(), "{refused:?} {said:?}");
    }
}

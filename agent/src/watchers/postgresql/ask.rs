//! A visit with a login without a password (`peer`): a few fixed questions are asked, and we say good-bye.

use std::path::Path;

use crate::databases::Refusal;
use crate::databases::login::{Answer, LIMIT, Login, PATIENCE};
use crate::databases::wire::postgresql::{Message, length, message, query, startup};
use crate::host::{Host, HostError, Talk};

/// The database that is there in every cluster.
const DATABASE: &str = "postgres";
/// Messages of one answer, rows among them.
const MESSAGES: usize = 2_000;
/// Too many connections; it starts up or shuts down: "PostgreSQL Error Codes" of the manual.
const TURNED_AWAY: &str = "53300";
const AWAY: &str = "57P03";
const GRANT: &str = "create the role as the sample of `login` in agent.toml says, with `peer` in pg_hba.conf, or take `login` \
                     out; only a process of that name gets in, so it is the service that counts";

/// One row: connections, how many there may be, and how far a standby is behind. One that has replayed all that it was
/// sent is not behind, however long ago the last transaction was.
const STATUS: &str = "SELECT (SELECT sum(numbackends) FROM pg_stat_database), current_setting('max_connections'), \
    CASE WHEN NOT pg_is_in_recovery() THEN NULL \
    WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0 \
    ELSE extract(epoch FROM now() - pg_last_xact_replay_timestamp()) END";
const NAMES: &str = "SELECT oid, datname FROM pg_database ORDER BY oid LIMIT 1000";

type Rows = Vec<Vec<Option<String>>>;

/// Logs in and asks.
pub(super) fn ask(host: &Host, socket: &Path, login: &Login) -> Result<Answer, Refusal> {
    let mut talk = host.talk(socket, PATIENCE, LIMIT).map_err(|error| match error.is_unanswered() {
        true => Refusal::Away(error.to_string()),
        false => Refusal::Silent(error.to_string()),
    })?;
    talk.say(&startup(&login.user, DATABASE)).map_err(silent)?;
    answered(&mut talk, true)?.map_err(|(code, text)| refusal(&code, &text))?;
    let mut ask = |text: &str| {
        talk.say(&query(text)).map_err(silent)?;
        // What a server does not know is left out.
        answered(&mut talk, false).map(Result::unwrap_or_default)
    };
    ask("SET default_transaction_read_only = on")?;
    ask("SET statement_timeout = '1s'")?;
    let status = ask(STATUS)?;
    let number =
        |place: usize| status.first()?.get(place)?.as_deref()?.parse().ok().filter(|each: &f64| each.is_finite());
    let mut answer = Answer { connections: number(0), limit: number(1), lag: number(2), ..Answer::default() };
    for row in ask(NAMES)? {
        if let [Some(oid), Some(name)] = row.as_slice() {
            answer.names.insert(oid.clone(), name.clone());
        }
    }
    let _ = talk.say(b"X\0\0\0\x04"); // Terminate
    Ok(answer)
}

fn silent(error: HostError) -> Refusal {
    Refusal::Silent(error.to_string())
}

/// What comes until the server waits for the next question: rows, or an error's code and text. In a login, an error is
/// the last that is said.
fn answered(talk: &mut Talk<'_>, in_login: bool) -> Result<Result<Rows, (String, String)>, Refusal> {
    let (mut rows, mut failed) = (Rows::new(), None);
    for _ in 0..MESSAGES {
        match message(&talk.hear(&length).map_err(silent)?) {
            Message::Row(row) => rows.push(row),
            Message::Ready => return Ok(failed.map_or(Ok(rows), Err)),
            Message::Error(code, text) if in_login => return Ok(Err((code, text))),
            Message::Error(code, text) => failed = Some((code, text)),
            Message::In | Message::Other => {}
            Message::Password => {
                return Err(Refusal::Denied("it wants a password, which is not supported".to_owned(), GRANT));
            }
            Message::Odd => break,
        }
    }
    Err(Refusal::Silent("it does not speak the protocol of PostgreSQL".to_owned()))
}

fn refusal(code: &str, text: &str) -> Refusal {
    match code {
        TURNED_AWAY => Refusal::Turned(format!("{code} {text}")),
        AWAY => Refusal::Away(text.to_owned()),
        _ => Refusal::Denied(format!("error {code}: {text}"), GRANT),
    }
}

//! Until when the programs of a host are patched: for its screen, and as the table `support`.

use plumb_proto::generated::query as pb;
use plumb_proto::limits;
use plumb_proto::time::Timestamp;
use tonic::Status;

use super::failed;
use super::limited::has;
use super::rows::row;
use crate::drift::support::{Dates, SOURCES, Verdict, Window};
use crate::store::{FactFilter, Questions};
use crate::view::{HostView, Row};

/// The support window of a row that is a program with dates; `None` for other rows.
pub(super) fn of(dates: &Dates, view: &HostView, row: &Row, now: Timestamp) -> Option<pb::Support> {
    Some(match dates.window_of(view, row, now)? {
        Ok(window) => told(&window, now),
        Err(unjudged) => pb::Support {
            unknown: unjudged.told(),
            verdict: unjudged.verdict.map_or("", Verdict::as_str).to_owned(),
            ..pb::Support::default()
        },
    })
}

fn told(window: &Window, now: Timestamp) -> pb::Support {
    pb::Support {
        last_day: window.last_day(),
        by: window.by.clone(),
        upstream: window.upstream.clone(),
        note: window.note.clone(),
        days_left: window.days_left(now),
        unknown: String::new(),
        verdict: window.verdict(now).as_str().to_owned(),
    }
}

/// The rows of the table `support`, host by host: what is held at a time are the rows of one host, and the answer. One that is
/// too long ends behind the most that may be asked for, which is how the asker sees that.
pub(super) fn table(
    questions: &mut dyn Questions,
    dates: &Dates,
    filter: &FactFilter,
    now: Timestamp,
) -> Result<Vec<pb::Row>, Status> {
    let mut hosts = questions.hosts().map_err(|error| failed(&error))?;
    hosts.retain(|host| filter.host.is_none_or(|id| id == host.id) && has(&host.groups, &filter.groups));
    hosts.sort_by(|one, other| (&one.name, one.id).cmp(&(&other.name, other.id)));
    let mut answer = Vec::new();
    for host in hosts {
        let of_host = FactFilter { host: Some(host.id), groups: filter.groups.clone() };
        let mut rows: Vec<Row> = Vec::new();
        for source in SOURCES {
            let found = questions.facts(source, &of_host).map_err(|error| failed(&error))?;
            rows.extend(found.into_iter().map(|(_, row)| row));
        }
        let os = rows.iter().find(|row| row.table == "os");
        answer.extend(rows.iter().filter_map(|each| dates.row_of(os, each, now)).map(|each| row(&host.name, &each)));
        if answer.len() > limits::QUERY_ROWS {
            break;
        }
    }
    Ok(answer)
}

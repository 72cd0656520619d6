//! Until when the programs of a host are patched: for its screen, and as the table `support`.

use std::collections::BTreeMap;

use plumb_proto::generated::query as pb;
use plumb_proto::record::HostId;
use plumb_proto::time::Timestamp;
use tonic::Status;

use super::answers::row;
use super::failed;
use crate::drift::support::{Dates, SOURCES, Verdict, Window};
use crate::store::rows::HostRow;
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

/// The rows of the table `support`, host by host.
pub(super) fn table(
    questions: &mut dyn Questions,
    dates: &Dates,
    filter: &FactFilter,
    now: Timestamp,
) -> Result<Vec<pb::Row>, Status> {
    let mut hosts: BTreeMap<(String, HostId), Vec<Row>> = BTreeMap::new();
    for source in SOURCES {
        let rows: Vec<(HostRow, Row)> = questions.facts(source, filter).map_err(|error| failed(&error))?;
        for (host, row) in rows {
            hosts.entry((host.name, host.id)).or_default().push(row);
        }
    }
    let of_host = |((name, _), rows): (&(String, HostId), &Vec<Row>)| {
        let os = rows.iter().find(|row| row.table == "os");
        rows.iter().filter_map(|each| dates.row_of(os, each, now)).map(|each| row(name, &each)).collect::<Vec<_>>()
    };
    Ok(hosts.iter().flat_map(of_host).collect())
}

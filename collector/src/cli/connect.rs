//! The way to the collector: its local socket or, from elsewhere, its query port. What cannot be reached is told with what to do next.

pub mod identity;
mod remote;

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use hyper_util::rt::TokioIo;
use plumb_proto::generated::query::query_client::QueryClient;
use plumb_proto::generated::query::{
    AlertsPage, AlertsRequest, ApproveReply, ApproveRequest, ChangeSet, ChangesRequest, Drift, DriftsRequest, Event,
    EventsRequest, FactsRequest, GroupHostRequest, HistoryPage, HistoryRequest, Host, HostPart, HostReply, HostRequest,
    HostsRequest, RenameHostRequest, RetireHostRequest, RevokeHostRequest, Row, Rule, RulesRequest, SchemaRequest,
    TestPolicyPage, TestPolicyRequest, TestReceiverReply, TestReceiverRequest,
};
use plumb_proto::limits;
use plumb_proto::model::TableDecl;
use plumb_proto::time::Timestamp;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status, Streaming};

use identity::Identity;
use remote::Remote;

/// Where the collector of this machine listens.
pub const SOCKET: &str = "/run/plumb/collector.sock";
/// The collector cuts an answer off after 10 s; then its refusal has to arrive.
const TIMEOUT: Duration = Duration::from_secs(15);
/// A page: 1,000 rows, and not much more than 1 MiB.
const PAGE: usize = 4 << 20;

/// Tables and columns.
#[derive(Default)]
pub(super) struct Schema {
    /// By name.
    pub(super) tables: Vec<TableDecl>,
    /// Columns, with their tables, that no host has declared.
    pub(super) untold: BTreeSet<(String, String)>,
    /// Tables that some hosts declare in another way.
    pub(super) differing: BTreeSet<String>,
}

/// A connection to the collector.
pub struct Query(QueryClient<Channel>);

impl Query {
    /// Connects. `None`: to the collector of this machine.
    ///
    /// # Errors
    /// There is none, or it may not be asked.
    pub async fn connect(address: Option<&str>) -> Result<Self> {
        Self::local(socket(address)?).await
    }

    /// Connects to the collector that was named, or else to that of this machine or, where none is, to the one that the
    /// user's identity names.
    ///
    /// # Errors
    /// There is none, or it may not be asked.
    pub async fn to(address: Option<&str>, identity: Option<&Path>, now: Timestamp) -> Result<Self> {
        let usual = || identity::usual_path().filter(|path| path.exists());
        let is_local = address.is_none() && identity.is_none() && (Path::new(SOCKET).exists() || usual().is_none());
        if is_local || address.is_some_and(|address| !address.starts_with("https://")) {
            return Self::connect(address).await;
        }
        let Some(path) = identity.map(Path::to_owned).or_else(identity::usual_path) else {
            bail!("a collector elsewhere wants an identity: --identity FILE or PLUMB_IDENTITY");
        };
        let identity = Identity::read(&path, now)?;
        let Some(address) = address.map(str::to_owned).or_else(|| identity.collector.clone()) else {
            bail!("{} does not say where the collector is: --collector https://HOST:7445", path.display());
        };
        Self::remote(Remote::new(&address, identity, now)?).await
    }

    async fn remote(remote: Remote) -> Result<Self> {
        let line = remote.clone();
        let connector = tower::service_fn(move |_| {
            let line = line.clone();
            async move { line.connect().await.map(TokioIo::new) }
        });
        let endpoint = Endpoint::from_static("http://collector").timeout(TIMEOUT);
        let channel = endpoint.connect_with_connector(connector).await;
        let channel = channel.map_err(|error| remote.why().map_or_else(|| error.into(), |why| anyhow!("{why}")))?;
        remote.taken().await?;
        Ok(Self(QueryClient::new(channel).max_decoding_message_size(PAGE)))
    }

    async fn local(path: PathBuf) -> Result<Self> {
        // Once by hand: a failure in here is lost in the layers of the client.
        drop(UnixStream::connect(&path).await.map_err(|error| unreachable(&path, &error))?);
        let connector = tower::service_fn(move |_| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(TokioIo::new) }
        });
        // The name is not looked up; HTTP wants one.
        let endpoint = Endpoint::from_static("http://collector").timeout(TIMEOUT);
        let channel = endpoint.connect_with_connector(connector).await.context("connect to the collector")?;
        Ok(Self(QueryClient::new(channel).max_decoding_message_size(PAGE)))
    }

    /// Hosts by name.
    pub(super) async fn hosts(&mut self, request: HostsRequest) -> Result<Vec<Host>> {
        pages(self.0.hosts(request).await, |page| page.hosts).await
    }

    /// All about one host.
    pub(super) async fn host(&mut self, name: &str) -> Result<HostPart> {
        let parts = pages(self.0.host(HostRequest { name: name.to_owned() }).await, |part| vec![part]).await?;
        let mut whole = HostPart::default();
        for part in parts {
            whole.host = part.host.or(whole.host);
            whole.rows.extend(part.rows);
            whole.samples.extend(part.samples);
            whole.watchers.extend(part.watchers);
            whole.drifts.extend(part.drifts);
            whole.events.extend(part.events);
        }
        Ok(whole)
    }

    /// Drifts, worst first.
    pub(super) async fn drifts(&mut self, request: DriftsRequest) -> Result<Vec<Drift>> {
        pages(self.0.drifts(request).await, |page| page.drifts).await
    }

    /// Rows of a table, and of how many it cannot be told whether they are meant.
    pub(super) async fn facts(&mut self, request: FactsRequest) -> Result<(Vec<Row>, u32)> {
        let mut unknown = 0;
        let rows = pages(self.0.facts(request).await, |page| {
            unknown += page.unknown;
            page.rows
        });
        Ok((rows.await?, unknown))
    }

    /// Events behind a number. A status tells whether asking again may help.
    pub(super) async fn follow(&mut self, request: EventsRequest) -> std::result::Result<Vec<Event>, Status> {
        let mut pages = self.0.events(request).await?.into_inner();
        let mut events = Vec::new();
        while let Some(page) = pages.message().await? {
            events.extend(page.events);
        }
        Ok(events)
    }

    /// The rules in force, by name.
    pub(super) async fn rules(&mut self) -> Result<Vec<Rule>> {
        pages(self.0.rules(RulesRequest::default()).await, |page| page.rules).await
    }

    /// What a policy file would say.
    pub(super) async fn test_policy(&mut self, request: TestPolicyRequest) -> Result<TestPolicyPage> {
        let parts = pages(self.0.test_policy(request).await, |page| vec![page]).await?;
        let mut whole = TestPolicyPage::default();
        for part in parts {
            whole.mistakes.extend(part.mistakes);
            whole.judgements.extend(part.judgements);
            whole.findings.extend(part.findings);
            whole.cut |= part.cut;
        }
        Ok(whole)
    }

    /// Events, oldest first.
    pub(super) async fn events(&mut self, request: EventsRequest) -> Result<Vec<Event>> {
        pages(self.0.events(request).await, |page| page.events).await
    }

    /// The course of a metric.
    pub(super) async fn history(&mut self, request: HistoryRequest) -> Result<HistoryPage> {
        let parts = pages(self.0.history(request).await, |page| vec![page]).await?;
        let mut whole = HistoryPage::default();
        for part in parts {
            (whole.step_ms, whole.left_out) = (part.step_ms, part.left_out);
            whole.courses.extend(part.courses);
        }
        Ok(whole)
    }

    /// Change sets, newest last, and whether there are older ones.
    pub(super) async fn changes(&mut self, request: ChangesRequest) -> Result<(Vec<ChangeSet>, bool)> {
        let mut cut = false;
        let sets = pages(self.0.changes(request).await, |page| {
            cut |= page.cut;
            page.sets
        });
        Ok((sets.await?, cut))
    }

    /// Tables.
    pub(super) async fn schema(&mut self, request: SchemaRequest) -> Result<Schema> {
        let mut schema = Schema::default();
        for page in pages(self.0.schema(request).await, |page| vec![page]).await? {
            for table in &page.tables {
                schema.tables.push(plumb_proto::wire::table_from_wire(table)?);
            }
            schema.untold.extend(page.untold.into_iter().map(|each| (each.table, each.column)));
            schema.differing.extend(page.differing);
        }
        Ok(schema)
    }

    /// Deliveries, newest first, and the receivers.
    pub(super) async fn alerts(&mut self, request: AlertsRequest) -> Result<AlertsPage> {
        let parts = pages(self.0.alerts(request).await, |page| vec![page]).await?;
        let mut whole = AlertsPage::default();
        for part in parts {
            whole.deliveries.extend(part.deliveries);
            whole.receivers.extend(part.receivers);
        }
        Ok(whole)
    }

    pub(super) async fn approve(&mut self, request: ApproveRequest) -> Result<ApproveReply> {
        one(self.0.approve(request).await)
    }

    pub(super) async fn rename(&mut self, request: RenameHostRequest) -> Result<HostReply> {
        one(self.0.rename_host(request).await)
    }

    pub(super) async fn group(&mut self, request: GroupHostRequest) -> Result<HostReply> {
        one(self.0.group_host(request).await)
    }

    pub(super) async fn retire(&mut self, name: String) -> Result<HostReply> {
        one(self.0.retire_host(RetireHostRequest { name }).await)
    }

    pub(super) async fn revoke(&mut self, name: String) -> Result<HostReply> {
        one(self.0.revoke_host(RevokeHostRequest { name }).await)
    }

    pub(super) async fn test_receiver(&mut self, receiver: String) -> Result<TestReceiverReply> {
        one(self.0.test_receiver(TestReceiverRequest { receiver }).await)
    }
}

async fn pages<P, T>(
    answer: Result<Response<Streaming<P>>, Status>,
    mut rows: impl FnMut(P) -> Vec<T>,
) -> Result<Vec<T>> {
    let mut pages = answer.map_err(|status| refused(&status))?.into_inner();
    let mut all = Vec::new();
    while let Some(page) = pages.message().await.map_err(|status| refused(&status))? {
        all.extend(rows(page));
        if all.len() > limits::QUERY_ROWS {
            bail!("the answer has more than {} rows: ask for less", limits::QUERY_ROWS);
        }
    }
    Ok(all)
}

fn one<T>(answer: Result<Response<T>, Status>) -> Result<T> {
    Ok(answer.map_err(|status| refused(&status))?.into_inner())
}

/// What the collector said. Its words are made for people; the names of codes are not.
fn refused(status: &Status) -> anyhow::Error {
    match status.code() {
        tonic::Code::Cancelled if status.message() == "Timeout expired" => {
            anyhow!("the collector did not answer in {} s", TIMEOUT.as_secs())
        }
        tonic::Code::Unavailable => anyhow!("the connection to the collector was lost: {}", status.message()),
        tonic::Code::Unimplemented => anyhow!("the collector is of another version and does not know this question"),
        _ => anyhow!("{}", status.message()),
    }
}

fn socket(address: Option<&str>) -> Result<PathBuf> {
    match address {
        None => Ok(PathBuf::from(SOCKET)),
        Some(text) => match text.strip_prefix("unix:") {
            Some("") => bail!("--collector unix: needs a path, such as unix:{SOCKET}"),
            Some(path) => Ok(PathBuf::from(path)),
            None => {
                bail!("--collector expects unix:PATH or https://HOST:7445, such as unix:{SOCKET}; found \"{text}\"")
            }
        },
    }
}

fn unreachable(path: &Path, error: &std::io::Error) -> anyhow::Error {
    let path = path.display();
    match error.kind() {
        ErrorKind::NotFound => anyhow!(
            "no collector at {path}\n\
             Is it running on this machine? Start it with `systemctl start plumb-collector` or `plumb-collector serve`.\n\
             If its socket is elsewhere, name it: --collector unix:PATH"
        ),
        ErrorKind::ConnectionRefused => anyhow!(
            "nobody answers at {path}: the collector has stopped\n\
             Start it with `systemctl start plumb-collector`, and see `journalctl -u plumb-collector` for the reason."
        ),
        ErrorKind::PermissionDenied => anyhow!(
            "{path}: permission denied\n\
             Run plumb as root, or become a member of the group plumb: `usermod -aG plumb USER`, then log in again."
        ),
        _ => anyhow!("{path}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_absent_collector_is_told_with_what_to_do_next() {
        let error = Query::connect(Some("unix:/nowhere/collector.sock")).await.err().unwrap().to_string();
        assert!(error.starts_with("no collector at /nowhere/collector.sock\nIs it running"), "{error}");
    }

    #[test]
    fn an_address_that_cannot_be_used_is_told() {
        assert_eq!(socket(None).unwrap(), PathBuf::from(SOCKET));
        assert_eq!(socket(Some("unix:/tmp/s")).unwrap(), PathBuf::from("/tmp/s"));
        for (address, begin) in [
            ("/tmp/s", "--collector expects unix:PATH or https://HOST:7445"),
            ("unix:", "--collector unix: needs a path"),
        ] {
            assert!(socket(Some(address)).unwrap_err().to_string().starts_with(begin), "{address}");
        }
    }
}

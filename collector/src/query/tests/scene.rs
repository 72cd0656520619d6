//! A collector's store with one host, and its local socket.

use tokio::sync::watch;

use super::*;

/// A store with one host, and the door of operators before it.
pub(super) struct Scene {
    pub(super) client: QueryClient<Channel>,
    pub(super) questions: Box<dyn Questions>,
    pub(super) parts: Parts,
    pub(super) clock: Arc<ManualClock>,
    pub(super) sender: Sender,
    _stop: watch::Sender<bool>,
    _folder: Folder,
}

impl Scene {
    pub(super) async fn new() -> Self {
        let folder = Folder::empty();
        let store = crate::stores::open(&format!("sqlite:{}", folder.file("db").display())).unwrap();
        let readers = (0..READERS).map(|_| store.questions().unwrap()).collect();
        let questions = store.questions().unwrap();
        let (writer, _) = Writer::start(store).unwrap();
        let clock = Arc::new(ManualClock::at(at(100)));
        let time: Arc<dyn Clock> = clock.clone();
        let repeat = Duration::from_secs(86_400);
        let silent = Silent { host: Duration::from_secs(120), ..Silent::default() };
        let pipeline = Pipeline::new(vec![Box::new(Changed)], silent, repeat, time.clone());
        let outbox: Arc<dyn crate::notify::Outbox> = Arc::new(NoAlerts);
        let pace = Pace { group_wait: Duration::ZERO, give_up_after: repeat };
        let notifier =
            Notifier::start(Told::open(Vec::new(), Default::default(), pace).unwrap(), &outbox, &time, Arc::default())
                .unwrap();
        let parts = Parts {
            writer,
            pipeline: Arc::new(pipeline),
            connections: Connections::new(time.clone()),
            notifier: Arc::new(notifier),
            clock: time,
            rules: Arc::new(crate::current::Current::new(Policy::load(&[], &[]).unwrap())),
        };
        let path = folder.file("socket");
        let listener = listen(&path).unwrap();
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(serve(listener, None, parts.clone(), readers, stopped));
        let connector = tower::service_fn(move |_| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(TokioIo::new) }
        });
        let channel = Endpoint::from_static("http://x").connect_with_connector(connector).await.unwrap();
        let host = host_row(1, "web-1");
        let sender = Sender::new(host.id, Epoch([1; 16]));
        parts.writer.call(Default::default(), move |tx| tx.save_host(&host)).await.unwrap();
        Self { client: QueryClient::new(channel), questions, parts, clock, sender, _stop: stop, _folder: folder }
    }

    pub(super) async fn send(&mut self, payload: &Payload) {
        self.sender.received = self.clock.now();
        let record = self.sender.seal(payload);
        let (host, received, pipeline) = (self.sender.host, self.sender.received, self.parts.pipeline.clone());
        let take = move |tx: &mut dyn crate::store::Tx| {
            let mut dictionary = tx.dictionary(&host, &record.header.epoch)?;
            let mark = dictionary.mark();
            let payload = wire::decode(&record.open()?, &mut dictionary).map_err(|error| error.to_string());
            let declared = dictionary.declared_since(mark);
            let payload = payload.as_ref().map_err(String::as_str);
            let incoming =
                Incoming { host: &host, record: &record, payload, declared: declared.as_deref(), received, skew_ms: 0 };
            pipeline.take(tx, &incoming, true)
        };
        assert!(self.parts.writer.call(Default::default(), take).await.unwrap());
    }

    /// The host has one open drift: another PHP than its baseline has.
    pub(super) async fn drifting() -> Self {
        let mut scene = Self::new().await;
        scene.send(&full(1, vec![fact("fpm/8.2", "8.2.29")])).await;
        scene.clock.advance(Duration::from_secs(60));
        scene.send(&full(2, vec![fact("fpm/8.2", "8.2.30")])).await;
        scene
    }

    pub(super) fn links(&mut self) -> u64 {
        let (links, faults) = self.questions.verify().unwrap();
        assert!(faults.is_empty(), "{faults:?}");
        links
    }

    pub(super) async fn drifts(&mut self) -> Vec<pb::Drift> {
        rows(self.client.drifts(pb::DriftsRequest { all: true, ..Default::default() }).await, |page| page.drifts).await
    }
}

struct NoAlerts;

impl crate::notify::Outbox for NoAlerts {
    fn alerts(&self, _: &str, _: usize) -> Result<Vec<crate::store::rows::Alert>> {
        Ok(Vec::new())
    }
    fn pass_over(&self, _: &str, _: &[(u64, u32)]) -> Result<()> {
        Ok(())
    }
    fn waiting(&self, _: &str) -> Result<Vec<crate::store::rows::Message>> {
        Ok(Vec::new())
    }
    fn alerts_of(&self, _: &crate::store::rows::Message) -> Result<Vec<crate::store::rows::Alert>> {
        Ok(Vec::new())
    }
    fn save(&self, _: &crate::store::rows::Message) -> Result<()> {
        Ok(())
    }
}

pub(super) async fn rows<P, T>(
    answer: Result<Response<tonic::Streaming<P>>, Status>,
    of: impl Fn(P) -> Vec<T>,
) -> Vec<T> {
    let mut pages = answer.unwrap().into_inner();
    let mut all = Vec::new();
    while let Some(page) = pages.message().await.unwrap() {
        all.extend(of(page));
    }
    all
}

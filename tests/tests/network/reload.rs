//! Settings are read again while the collector runs: rules, receivers, the collector's name. Whoever is connected stays so.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use plumb_agent::deliver::tls::{connect, enroll_config};
use plumb_agent::deliver::trusted_time::TrustedTime;
use plumb_agent::watchers::ALL;
use plumb_collector::drift::DriftState;
use plumb_collector::enroll::ca::Authority;
use plumb_collector::store::DriftFilter;
use plumb_proto::time::Clock as _;
use plumb_tests::fleet::{Agent, Fleet};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(30);
const RULE: &str = "[old_os]\nseverity = \"critical\"\non = \"os\"\nok = \"version_at_least(os.version, '13')\"\n\
                    title = \"{host} runs release {os.version}\"\n";

/// Takes webhooks, each on a connection of its own, and hands on what is in them.
fn sink() -> (SocketAddr, Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (told, bodies) = sync_channel(100);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
            let body: Value = loop {
                let count = stream.read(&mut buffer).unwrap();
                request.extend_from_slice(&buffer[..count]);
                let text = String::from_utf8_lossy(&request);
                let body = text.split_once("\r\n\r\n").and_then(|(_, body)| serde_json::from_str(body).ok());
                if let Some(body) = body {
                    break body;
                }
            };
            stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").unwrap();
            if told.send(body).is_err() {
                return;
            }
        }
    });
    (address, bodies)
}

struct Scene {
    fleet: Fleet,
    agent: Agent,
    since: Option<String>,
    settings: String,
}

impl Scene {
    /// A host with Debian 12 that has told so; the collector has the shipped rules and tells nobody.
    fn start(name: &str) -> Self {
        let fleet = Fleet::start(name);
        let system = *ALL.iter().find(|spec| spec.name == "system").unwrap();
        let mut agent = fleet.agent("web", &[(system, "")]);
        fs::create_dir_all(agent.root().join("etc")).unwrap();
        let release = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nNAME=Debian\nVERSION_ID=\"12\"\n";
        fs::write(agent.root().join("etc/os-release"), release).unwrap();
        agent.start(true);
        agent.pass(70);
        let facts = || fleet.questions().facts("os", &Default::default()).unwrap().len();
        agent.until("its release", LIMIT, || facts() == 1);
        let since = agent.connected_since();
        assert!(since.is_some());
        fs::create_dir_all(fleet.dir.join("policy")).unwrap();
        let settings = fs::read_to_string(fleet.config()).unwrap();
        Self { fleet, agent, since, settings }
    }

    /// Reloads with these replacements in the settings, and with more behind them.
    fn reload(&self, replaced: &[(&str, &str)], more: &str) -> Result<(), String> {
        let text = replaced.iter().fold(self.settings.clone(), |text, (from, to)| text.replace(from, to));
        fs::write(self.fleet.config(), text + more).unwrap();
        self.fleet.reload().map_err(|mistakes| mistakes.to_string())
    }

    fn policy_dir(&self) -> (&'static str, String) {
        ("policy_dirs = []", format!("policy_dirs = [\"{}/policy\"]", self.fleet.dir.display()))
    }

    /// Whether the certificate of the ingest listener carries this name.
    fn shows(&self, name: &str) -> bool {
        let (authority, _) = Authority::open(&self.fleet.dir.join("collector/ca"), self.fleet.clock.now()).unwrap();
        let time = Arc::new(TrustedTime::new(self.fleet.clock.clone()));
        let config = enroll_config(authority.pin().unwrap(), time).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let shown = runtime.block_on(connect("127.0.0.1", self.fleet.ingest_port(), name, config));
        let refused = shown.err().map(|error| format!("{error:#}"));
        assert!(refused.as_ref().is_none_or(|why| why.contains("name")), "{refused:?}");
        refused.is_none()
    }

    /// State of the drift of our rule, if there is one.
    fn drift(&self) -> Option<DriftState> {
        let filter = DriftFilter { all: true, ..DriftFilter::default() };
        let drifts = self.fleet.questions().drifts(&filter).unwrap();
        drifts.into_iter().find(|each| each.drift.rule == "old_os").map(|each| each.state)
    }
}

#[test]
fn new_rules_and_receivers_are_in_force_at_once_and_agents_stay_connected() {
    let mut scene = Scene::start("reload");
    let ((first, told_first), (second, told_second)) = (sink(), sink());
    let url = scene.fleet.dir.join("ops.url");
    fs::write(&url, format!("http://{first}/hook\n")).unwrap();
    let rule = scene.fleet.dir.join("policy/own.toml");
    fs::write(&rule, RULE).unwrap();
    let ops =
        format!("[[receiver]]\nname = \"ops\"\ntype = \"webhook\"\nrate = \"0s\"\nurl_file = \"{}\"\n", url.display());
    let dir = scene.policy_dir();
    let with_rule = [(dir.0, dir.1.as_str())];
    assert_eq!(scene.drift(), None);

    scene.reload(&with_rule, &ops).unwrap();
    let body = told_first.recv_timeout(LIMIT).unwrap();
    assert_eq!((&body["alerts"][0]["kind"], &body["alerts"][0]["drift"]["rule"]), (&"opened".into(), &"old_os".into()));
    assert_eq!(scene.drift(), Some(DriftState::Open));

    // a mistake, here in a rule, changes nothing: neither the rules nor the receivers
    fs::write(&rule, RULE.replace("os.version, ", "os.versoin, ")).unwrap();
    let mistakes = scene.reload(&with_rule, "").unwrap_err();
    assert!(mistakes.contains("own.toml:4: rule `old_os`") && mistakes.contains("version"), "{mistakes}");
    fs::write(&rule, RULE).unwrap();
    let mistakes = scene.reload(&with_rule, &format!("{ops}ca_file = \"/nowhere/ca.pem\"\n")).unwrap_err();
    assert!(mistakes.starts_with("receiver ops: read certificates of /nowhere/ca.pem: "), "{mistakes}");
    let mistakes = scene.reload(&with_rule, "[drift]\nsilent_after = \"soon\"\n").unwrap_err();
    assert!(mistakes.contains("collector.toml:"), "{mistakes}");
    assert_eq!(scene.drift(), Some(DriftState::Open));

    // the rule is gone, and the file with the receiver's address has changed
    fs::remove_file(&rule).unwrap();
    fs::write(&url, format!("http://{second}/hook\n")).unwrap();
    scene.reload(&with_rule, &ops).unwrap();
    let body = told_second.recv_timeout(LIMIT).unwrap();
    assert_eq!(
        (&body["alerts"][0]["kind"], &body["alerts"][0]["drift"]["rule"]),
        (&"resolved".into(), &"old_os".into())
    );
    assert_eq!(scene.drift(), Some(DriftState::Expired));
    assert!(told_first.try_recv().is_err());

    // and the agent has noticed nothing
    scene.agent.pass(70);
    let now = scene.fleet.clock.clone();
    let heard = || scene.fleet.host("web").last_seen;
    scene
        .agent
        .until("what it sends now", LIMIT, || heard().is_some_and(|at| now.now().since(at) < Duration::from_secs(60)));
    assert_eq!(scene.agent.connected_since(), scene.since);
}

#[test]
fn under_a_new_name_new_hosts_are_told_it_and_those_that_are_connected_stay() {
    const NAME: &str = "collector.example.org";
    let mut scene = Scene::start("rename");
    assert!(scene.shows("127.0.0.1") && !scene.shows(NAME));
    scene.reload(&[("advertise = \"127.0.0.1\"", &format!("advertise = {NAME:?}"))], "").unwrap();
    assert!(scene.shows(NAME), "from the next handshake on");
    let second = scene.fleet.agent("second", &[]);
    assert_eq!((second.collector().as_str(), scene.agent.collector().as_str()), (NAME, "127.0.0.1"));
    scene.agent.pass(1);
    assert_eq!(scene.agent.connected_since(), scene.since);
}

#[test]
fn what_takes_a_restart_stays_and_the_rest_is_taken_over() {
    let scene = Scene::start("restart");
    fs::write(scene.fleet.dir.join("policy/own.toml"), RULE).unwrap();
    let (from, to) = scene.policy_dir();
    let ports = ("health = \"127.0.0.1:0\"", "health = \"127.0.0.1:1\"");
    scene.reload(&[(from, &to), ports], "").unwrap();
    plumb_tests::eventually::eventually("the drift of the new rule", LIMIT, || scene.drift(), Option::is_some);
}

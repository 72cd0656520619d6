//! Real web servers of Debian, started by the test on folders and ports of their own: what is told of the certificates
//! that they present is what they do present, before and after a reload, and no visit leaves a line in their logs.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use plumb_agent::host::Host;
use plumb_agent::watcher::{Look, Progress, Watcher};
use plumb_agent::watchers::ALL;
use plumb_proto::model::{Fact, Value};
use plumb_proto::time::{Clock as _, SystemClock};
use plumb_tests::eventually::eventually;
use plumb_tests::needs;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair, date_time_ymd,
};

/// A server and its folder; both go with the test.
struct Server {
    folder: PathBuf,
    ports: [u16; 2],
    child: Option<Child>,
}

impl Server {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("plumb-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        // Both are held until both are known.
        let free = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
        let ports = free.map(|each| each.local_addr().expect("an address").port());
        Self { folder, ports, child: None }
    }

    fn at(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.join(name), text).expect("a file");
    }

    /// What is in its logs.
    fn logs(&self) -> String {
        ["access.log", "error.log"]
            .iter()
            .map(|log| std::fs::read_to_string(self.at(log)).unwrap_or_default())
            .collect()
    }

    fn start(&mut self, command: &mut Command) {
        let child = command.stdin(Stdio::null()).spawn().expect("the server");
        self.child = Some(child);
        let port = self.ports[0];
        // Not the port with TLS: connections without a handshake are not what is tried here.
        let answers = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
        eventually("the server answers", Duration::from_secs(20), answers, |yes| *yes);
    }

    fn pid(&self) -> nix::unistd::Pid {
        let pid = self.child.as_ref().map(Child::id).expect("a server");
        nix::unistd::Pid::from_raw(i32::try_from(pid).expect("a number"))
    }

    fn signal(&self, signal: nix::sys::signal::Signal) {
        nix::sys::signal::kill(self.pid(), signal).expect("a signal");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap_or_default());
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
            let _ = child.wait();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The watcher on this machine.
struct Watching(Box<dyn Watcher>, Host, SystemClock);

impl Watching {
    fn new() -> Self {
        let spec = ALL.iter().find(|spec| spec.name == "certificates").expect("the watcher");
        let settings = spec.sample.parse().expect("TOML");
        let host = Host::new("/", std::sync::Arc::new(SystemClock::new()));
        Self(spec.make(settings).expect("settings"), host, SystemClock::new())
    }

    /// The row of what is presented there.
    fn look(&mut self, key: &str) -> Option<Fact> {
        let mut found = None;
        loop {
            let mut look = Look::new(&self.1, self.2.now(), &[], &|_: &str| None);
            let progress = self.0.poll(&mut look).expect("a look");
            let facts = look.into_told().facts;
            found = facts.into_iter().map(|(_, fact)| fact).find(|fact| fact.key.to_string() == key).or(found);
            if progress != Progress::More {
                return found;
            }
        }
    }
}

fn told(fact: &Fact, column: &str) -> String {
    fact.fields.get(column).map_or_else(|| format!("{:?}", fact.unknown.get(column)), Value::to_string)
}

/// A certificate with its chain and key, from the first of a month on.
fn issued(name: &str, month: u8) -> (String, String) {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Example Authority");
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    (params.not_before, params.not_after) = (date_time_ymd(2026, month, 1), date_time_ymd(2027, month, 1));
    let key = KeyPair::generate().expect("a key");
    let leaf = params.signed_by(&key, &authority).expect("a certificate");
    (format!("{}{}", leaf.pem(), authority.pem()), key.serialize_pem())
}

/// Looks, renews, looks, reloads, looks: for one name and port.
fn story(server: &Server, watching: &mut Watching, product: &str, file: &str, (name, port): (&str, u16)) {
    let key = format!("{name}:{port}");
    let before = server.logs();
    let row = watching.look(&key).unwrap_or_else(|| panic!("no row for {key}"));
    assert_eq!((told(&row, "differs"), told(&row, "chain_complete")), ("false".into(), "true".into()), "{row:?}");
    assert_eq!((told(&row, "subject"), told(&row, "server")), ("rcgen self signed cert".into(), product.into()));
    assert_eq!((told(&row, "names"), told(&row, "file")), (name.to_owned(), server.at(&format!("{file}.pem"))));
    let first = told(&row, "in_effect");

    let (chain, secret) = issued(name, 9);
    server.write(&format!("{file}.pem"), &chain);
    server.write(&format!("{file}.key"), &secret);
    let row = watching.look(&key).expect("a row");
    assert_eq!(told(&row, "differs"), "true", "{row:?}");
    assert_eq!(told(&row, "reason"), format!("renewed on disk within the hour, {product} has not reloaded"));
    assert_eq!(told(&row, "in_effect"), first);
    let second = told(&row, "on_disk");
    assert!(second != first && second.starts_with("until 2027-09-01, "), "{second}");
    assert_eq!(told(&row, "intended"), second);
    assert!(watching.0.again().is_some_and(|soon| soon <= Duration::from_secs(60)), "a reload is to be seen soon");
    assert_eq!(server.logs(), before, "a visit leaves nothing in the logs");
}

/// Starts nginx with one site, whose logs are at the level that nginx has without a word.
fn nginx(name: &str, protocols: &str) -> Server {
    let mut server = Server::new(&format!("nginx-{name}"));
    let (chain, key) = issued(&format!("{name}.example"), 3);
    server.write(&format!("{name}.pem"), &chain);
    server.write(&format!("{name}.key"), &key);
    let [plain, tls] = server.ports;
    let folder = server.at("");
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|each| format!("{each}_temp_path {folder}{each};\n"))
        .collect();
    server.write(
        "nginx.conf",
        &format!(
            "pid {folder}pid; error_log {folder}error.log;\nevents {{}}\nhttp {{ access_log {folder}access.log;\n{temporary}\
             server {{ listen 127.0.0.1:{plain}; }}\n\
             server {{ listen 127.0.0.1:{tls} ssl default_server; ssl_reject_handshake on; }}\n\
             server {{ listen 127.0.0.1:{tls} ssl; server_name {name}.example; ssl_protocols {protocols};\n\
             ssl_certificate {folder}{name}.pem; ssl_certificate_key {folder}{name}.key; }}\n}}\n",
        ),
    );
    let config = server.at("nginx.conf");
    server.start(Command::new("nginx").args(["-c", &config, "-g", "daemon off;"]).stderr(Stdio::null()));
    server
}

#[test]
fn what_nginx_presents_is_told_and_no_visit_leaves_a_line_in_its_logs() {
    if !needs::has("certificates of nginx", &["nginx"], false) {
        return;
    }
    // The second one speaks nothing newer, as old installations do.
    for (name, protocols) in [("new", "TLSv1.2 TLSv1.3"), ("old", "TLSv1.2")] {
        let server = nginx(name, protocols);
        let mut watching = Watching::new();
        let key = format!("{name}.example:{}", server.ports[1]);
        story(&server, &mut watching, "nginx", name, (&format!("{name}.example"), server.ports[1]));
        server.signal(nix::sys::signal::Signal::SIGHUP);
        let differs = || watching.look(&key).map(|row| told(&row, "differs"));
        let is_over = |differs: &Option<String>| differs.as_deref() == Some("false");
        eventually("nginx has reloaded", Duration::from_secs(20), differs, is_over);
        assert_eq!(server.logs(), "", "nothing at all");
        assert_eq!(watching.0.again(), None);
    }
}

#[test]
fn what_apache_presents_is_told_and_no_visit_leaves_a_line_in_its_logs() {
    if !needs::has("certificates of Apache", &["apache2"], false) {
        return;
    }
    for (name, protocols) in [("new", "all"), ("old", "TLSv1.2")] {
        let mut server = Server::new(&format!("apache-{name}"));
        let (chain, key) = issued(&format!("{name}.example"), 3);
        server.write(&format!("{name}.pem"), &chain);
        server.write(&format!("{name}.key"), &key);
        let [plain, tls] = server.ports;
        let folder = server.at("");
        let modules: String = ["mpm_event", "authz_core", "socache_shmcb", "ssl"]
            .iter()
            .map(|each| format!("LoadModule {each}_module /usr/lib/apache2/modules/mod_{each}.so\n"))
            .collect();
        server.write(
            "apache.conf",
            &format!(
                "ServerRoot {folder}\nServerName localhost\nPidFile {folder}pid\nDefaultRuntimeDir {folder}\nErrorLog {folder}error.log\n\
                 {modules}Listen 127.0.0.1:{plain}\nListen 127.0.0.1:{tls}\nUser www-data\nGroup www-data\n\
                 SSLSessionCache shmcb:{folder}cache(512000)\n\
                 <VirtualHost 127.0.0.1:{tls}>\nServerName {name}.example\nSSLEngine on\nSSLProtocol {protocols}\n\
                 SSLCertificateFile {folder}{name}.pem\nSSLCertificateKeyFile {folder}{name}.key\n\
                 TransferLog {folder}access.log\n</VirtualHost>\n"
            ),
        );
        let config = server.at("apache.conf");
        server.start(Command::new("apache2").args(["-f", &config, "-D", "FOREGROUND"]).stderr(Stdio::null()));
        // It says that it has started once it answers.
        eventually("Apache is up", Duration::from_secs(20), || server.logs(), |logs| logs.contains("AH00094"));
        story(&server, &mut Watching::new(), "apache", name, (&format!("{name}.example"), tls));
    }
}

//! A real web host from Debian's packages, booted: what plumb tells of it, and what each thing that goes wrong there makes.

use std::time::Duration;

use plumb_tests::eventually::eventually;
use plumb_tests::lab::{Lab, program};
use plumb_tests::needs;
use plumb_tests::web_host::WebHost;

#[test]
fn a_web_host_is_told_whole_and_each_trouble_makes_its_own_drift() {
    if !needs::has("a web host", &["debootstrap", "systemd-nspawn", "nsenter"], true) {
        return;
    }
    let mut host = WebHost::make("web-host");
    let mut lab = Lab::new("web-host-lab", &program("PLUMB_AGENT"), "", "");
    host.boot(&lab.dir);
    lab.move_into(host.leader());
    lab.start_collector();
    lab.collector_is_up();
    lab.enroll("webhost");
    lab.start_agent();
    let php = || lab.json(&["facts", "php"]).to_string();
    eventually("a first report", Duration::from_secs(60), php, |text| text.contains("8.2"));
    eprintln!("{}", String::from_utf8_lossy(&lab.plumb(&["host", "webhost"]).stdout));
    eprintln!(
        "{}",
        host.sh(
            "ls -la /var/backups/mysql; curl -s http://localhost/ || true; cat /var/log/nginx/*; ls -la /var/log/php"
        )
    );
}

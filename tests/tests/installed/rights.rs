//! What the agent must be able to read as the user of its package, and what it says where it cannot.

use std::time::Duration;

use plumb_tests::container::Container;
use plumb_tests::eventually::eventually;
use plumb_tests::needs;

use crate::{PROGRAMS, VERSION, debs, enrolled, facts, host};

/// Looks at what listens are told once it has stood for a minute.
const LIMIT: Duration = Duration::from_secs(120);

/// A customer's site below /home, closed to all but its owner; a server of theirs, with a secret in its environment; logs
/// that their group alone may read.
const CUSTOMER: &str = r#"
useradd -m -u 1500 -s /bin/sh customer
chmod 700 /home/customer
install -d -o customer -g customer -m 750 /home/customer/htdocs
printf '<?php\ndefine("DB_PASSWORD", "canary-file-7261");\n' > /home/customer/htdocs/wp-config.php
printf '<?php\necho 1;\n' > /home/customer/htdocs/index.php
chown customer:customer /home/customer/htdocs/*; chmod 600 /home/customer/htdocs/wp-config.php
cat > /etc/nginx/sites-available/default <<'SITE'
server {
    listen 80 default_server;
    root /home/customer/htdocs;
    access_log /var/log/nginx/customer.access.log;
}
SITE
usermod -aG customer www-data
cat > /etc/systemd/system/theirs.service <<'UNIT'
[Service]
User=customer
Environment=THEIR_SECRET=canary-environment-7261
ExecStart=/usr/bin/perl -MIO::Socket::INET -e '$$s = IO::Socket::INET->new(Listen => 5, LocalAddr => "127.0.0.1", LocalPort => 8099) or die; sleep 1 while 1'
[Install]
WantedBy=multi-user.target
UNIT
systemctl enable -q theirs.service
"#;
/// Takes both rights away from the unit.
const WITHOUT: &str = "mkdir -p /etc/systemd/system/plumb-agent.service.d && printf '[Service]\\nAmbientCapabilities=\\n\
                       CapabilityBoundingSet=\\n' > /etc/systemd/system/plumb-agent.service.d/00-without.conf && \
                       systemctl daemon-reload && systemctl restart plumb-agent";

/// The row of a table with this key, as JSON.
fn row(host: &Container, table: &str, key: &str) -> serde_json::Value {
    facts(host, table).into_iter().find(|row| row["key"] == key).unwrap_or_default()
}

/// What is known of the things that take rights to see.
fn seen(host: &Container) -> [serde_json::Value; 5] {
    let theirs = row(host, "listener", "tcp/127.0.0.1:8099");
    [
        theirs["fields"]["process"].clone(),
        theirs["fields"]["user"].clone(),
        row(host, "database", "redis/6379")["fields"]["running_version"].clone(),
        row(host, "tree", "/home/customer/htdocs")["fields"]["files"].clone(),
        row(host, "log_source", "/var/log/nginx/customer.access.log")["fields"]["format"].clone(),
    ]
}

#[test]
fn the_agents_user_sees_what_it_must_and_says_what_would_let_it_see_the_rest() {
    if !needs::has("an installed host", &PROGRAMS, true) {
        return;
    }
    let mut host = host("rights", "nginx-light redis-server");
    plumb_tests::container::in_root(&host.root, CUSTOMER);
    host.boot(&crate::packages());
    // as logrotate makes them
    host.sh("chown www-data:adm /var/log/nginx/customer.access.log; chmod 640 /var/log/nginx/customer.access.log");
    host.sh(&format!("dpkg -i {}", debs(&["plumb", "plumb-collector", "plumb-agent"], VERSION)));
    enrolled(&host);
    let redis = host.sh("redis-server --version | sed 's/.*v=\\([0-9.]*\\).*/\\1/'").trim().to_owned();

    // as its own user, which is in no group of theirs
    assert_eq!(host.sh("ps -o user:32= -C plumb-agent").trim(), "plumb-agent");
    assert_eq!(
        host.sh("stat -c %a /home/customer /home/customer/htdocs/wp-config.php /var/log/nginx/customer.access.log"),
        "700\n600\n640\n"
    );
    let known: [serde_json::Value; 5] =
        ["perl".into(), "customer".into(), redis.into(), 2.into(), "nginx-access".into()];
    eventually("what takes rights to see", LIMIT, || seen(&host), |seen| *seen == known);

    // metadata of a file that only its owner may read
    host.sh("chmod 604 /home/customer/htdocs/wp-config.php");
    let told = || host.sh("plumb events webhost --json");
    eventually("the change of its mode", LIMIT, told, |told| told.contains("/home/customer/htdocs/wp-config.php"));
    host.sh("chmod 600 /home/customer/htdocs/wp-config.php");

    // without its rights: unknown, with the right that is missing
    host.sh(WITHOUT);
    let reasons = || {
        let theirs = row(&host, "listener", "tcp/127.0.0.1:8099");
        let tree = row(&host, "tree", "/home/customer/htdocs");
        [theirs["unknown"].to_string(), tree["unknown"].to_string()]
    };
    let told =
        |reasons: &[String; 2]| reasons[0].contains("CAP_SYS_PTRACE") && reasons[1].contains("CAP_DAC_READ_SEARCH");
    eventually("what is not known, and why", LIMIT, reasons, told);
    // the lines that `check` prints, pasted as they are
    let check = || host.sh("plumb-agent check --json");
    let lines = |text: &str| -> Vec<String> {
        let check: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
        let grants = check["grants"].as_array().cloned().unwrap_or_default();
        grants.iter().filter_map(|grant| grant["line"].as_str().map(str::to_owned)).collect()
    };
    let text = eventually("both lines", LIMIT, check, |text| lines(text).len() == 2);
    let page = host.sh("plumb-agent check");
    for line in lines(&text) {
        assert!(page.contains(&format!("\n{line}\n")), "{page}");
        host.sh(&line);
    }
    eventually("what takes rights to see, again", LIMIT, || seen(&host), |seen| *seen == known);

    // nothing that is somebody's secret is in what the agent keeps, says or sends
    let kept = "cat /var/lib/plumb-agent/status.json; journalctl --no-pager -u plumb-agent -u plumb-collector; \
                plumb-agent once --json; plumb-agent check --json; plumb events webhost --json; plumb changes --items --json; \
                for table in $(plumb schema | awk '{print $1}'); do plumb facts $table --json 2>/dev/null || true; done";
    // what is known to be there is found
    for known in ["/home/customer/htdocs", "tcp/127.0.0.1:8099"] {
        let count = host.sh(&format!("({kept}) | grep -ac {known}"));
        assert_ne!(count.trim(), "0", "{known}");
    }
    for canary in ["canary-environment-7261", "canary-file-7261"] {
        let count = host.sh(&format!("({kept}) | grep -ac {canary} || true"));
        assert_eq!(count.trim(), "0", "{canary}");
        let there = host.sh(&format!(
            "cat /home/customer/htdocs/wp-config.php /proc/[0-9]*/environ 2>/dev/null | grep -ac {canary} || true"
        ));
        assert_ne!(there.trim(), "0", "{canary} is there to be found");
    }
    host.stop();
}

use std::fs;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair, date_time_ymd,
};

use super::*;
use crate::watcher::testing::{NOW, Stage, stage};

/// An authority with an intermediate, as files have them behind the first certificate.
fn authority(organisation: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, organisation);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A chain and its key for names, from the first of a month of 2026 on, for 90 days.
pub(in crate::watchers::certificates) fn issued(by: &str, names: &[&str], month: u8) -> (String, String) {
    let authority = authority(by);
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, names[0]);
    params.not_before = date_time_ymd(2026, month, 1);
    params.not_after = params.not_before + Duration::from_secs(90 * 86_400);
    let key = KeyPair::generate().unwrap();
    let leaf = params.signed_by(&key, &authority).unwrap();
    (format!("{}{}", leaf.pem(), authority.pem()), key.serialize_pem())
}

fn chain(names: &[&str], month: u8) -> String {
    issued("Let's Encrypt", names, month).0
}

/// What of a line does not change from run to run.
fn stable(told: &str) -> Vec<String> {
    let moves = |word: &&str| !word.starts_with("fingerprint=") && !word.starts_with("serial=");
    told.lines().map(|line| line.split(' ').filter(moves).collect::<Vec<_>>().join(" ")).collect()
}

const SITE: &str = "http { server { listen 443 ssl; server_name shop.example www.shop.example;\n\
                    ssl_certificate /etc/letsencrypt/live/shop.example/fullchain.pem;\n\
                    ssl_certificate_key /etc/letsencrypt/live/shop.example/privkey.pem; } }";
const TIMER: &str = "[Timer]\nOnCalendar=*-*-* 00,12:00:00\nRandomizedDelaySec=43200\nPersistent=true\n\
                     [Install]\nWantedBy=timers.target\n";

/// A host as Debian's certbot leaves it.
fn certbot() -> Stage {
    stage(&SPEC)
        .file("/etc/nginx/nginx.conf", SITE)
        .file("/etc/letsencrypt/archive/shop.example/fullchain1.pem", chain(&["shop.example", "www.shop.example"], 8))
        .file("/etc/letsencrypt/archive/shop.example/fullchain2.pem", chain(&["shop.example", "www.shop.example"], 10))
        .link("/etc/letsencrypt/live/shop.example/fullchain.pem", "../../archive/shop.example/fullchain2.pem")
        .file("/etc/letsencrypt/live/README", "")
        .file("/etc/letsencrypt/renewal/shop.example.conf", "")
        .file(
            "/etc/cron.d/certbot",
            "0 */12 * * * root test -x /usr/bin/certbot -a \\! -d /run/systemd/system && certbot -q renew\n",
        )
        .file("/lib/systemd/system/certbot.timer", TIMER)
        .file("/var/lib/systemd/timers/stamp-certbot.timer", "")
        .folder("/run/systemd/system")
}

const ENABLED: &str = "/etc/systemd/system/timers.target.wants/certbot.timer";

#[test]
fn a_file_that_a_site_names_and_who_renews_it_are_told() {
    let host = certbot().link(ENABLED, "/lib/systemd/system/certbot.timer");
    host.touch("/var/lib/systemd/timers/stamp-certbot.timer", NOW - Duration::from_secs(20 * 3_600));
    assert_eq!(
        stable(&host.look()),
        [
            "fact certificate_renewal certbot schedule=certbot.timer: *-*-* 00,12:00:00 interval_seconds=43200 \
             last_run=2026-11-20T14:00:00Z missed=0 enabled=true certificates=1 from certbot",
            "fact certificate /etc/letsencrypt/live/shop.example/fullchain.pem kind=file subject=shop.example \
             issuer=Let's Encrypt names=shop.example,www.shop.example key_type=ecdsa p-256 self_signed=false \
             not_before=2026-10-01T00:00:00Z not_after=2026-12-30T00:00:00Z chain_complete=true \
             sites=nginx/shop.example served=false renewed_by=certbot renewal_missed=0 \
             from /etc/letsencrypt/live/shop.example/fullchain.pem",
        ]
    );
}

#[test]
fn runs_that_a_timer_has_missed_are_counted_from_the_start_of_the_machine_on() {
    let host = certbot().link(ENABLED, "/lib/systemd/system/certbot.timer");
    host.touch("/var/lib/systemd/timers/stamp-certbot.timer", NOW - Duration::from_secs(60 * 3_600));
    assert!(host.look().contains(" missed=4 enabled=true"), "60 hours, of which 12 may be delay, at 12 each");
    host.write("/proc/uptime", format!("{}.00 1.00\n", 30 * 3_600));
    assert!(host.look().contains(" missed=1 enabled=true"), "it was off");
    // The log of a run is newer than the stamp.
    host.write("/proc/uptime", "9000000.0 1.0\n");
    fs::create_dir_all(host.host().full_path("/var/log/letsencrypt".as_ref())).unwrap();
    host.write("/var/log/letsencrypt/letsencrypt.log", "");
    host.touch("/var/log/letsencrypt/letsencrypt.log", NOW - Duration::from_secs(3_600));
    assert!(host.look().contains("last_run=2026-11-21T09:00:00Z missed=0"));
}

#[test]
fn a_timer_that_is_off_is_told_unless_a_crontab_does_its_work() {
    let off = certbot();
    assert!(off.look().contains("schedule=certbot.timer: *-*-* 00,12:00:00") && off.look().contains("enabled=false"));
    let masked = certbot()
        .link("/etc/systemd/system/certbot.timer", "/dev/null")
        .link(ENABLED, "/lib/systemd/system/certbot.timer");
    assert!(masked.look().contains("enabled=false"));
    let cron =
        certbot().file("/var/spool/cron/crontabs/root", "30 3 * * * /opt/certbot/bin/certbot renew --token=CANARY\n");
    let told = cron.look();
    assert!(told.contains("schedule=/var/spool/cron/crontabs/root: 30 3 * * * interval_seconds=86400"), "{told}");
    assert!(told.contains("enabled=true") && !told.contains("CANARY"));
    let changed = certbot()
        .link(ENABLED, "/lib/systemd/system/certbot.timer")
        .file("/etc/systemd/system/certbot.timer.d/often.conf", "[Timer]\nOnCalendar=\nOnCalendar=hourly\n");
    assert!(changed.look().contains("schedule=certbot.timer: hourly interval_seconds=3600"));
}

#[test]
fn of_every_store_the_newest_of_what_nobody_uses_is_told() {
    let one = |name: &str| chain(&[name], 9);
    let (combined, key) = issued("cPanel, LLC", &["cp.example"], 9);
    let host = stage(&SPEC)
        .file("/root/.acme.sh/acme.example_ecc/fullchain.cer", one("acme.example"))
        .file("/home/web/.acme.sh/user.example/fullchain.cer", one("user.example"))
        .file(
            "/var/spool/cron/crontabs/root",
            "17 0 * * * \"/root/.acme.sh\"/acme.sh --cron --home \"/root/.acme.sh\" > /dev/null\n",
        )
        .file("/var/cpanel/ssl/apache_tls/cp.example/combined", format!("{key}{combined}"))
        .file("/usr/local/psa/var/certificates/scf1", one("plesk.example"))
        .file("/home/u/conf/web/hestia.example/ssl/hestia.example.pem", one("hestia.example"))
        .file(
            "/var/lib/caddy/.local/share/caddy/certificates/acme-v02/caddy.example/caddy.example.crt",
            one("caddy.example"),
        )
        .file("/var/lib/lego/certificates/lego.example.crt", one("lego.example"))
        .file("/var/lib/lego/certificates/lego.example.issuer.crt", one("issuer.example"))
        .file("/var/lib/dehydrated/certs/dehydrated.example/fullchain.pem", one("dehydrated.example"))
        .file("/var/lib/apache2/md/domains/md.example/pubcert.pem", one("md.example"));
    let told = host.look();
    let rows: Vec<&str> = told.lines().filter(|line| line.starts_with("fact certificate ")).collect();
    let by = |name: &str| {
        let row = rows.iter().find(|row| row.contains(&format!("subject={name} "))).copied().unwrap_or_default();
        row.split("renewed_by=").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or_default().to_owned()
    };
    for (name, actor) in [
        ("acme.example", "acme.sh"),
        ("user.example", "acme.sh"),
        ("cp.example", "autossl"),
        ("hestia.example", "hestia"),
        ("caddy.example", "caddy"),
        ("lego.example", "lego"),
        ("dehydrated.example", "dehydrated"),
        ("md.example", "mod_md"),
    ] {
        assert_eq!(by(name), actor, "{name}");
    }
    assert_eq!(rows.len(), 8, "Plesk gives its files other names at each renewal: {told}");
    assert!(told.contains("certificate_renewal plesk "));
    assert!(told.contains("acme.sh schedule=/var/spool/cron/crontabs/root: 17 0 * * * interval_seconds=86400 last_run=?(it leaves no trace of its runs)"));
    assert!(told.contains("caddy schedule=by itself, while caddy runs certificates=0"));
}

#[test]
fn of_two_lineages_for_the_same_names_that_are_renewed_in_turn_the_same_one_is_told() {
    let host = stage(&SPEC);
    for (name, month) in [("shop.example", 8), ("shop.example-0001", 9), ("old.example", 7), ("old.example-0001", 6)] {
        let names = [name.trim_end_matches("-0001")];
        host.write(&format!("/etc/letsencrypt/live/{name}/fullchain.pem"), chain(&names, month));
    }
    for name in ["shop.example", "shop.example-0001"] {
        host.write(&format!("/etc/letsencrypt/renewal/{name}.conf"), "");
    }
    let rows = |told: &str| {
        let rows = told.lines().filter_map(|line| line.strip_prefix("fact certificate /etc/letsencrypt/live/"));
        rows.filter_map(|row| row.split('/').next().map(str::to_owned)).collect::<Vec<_>>()
    };
    assert_eq!(rows(&host.look()), ["old.example", "shop.example"]);
    host.write("/etc/letsencrypt/live/shop.example/fullchain.pem", chain(&["shop.example"], 10));
    assert_eq!(rows(&host.look()), ["old.example", "shop.example"]);
}

#[test]
fn of_two_timers_that_which_is_on_counts_and_a_rotated_log_is_a_trace_as_well() {
    let snap = "[Timer]\nOnCalendar=*-*-* 06:08\nOnCalendar=*-*-* 21:02\n";
    let host = certbot()
        .file("/etc/systemd/system/snap.certbot.renew.timer", snap)
        .link("/etc/systemd/system/timers.target.wants/snap.certbot.renew.timer", "../snap.certbot.renew.timer")
        .file("/var/log/letsencrypt/letsencrypt.log.1", "");
    host.touch("/var/log/letsencrypt/letsencrypt.log.1", NOW - Duration::from_secs(3_600));
    let told = host.look();
    assert!(told.contains("schedule=snap.certbot.renew.timer: *-*-* 06:08, *-*-* 21:02"), "{told}");
    assert!(told.contains("last_run=2026-11-21T09:00:00Z missed=0 enabled=true"), "{told}");
}

#[test]
fn a_line_that_waits_by_chance_may_come_that_much_later() {
    let line = "0 */12 * * * root perl -e 'sleep int(rand(43200))' && certbot -q renew\n";
    let host = stage(&SPEC)
        .file("/etc/letsencrypt/live/shop.example/fullchain.pem", chain(&["shop.example"], 9))
        .file("/etc/letsencrypt/renewal/shop.example.conf", "")
        .file("/etc/cron.d/certbot", line)
        .file("/var/log/letsencrypt/letsencrypt.log", "");
    host.touch("/var/log/letsencrypt/letsencrypt.log", NOW - Duration::from_secs(25 * 3_600));
    assert!(host.look().contains(" missed=1 enabled=true"), "{}", host.look());
}

#[test]
fn a_copy_of_a_store_is_renewed_by_who_keeps_the_store() {
    let site = "http { server { listen 443 ssl; server_name acme.example; ssl_certificate /etc/nginx/ssl/acme.pem; ssl_certificate_key /etc/nginx/ssl/acme.key; }\n\
                server { listen 443 ssl; server_name bought.example; ssl_certificate /etc/nginx/ssl/bought.pem; } }";
    let host = stage(&SPEC)
        .file("/etc/nginx/nginx.conf", site)
        .file("/etc/nginx/ssl/acme.pem", chain(&["acme.example"], 7))
        .file("/etc/nginx/ssl/bought.pem", issued("Example Trust", &["bought.example"], 7).0)
        .file("/root/.acme.sh/acme.example/fullchain.cer", chain(&["acme.example"], 9))
        .file("/root/.acme.sh/bought.example/fullchain.cer", chain(&["bought.example"], 9));
    let told = host.look();
    let row = |path: &str| told.lines().find(|line| line.starts_with(&format!("fact certificate {path} "))).unwrap();
    assert!(row("/etc/nginx/ssl/acme.pem").contains("renewed_by=acme.sh"), "{told}");
    assert!(!row("/etc/nginx/ssl/bought.pem").contains("renewed_by="), "another authority issued it");
    assert!(told.contains("certificate_renewal acme.sh") && told.contains("certificates=1"));
}

#[test]
fn mail_servers_name_certificates_too() {
    let host = stage(&SPEC)
        .file(
            "/etc/postfix/main.cf",
            "smtpd_tls_cert_file=/etc/ssl/certs/mail.pem\nsmtpd_tls_key_file=/etc/ssl/private/mail.key\n",
        )
        .file("/etc/dovecot/dovecot.conf", "!include conf.d/*.conf\n")
        .file(
            "/etc/dovecot/conf.d/10-ssl.conf",
            "ssl_cert = </etc/ssl/certs/mail.pem\nssl_key = </etc/ssl/private/mail.key\n",
        )
        .file("/etc/ssl/certs/mail.pem", chain(&["mail.example"], 9))
        .file("/etc/ssl/private/mail.key", "CANARY");
    let told = host.look();
    assert!(told.contains("fact certificate /etc/ssl/certs/mail.pem kind=file subject=mail.example"), "{told}");
    assert!(told.contains("sites=dovecot,postfix") && !told.contains("served=") && !told.contains("CANARY"));
}

#[test]
fn a_key_in_the_same_file_never_shows_up() {
    let (chain, key) = issued("Let's Encrypt", &["shop.example"], 9);
    let host = stage(&SPEC)
        .file("/etc/nginx/nginx.conf", SITE)
        .file("/etc/letsencrypt/live/shop.example/fullchain.pem", format!("CANARY\n{key}{chain}{key}"));
    let told = host.look();
    assert!(told.contains("subject=shop.example"));
    for line in key.lines().filter(|line| !line.starts_with('-')).chain(["CANARY", "PRIVATE"]) {
        assert!(!told.contains(line), "{line}");
    }
}

#[test]
fn a_host_without_certificates_is_no_error() {
    assert_eq!(stage(&SPEC).file("/etc/nginx/nginx.conf", "http { server { listen 80; } }").look(), "absent");
}

#[test]
fn what_is_hostile_is_bounded_and_told_and_harms_no_other() {
    let servers: String = ["sparse", "fifo", "garbage", "bundle", "loop", "empty", "missing", "good"]
        .iter()
        .map(|name| {
            format!("server {{ listen 443 ssl; server_name {name}.example; ssl_certificate /srv/{name}.pem; }}\n")
        })
        .collect();
    let one = chain(&["many.example"], 9);
    let host = stage(&SPEC)
        .file("/etc/nginx/nginx.conf", format!("http {{ {servers} }}"))
        .file("/srv/sparse.pem", "")
        .file("/srv/garbage.pem", [0x30, 0x82, 0xff, 0xff, 1, 2, 3])
        .file("/srv/bundle.pem", one.repeat(5_000))
        .link("/srv/loop.pem", "loop.pem")
        .file("/srv/empty.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
        .file("/srv/good.pem", chain(&["good.example"], 9))
        .file(
            "/var/lib/dehydrated/certs/broken/fullchain.pem",
            "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
        );
    let place = |path: &str| host.host().full_path(path.as_ref());
    fs::File::options().write(true).open(place("/srv/sparse.pem")).unwrap().set_len(1 << 30).unwrap();
    nix::unistd::mkfifo(&place("/srv/fifo.pem"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let told = host.look();
    let why = |name: &str| {
        let row = told
            .lines()
            .find(|line| line.starts_with(&format!("fact certificate /srv/{name}.pem")))
            .unwrap_or("no row");
        row.split("not_after=")
            .nth(1)
            .unwrap_or(row)
            .split(" chain_complete")
            .next()
            .unwrap()
            .split(") ")
            .next()
            .unwrap()
            .to_owned()
    };
    assert_eq!(why("sparse"), "?(bigger than 262144 bytes");
    assert_eq!(why("fifo"), "?(not a regular file");
    assert_eq!(why("garbage"), "?(not a certificate (X.509): the certificate is missing or broken");
    assert_eq!(why("bundle"), "?(bigger than 262144 bytes");
    assert_eq!(why("loop"), "?(too many links");
    assert_eq!(why("empty"), "?(it holds no certificate");
    assert_eq!(why("missing"), "no row");
    assert!(why("good").starts_with("2026-11-30T00:00:00Z"));
    assert!(told.contains("problem certificate /var/lib/dehydrated/certs/broken/fullchain.pem* "), "{told}");
}

#[test]
fn a_home_with_thousands_of_certificates_hides_none_of_its_neighbours() {
    let host = stage(&SPEC).file("/home/zoe/.acme.sh/zoe.example/fullchain.cer", chain(&["zoe.example"], 9));
    let one = chain(&["many.example"], 9);
    for number in 0..300 {
        host.write(&format!("/home/adam/.acme.sh/{number}/fullchain.cer"), &one);
    }
    let (slices, told) = host.slices();
    assert!(told.contains("subject=zoe.example") && slices < 10, "{slices}");
    assert!(told.contains("patterns stand for more than is looked at"), "{told}");
}

#[test]
fn a_file_is_read_again_when_it_has_changed_and_its_change_wakes() {
    let host = certbot();
    assert!(host.look().contains("not_after=2026-12-30"));
    let watched = host.wakes();
    assert!(watched.contains(&PathBuf::from("/etc/letsencrypt/live/shop.example/fullchain.pem")));
    assert!(watched.contains(&PathBuf::from("/etc/letsencrypt/live")));
    host.remove("/etc/letsencrypt/live/shop.example/fullchain.pem");
    let host = host
        .file("/etc/letsencrypt/archive/shop.example/fullchain3.pem", chain(&["shop.example", "www.shop.example"], 11))
        .link("/etc/letsencrypt/live/shop.example/fullchain.pem", "../../archive/shop.example/fullchain3.pem");
    assert!(host.look().contains("not_after=2027-01-30"));
}

#[test]
fn a_site_whose_server_is_about_to_start_is_told_and_one_that_is_off_is_not() {
    let watcher: Certificates = toml::from_str("handshakes = true").unwrap();
    let (mut site, mut other) = (Site::default(), Site::default());
    for (site, server) in [(&mut site, "nginx"), (&mut other, "apache")] {
        (site.server, site.encrypted, site.listen) = (server, true, vec!["443 ssl".to_owned()]);
        site.names = vec!["shop.example".to_owned()];
    }
    let sites = [site, other];
    let socket =
        Socket { protocol: "tcp", address: "0.0.0.0".parse().unwrap(), port: 443, uid: 0, inode: 1, waiting: 0 };
    let host = stage(&SPEC).file("/proc/uptime", "9000.0 1.0\n").link("/proc/1/exe", "/sbin/init");
    let doors = |host: &Stage, listening: &[Socket]| {
        let doors = watcher.doors(host.host(), &sites, listening);
        doors.iter().map(|door| (door.server, door.shut.clone().unwrap_or_default())).collect::<Vec<_>>()
    };
    assert_eq!(doors(&host, std::slice::from_ref(&socket)), [], "a container may listen there");
    host.write("/proc/uptime", "50.0 1.0\n");
    assert_eq!(doors(&host, &[]), [("nginx", "nginx does not run, but the host has just started".to_owned())]);
    let host = stage(&SPEC)
        .file("/proc/uptime", "9000.0 1.0\n")
        .link("/proc/70/exe", "/usr/sbin/apache2")
        .file("/usr/sbin/apache2", "")
        .file("/proc/70/comm", "apache2\n")
        .file("/proc/70/cmdline", "/usr/sbin/apache2\0")
        .file("/proc/70/stat", "70 (apache2) S 1 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 1 1\n");
    assert_eq!(doors(&host, &[socket]), [("apache", String::new())], "nginx is there, but off");
}

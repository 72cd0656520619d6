use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;

use plumb_proto::time::{ManualClock, Timestamp};

use super::places::Sapi;
use super::settings::{Configured, flag, quantity, value};
use super::*;
use crate::state::testing::Folder;

struct Staged(Folder);

impl Staged {
    fn new() -> Self {
        Self(Folder::new())
    }

    fn file(self, path: &str, text: impl AsRef<[u8]>) -> Self {
        let path = self.0.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn program(self, path: &str) -> Self {
        let staged = self.file(path, "\x7fELF\0X-Powered-By: PHP/8.4.2\0");
        let place = staged.0.path().join(path.trim_start_matches('/'));
        fs::set_permissions(place, fs::Permissions::from_mode(0o755)).unwrap();
        staged
    }

    fn master(self, pid: u32, exe: &str, config: &str) -> Self {
        let staged = self
            .file(&format!("/proc/{pid}/cmdline"), format!("php-fpm: master process ({config})\0\0\0"))
            .file(&format!("/proc/{pid}/stat"), format!("{pid} (php-fpm) S 1{} 500 1\n", " 7".repeat(17)));
        symlink(exe, staged.0.path().join(format!("proc/{pid}/exe"))).unwrap();
        staged
    }

    fn host(&self) -> Host {
        Host::new(self.0.path(), Arc::new(ManualClock::at(Timestamp::from_secs(1))))
    }

    fn told(&self) -> Vec<String> {
        let host = self.host();
        let found = pools(&host);
        let line = |pool: &Pool| {
            format!("{} {} {} {}", pool.key, pool.listen, pool.user.as_deref().unwrap_or("-"), pool.config.display())
        };
        found.pools.iter().map(line).chain(found.problems.iter().map(ToString::to_string)).collect()
    }
}

const POOL: &str = "user = shop\nlisten = /run/php/$pool.sock\npm = dynamic\npm.max_children = 5\n";

#[test]
fn pools_of_every_layout_are_found_without_a_master() {
    for (program, main, include, file, key) in [
        (
            "/usr/sbin/php-fpm8.2",
            "/etc/php/8.2/fpm/php-fpm.conf",
            "/etc/php/8.2/fpm/pool.d/*.conf",
            "/etc/php/8.2/fpm/pool.d/shop.conf",
            "8.2/shop",
        ),
        ("/usr/sbin/php-fpm", "/etc/php-fpm.conf", "/etc/php-fpm.d/*.conf", "/etc/php-fpm.d/shop.conf", "8.4/shop"),
        (
            "/opt/remi/php83/root/usr/sbin/php-fpm",
            "/etc/opt/remi/php83/php-fpm.conf",
            "/etc/opt/remi/php83/php-fpm.d/*.conf",
            "/etc/opt/remi/php83/php-fpm.d/shop.conf",
            "8.3/shop@/opt/remi/php83",
        ),
        (
            "/opt/cpanel/ea-php81/root/usr/sbin/php-fpm",
            "/opt/cpanel/ea-php81/root/etc/php-fpm.conf",
            "/opt/cpanel/ea-php81/root/etc/php-fpm.d/*.conf",
            "/opt/cpanel/ea-php81/root/etc/php-fpm.d/shop.example.conf",
            "8.1/shop@/opt/cpanel/ea-php81",
        ),
        (
            "/opt/plesk/php/8.3/sbin/php-fpm",
            "/opt/plesk/php/8.3/etc/php-fpm.conf",
            "/opt/plesk/php/8.3/etc/php-fpm.d/*.conf",
            "/opt/plesk/php/8.3/etc/php-fpm.d/shop.example.conf",
            "8.3/shop@/opt/plesk/php/8.3",
        ),
        (
            "/usr/local/php83/sbin/php-fpm83",
            "/usr/local/php83/etc/php-fpm.conf",
            "/usr/local/directadmin/data/users/*/php/php-fpm83.conf",
            "/usr/local/directadmin/data/users/anna/php/php-fpm83.conf",
            "8.3/shop@/usr/local/php83",
        ),
        (
            "/RunCloud/Packages/php83rc/sbin/php-fpm",
            "/etc/php83rc/php-fpm.conf",
            "/etc/php83rc/fpm.d/*.conf",
            "/etc/php83rc/fpm.d/shop.conf",
            "8.3/shop@/RunCloud/Packages/php83rc",
        ),
        (
            "/opt/sp/php8.3/sbin/php-fpm",
            "/etc/php8.3-sp/php-fpm.conf",
            "/etc/php8.3-sp/fpm-pools.d/*.conf",
            "/etc/php8.3-sp/fpm-pools.d/shop.conf",
            "8.3/shop@/opt/sp/php8.3",
        ),
        (
            "/usr/local/sbin/php-fpm",
            "/usr/local/etc/php-fpm.conf",
            "etc/php-fpm.d/*.conf",
            "/usr/local/etc/php-fpm.d/shop.conf",
            "8.4/shop@/usr/local",
        ),
        (
            "/www/server/php/83/sbin/php-fpm",
            "/www/server/php/83/etc/php-fpm.conf",
            "etc/php-fpm.d/*.conf",
            "/www/server/php/83/etc/php-fpm.d/shop.conf",
            "8.3/shop@/www/server/php/83",
        ),
        (
            "/opt/bitnami/php/sbin/php-fpm",
            "/opt/bitnami/php/etc/php-fpm.conf",
            "/opt/bitnami/php/etc/php-fpm.d/*.conf",
            "/opt/bitnami/php/etc/php-fpm.d/shop.conf",
            "8.4/shop@/opt/bitnami/php",
        ),
        (
            "/usr/sbin/php-fpm83",
            "/etc/php83/php-fpm.conf",
            "/etc/php83/php-fpm.d/*.conf",
            "/etc/php83/php-fpm.d/shop.conf",
            "8.3/shop",
        ),
    ] {
        let staged = Staged::new()
            .program(program)
            .file(main, format!("; comment\n[global]\npid = run/x.pid\ninclude={include}\n"))
            .file(file, format!("[shop]\n{POOL}"));
        assert_eq!(staged.told(), [format!("{key} /run/php/shop.sock shop {file}")], "{program}");
    }
}

#[test]
fn a_configuration_whose_program_was_removed_has_no_pools() {
    let staged = Staged::new().file("/etc/php/8.1/fpm/php-fpm.conf", format!("[www]\n{POOL}"));
    assert_eq!(staged.told(), [""; 0]);
}

#[test]
fn a_master_that_runs_tells_where_its_configuration_is() {
    let staged = Staged::new()
        .program("/home/shop/php/sbin/php-fpm")
        .file("/home/shop/php/etc/fpm.conf", format!("[www]\n{POOL}"))
        .master(70, "/home/shop/php/sbin/php-fpm", "/home/shop/php/etc/fpm.conf")
        .program("/usr/sbin/php-fpm8.2")
        .file("/etc/php/8.2/fpm/php-fpm.conf", "[www]\nlisten = 127.0.0.1:9000\n")
        .master(71, "/usr/sbin/php-fpm8.2", "/etc/php/8.2/fpm/php-fpm.conf")
        .file("/srv/second.conf", "[www]\nlisten = localhost:9001\n")
        .master(72, "/usr/sbin/php-fpm8.2", "/srv/second.conf");
    assert_eq!(
        staged.told(),
        [
            "8.2/www 127.0.0.1:9000 - /etc/php/8.2/fpm/php-fpm.conf",
            "8.4/www@/home/shop/php /run/php/www.sock shop /home/shop/php/etc/fpm.conf",
            "8.2/www@/srv/second.conf 127.0.0.1:9001 - /srv/second.conf",
        ]
    );
    let found = pools(&staged.host());
    let masters =
        found.instances.iter().map(|each| each.master.as_ref().map(|master| (master.pid, master.birth.start)));
    assert_eq!(masters.collect::<Vec<_>>(), [Some((71, 500)), Some((70, 500)), Some((72, 500))]);
}

#[test]
fn a_web_servers_socket_finds_its_pool() {
    let staged = Staged::new().program("/usr/sbin/php-fpm8.2").file(
        "/etc/php/8.2/fpm/php-fpm.conf",
        "[a]\nlisten = /var/run/php/a.sock\n[b]\nlisten = 9000\n[c]\nlisten = 127.0.0.1:9001\n[d]\nlisten = [::1]:9002\n",
    );
    fs::create_dir_all(staged.0.path().join("run/php")).unwrap();
    fs::create_dir_all(staged.0.path().join("var")).unwrap();
    symlink("/run", staged.0.path().join("var/run")).unwrap();
    let (host, found) = (staged.host(), pools(&staged.host()));
    let at = |socket: &str| found.at(&host, socket).map_or("-", |pool| &pool.name);
    assert_eq!(found.pools[0].listen, "/run/php/a.sock");
    assert_eq!(
        ["unix:/var/run/php/a.sock", "/run/php/a.sock", "127.0.0.1:9000", "localhost:9001", "tcp://[0:0::1]:9002"]
            .map(at),
        ["a", "a", "b", "c", "d"]
    );
    assert_eq!(["127.0.0.1:9003", "/run/php/b.sock", "fcgi", ""].map(at), ["-"; 4]);
}

#[test]
fn a_socket_without_a_folder_lies_in_the_prefix_of_its_pool() {
    let pool = "[max.example]\nprefix = /var/www/vhosts/system/$pool\nlisten = php-fpm.sock\n";
    let staged = Staged::new().program("/usr/sbin/php-fpm8.2").file("/etc/php/8.2/fpm/php-fpm.conf", pool);
    assert_eq!(pools(&staged.host()).pools[0].listen, "/var/www/vhosts/system/max.example/php-fpm.sock");
}

#[test]
fn secrets_are_not_kept_but_that_they_changed_is_seen() {
    let pool = |secret: &str| {
        let text = format!(
            "[www]\nlisten = ${{SOCKET}}\nenv[DB] = {secret}\nphp_admin_value[session.save_path] = secret\n\
             php_admin_value[memory_limit] = 64M\n"
        );
        let staged = Staged::new().program("/usr/sbin/php-fpm8.2").file("/etc/php/8.2/fpm/php-fpm.conf", text);
        pools(&staged.host()).pools.remove(0)
    };
    let (first, second) = (pool("secret"), pool("another"));
    assert_eq!(first.values, BTreeMap::from([("php_admin_value[memory_limit]".to_owned(), "64M".to_owned())]));
    assert!(first.listen.is_empty() && first.unknown.contains_key("listen"));
    assert!(first.other != second.other && first.other == pool("secret").other);
}

#[test]
fn what_is_hostile_is_bounded_and_a_problem_and_others_are_unharmed() {
    let many: String = (0..5_000).map(|number| format!("[p{number}]\nlisten = {number}\n")).collect();
    let staged = Staged::new()
        .program("/usr/sbin/php-fpm8.2")
        .file("/etc/php/8.2/fpm/php-fpm.conf", "include=/etc/php/8.2/fpm/pool.d/*.conf\n")
        .file("/etc/php/8.2/fpm/pool.d/a.conf", format!("[a]\n{POOL}"))
        .file("/etc/php/8.2/fpm/pool.d/loop.conf", "include=/etc/php/8.2/fpm/pool.d/loop.conf\n")
        .file("/etc/php/8.2/fpm/pool.d/text.conf", b"[t]\nuser = \xff\xfe\nlisten = 9\n")
        .file("/etc/php/8.2/fpm/pool.d/zmany.conf", many)
        .file("/etc/php/8.2/fpm/pool.d/big.conf", "");
    let big = fs::File::options().write(true).open(staged.0.path().join("etc/php/8.2/fpm/pool.d/big.conf")).unwrap();
    big.set_len(1 << 30).unwrap();
    let pipe = staged.0.path().join("etc/php/8.2/fpm/pool.d/pipe.conf");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let found = pools(&staged.host());
    assert_eq!(found.pools.len(), MAX_POOLS);
    assert!(found.pools.iter().any(|pool| pool.key == "8.2/a" && pool.listen == "/run/php/a.sock"));
    let text = found.pools.iter().find(|pool| pool.name == "t").unwrap();
    assert_eq!((text.listen.as_str(), text.unknown.get("user")), ("*:9", Some(&"not UTF-8 text")));
    let problems: Vec<String> = found.problems.iter().map(ToString::to_string).collect();
    let folder = "/etc/php/8.2/fpm/pool.d";
    assert_eq!(
        problems,
        [
            format!("{folder}/pipe.conf: not a regular file"),
            format!("{folder}/big.conf: bigger than 1048576 bytes"),
            format!("{folder}/loop.conf: it includes files one inside the other, deeper than FPM itself reads"),
            "/etc/php/8.2/fpm/php-fpm.conf: more pools than are told: the rest is not".to_owned(),
        ]
    );
}

#[test]
fn settings_come_from_php_ini_then_from_the_folder_then_from_the_pool() {
    let staged = Staged::new()
        .program("/usr/sbin/php-fpm8.2")
        .file(
            "/etc/php/8.2/fpm/php.ini",
            "memory_limit = 64M\ndisable_functions = exec\nextension=/usr/lib/php/redis.so\n[PATH=/srv]\nerror_log = /x\n\
             [HOST=a.example]\npost_max_size = 1G\n",
        )
        .file("/etc/php/8.2/fpm/conf.d/10-opcache.ini", "zend_extension=opcache.so\nmemory_limit=96M\n")
        .file("/etc/php/8.2/fpm/conf.d/20-b.ini", "extension=PDO_mysql\nmemory_limit=100M\nopcache.memory_consumption=${X}\n")
        .file(
            "/etc/php/8.2/fpm/php-fpm.conf",
            "[a]\nlisten = 1\nphp_admin_value[disable_functions] = system\nphp_value[upload_max_filesize] = 20M\n\
             php_admin_flag[display_errors] = off\nphp_flag[display_errors] = on\n[b]\nlisten = 2\n",
        );
    let host = staged.host();
    let read = Configured::read(&host, Path::new("/usr/sbin/php-fpm8.2"), Sapi::Fpm, "8.2");
    assert_eq!(read.extensions.iter().map(String::as_str).collect::<Vec<_>>(), ["opcache", "pdo_mysql", "redis"]);
    let found = pools(&host);
    let told = |pool: usize| {
        let values = read.in_pool(&found.pools[pool]);
        let names = [
            "memory_limit",
            "disable_functions",
            "upload_max_filesize",
            "display_errors",
            "post_max_size",
            "error_log",
        ];
        names.map(|name| value(&values, name).unwrap().to_owned())
    };
    assert_eq!(told(0), ["100M", "exec,system", "20M", "", "8M", ""]);
    assert_eq!(told(1), ["100M", "exec", "2M", "1", "8M", ""]);
    assert!(value(&read.values, "opcache.memory_consumption").is_err_and(|why| why.contains("environment")));
}

#[test]
fn a_site_sets_what_it_may_and_what_its_pool_does_not_lock() {
    let staged = Staged::new()
        .program("/usr/sbin/php-fpm8.2")
        .file("/etc/php/8.2/fpm/php.ini", "user_ini.filename = site.ini\n")
        .file(
            "/etc/php/8.2/fpm/php-fpm.conf",
            "[a]\nlisten = 1\nphp_admin_value[memory_limit] = 64M\nphp_value[post_max_size] = 1M\n\
             [b]\nlisten = 2\nphp_admin_value[user_ini.filename] =\n",
        )
        .file(
            "/srv/a/site.ini",
            "post_max_size = 9M\nmemory_limit = 1G\ndisable_functions =\ndb_password = x\ndate.timezone = ${TZ}\n",
        );
    let host = staged.host();
    let read = Configured::read(&host, Path::new("/usr/sbin/php-fpm8.2"), Sapi::Fpm, "8.2");
    let found = pools(&host);
    let names: Vec<_> = found.pools.iter().map(|pool| user::name(&read, pool)).collect();
    assert_eq!(names, [Some("site.ini"), None]);
    let set = user::read(&host, Path::new("/srv/a"), "site.ini", &found.pools[0]).unwrap();
    assert_eq!(set[0], ("post_max_size", Ok("9M".to_owned())));
    assert!(set.len() == 2 && set[1].0 == "date.timezone" && set[1].1.is_err(), "{set:?}");
    assert_eq!(user::read(&host, Path::new("/srv/b"), "site.ini", &found.pools[0]), Ok(vec![]));
}

#[test]
fn a_php_ini_that_cannot_be_read_leaves_unknown_what_nobody_else_sets() {
    let staged = Staged::new()
        .program("/usr/sbin/php-fpm8.2")
        .file("/etc/php/8.2/fpm/php.ini", "")
        .file("/etc/php/8.2/fpm/conf.d/a.ini", "memory_limit = 5M\n");
    let big = fs::File::options().write(true).open(staged.0.path().join("etc/php/8.2/fpm/php.ini")).unwrap();
    big.set_len(1 << 30).unwrap();
    let read = Configured::read(&staged.host(), Path::new("/usr/sbin/php-fpm8.2"), Sapi::Fpm, "8.2");
    assert_eq!(value(&read.values, "memory_limit"), Ok("5M"));
    assert_eq!(value(&read.values, "post_max_size"), Err("/etc/php/8.2/fpm/php.ini: bigger than 1048576 bytes"));
}

#[test]
fn quantities_and_flags_are_read_as_php_reads_them() {
    let texts = ["128M", "-1", "1g", "2 k", "128MB", "1.5G", "0x10", "010", "", "M", "99999999999G"];
    let expected = [128 << 20, -1, 1 << 30, 2 << 10, 128, 1 << 30, 16, 8, 0, 0, i64::MAX];
    assert_eq!(texts.map(quantity), expected);
    assert_eq!(
        ["1", "On", "stderr", "yes", "0", "", "off", "2"].map(flag),
        [true, true, true, true, false, false, false, true]
    );
}

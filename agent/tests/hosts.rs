//! Whole hosts in folders (`tests/hosts/`), looked at by every watcher; what must be seen was written by hand.

use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use plumb_agent::watcher::testing::stage_at;
use plumb_agent::watchers::ALL;

fn folder(host: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/hosts").join(host)
}

fn look(host: &str, watcher: &str) -> String {
    let spec = ALL.iter().find(|spec| spec.name == watcher);
    spec.map_or_else(|| format!("no watcher {watcher}"), |spec| stage_at(spec, &folder(host)).look())
}

/// The rows of PHP's binaries, without their extensions: those, and the pools, are held against a text by hand
/// (`tests/hosts/NAME.txt`).
fn binaries(name: &str) -> Vec<String> {
    let rows = facts(name, "php").into_iter().filter(|line| line.starts_with("fact php "));
    rows.map(|line| line.replace(" extensions=opcache", "")).collect()
}

/// Lines that are no samples.
fn facts(host: &str, watcher: &str) -> Vec<String> {
    look(host, watcher).lines().filter(|line| !line.starts_with("sample ")).map(str::to_owned).collect()
}

/// The columns that tell whether a PHP runs.
fn runs(running: bool) -> &'static str {
    if running { "running=true restart_needed=false" } else { "running=false" }
}

#[test]
fn an_empty_folder_shows_nothing_of_the_running_machine() {
    for spec in ALL {
        assert_eq!(look("empty", spec.name), "absent", "{}", spec.name);
    }
}

#[test]
fn debian_12() {
    assert_eq!(
        facts("debian-12", "php"),
        [
            "fact php cli/8.2 version=8.2.29 binary=/usr/bin/php8.2 package=php8.2-cli package_version=8.2.29-1~deb12u1 \
             provenance=debian ini=/etc/php/8.2/cli/php.ini running=false from /usr/bin/php8.2",
            "fact php apache/8.2 version=8.2.29 binary=/usr/lib/apache2/modules/libphp8.2.so \
             package=libapache2-mod-php8.2 package_version=8.2.29-1~deb12u1 provenance=debian \
             ini=/etc/php/8.2/apache2/php.ini running=true restart_needed=false from /usr/lib/apache2/modules/libphp8.2.so",
            "fact php cli/8.4@/usr/local version=8.4.1 binary=/usr/local/bin/php provenance=self-built running=false \
             from /usr/local/bin/php",
            "fact php fpm/8.2 version=8.2.29 binary=/usr/sbin/php-fpm8.2 package=php8.2-fpm \
             package_version=8.2.29-1~deb12u1 provenance=debian ini=/etc/php/8.2/fpm/php.ini running=true restart_needed=false \
             from /usr/sbin/php-fpm8.2",
            "fact php fpm/8.3 version=8.3.14 binary=/usr/sbin/php-fpm8.3 package=php8.3-fpm \
             package_version=8.3.14-1+0~20241121.38+debian12~1.gbp5c2d5e provenance=sury \
             ini=/etc/php/8.3/fpm/php.ini running=false from /usr/sbin/php-fpm8.3",
        ]
    );
    assert_eq!(
        facts("debian-12", "disk"),
        [
            "fact mount / device=/dev/vda1 fstype=ext4 options=errors=remount-ro,relatime read_only=false \
             responding=true size_bytes=20480000000 from /proc/1/mountinfo",
            "fact mount /tmp device=tmpfs fstype=tmpfs options=nodev,nosuid,size=500000k read_only=false \
             responding=true size_bytes=512000000 from /proc/1/mountinfo",
            "fact mount /var/www device=/dev/vdb1 fstype=xfs options=attr2,inode64,noatime read_only=false \
             responding=true size_bytes=10240000000 from /proc/1/mountinfo",
        ]
    );
    let integrity = facts("debian-12", "integrity");
    let told: Vec<&str> = integrity.iter().filter_map(|line| line.split(" digest=").next()).collect();
    assert_eq!(
        told,
        [
            "fact tree /etc files=12 size_bytes=1079",
            "fact package_file /usr/sbin/php-fpm8.2 package=php8.2-fpm kind=program problem=altered \
             from /var/lib/dpkg/info",
        ]
    );
    assert_eq!(
        facts("debian-12", "system"),
        ["fact os os id=debian name=Debian GNU/Linux version=12 kernel=6.1.0-41-amd64 arch=x86_64 cpus=2 \
          virtualization=kvm boot_time=2026-11-20T10:00:00Z reboot_required=false from /etc/os-release"]
    );
}

#[test]
fn the_nightly_dumps_of_debian_12() {
    // Version control keeps no times: each was written at two o'clock.
    for day in 18..22_u64 {
        let path = folder("debian-12").join(format!("var/backups/shop-2026-11-{day}.sql"));
        let night = UNIX_EPOCH + Duration::from_secs(1_795_226_400 - (21 - day) * 86_400);
        std::fs::File::options().write(true).open(path).unwrap().set_modified(night).unwrap();
    }
    assert_eq!(
        facts("debian-12", "backups"),
        [
            "fact backup /var/backups/shop-*.sql kind=sql location=/var/backups newest=2026-11-21T02:00:00Z size=470 files=4 \
          program=mariadb-dump valid=true verdict=complete verified_at=2026-11-21T10:00:00Z encrypted=false \
          interval_seconds=86400 late_after_seconds=133200 typical_size=470 declared=false \
          from /var/backups/shop-2026-11-21.sql"
        ]
    );
}

#[test]
fn the_logs_of_debian_12() {
    // When a file of this folder was written is not the same everywhere.
    let logs: Vec<String> = facts("debian-12", "logs")
        .iter()
        .map(|line| line.split(" written=").next().map_or_else(String::new, str::to_owned))
        .collect();
    assert_eq!(
        logs,
        [
            "fact log_source /var/log/nginx/access.log format=nginx-access size_bytes=88",
            "fact log_source /var/log/nginx/error.log format=nginx-error size_bytes=0",
            "fact log_source /var/log/nginx/shop.access.log format=nginx-access site=shop.example size_bytes=94",
            "fact log_source /var/log/php8.2-fpm.log format=php-fpm size_bytes=55",
        ]
    );
}

#[test]
fn the_databases_of_debian_12() {
    assert_eq!(
        facts("debian-12", "mysql"),
        ["fact database mariadb/main version=10.11.14 running_version=10.11.14 binary=/usr/sbin/mariadbd \
          package=mariadb-server-core package_version=1:10.11.14-0+deb12u2 provenance=debian running=true \
          restart_needed=false listen=/run/mysqld/mysqld.sock,127.0.0.1:3306 datadir=/var/lib/mysql \
          from /usr/sbin/mariadbd"]
    );
    assert_eq!(
        facts("debian-12", "postgresql"),
        ["fact database postgresql/15/main version=15.14 \
          running_version=?(its program was replaced before it was first seen) \
          binary=/usr/lib/postgresql/15/bin/postgres package=postgresql-15 package_version=15.14-0+deb12u1 \
          provenance=debian running=true restart_needed=true listen=/run/postgresql/.s.PGSQL.5432,localhost:5432 \
          datadir=/var/lib/postgresql/15/main from /usr/lib/postgresql/15/bin/postgres"]
    );
    assert_eq!(
        facts("debian-12", "redis"),
        ["fact database redis/6379 version=7.0.15 binary=/usr/bin/redis-server package=redis-server \
          package_version=5:7.0.15-1~deb12u5 provenance=debian running=false listen=127.0.0.1:6379,[::1]:6379 \
          datadir=/var/lib/redis from /usr/bin/redis-server"]
    );
}

#[test]
fn the_databases_of_rhel_9() {
    assert_eq!(
        facts("rhel-9-remi", "mysql"),
        ["fact database mariadb/main version=10.5.27 running_version=10.5.27 binary=/usr/libexec/mariadbd \
          package=mariadb-server package_version=3:10.5.27-1.el9_5 provenance=redhat running=true \
          restart_needed=false listen=*:3306,/var/lib/mysql/mysql.sock datadir=/var/lib/mysql \
          from /usr/libexec/mariadbd"]
    );
    assert_eq!(
        facts("rhel-9-remi", "postgresql"),
        ["fact database postgresql/16/data version=16.6 binary=/usr/pgsql-16/bin/postgres \
          package=postgresql16-server package_version=16.6-1PGDG.rhel9 provenance=pgdg running=false \
          listen=localhost:5432 datadir=/var/lib/pgsql/16/data from /usr/pgsql-16/bin/postgres"]
    );
    assert_eq!(facts("rhel-9-remi", "redis"), ["absent"]);
}

#[test]
fn the_numbers_of_debian_12() {
    let system = look("debian-12", "system");
    let disk = look("debian-12", "disk");
    for line in [
        "cpu_seconds_total{mode=\"user\"} 1234",
        "cpu_seconds_total{mode=\"idle\"} 78900",
        "load1 0.42",
        "memory_total_bytes 4125302784",
        "memory_available_bytes 2516582400",
        "swap_total_bytes 1073741824",
        "uptime_seconds 86400",
        "pressure_cpu_waiting_seconds_total 12",
        "pressure_memory_stalled_seconds_total 0.25",
        "pressure_io_waiting_seconds_total 3",
        "oom_kills_total 0",
    ] {
        assert!(system.contains(&format!("sample {line}\n")), "{line}\n{system}");
    }
    for line in [
        "disk_size_bytes{mount=\"/\"} 20480000000",
        "disk_used_bytes{mount=\"/\"} 12288000000",
        "disk_free_bytes{mount=\"/\"} 8192000000",
        "disk_available_bytes{mount=\"/\"} 7168000000",
        "disk_inodes{mount=\"/\"} 1280000",
        "disk_inodes_used{mount=\"/\"} 280000",
        "disk_used_bytes{mount=\"/var/www\"} 8192000000",
    ] {
        assert!(disk.contains(&format!("sample {line}\n")), "{line}\n{disk}");
    }
}

#[test]
fn rhel_9_with_a_module_and_remi_side_by_side() {
    let module =
        "package_version=8.2.25-1.module+el9.5.0+22477+22c04e3a module=php:8.2 provenance=redhat ini=/etc/php.ini";
    let remi = "package_version=8.3.14-1.el9.remi provenance=remi ini=/etc/opt/remi/php83/php.ini";
    let there = "/opt/remi/php83/root/usr";
    assert_eq!(
        binaries("rhel-9-remi"),
        [
            format!(
                "fact php cli/8.3@/opt/remi/php83 version=8.3.14 binary={there}/bin/php package=php83-php-cli {remi} running=false from {there}/bin/php"
            ),
            format!(
                "fact php cgi/8.3@/opt/remi/php83 version=8.3.14 binary={there}/bin/php-cgi package=php83-php-cli {remi} running=false from {there}/bin/php-cgi"
            ),
            format!(
                "fact php fpm/8.3@/opt/remi/php83 version=8.3.14 binary={there}/sbin/php-fpm package=php83-php-fpm {remi} running=true restart_needed=false from {there}/sbin/php-fpm"
            ),
            format!(
                "fact php cli/8.2 version=8.2.25 binary=/usr/bin/php package=php-cli {module} running=false from /usr/bin/php"
            ),
            format!(
                "fact php cgi/8.2 version=8.2.25 binary=/usr/bin/php-cgi package=php-cli {module} running=false from /usr/bin/php-cgi"
            ),
            format!(
                "fact php apache/8.2 version=8.2.25 binary=/usr/lib64/httpd/modules/libphp.so package=php {module} running=false from /usr/lib64/httpd/modules/libphp.so"
            ),
            format!(
                "fact php fpm/8.2 version=8.2.25 binary=/usr/sbin/php-fpm package=php-fpm {module} running=false from /usr/sbin/php-fpm"
            ),
        ]
    );
    let unstaged = "?(comes by system call, which is not asked under --root)";
    assert_eq!(
        facts("rhel-9-remi", "disk"),
        [
            "fact mount / device=/dev/mapper/rhel-root fstype=xfs options=attr2,inode64,logbsize=32k,logbufs=8,noquota,relatime,seclabel \
             read_only=false responding=true size_bytes=20480000000 from /proc/1/mountinfo".to_owned(),
            "fact mount /boot device=/dev/vda1 fstype=btrfs options=relatime,seclabel,space_cache=v2,subvol=/,subvolid=5 \
             read_only=false responding=true size_bytes=1024000000 from /proc/1/mountinfo".to_owned(),
            format!("fact mount /mnt/backup device=nas.example:/export/web2 fstype=nfs4 options=hard,proto=tcp,relatime,rsize=1048576,vers=4.2 \
             read_only=false responding={unstaged} size_bytes={unstaged} from /proc/1/mountinfo"),
        ]
    );
    assert_eq!(
        facts("rhel-9-remi", "system"),
        ["fact os os id=rhel id_like=fedora name=Red Hat Enterprise Linux version=9.5 \
          kernel=5.14.0-503.11.1.el9_5.x86_64 arch=x86_64 cpus=4 virtualization=kvm boot_time=2026-11-20T10:00:00Z \
          reboot_required=true from /etc/os-release"]
    );
}

#[test]
fn cpanel_and_cloudlinux_on_el8_with_packages_in_berkeley_db() {
    let (ea82, ea83, alt) = ("/opt/cpanel/ea-php82", "/opt/cpanel/ea-php83", "/opt/alt/php74");
    let row = |sapi: &str, branch: &str, version: &str, prefix: &str, binary: &str, package: &str, rest: &str| {
        format!(
            "fact php {sapi}/{branch}@{prefix} version={version} binary={prefix}{binary} package={package} {rest} from {prefix}{binary}"
        )
    };
    let on_82 = |running: bool| {
        format!("package_version=8.2.25-1.1.1.cpanel provenance=cpanel ini={ea82}/root/etc/php.ini {}", runs(running))
    };
    let on_83 =
        format!("package_version=8.3.14-1.1.1.cpanel provenance=cpanel ini={ea83}/root/etc/php.ini running=false");
    let on_74 = format!("package_version=7.4.33-17.el8 provenance=cloudlinux ini={alt}/etc/php.ini running=false");
    assert_eq!(
        binaries("cpanel"),
        [
            row("litespeed", "7.4", "7.4.33", alt, "/usr/bin/lsphp", "alt-php74", &on_74),
            row("cli", "7.4", "7.4.33", alt, "/usr/bin/php", "alt-php74", &on_74),
            row("cli", "8.2", "8.2.25", ea82, "/root/usr/bin/php", "ea-php82-php-cli", &on_82(false)),
            row("cgi", "8.2", "8.2.25", ea82, "/root/usr/bin/php-cgi", "ea-php82-php-cli", &on_82(false)),
            row("fpm", "8.2", "8.2.25", ea82, "/root/usr/sbin/php-fpm", "ea-php82-php-fpm", &on_82(true)),
            row("fpm", "8.3", "8.3.14", ea83, "/root/usr/sbin/php-fpm", "ea-php83-php-fpm", &on_83),
        ]
    );
    assert_eq!(
        facts("cpanel", "disk"),
        [
            "fact mount / device=/dev/sda1 fstype=ext4 options=jqfmt=vfsv0,relatime,usrjquota=quota.user read_only=false \
             responding=true size_bytes=204800000000 from /proc/1/mountinfo",
            "fact mount /home device=/dev/sdb1 fstype=ext4 options=relatime read_only=false responding=true \
             size_bytes=1024000000000 from /proc/1/mountinfo",
        ]
    );
    assert_eq!(
        facts("cpanel", "system"),
        ["fact os os id=almalinux id_like=rhel,centos,fedora name=AlmaLinux version=8.10 \
          kernel=4.18.0-553.27.1.el8_10.x86_64 arch=x86_64 cpus=8 virtualization=kvm boot_time=2026-11-20T10:00:00Z \
          from /etc/os-release"]
    );
}

#[test]
fn plesk_on_ubuntu() {
    let row = |sapi: &str, branch: &str, version: &str, binary: &str, package: &str, revision: &str, running: bool| {
        let prefix = format!("/opt/plesk/php/{branch}");
        format!(
            "fact php {sapi}/{branch}@{prefix} version={version} binary={prefix}/{binary} package={package} \
             package_version={version}-{revision} provenance=plesk ini={prefix}/etc/php.ini {} \
             from {prefix}/{binary}",
            runs(running)
        )
    };
    let (old, new) = ("1ubuntu.22.04.241120.1515", "1ubuntu.22.04.241121.1200");
    assert_eq!(
        binaries("plesk"),
        [
            row("cli", "7.4", "7.4.33", "bin/php", "plesk-php74-cli", old, false),
            row("cgi", "7.4", "7.4.33", "bin/php-cgi", "plesk-php74-cgi", old, false),
            row("fpm", "7.4", "7.4.33", "sbin/php-fpm", "plesk-php74-fpm", old, false),
            row("cli", "8.3", "8.3.14", "bin/php", "plesk-php83-cli", new, false),
            row("cgi", "8.3", "8.3.14", "bin/php-cgi", "plesk-php83-cgi", new, false),
            row("fpm", "8.3", "8.3.14", "sbin/php-fpm", "plesk-php83-fpm", new, true),
            "fact php cli/8.1 version=8.1.2 binary=/usr/bin/php8.1 package=php8.1-cli package_version=8.1.2-1ubuntu2.20 \
             provenance=ubuntu ini=/etc/php/8.1/cli/php.ini running=false from /usr/bin/php8.1"
                .to_owned(),
        ]
    );
    assert_eq!(
        facts("plesk", "system"),
        ["fact os os id=ubuntu id_like=debian name=Ubuntu version=22.04 kernel=5.15.0-126-generic arch=x86_64 cpus=2 \
          virtualization=kvm boot_time=2026-11-20T10:00:00Z reboot_required=true from /etc/os-release"]
    );
}

#[test]
fn services_and_network_of_debian_12() {
    let unasked = "active=?(comes over the system bus, which is not asked under --root)";
    let service = |name: &str| {
        format!(
            "fact service {name}.service {unasked} enabled=enabled restarts=0 recent_restarts=0 \
             from /usr/lib/systemd/system/{name}.service"
        )
    };
    assert_eq!(facts("debian-12", "services"), [service("apache2"), service("php8.2-fpm")]);
    let hidden = "process=?(no process has it open that can be found)";
    let network = look("debian-12", "network");
    let expected = [
        "fact interface eth0 operstate=up mac=52:54:00:12:34:56 mtu=1500 addresses=192.0.2.10,2001:db8::10 \
         from /sys/class/net",
        &format!("fact listener tcp/0.0.0.0:22 {hidden} user=root exposure=public from /proc/net"),
        &format!("fact listener tcp/127.0.0.1:3306 {hidden} user=mysql exposure=loopback from /proc/net"),
        "fact listener tcp/[::]:80 process=apache2 user=root exposure=public from /proc/net",
        &format!("fact listener udp/127.0.0.1:323 {hidden} user=systemd-timesync exposure=loopback from /proc/net"),
        "sample network_receive_bytes_total{interface=\"eth0\"} 1234567890",
        "sample network_transmit_bytes_total{interface=\"eth0\"} 987654321",
        "sample network_errors_total{interface=\"eth0\"} 1",
        "sample network_drops_total{interface=\"eth0\"} 2",
        "sample tcp_sockets{state=\"open\"} 14",
        "sample tcp_sockets{state=\"orphaned\"} 0",
        "sample tcp_sockets{state=\"time_wait\"} 3",
    ];
    assert_eq!(network.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn services_and_network_of_rhel_9() {
    assert_eq!(
        facts("rhel-9-remi", "services"),
        ["fact service php83-php-fpm.service active=?(comes over the system bus, which is not asked under --root) \
          enabled=enabled restarts=0 recent_restarts=0 from /usr/lib/systemd/system/php83-php-fpm.service"]
    );
    assert_eq!(
        facts("rhel-9-remi", "network"),
        [
            "fact interface ens3 operstate=up mac=52:54:00:aa:bb:cc mtu=9000 addresses= from /sys/class/net",
            "fact listener tcp/0.0.0.0:6379 process=php-fpm user=990 exposure=public from /proc/net",
            "fact listener tcp/192.168.1.11:8080 process=?(no process has it open that can be found) user=apache \
             exposure=private from /proc/net",
        ]
    );
}

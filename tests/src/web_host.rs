//! A real Debian 12 web host, made from packages and booted with systemd in a container: nginx, PHP-FPM, MariaDB, PostgreSQL,
//! Redis, WordPress, a nightly dump, log rotation. Its network is its own, so that its ports are nobody else's.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::eventually::eventually;

/// Where Debian is fetched from.
const MIRROR: &str = "http://deb.debian.org/debian";
/// What makes it a web host.
const PACKAGES: &str = "nginx php8.2-fpm php8.2-mysql mariadb-server postgresql redis-server wordpress logrotate cron \
                        procps isc-dhcp-client iproute2 xz-utils";
/// What its operator set up by hand: two sites, their databases, a nightly dump kept for a week.
const SETUP: &str = r#"
# a host without a machine-id is in its first boot, in which systemd enables whatever there is
systemd-machine-id-setup
echo webhost > /etc/hostname
printf '127.0.0.1 localhost webhost\n' > /etc/hosts
rm -f /usr/sbin/policy-rc.d /etc/nginx/sites-enabled/default
# Debian's package lets systemd open 3306 on all networks (rule database_public_socket): here it was put away, as plumb says
systemctl disable -q mariadb.socket
install -d -o www-data -g www-data /var/www/shop /var/www/shop/uploads /var/backups/mysql /var/log/php
chown www-data:www-data /var/log/php
printf '<?php\nif (isset($_GET["boom"])) { undefined_function(); }\necho "shop ", PHP_VERSION;\n' > /var/www/shop/index.php
printf '<?php\nfunction price($n) { return $n * 2; }\n' > /var/www/shop/price.php
sed -i 's,^;*php_admin_value\[error_log\].*,php_admin_value[error_log] = /var/log/php/www-error.log,; s,^;*php_admin_flag\[log_errors\].*,php_admin_flag[log_errors] = on,' \
    /etc/php/8.2/fpm/pool.d/www.conf
cat > /etc/nginx/sites-available/shop <<'SITE'
log_format timed '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" $request_time';
server {
    listen 80 default_server;
    server_name shop.example www.shop.example;
    root /var/www/shop;
    index index.php;
    access_log /var/log/nginx/shop.access.log timed;
    error_log /var/log/nginx/shop.error.log;
    location ~ \.php$ { include snippets/fastcgi-php.conf; fastcgi_pass unix:/run/php/php8.2-fpm.sock; }
}
SITE
cat > /etc/nginx/sites-available/blog <<'SITE'
server {
    listen 80;
    server_name blog.example;
    root /usr/share/wordpress;
    index index.php;
    access_log /var/log/nginx/blog.access.log;
    error_log /var/log/nginx/blog.error.log;
    location ~ \.php$ { include snippets/fastcgi-php.conf; fastcgi_pass unix:/run/php/php8.2-fpm.sock; }
}
SITE
ln -s ../sites-available/shop ../sites-available/blog /etc/nginx/sites-enabled/
cat > /etc/wordpress/config-blog.example.php <<'CONFIG'
<?php
define('DB_NAME', 'blog'); define('DB_USER', 'blog'); define('DB_PASSWORD', 'secret'); define('DB_HOST', 'localhost');
define('WP_CONTENT_DIR', '/usr/share/wordpress/wp-content');
CONFIG
cat > /etc/logrotate.d/php-errors <<'ROTATE'
/var/log/php/*.log {
    weekly
    rotate 4
    missingok
    compress
    delaycompress
    create 0644 www-data www-data
}
ROTATE
cat > /usr/local/sbin/nightly-dump <<'DUMP'
#!/bin/sh
set -e
day=${1:-$(date +%F)}
mariadb-dump --single-transaction shop | gzip > /var/backups/mysql/shop-$day.sql.gz.new
mv /var/backups/mysql/shop-$day.sql.gz.new /var/backups/mysql/shop-$day.sql.gz
ls /var/backups/mysql/shop-*.sql.gz | head -n -7 | xargs -r rm
DUMP
chmod 755 /usr/local/sbin/nightly-dump
echo '30 2 * * * root /usr/local/sbin/nightly-dump' > /etc/cron.d/nightly-dump
"#;
/// What needs the servers to run: once, after the first boot.
const FILL: &str = r#"
mariadb -e "CREATE DATABASE IF NOT EXISTS shop; CREATE DATABASE IF NOT EXISTS blog;
    CREATE USER IF NOT EXISTS blog@localhost IDENTIFIED BY 'secret'; GRANT ALL ON blog.* TO blog@localhost;
    USE shop; CREATE TABLE IF NOT EXISTS orders (id INT PRIMARY KEY AUTO_INCREMENT, what VARCHAR(200));
    INSERT INTO orders (what) SELECT CONCAT('order ', seq, ' ', MD5(seq)) FROM seq_1_to_20000;"
for back in 7 6 5 4 3 2 1; do
    day=$(date -d "-$back day" +%F)
    mariadb shop -e "INSERT INTO orders (what) SELECT CONCAT('day $back order ', seq, MD5(seq)) FROM seq_1_to_50;"
    /usr/local/sbin/nightly-dump "$day"
    touch -d "$day 02:30:07" "/var/backups/mysql/shop-$day.sql.gz"
done
/usr/local/sbin/nightly-dump
touch -d '-5 minutes' /var/backups/mysql/shop-$(date +%F).sql.gz
"#;

/// A host in a folder, and while it is booted, its first process.
pub struct WebHost {
    /// Its root folder.
    pub root: PathBuf,
    container: Option<Child>,
    leader: u32,
}

fn run(what: &str, command: &mut Command) -> String {
    // the folder for temporary files of this machine is not there in another root
    let output = command.env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C").env_remove("TMPDIR").output();
    let output = output.expect(what);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{what}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// Runs a script in a folder that is a root, without booting it.
pub fn in_root(root: &Path, script: &str) {
    run(script, Command::new("chroot").arg(root).args(["sh", "-ec", script]));
}

/// Makes a Debian 12 in `root` with these packages beyond the smallest one, from the mirror as this machine reaches it.
///
/// # Panics
/// It cannot be made.
pub fn debian(root: &Path, base: &str, packages: &str) {
    let include = format!("--include=ca-certificates{base}");
    let mut debootstrap = Command::new("debootstrap");
    run("debootstrap", debootstrap.args(["--variant=minbase", &include, "bookworm"]).arg(root).arg(MIRROR));
    fs::write(root.join("usr/sbin/policy-rc.d"), "#!/bin/sh\nexit 101\n").expect("a policy");
    in_root(root, "chmod 755 /usr/sbin/policy-rc.d");
    for folder in ["etc/apt/apt.conf.d", "etc/apt/auth.conf.d"] {
        let script = format!("cp -n /{folder}/* {}/{folder}/ 2>/dev/null || true", root.display());
        run(&script, Command::new("sh").args(["-c", &script]));
    }
    fs::write(root.join("etc/apt/sources.list"), format!("deb {MIRROR} bookworm main\n")).expect("sources");
    run("copy resolv.conf", Command::new("cp").arg("-L").arg("/etc/resolv.conf").arg(root.join("etc/resolv.conf")));
    in_root(root, &format!("apt-get update -qq && apt-get install -y -qq --no-install-recommends {packages}"));
}

impl WebHost {
    /// Makes one. `PLUMB_WEB_HOST` may name a folder that keeps one for the next time: it is made there once, and copied.
    ///
    /// # Panics
    /// It cannot be made.
    #[must_use]
    pub fn make(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("plumb-{name}-{}", std::process::id()));
        let make = |root: &Path| {
            debian(root, ",systemd,systemd-sysv,dbus", PACKAGES);
            in_root(root, SETUP);
        };
        match std::env::var_os("PLUMB_WEB_HOST").map(PathBuf::from) {
            Some(kept) => {
                if !kept.exists() {
                    make(&kept);
                }
                run("copy", Command::new("cp").arg("-a").arg(kept).arg(&root));
            }
            None => make(&root),
        }
        Self { root, container: None, leader: 0 }
    }

    /// Boots it, with `shared` at the same path inside, and waits until all services run.
    ///
    /// # Panics
    /// It does not come up.
    pub fn boot(&mut self, shared: &Path) {
        let log = fs::File::create(self.root.with_extension("log")).expect("a log");
        let mut nspawn = Command::new("systemd-nspawn");
        nspawn.args(["--boot", "--register=no", "--keep-unit", "--console=pipe", "--private-network"]);
        nspawn.arg("--directory").arg(&self.root).arg(format!("--bind={}", shared.display()));
        nspawn.stdin(Stdio::null()).stdout(log.try_clone().expect("a handle")).stderr(log).process_group(0);
        let child = nspawn.spawn().expect("systemd-nspawn");
        let pid = child.id();
        self.container = Some(child);
        let limit = Duration::from_secs(60);
        self.leader = eventually("the container's first process", limit, || leader(pid), Option::is_some).unwrap_or(0);
        let state = || self.try_sh("systemctl is-system-running").1.trim().to_owned();
        eventually("the web host to run", limit, state, |state| state == "running");
        self.sh(FILL);
    }

    /// Process number of its first process, as this machine numbers it.
    #[must_use]
    pub fn leader(&self) -> u32 {
        self.leader
    }

    /// Runs a script inside; what it prints.
    ///
    /// # Panics
    /// It fails.
    pub fn sh(&self, script: &str) -> String {
        let (done, said) = self.try_sh(script);
        assert!(done, "{script}: {said}");
        said
    }

    /// Runs a script inside; whether it worked, and what it printed.
    #[must_use]
    pub fn try_sh(&self, script: &str) -> (bool, String) {
        let leader = self.leader.to_string();
        let output = Command::new("nsenter")
            .args(["-t", &leader, "-a", "--", "/bin/sh", "-ec", script])
            .env("LC_ALL", "C")
            .env_remove("TMPDIR")
            .stdin(Stdio::null())
            .output()
            .expect("nsenter");
        (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }

    /// Shuts it down in order.
    pub fn stop(&mut self) {
        let Some(mut child) = self.container.take() else { return };
        // SIGRTMIN+4: power off (systemd(1))
        let _ = Command::new("kill").args(["-s", "RTMIN+4", &self.leader.to_string()]).status();
        for _ in 0..200 {
            if matches!(child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Drop for WebHost {
    fn drop(&mut self) {
        self.stop();
        let _ = fs::remove_file(self.root.with_extension("log"));
        let _ = Command::new("rm").args(["-rf", "--one-file-system"]).arg(&self.root).status();
    }
}

/// The first process of the container that `nspawn` runs.
fn leader(nspawn: u32) -> Option<u32> {
    children(nspawn).into_iter().find(|pid| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        matches!(name.trim(), "systemd" | "init")
    })
}

/// The processes that a process has started.
#[must_use]
pub fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|word| word.parse().ok()).collect::<Vec<u32>>()).collect()
}

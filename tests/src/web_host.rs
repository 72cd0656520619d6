//! A real Debian 12 web host, made from packages and booted with systemd in a container: nginx, PHP-FPM, MariaDB, PostgreSQL,
//! Redis, WordPress, a nightly dump, log rotation. Its network is its own, so that its ports are nobody else's.
//!
//! The packages take the longest, so they are installed once for all who want a web host, and each sets up a copy.

use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::container::{Container, debian, in_root, run};

/// What makes it a web host.
const PACKAGES: &str = "nginx php8.2-fpm php8.2-mysql mariadb-server postgresql redis-server wordpress logrotate cron \
                        procps isc-dhcp-client iproute2 xz-utils apache2 libapache2-mod-php8.2 openssl curl";
/// What its operator set up by hand: two sites, their databases, a nightly dump kept for a week.
const SETUP: &str = r#"
# a host without a machine-id is in its first boot, in which systemd enables whatever there is
systemd-machine-id-setup
echo webhost > /etc/hostname
printf '127.0.0.1 localhost webhost\n' > /etc/hosts
rm -f /usr/sbin/policy-rc.d /etc/nginx/sites-enabled/default
# Debian's package lets systemd open 3306 on all networks (rule database_public_socket): here it was put away, as plumb says
systemctl disable -q mariadb.socket
# nginx has the port here
systemctl disable -q apache2 apache-htcacheclean 2>/dev/null
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

/// A [`Container`] that is a web host.
pub struct WebHost(Container);

impl Deref for WebHost {
    type Target = Container;

    fn deref(&self) -> &Container {
        &self.0
    }
}

/// The root of a web host with its packages, as they come, not set up by anybody. `PLUMB_WEB_HOST` may name a folder that keeps
/// one for the next time: it is made there once, and copied.
///
/// # Panics
/// It cannot be made.
#[must_use]
pub fn packaged(name: &str) -> Container {
    let root = std::env::temp_dir().join(format!("plumb-{name}-{}", std::process::id()));
    match std::env::var_os("PLUMB_WEB_HOST").map(PathBuf::from) {
        Some(kept) => {
            if !kept.exists() {
                // half of one is none
                let new = kept.with_extension("new");
                debian(&new, PACKAGES);
                fs::rename(new, &kept).expect("a new name");
            }
            run("copy", Command::new("cp").arg("-a").arg(kept).arg(&root));
        }
        None => debian(&root, PACKAGES),
    }
    Container::new(root)
}

impl WebHost {
    /// Makes one.
    ///
    /// # Panics
    /// It cannot be made.
    #[must_use]
    pub fn make(name: &str) -> Self {
        let container = packaged(name);
        in_root(&container.root, SETUP);
        Self(container)
    }

    /// Boots it, with `shared` at the same path inside, waits until all services run, and fills the databases.
    ///
    /// # Panics
    /// It does not come up.
    pub fn boot(&mut self, shared: &Path) {
        self.0.boot(shared);
        self.sh(FILL);
    }
}

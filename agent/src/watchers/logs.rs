//! Logs in files: which there are, how much is written, what requests were answered, and which known failures they tell
//! of. Every line is counted once, over rotation and over a restart, or the gap is told.
//!
//! A log is looked at by asking for its size every ten seconds, and at once when something in its folder was created,
//! renamed or closed. Its place and its counts are kept in the transaction that keeps what was told of it.

mod apache;
mod conf;
mod count;
mod cursor;
mod discover;
pub mod extract;
mod follow;
mod glob;
mod lines;
mod nginx;
mod rotated;
mod source;
mod state;

use std::path::PathBuf;
use std::time::Duration;

use self::source::Pattern;
use self::state::State;
use crate::tables::{LOG_FAILURE, LOG_SOURCE};
use crate::watcher::{Look, Progress, Spec, Watcher, seconds};

/// The watcher `logs`.
pub const SPEC: Spec = Spec::new::<Logs>(
    "logs",
    seconds(10),
    &[&LOG_FAILURE, &LOG_SOURCE],
    r#"
# A known failure is over when its log has not told of it for so many seconds.
quiet_seconds = 900
# Configuration of web servers, which names their logs, formats and sites.
nginx = ["/etc/nginx/nginx.conf", "/usr/local/nginx/conf/nginx.conf", "/usr/local/openresty/nginx/conf/nginx.conf", "/etc/nginx-rc/nginx.conf"]
apache = ["/etc/apache2/apache2.conf", "/etc/httpd/conf/httpd.conf", "/etc/apache2/conf/httpd.conf", "/usr/local/apache2/conf/httpd.conf"]
# Where more logs lie, behind what is written in them; `*` stands for a part of a name, `{site}` for the site.
# Where two stand for the same log, the first is right.
# nginx-access, nginx-error, apache-access, apache-error, php-error, php-fpm, mysql-error, postgresql, redis, kernel, system, mail
places = [
    "nginx-access /var/log/nginx/access.log", "nginx-error /var/log/nginx/error.log",
    "apache-access /var/log/apache2/access.log", "apache-access /var/log/apache2/other_vhosts_access.log",
    "apache-error /var/log/apache2/error.log",
    "apache-access /var/log/httpd/access_log", "apache-access /var/log/httpd/ssl_access_log",
    "apache-error /var/log/httpd/error_log", "apache-error /var/log/httpd/ssl_error_log",
    "php-fpm /var/log/php*-fpm.log", "php-fpm /var/log/php-fpm/error.log", "php-error /var/log/php-fpm/*-error.log",
    "php-fpm /var/opt/remi/php*/log/php-fpm/error.log", "php-error /var/opt/remi/php*/log/php-fpm/*-error.log",
    "php-error /var/log/php*errors.log", "php-error /var/log/php/*error*.log",
    "mysql-error /var/log/mysql/error.log", "mysql-error /var/log/mysqld.log", "mysql-error /var/log/mysql/mysqld.log",
    "mysql-error /var/log/mariadb/mariadb.log", "mysql-error /var/lib/mysql/*.err",
    "postgresql /var/log/postgresql/postgresql-*.log", "postgresql /var/lib/pgsql/data/log/*.log",
    "postgresql /var/lib/pgsql/*/data/log/*.log",
    "redis /var/log/redis/*.log", "redis /var/log/valkey/*.log",
    "kernel /var/log/kern.log", "mail /var/log/mail.log", "mail /var/log/maillog",
    "system /var/log/syslog", "system /var/log/messages", "system /var/log/auth.log", "system /var/log/secure",
    # Plesk, cPanel, DirectAdmin, HestiaCP, ISPConfig
    "nginx-access /var/www/vhosts/system/{site}/logs/proxy_access_log", "nginx-access /var/www/vhosts/system/{site}/logs/proxy_access_ssl_log",
    "apache-access /var/www/vhosts/system/{site}/logs/access_log", "apache-access /var/www/vhosts/system/{site}/logs/access_ssl_log",
    "apache-error /var/www/vhosts/system/{site}/logs/error_log", "nginx-error /var/www/vhosts/system/{site}/logs/proxy_error_log",
    "apache-access /etc/apache2/logs/domlogs/{site}-ssl_log", "apache-error /etc/apache2/logs/error_log",
    "apache-error /var/log/httpd/domains/{site}.error.log", "apache-access /var/log/httpd/domains/{site}.log",
    "nginx-error /var/log/nginx/domains/{site}.error.log", "nginx-access /var/log/nginx/domains/{site}.log",
    "apache-error /var/log/apache2/domains/{site}.error.log", "apache-access /var/log/apache2/domains/{site}.log",
    "nginx-access /var/www/{site}/log/access.log", "nginx-error /var/www/{site}/log/error.log",
]
"#,
)
.with_cursor();

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Logs {
    quiet_seconds: u64,
    nginx: Vec<PathBuf>,
    apache: Vec<PathBuf>,
    places: Vec<Pattern>,
    #[serde(skip)]
    state: State,
}

impl Watcher for Logs {
    fn poll(&mut self, look: &mut Look<'_>) -> anyhow::Result<Progress> {
        look.host.check()?;
        self.state.resume(look, Duration::from_secs(self.quiet_seconds));
        if self.state.is_stale(look) {
            let found = discover::discover(look.host, &self.places, &self.nginx, &self.apache);
            self.state.take_up(look, found);
        }
        if self.state.is_empty() {
            return Ok(Progress::Absent);
        }
        if self.state.read(look) {
            self.state.keep(look);
            return Ok(Progress::More);
        }
        self.state.tell(look);
        self.state.keep(look);
        Ok(Progress::Done)
    }

    fn wake_on(&self) -> Vec<PathBuf> {
        self.state.folders()
    }
}

#[cfg(test)]
mod tests;

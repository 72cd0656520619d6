use super::{Scene, print, told};

const DEBIAN: &str = "DefaultRuntimeDir ${APACHE_RUN_DIR}
ErrorLog ${APACHE_LOG_DIR}/error.log
IncludeOptional mods-enabled/*.load
IncludeOptional mods-enabled/*.conf
Include ports.conf
<Directory />
    Require all denied
</Directory>
IncludeOptional conf-enabled/*.conf
IncludeOptional sites-enabled/*.conf
";
const ENVVARS: &str = "export APACHE_LOG_DIR=/var/log/apache2$SUFFIX\nexport APACHE_RUN_DIR=/var/run/apache2$SUFFIX\n";
const FPM: &str = "<IfModule !mod_php8.c>
<IfModule proxy_fcgi_module>
    <FilesMatch \".+\\.ph(?:ar|p|tml)$\">
        SetHandler \"proxy:unix:/run/php/php8.2-fpm.sock|fcgi://localhost\"
    </FilesMatch>
    <FilesMatch \".+\\.phps$\">
        Require all denied
    </FilesMatch>
</IfModule>
</IfModule>
";

fn debian(more: &[(&str, &str)]) -> String {
    let files = [
        ("etc/apache2/apache2.conf", DEBIAN),
        ("etc/apache2/envvars", ENVVARS),
        ("etc/apache2/ports.conf", "Listen 80\n<IfModule ssl_module>\n\tListen 443\n</IfModule>\n"),
    ];
    told(&files.iter().chain(more).copied().collect::<Vec<_>>())
}

#[test]
fn a_site_of_debian_has_what_the_whole_server_says() {
    let told = debian(&[
        ("etc/apache2/mods-enabled/proxy_fcgi.load", "LoadModule proxy_fcgi_module /usr/lib/mod_proxy_fcgi.so\n"),
        ("etc/apache2/mods-enabled/ssl.load", "LoadModule ssl_module /usr/lib/mod_ssl.so\n"),
        ("etc/apache2/conf-enabled/php8.2-fpm.conf", FPM),
        (
            "etc/apache2/conf-enabled/pma.conf",
            "<Directory /usr/share/phpmyadmin>\n SetHandler \"proxy:unix:/run/pma.sock|fcgi://x\"\n</Directory>\n",
        ),
        (
            "etc/apache2/sites-enabled/shop.conf",
            "<VirtualHost *:80>
    ServerName shop.example
    ServerAlias www.shop.example
    DocumentRoot /var/www/shop
    CustomLog ${APACHE_LOG_DIR}/shop.log combined
    RewriteRule ^ https://%{SERVER_NAME}%{REQUEST_URI} [END,NE,R=permanent]
</VirtualHost>
<IfModule mod_ssl.c>
<VirtualHost _default_:443>
    ServerName https://shop.example:443
    DocumentRoot \"/var/www/shop\"
    SSLEngine on
    SSLCertificateFile /etc/ssl/shop.pem
    SSLCertificateKeyFile /etc/ssl/shop.key
    CustomLog \"|/usr/bin/rotatelogs /var/log/x 86400\" combined
</VirtualHost>
</IfModule>
",
        ),
        ("etc/ssl/shop.pem", ""),
    ]);
    assert_eq!(
        told,
        "apache/shop.example names=www.shop.example listen=*:80,*:443 docroot=/var/www/shop tls=yes \
         certificates=/etc/ssl/shop.pem+/etc/ssl/shop.key php=fpm:/run/php/php8.2-fpm.sock \
         access=/var/log/apache2/shop.log error=/var/log/apache2/error.log\n\
         fault apache: /etc/apache2/sites-enabled/shop.conf: the key /etc/ssl/shop.key is missing\n"
    );
}

#[test]
fn the_module_of_php_is_told_when_it_is_loaded_and_goes_after_what_a_host_sets() {
    let handler = "<FilesMatch \".+\\.ph(?:ar|p|tml)$\">\n SetHandler application/x-httpd-php\n</FilesMatch>\n";
    let told = debian(&[
        ("etc/apache2/mods-enabled/php8.2.load", "LoadModule php_module /usr/lib/apache2/modules/libphp8.2.so\n"),
        ("etc/apache2/mods-enabled/php8.2.conf", handler),
        (
            "etc/apache2/sites-enabled/a.conf",
            "<VirtualHost *:80>\nServerName a.example\nErrorLog a.log\n</VirtualHost>\n",
        ),
        (
            "etc/apache2/sites-enabled/b.conf",
            "<VirtualHost *:80>\nServerName b.example\nErrorLog b.log\nProxyPassMatch ^/(.*\\.php)$ fcgi://127.0.0.1:9000/srv/$1\n</VirtualHost>\n",
        ),
        (
            "etc/apache2/sites-enabled/c.conf",
            "<VirtualHost *:80>\nServerName c.example\nErrorLog c.log\n<Proxy balancer://app>\nBalancerMember http://10.0.0.1:80\n\
             </Proxy>\nProxyPass /.well-known !\nProxyPass / balancer://app/\n</VirtualHost>\n",
        ),
    ]);
    assert_eq!(
        told,
        "apache/a.example listen=*:80 php=module error=/etc/apache2/a.log\n\
         apache/b.example listen=*:80 php=fpm:127.0.0.1:9000 error=/etc/apache2/b.log\n\
         apache/c.example listen=*:80 proxy=http://10.0.0.1:80 error=/etc/apache2/c.log\n"
    );
}

#[test]
fn the_main_server_of_red_hat_is_a_site_and_macros_are_told_as_not_followed() {
    let main = "ServerRoot \"/etc/httpd\"
Listen 80
Include conf.modules.d/*.conf
ServerName web.example
DocumentRoot \"/var/www/html\"
ErrorLog \"logs/error_log\"
<IfModule log_config_module>
    CustomLog \"logs/access_log\" combined
</IfModule>
Include conf.d/none.conf
IncludeOptional conf.d/*.conf
<Macro Site $name>
  <VirtualHost *:80>
    ServerName $name
  </VirtualHost>
</Macro>
Use Site m.example
<VirtualHost 192.0.2.1:80>
 ServerName v.example
 VirtualDocumentRoot /srv/%0
 CustomLog ${NOWHERE}/x combined
";
    let php =
        "<FilesMatch \\.(php|phar)$>\nSetHandler \"proxy:unix:/run/php-fpm/www.sock|fcgi://localhost\"\n</FilesMatch>";
    let scene = Scene::of(&[
        ("etc/httpd/conf/httpd.conf", main),
        ("etc/httpd/conf.modules.d/00-base.conf", "LoadModule log_config_module modules/mod_log_config.so"),
        ("etc/httpd/conf.d/php.conf", php),
    ]);
    assert_eq!(
        print(&scene.read()),
        "apache/v.example listen=192.0.2.1:80 php=fpm:/run/php-fpm/www.sock error=/etc/httpd/logs/error_log \
         docroot?=it depends on the name (mod_vhost_alias) access_logs?=it depends on the variable ${NOWHERE}/x\n\
         apache/web.example listen=*:80 docroot=/var/www/html php=fpm:/run/php-fpm/www.sock \
         access=/etc/httpd/logs/access_log error=/etc/httpd/logs/error_log\n\
         fault apache: /etc/httpd/conf/httpd.conf: includes /etc/httpd/conf.d/none.conf, which is missing\n\
         fault apache: /etc/httpd/conf/httpd.conf: <virtualhost> is not closed\n\
         problem /etc/httpd/conf/httpd.conf: sites that Use makes of a macro are not told\n"
    );
}

#[test]
fn the_main_server_has_no_site_where_a_virtual_host_takes_all_addresses() {
    let main = |host: &str| {
        let text = format!(
            "Listen 8080\nDocumentRoot /var/www/html\n<VirtualHost {host}>\nServerName a.example\n</VirtualHost>\n"
        );
        told(&[("etc/httpd/conf/httpd.conf", &text)]).contains("apache/_@*:8080")
    };
    assert!(!main("*:8080") && !main("*") && !main("_default_:8080"));
    assert!(main("192.0.2.1:8080") && main("*:80"));
}

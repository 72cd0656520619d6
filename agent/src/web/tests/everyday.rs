//! Configurations as distributions, certbot and people write them.

use super::told;

const MAIN: &str = "user www-data;
events { worker_connections 768; }
http {
    access_log /var/log/nginx/access.log;
    error_log /var/log/nginx/error.log;
    map $http_upgrade $connection_upgrade { default upgrade; '' close; }
    include /etc/nginx/conf.d/*.conf;
    include /etc/nginx/sites-enabled/*;
}
";
const CERTIFICATES: [(&str, &str); 3] = [
    ("etc/letsencrypt/live/shop.example/fullchain.pem", ""),
    ("etc/letsencrypt/live/shop.example/privkey.pem", ""),
    ("etc/letsencrypt/options-ssl-nginx.conf", "ssl_session_timeout 1440m;\n"),
];

fn nginx(text: &str, more: &[(&str, &str)]) -> String {
    let mut files = vec![("etc/nginx/nginx.conf", MAIN), ("etc/nginx/sites-enabled/a", text)];
    files.extend(CERTIFICATES.iter().chain(more));
    told(&files).replace(" access=/var/log/nginx/access.log error=/var/log/nginx/error.log", "")
}

#[test]
fn the_default_of_debian_and_what_certbot_makes_of_a_site() {
    let default = "server {
	listen 80 default_server;
	listen [::]:80 default_server;
	root /var/www/html;
	index index.html index.htm index.nginx-debian.html;
	server_name _;
	location / {
		try_files $uri $uri/ =404;
	}
}
";
    let certbot = "server {
    server_name shop.example www.shop.example;
    root /var/www/shop;
    location / { try_files $uri $uri/ /index.php?$args; }
    location ~ \\.php$ { include snippets/fastcgi-php.conf; fastcgi_pass unix:/run/php/php8.2-fpm.sock; }
    location ~ /\\.ht { deny all; }

    listen [::]:443 ssl ipv6only=on; # managed by Certbot
    listen 443 ssl; # managed by Certbot
    ssl_certificate /etc/letsencrypt/live/shop.example/fullchain.pem; # managed by Certbot
    ssl_certificate_key /etc/letsencrypt/live/shop.example/privkey.pem; # managed by Certbot
    include /etc/letsencrypt/options-ssl-nginx.conf; # managed by Certbot
}
server {
    if ($host = www.shop.example) {
        return 301 https://$host$request_uri;
    } # managed by Certbot

    if ($host = shop.example) {
        return 301 https://$host$request_uri;
    } # managed by Certbot

    listen 80;
    listen [::]:80;
    server_name shop.example www.shop.example;
    return 404; # managed by Certbot
}
";
    assert_eq!(
        nginx(&format!("{default}{certbot}"), &[("etc/nginx/snippets/fastcgi-php.conf", "")]),
        "nginx/_@*:80 listen=*:80 default_server,[::]:80 default_server docroot=/var/www/html\n\
         nginx/shop.example names=www.shop.example listen=[::]:443 ssl,*:443 ssl,*:80,[::]:80 docroot=/var/www/shop \
         tls=yes certificates=/etc/letsencrypt/live/shop.example/fullchain.pem+/etc/letsencrypt/live/shop.example/privkey.pem \
         php=fpm:/run/php/php8.2-fpm.sock\n"
    );
}

#[test]
fn servers_as_people_write_them() {
    let text = "
server { listen 443 ssl default_server; server_name _; ssl_reject_handshake on; }
server { listen 80 default_server; return 444; }
server { listen 80; server_name www.shop.example; return 301 https://shop.example$request_uri; }
server { listen 443 ssl; server_name www.shop.example; ssl_certificate /etc/letsencrypt/live/shop.example/fullchain.pem; ssl_certificate_key /etc/letsencrypt/live/shop.example/privkey.pem; return 301 https://shop.example$request_uri; }
server { listen 80; server_name ~^(?<sub>.+)\\.example\\.com$ *.example.com; root /srv/$sub; }
server { listen 80; server_name \"~^(?<y>\\d{4})\\.example\\.org$\"; root /srv/y; }
server { listen 80; server_name locroot.example; location / { root /srv/locroot; index index.html; } location /static { alias /srv/static; } }
server { listen 80; server_name nested.example; root /srv/nested; location /blog { index index.php; location ~ \\.php$ { fastcgi_pass 127.0.0.1:9000; } } }
server { listen 443 quic reuseport; listen 443 ssl; listen [::]:443 ssl; listen [::]:443 quic; http2 on; http3 on; server_name h3.example; root /srv/h3;
  ssl_certificate /etc/letsencrypt/live/shop.example/fullchain.pem; ssl_certificate_key /etc/letsencrypt/live/shop.example/privkey.pem; add_header Alt-Svc 'h3=\":443\"; ma=86400'; }
server { listen 80; listen [::]:80; server_name laravel.example; root /srv/laravel/public;
  add_header X-Frame-Options \"SAMEORIGIN\"; index index.php; charset utf-8;
  location / { try_files $uri $uri/ /index.php?$query_string; }
  location = /favicon.ico { access_log off; log_not_found off; }
  location = /robots.txt  { access_log off; log_not_found off; }
  error_page 404 /index.php;
  location ~ ^/index\\.php(/|$) { fastcgi_pass unix:/var/run/php/php8.3-fpm.sock; fastcgi_param SCRIPT_FILENAME $realpath_root$fastcgi_script_name; include fastcgi_params; fastcgi_hide_header X-Powered-By; }
  location ~ /\\.(?!well-known).* { deny all; } }
server { listen 80; server_name node.example; location / { proxy_pass http://127.0.0.1:3000; proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade; } location /.well-known/acme-challenge/ { root /var/www/letsencrypt; } location /uploads/ { alias /srv/node/uploads/; } }
server { listen 80; server_name mixed.example; root /srv/mixed; location / { try_files $uri @app; } location @app { proxy_pass http://unix:/run/gunicorn.sock; } }
server { listen 80; server_name pma.example; root /srv/pma; location / { try_files $uri =404; } location /phpmyadmin { root /usr/share; location ~ ^/phpmyadmin/(.+\\.php)$ { root /usr/share; fastcgi_pass unix:/run/php/pma.sock; } } location ~ \\.php$ { fastcgi_pass unix:/run/php/site.sock; } }
server { listen 80; server_name magento.example; set $MAGE_ROOT /srv/magento; root $MAGE_ROOT/pub;
  location ~* ^/setup($|/) { root $MAGE_ROOT; location ~ ^/setup/index.php { fastcgi_pass unix:/run/php/setup.sock; } }
  location / { try_files $uri $uri/ /index.php$is_args$args; }
  location ~ ^/(index|get|static|errors/report|errors/404|errors/503|health_check)\\.php$ { fastcgi_pass unix:/run/php/magento.sock; } }
server { listen 8080; server_name localhost; location /nginx_status { stub_status; allow 127.0.0.1; deny all; } }
server { listen 127.0.0.1:8081; location / { return 200 'ok'; } }
";
    assert_eq!(
        nginx(text, &[("etc/nginx/fastcgi_params", "")]),
        "nginx/_@*:443 listen=*:443 ssl default_server tls=yes\n\
         nginx/_@*:80 listen=*:80 default_server\n\
         nginx/www.shop.example listen=*:80,*:443 ssl tls=yes certificates=/etc/letsencrypt/live/shop.example/fullchain.pem\
         +/etc/letsencrypt/live/shop.example/privkey.pem\n\
         nginx/~^(?<sub>.+)\\.example\\.com$ names=*.example.com listen=*:80 docroot?=it depends on the variable $sub\n\
         nginx/~^(?<y>\\d{4})\\.example\\.org$ listen=*:80 docroot=/srv/y\n\
         nginx/locroot.example listen=*:80 docroot=/srv/locroot\n\
         nginx/nested.example listen=*:80 docroot=/srv/nested php=fpm:127.0.0.1:9000\n\
         nginx/h3.example listen=*:443 quic,*:443 ssl,[::]:443 ssl,[::]:443 quic docroot=/srv/h3 tls=yes \
         certificates=/etc/letsencrypt/live/shop.example/fullchain.pem+/etc/letsencrypt/live/shop.example/privkey.pem\n\
         nginx/laravel.example listen=*:80,[::]:80 docroot=/srv/laravel/public php=fpm:/var/run/php/php8.3-fpm.sock\n\
         nginx/node.example listen=*:80 proxy=http://127.0.0.1:3000\n\
         nginx/mixed.example listen=*:80 docroot=/srv/mixed proxy=http://unix:/run/gunicorn.sock\n\
         nginx/pma.example listen=*:80 docroot=/srv/pma other=/usr/share php=fpm:/run/php/site.sock\n\
         nginx/magento.example listen=*:80 docroot=/srv/magento/pub other=/srv/magento php=fpm:/run/php/magento.sock\n\
         nginx/localhost listen=*:8080\n\
         nginx/_@127.0.0.1:8081 listen=127.0.0.1:8081\n"
    );
}

#[test]
fn snippets_are_parts_of_the_server_that_includes_them() {
    let text = "include /etc/nginx/snippets/none*.conf;
        server { server_name s.example; include /etc/nginx/snippets/site.conf; }";
    let site = ("etc/nginx/snippets/site.conf", "root /srv/s; listen 443 ssl; include snippets/self-signed.conf;");
    let signed = ("etc/nginx/snippets/self-signed.conf", "ssl_certificate /etc/ssl/certs/x.crt;");
    assert_eq!(
        nginx(text, &[site, signed]),
        "nginx/s.example listen=*:443 ssl docroot=/srv/s tls=yes certificates=/etc/ssl/certs/x.crt\n\
         fault nginx: /etc/nginx/sites-enabled/a: the certificate /etc/ssl/certs/x.crt is missing\n"
    );
}

const APACHE: &str = "ErrorLog ${APACHE_LOG_DIR}/error.log
IncludeOptional mods-enabled/*.load
IncludeOptional mods-enabled/*.conf
Include ports.conf
<Directory />
	Options FollowSymLinks
	AllowOverride None
	Require all denied
</Directory>
<FilesMatch \"^\\.ht\">
	Require all denied
</FilesMatch>
LogFormat \"%h %l %u %t \\\"%r\\\" %>s %O\" common
IncludeOptional conf-enabled/*.conf
IncludeOptional sites-enabled/*.conf
";

#[test]
fn apache_of_ubuntu_with_certbot_phpmyadmin_and_programs_behind_it() {
    let files = [
        ("etc/apache2/apache2.conf", APACHE),
        (
            "etc/apache2/envvars",
            "unset HOME\nif [ \"${APACHE_CONFDIR##/etc/apache2-}\" != \"${APACHE_CONFDIR}\" ] ; then\n\tSUFFIX=\"-${APACHE_CONFDIR##/etc/apache2-}\"\nelse\n\tSUFFIX=\nfi\nexport APACHE_RUN_USER=www-data\nexport APACHE_LOG_DIR=/var/log/apache2$SUFFIX\n",
        ),
        (
            "etc/apache2/ports.conf",
            "Listen 80\n<IfModule ssl_module>\n\tListen 443\n</IfModule>\n<IfModule mod_gnutls.c>\n\tListen 443\n</IfModule>\n",
        ),
        (
            "etc/apache2/mods-enabled/ssl.load",
            "# Depends: setenvif mime socache_shmcb\nLoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so\n",
        ),
        ("etc/apache2/mods-enabled/ssl.conf", "<IfModule mod_ssl.c>\nSSLRandomSeed startup builtin\n</IfModule>\n"),
        (
            "etc/apache2/mods-enabled/php8.3.load",
            "# Conflicts: php5\nLoadModule php_module /usr/lib/apache2/modules/libphp8.3.so\n",
        ),
        (
            "etc/apache2/mods-enabled/php8.3.conf",
            "<FilesMatch \".+\\.ph(?:ar|p|tml)$\">\n    SetHandler application/x-httpd-php\n</FilesMatch>\n<FilesMatch \".+\\.phps$\">\n    SetHandler application/x-httpd-php-source\n    Require all denied\n</FilesMatch>\n<IfModule mod_userdir.c>\n    <Directory /home/*/public_html>\n        php_admin_flag engine Off\n    </Directory>\n</IfModule>\n",
        ),
        (
            "etc/apache2/conf-enabled/phpmyadmin.conf",
            "Alias /phpmyadmin /usr/share/phpmyadmin\n<Directory /usr/share/phpmyadmin>\n    Options SymLinksIfOwnerMatch\n    DirectoryIndex index.php\n    <IfModule mod_php.c>\n        AddType application/x-httpd-php .php\n        <FilesMatch \".+\\.php$\">\n            SetHandler application/x-httpd-php\n        </FilesMatch>\n    </IfModule>\n</Directory>\n",
        ),
        (
            "etc/apache2/sites-enabled/000-default.conf",
            "<VirtualHost *:80>\n\t#ServerName www.example.com\n\tServerAdmin webmaster@localhost\n\tDocumentRoot /var/www/html\n\tErrorLog ${APACHE_LOG_DIR}/error.log\n\tCustomLog ${APACHE_LOG_DIR}/access.log combined\n</VirtualHost>\n",
        ),
        (
            "etc/apache2/sites-enabled/shop.conf",
            "<VirtualHost *:80>\n\tServerName shop.example\n\tServerAlias www.shop.example\n\tDocumentRoot /var/www/shop\n\tErrorLog ${APACHE_LOG_DIR}/shop-error.log\n\tCustomLog ${APACHE_LOG_DIR}/shop.log combined\nRewriteEngine on\nRewriteCond %{SERVER_NAME} =www.shop.example [OR]\nRewriteCond %{SERVER_NAME} =shop.example\nRewriteRule ^ https://%{SERVER_NAME}%{REQUEST_URI} [END,NE,R=permanent]\n</VirtualHost>\n",
        ),
        (
            "etc/apache2/sites-enabled/shop-le-ssl.conf",
            "<IfModule mod_ssl.c>\n<VirtualHost *:443>\n\tServerName shop.example\n\tServerAlias www.shop.example\n\tDocumentRoot /var/www/shop\n\tErrorLog ${APACHE_LOG_DIR}/shop-error.log\n\tCustomLog ${APACHE_LOG_DIR}/shop.log combined\n\nInclude /etc/letsencrypt/options-ssl-apache.conf\nSSLCertificateFile /etc/letsencrypt/live/shop.example/fullchain.pem\nSSLCertificateKeyFile /etc/letsencrypt/live/shop.example/privkey.pem\n</VirtualHost>\n</IfModule>\n",
        ),
        ("etc/letsencrypt/options-ssl-apache.conf", "SSLEngine on\nSSLProtocol all -SSLv2\n"),
        ("etc/letsencrypt/live/shop.example/fullchain.pem", ""),
        ("etc/letsencrypt/live/shop.example/privkey.pem", ""),
        (
            "etc/apache2/sites-enabled/node.conf",
            "<VirtualHost *:80>\n ServerName node.example\n ProxyPreserveHost On\n ProxyPass /.well-known !\n ProxyPass /socket ws://127.0.0.1:3000/socket\n ProxyPass / http://127.0.0.1:3000/\n ProxyPassReverse / http://127.0.0.1:3000/\n</VirtualHost>\n<VirtualHost [::]:80 1.2.3.4:80>\n ServerName loc.example:80\n <Location />\n  ProxyPass http://localhost:3001/ timeout=5\n </Location>\n <Directory /srv/x>\n  AllowOverride All\n </Directory>\n</VirtualHost>\n",
        ),
    ];
    assert_eq!(
        told(&files),
        "apache/_@*:80 listen=*:80 docroot=/var/www/html php=module access=/var/log/apache2/access.log \
         error=/var/log/apache2/error.log\n\
         apache/node.example listen=*:80 proxy=http://127.0.0.1:3000/ error=/var/log/apache2/error.log\n\
         apache/loc.example listen=[::]:80,1.2.3.4:80 proxy=http://localhost:3001/ error=/var/log/apache2/error.log\n\
         apache/shop.example names=www.shop.example listen=*:443,*:80 docroot=/var/www/shop tls=yes \
         certificates=/etc/letsencrypt/live/shop.example/fullchain.pem+/etc/letsencrypt/live/shop.example/privkey.pem \
         php=module access=/var/log/apache2/shop.log error=/var/log/apache2/shop-error.log\n"
    );
}

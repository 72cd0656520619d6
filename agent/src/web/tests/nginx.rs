use super::{Scene, print, told};

const MAIN: &str = "user www-data;
include /etc/nginx/modules-enabled/*.conf;
events { worker_connections 768; }
http {
    access_log /var/log/nginx/access.log;
    log_format odd '$remote_addr { ; }';
    include /etc/nginx/conf.d/*.conf;
    include sites-enabled/*;
    error_log /var/log/nginx/error.log;
}
";

fn site(text: &str) -> String {
    told(&[("etc/nginx/nginx.conf", MAIN), ("etc/nginx/sites-enabled/a", text)])
}

#[test]
fn a_site_of_debian_is_told_with_what_it_inherits() {
    let files = [
        ("etc/nginx/nginx.conf", MAIN),
        ("etc/nginx/modules-enabled/50-mod-http-gzip.conf", "load_module modules/ngx_http_gzip_module.so;"),
        (
            "etc/nginx/sites-enabled/shop",
            "server {
    listen 80 default_server;
    listen [::]:443 ssl http2;
    server_name shop.example www.shop.example;
    root /var/www/shop/public;
    ssl_certificate /etc/ssl/rsa.pem; ssl_certificate_key /etc/ssl/rsa.key;
    ssl_certificate /etc/ssl/ec.pem;
    ssl_certificate_key /etc/ssl/ec.key;
    location / { try_files $uri /index.php$is_args$args; }
    location ~ \\.php$ {
        include snippets/fastcgi-php.conf;
        fastcgi_pass unix:/run/php/php8.2-fpm.sock;
    }
    location /static/ { root /srv/static; access_log off; }
}
",
        ),
        ("etc/nginx/snippets/fastcgi-php.conf", "fastcgi_index index.php;\n"),
        ("etc/ssl/rsa.pem", ""),
        ("etc/ssl/rsa.key", ""),
        ("etc/ssl/ec.pem", ""),
        ("etc/ssl/ec.key", ""),
    ];
    let scene = Scene::of(&files);
    let web = scene.read();
    assert_eq!(
        print(&web),
        "nginx/shop.example names=www.shop.example listen=*:80 default_server,[::]:443 ssl docroot=/var/www/shop/public \
         other=/srv/static tls=yes certificates=/etc/ssl/rsa.pem+/etc/ssl/rsa.key,/etc/ssl/ec.pem+/etc/ssl/ec.key \
         php=fpm:/run/php/php8.2-fpm.sock access=/var/log/nginx/access.log error=/var/log/nginx/error.log\n"
    );
    assert_eq!(web.servers[0].modules, ["ngx_http_gzip_module"]);
    assert!(web.servers[0].changed.is_some() && web.is_current(&scene.host));
    scene.write("/etc/nginx/sites-enabled/new", b"server { server_name new.example; }");
    assert!(!web.is_current(&scene.host));
}

#[test]
fn a_server_that_only_redirects_is_one_site_with_its_encrypted_half() {
    let redirect = "server { listen 80; server_name a.example www.a.example;
        if ($host = a.example) { return 301 https://$host$request_uri; } return 404; }";
    let encrypted = "server { listen 443 ssl; server_name a.example; root /srv/a; access_log /var/log/a.log;
        ssl_certificate data:$cert; }";
    let told = site(&format!("{redirect}\n{encrypted}"));
    assert_eq!(
        told,
        "nginx/a.example names=www.a.example listen=*:80,*:443 ssl docroot=/srv/a tls=yes \
         access=/var/log/a.log,/var/log/nginx/access.log error=/var/log/nginx/error.log \
         certificates?=it depends on the variable $cert\n"
    );
}

#[test]
fn upstreams_and_variables_with_one_value_are_replaced_and_others_are_unknown() {
    let text = "upstream fastcgi_backend { server unix:/run/php-fpm/www.sock; }
upstream app { server 127.0.0.1:3000 weight=2; server 10.0.0.2:3000; server 10.0.0.3:3000 backup; }
server { server_name m.example; set $MAGE_ROOT /srv/magento; root $MAGE_ROOT/pub;
  location ~ \\.php$ { fastcgi_pass fastcgi_backend; } }
server { server_name app.example; location / { proxy_pass http://app/base?token=1; } }
server { server_name v.example; root /srv/$host/www; location ~ \\.php$ { fastcgi_pass $pool; } }
map $host $pool { default unix:/run/a.sock; }
server { server_name two.example; set $x /a; if ($uri) { set $x /b; } root $x; }
";
    let inherited = " access=/var/log/nginx/access.log error=/var/log/nginx/error.log";
    assert_eq!(
        site(text),
        format!(
            "nginx/m.example listen=*:80 docroot=/srv/magento/pub php=fpm:/run/php-fpm/www.sock{inherited}\n\
             nginx/app.example listen=*:80 proxy=http://127.0.0.1:3000 http://10.0.0.2:3000{inherited}\n\
             nginx/v.example listen=*:80{inherited} docroot?=it depends on the variable $host \
             php?=it depends on the variable $pool\n\
             nginx/two.example listen=*:80{inherited} docroot?=it depends on the variable $x\n"
        )
    );
}

#[test]
fn what_cannot_work_is_a_fault() {
    let text =
        "server { server_name a.example; listen 443 ssl; ssl_certificate gone.pem; include gone.conf; root /srv/a;\n";
    let told = site(text);
    assert!(told.starts_with("nginx/a.example listen=*:443 ssl docroot=/srv/a "), "{told}");
    for fault in [
        "fault nginx: /etc/nginx/sites-enabled/a: includes /etc/nginx/gone.conf, which is missing\n",
        "fault nginx: /etc/nginx/sites-enabled/a: a block is not closed\n",
        "fault nginx: /etc/nginx/sites-enabled/a: the certificate /etc/nginx/gone.pem is missing\n",
    ] {
        assert!(told.contains(fault), "{told}");
    }
}

#[test]
fn servers_of_other_protocols_are_no_sites() {
    let main = "stream { upstream a { server b:1; } server { listen 1; proxy_pass a; } } http { server { listen unix:/run/n.sock; } }";
    assert_eq!(told(&[("etc/nginx/nginx.conf", main)]), "nginx/_@unix:/run/n.sock listen=unix:/run/n.sock\n");
}

//! What web servers and panels are configured with.

use super::{Target, made, text};

pub const TARGETS: &[Target] = &[
    Target {
        name: "nginx",
        run: |bytes| {
            use plumb_agent::web::nginx;
            made((nginx::tokens(&text(bytes)).count(), nginx::parse(&text(bytes))));
        },
        seeds: &[
            b"load_module modules/x.so;\nhttp {\n access_log /var/log/nginx/access.log;\n server {\n  listen 80 default_server;\n  listen [::]:443 ssl http2;\n  server_name shop.example www.shop.example;\n  root /var/www/shop;\n  ssl_certificate /etc/ssl/a.pem; ssl_certificate_key /etc/ssl/a.key;\n  location ~ \\.php$ { fastcgi_pass unix:/run/php.sock; }\n  location /static/ { root /srv/static; access_log off; }\n }\n}\n",
            b"upstream b { server 10.0.0.1:80; server unix:/run/b.sock backup; }\nserver { set $r /srv/${x}; root $r; location / { proxy_pass http://b/; if ($a) { return 301 /; } } }",
            b"server { content_by_lua_block { if a then b({}) end } error_log \"/a b\" crit; # x\n log_format odd '$remote_addr { ; }'; include *.conf; }",
        ],
    },
    Target {
        name: "apache",
        run: |bytes| {
            use plumb_agent::web::apache;
            let text = text(bytes);
            made((apache::parse(&text), text.lines().map(apache::words).count()));
        },
        seeds: &[
            b"ServerRoot /etc/httpd\nListen 80\nLoadModule ssl_module modules/mod_ssl.so\nDefine LOGS /var/log/apache2\n<VirtualHost *:80 [::]:80>\n ServerName https://shop.example:443\n ServerAlias www.shop.example\n DocumentRoot \"/var/www/shop\"\n CustomLog ${LOGS}/shop.log combined\n SSLEngine on\n SSLCertificateFile /etc/ssl/shop.pem\n</VirtualHost>\n",
            b"<IfModule !mod_php8.c>\n<FilesMatch \".+\\.ph(?:ar|p)$\">\n SetHandler \"proxy:unix:/run/php.sock|fcgi://localhost\"\n</FilesMatch>\n</IfModule>\n<Proxy balancer://b>\n BalancerMember http://10.0.0.1\n</Proxy>\n<VirtualHost _default_:443>\n ProxyPass / balancer://b/ \\\n  retry=0\n RewriteRule ^ http://x/ [P,L]\n</VirtualHost>\n",
            b"<IfDefine !X>\n<If \"%{HTTP_HOST} == 'a'\">\nUndefine X\nAction a /b\nAddHandler a .php\nUse M x\n</If>\n</IfDefine>\n<IfVersion >= 2.4>\nRedirect / https://a/\n</IfVersion>",
        ],
    },
    Target {
        name: "caddy",
        run: |bytes| {
            use plumb_agent::web::caddy;
            made((caddy::lines(&text(bytes)).count(), caddy::parse(&text(bytes))));
        },
        seeds: &[
            b"{\n\temail a@example.com\n}\n(common) {\n\tlog {\n\t\toutput file /var/log/caddy/access.log {\n\t\t\troll_size 10mb\n\t\t}\n\t}\n}\nimport sites/*.caddy\nshop.example, www.shop.example {\n\timport common\n\troot * /srv/shop/public\n\tphp_fastcgi unix//run/php.sock\n}\n",
            b"http://plain.example:8080 {\n\thandle /api/* {\n\t\treverse_proxy 127.0.0.1:3000 {\n\t\t\tto b\n\t\t}\n\t}\n}\nenv.example {\n\troot * {$ROOT}\n\ttls /a.pem \"/b \\\" c\"\n\trespond <<END\n } {\n END\n}\n",
            b"(a) {\nimport b\nimport b\n}\n(b) {\nimport a\n}\nx.example {\nimport a\n}\ny.example {\nroot * /srv/y\n",
            b"localhost:2015\nroot * /srv/one\nfile_server\n",
        ],
    },
    Target {
        name: "litespeed",
        run: |bytes| {
            use plumb_agent::web::litespeed;
            made((litespeed::parse(&text(bytes)), litespeed::apache_of(&text(bytes))));
        },
        seeds: &[
            b"serverName web\nlistener SSL {\n  address                 *:443\n  secure                  1\n  map                     shop shop.example\n}\nvirtualHost shop {\n  vhRoot /home/$VH_NAME\n  rules <<<END\n}\nEND\n  d {\n  }\n}\n",
            b"<httpServerConfig><loadApacheConf>1</loadApacheConf><apacheConfFile>/etc/apache2/conf/httpd.conf</apacheConfFile>",
        ],
    },
    Target {
        name: "cpanel-domains",
        run: |bytes| made(plumb_agent::web::panel::parse_domains(&text(bytes))),
        seeds: &[
            b"shop.example: shopacct==root==main==shop.example==/home/shopacct/public_html==192.0.2.1:80==192.0.2.1:443====0==ea-php81\n",
        ],
    },
];

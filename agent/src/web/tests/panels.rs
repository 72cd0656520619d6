use super::told;

#[test]
fn sites_of_cpanel_belong_to_the_accounts_of_its_list() {
    let vhost = |port: &str, more: &str| {
        format!(
            "<VirtualHost 192.0.2.1:{port}>
  ServerName shop.example
  ServerAlias mail.shop.example www.shop.example
  DocumentRoot /home/shopacct/public_html
  <IfModule suphp_module>
    suPHP_UserGroup shopacct shopacct
  </IfModule>
  {more}
  <IfModule proxy_fcgi_module>
    <FilesMatch \\.(phtml|php[0-9]*)$>
      SetHandler proxy:unix:/opt/cpanel/ea-php81/root/usr/var/run/php-fpm/0a1b.sock|fcgi://shop.example
    </FilesMatch>
  </IfModule>
</VirtualHost>
"
        )
    };
    let main = format!(
        "LoadModule proxy_fcgi_module modules/mod_proxy_fcgi.so\nLoadModule ssl_module modules/mod_ssl.so\n\
         DocumentRoot \"/etc/apache2/htdocs\"\nServerRoot \"/etc/apache2\"\nListen 0.0.0.0:80\n{}{}",
        vhost("80", ""),
        vhost(
            "443",
            "<IfModule ssl_module>\n  SSLEngine on\n  SSLCertificateFile /var/cpanel/ssl/apache_tls/shop.example/combined\n  </IfModule>"
        )
    );
    let told = told(&[
        ("etc/apache2/conf/httpd.conf", &main),
        ("var/cpanel/ssl/apache_tls/shop.example/combined", ""),
        (
            "etc/userdatadomains",
            "shop.example: shopacct==root==main==shop.example==/home/shopacct/public_html==192.0.2.1:80==192.0.2.1:443====0==ea-php81\n",
        ),
    ]);
    assert_eq!(
        told,
        "apache/shop.example names=mail.shop.example,www.shop.example listen=192.0.2.1:80,192.0.2.1:443 \
         docroot=/home/shopacct/public_html tls=yes certificates=/var/cpanel/ssl/apache_tls/shop.example/combined \
         php=fpm:/opt/cpanel/ea-php81/root/usr/var/run/php-fpm/0a1b.sock panel=cpanel account=shopacct\n\
         apache/_@0.0.0.0:80 listen=0.0.0.0:80 docroot=/etc/apache2/htdocs\n"
    );
}

#[test]
fn sites_of_plesk_are_found_through_its_includes() {
    let nginx = "http { include /etc/nginx/conf.d/*.conf; }";
    let vhost = "#ATTENTION!
server {
	listen 192.0.2.1:443 ssl;
	http2 on;
	server_name shop.example;
	server_name www.shop.example;
	ssl_certificate             /usr/local/psa/var/certificates/scfAb1;
	ssl_certificate_key         /usr/local/psa/var/certificates/scfAb1;
	root \"/var/www/vhosts/shop.example/httpdocs\";
	access_log \"/var/www/vhosts/system/shop.example/logs/proxy_access_ssl_log\";
	location / { proxy_pass \"https://192.0.2.1:7081\"; }
}
";
    let apache = "ServerRoot /etc/apache2\nInclude /etc/apache2/plesk.conf.d/vhosts/*.conf\n";
    let apache_vhost = "<IfModule mod_ssl.c>
<VirtualHost 192.0.2.1:7081 127.0.0.1:7081>
  ServerName \"shop.example:443\"
  SuexecUserGroup \"shop_user\" \"psacln\"
  DocumentRoot \"/var/www/vhosts/shop.example/httpdocs\"
  CustomLog \"/var/www/vhosts/system/shop.example/logs/access_ssl_log\" plesklog
  SSLEngine on
  SSLCertificateFile /usr/local/psa/var/certificates/scfAb1
  <Directory \"/var/www/vhosts/shop.example/httpdocs\">
    <IfModule mod_proxy_fcgi.c>
      <Files ~ (\\.php$)>
        SetHandler proxy:unix:///var/www/vhosts/system/shop.example/php-fpm.sock|fcgi://127.0.0.1:9000
      </Files>
    </IfModule>
  </Directory>
</VirtualHost>
</IfModule>
";
    let told = told(&[
        ("etc/nginx/nginx.conf", nginx),
        ("etc/nginx/conf.d/zz010_psa_nginx.conf", "include \"/etc/nginx/plesk.conf.d/vhosts/*.conf\";"),
        ("etc/nginx/plesk.conf.d/vhosts/shop.example.conf", vhost),
        ("etc/apache2/apache2.conf", apache),
        ("etc/apache2/plesk.conf.d/vhosts/shop.example.conf", apache_vhost),
        ("usr/local/psa/var/certificates/scfAb1", ""),
    ]);
    assert_eq!(
        told,
        "nginx/shop.example names=www.shop.example listen=192.0.2.1:443 ssl docroot=/var/www/vhosts/shop.example/httpdocs \
         tls=yes certificates=/usr/local/psa/var/certificates/scfAb1+/usr/local/psa/var/certificates/scfAb1 \
         proxy=https://192.0.2.1:7081 access=/var/www/vhosts/system/shop.example/logs/proxy_access_ssl_log panel=plesk\n\
         apache/shop.example listen=192.0.2.1:7081,127.0.0.1:7081 docroot=/var/www/vhosts/shop.example/httpdocs tls=yes \
         certificates=/usr/local/psa/var/certificates/scfAb1 php=fpm:/var/www/vhosts/system/shop.example/php-fpm.sock \
         access=/var/www/vhosts/system/shop.example/logs/access_ssl_log panel=plesk account=shop_user\n"
    );
}

#[test]
fn accounts_of_other_panels_stand_in_paths() {
    let site = |root: &str| format!("server {{ server_name x{}.example; root {root}; }}\n", root.len());
    for (config, root, mark, expected) in [
        (
            "usr/local/directadmin/data/users/ann/nginx.conf",
            "/home/ann/domains/a.example/public_html",
            "",
            "directadmin account=ann",
        ),
        ("home/bob/conf/web/b.example/nginx.conf", "/home/bob/web/b.example/public_html", "", "hestiacp account=bob"),
        (
            "etc/nginx/sites-enabled/c.vhost",
            "/var/www/clients/client1/web7/web",
            "usr/local/ispconfig/x",
            "ispconfig account=web7",
        ),
        ("etc/nginx/sites-enabled/d.conf", "/home/dan/htdocs/d.example", "home/clp/x", "cloudpanel account=dan"),
        ("etc/nginx/sites-enabled/e.conf", "/home/eve/webapps/e", "etc/nginx-rc/x", "runcloud account=eve"),
        ("etc/nginx/sites-enabled/f.conf", "/srv/users/fay/apps/f/public", "", "serverpilot account=fay"),
    ] {
        let main = format!("http {{ include /{config}; }}");
        let text = site(root);
        let told = told(
            &[("etc/nginx/nginx.conf", main.as_str()), (config, text.as_str()), (mark.trim_start_matches('/'), "")]
                .into_iter()
                .filter(|(path, _)| !path.is_empty())
                .collect::<Vec<_>>(),
        );
        assert!(told.ends_with(&format!("docroot={root} panel={expected}\n")), "{told}");
    }
    let none = told(&[("etc/nginx/nginx.conf", "http { server { root /home/someone/web/x; } }")]);
    assert_eq!(none, "nginx/_@*:80 listen=*:80 docroot=/home/someone/web/x\n");
}

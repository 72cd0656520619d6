use super::{Scene, print};

#[test]
fn sites_of_openlitespeed_are_told_with_listeners_and_handlers() {
    let main = "serverName web
errorlog logs/error.log {
        logLevel             DEBUG
}
extprocessor lsphp {
  type                    lsapi
  address                 uds://tmp/lshttpd/lsphp.sock
  path                    lsphp83/bin/lsphp
}
scripthandler  {
  add                     lsapi:lsphp  php
}
listener Default {
  address                 *:80
  secure                  0
  map                     shop shop.example, www.shop.example
}
listener SSL {
  address                 *:443
  secure                  1
  map                     shop shop.example
}
virtualHost shop {
  vhRoot                  /home/$VH_NAME
  configFile              $SERVER_ROOT/conf/vhosts/$VH_NAME/vhost.conf
}
virtualHost old {
  vhRoot                  Example/
  configFile              conf/vhosts/old/vhconf.conf
}
";
    let vhost = "docRoot                   $VH_ROOT/public_html
vhDomain                  $VH_NAME.example
accesslog $VH_ROOT/logs/$VH_NAME.access_log {
  useServer               0
}
extprocessor shop81 {
  type                    lsapi
  address                 UDS://tmp/lshttpd/shop81.sock
  path                    /usr/local/lsws/lsphp81/bin/lsphp
}
scripthandler  {
  add                     lsapi:shop81 php
}
vhssl  {
  keyFile                 /etc/ssl/shop.key
  certFile                /etc/ssl/shop.pem
}
rewrite  {
  rules                   <<<END_rules
RewriteRule ^(.*)$ https://%{SERVER_NAME}/$1 {
  END_rules
}
";
    assert_eq!(
        super::told(&[
            ("usr/local/lsws/conf/httpd_config.conf", main),
            ("usr/local/lsws/conf/vhosts/shop/vhost.conf", vhost),
            ("usr/local/lsws/conf/vhosts/old/vhconf.conf", "docRoot html\nvhDomain old.example\n"),
        ]),
        "litespeed/shop.example names=www.shop.example listen=*:80,*:443 ssl docroot=/home/shop/public_html tls=yes \
         certificates=/etc/ssl/shop.pem+/etc/ssl/shop.key php=lsapi:/usr/local/lsws/lsphp81/bin/lsphp \
         access=/home/shop/logs/shop.access_log error=/usr/local/lsws/logs/error.log\n\
         litespeed/old.example docroot=/usr/local/lsws/html php=lsapi:lsphp83/bin/lsphp \
         error=/usr/local/lsws/logs/error.log\n\
         fault litespeed: /usr/local/lsws/conf/vhosts/shop/vhost.conf: the certificate /etc/ssl/shop.pem is missing\n"
    );
}

#[test]
fn litespeed_enterprise_serves_what_apache_is_configured_for() {
    let xml = "<?xml version=\"1.0\"?>\n<httpServerConfig>\n<loadApacheConf>1</loadApacheConf>\n\
               <apacheConfFile>/etc/apache2/conf/httpd.conf</apacheConfFile>\n</httpServerConfig>\n";
    let scene = Scene::of(&[
        ("usr/local/lsws/conf/httpd_config.xml", xml),
        (
            "etc/apache2/conf/httpd.conf",
            "<VirtualHost *:80>\nServerName a.example\nDocumentRoot /srv/a\n<FilesMatch \\.php$>\nSetHandler application/x-httpd-ea-php81\n</FilesMatch>\n</VirtualHost>\n",
        ),
    ]);
    let line = "litespeed/a.example listen=*:80 docroot=/srv/a php=lsapi:application/x-httpd-ea-php81\n";
    // As long as nobody knows what runs, it may be either of them.
    let told = print(&scene.read());
    assert!(told.contains(line) && told.contains("apache/a.example listen=*:80 docroot=/srv/a "), "{told}");
    scene.write("/proc/1/comm", b"init\n");
    assert_eq!(print(&scene.read()), line);
}

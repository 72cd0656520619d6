use super::{Scene, print, told};

#[test]
fn sites_of_a_caddyfile_are_told_with_snippets_and_files() {
    let main = "{
	email admin@example.com
}
(common) {
	encode gzip
	log {
		output file /var/log/caddy/access.log {
			roll_size 10mb
		}
	}
}
import sites/*.caddy
shop.example, www.shop.example {
	import common
	root * /srv/shop/public
	php_fastcgi unix//run/php/php8.3-fpm.sock
	file_server
}
http://plain.example:8080 {
	reverse_proxy /api/* 127.0.0.1:3000 {
		header_up Host {host}
	}
}
env.example {
	root * {$ROOT}
	tls /etc/ssl/env.pem /etc/ssl/env.key
}
";
    let certificate = "var/lib/caddy/.local/share/caddy/certificates/acme-v02.api.letsencrypt.org-directory/shop.example/shop.example.crt";
    let told = told(&[
        ("etc/caddy/Caddyfile", main),
        ("etc/caddy/sites/a.caddy", ":80 {\n\tredir https://{host}{uri}\n}\n"),
        (certificate, ""),
        ("etc/ssl/env.pem", ""),
    ]);
    assert_eq!(
        told,
        format!(
            "caddy/_@*:80 listen=*:80\n\
             caddy/shop.example names=www.shop.example listen=*:443 docroot=/srv/shop/public tls=yes \
             certificates=/{certificate}+/{} php=fpm:/run/php/php8.3-fpm.sock access=/var/log/caddy/access.log\n\
             caddy/plain.example listen=*:8080 proxy=127.0.0.1:3000\n\
             caddy/env.example listen=*:443 tls=yes certificates=/etc/ssl/env.pem+/etc/ssl/env.key \
             docroot?=it depends on the environment\n\
             fault caddy: /etc/caddy/Caddyfile: the key /etc/ssl/env.key is missing\n",
            certificate.replace(".crt", ".key")
        )
    );
}

#[test]
fn a_caddyfile_may_be_one_site_without_braces_and_json_is_a_problem() {
    assert_eq!(
        told(&[("etc/caddy/Caddyfile", "localhost:2015\nroot * /srv/one\nfile_server\n")]),
        "caddy/localhost listen=*:2015 docroot=/srv/one tls=yes\n"
    );
    let problem = "problem /etc/caddy/caddy.json: configuration of Caddy in JSON is not read\n";
    assert_eq!(told(&[("etc/caddy/caddy.json", "{}")]), problem);
}

#[test]
fn snippets_that_import_each_other_come_to_an_end() {
    let scene = Scene::of(&[(
        "etc/caddy/Caddyfile",
        "(a) {\nimport b\nimport b\n}\n(b) {\nimport a\nimport a\n}\nx.example {\nimport a\n}\ny.example {\nroot * /srv/y\n",
    )]);
    let told = print(&scene.read());
    assert!(told.contains("caddy/y.example listen=*:443 docroot=/srv/y tls=yes\n"), "{told}");
    assert!(told.contains("fault caddy: /etc/caddy/Caddyfile: a block is not closed\n"), "{told}");
}

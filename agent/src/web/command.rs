//! What the command line of a running web server says.

use std::path::Path;

/// Files of programs, and their product.
const PROGRAMS: [(&str, &str); 11] = [
    ("nginx", "nginx"),
    ("nginx-rc", "nginx"),
    ("nginx-sp", "nginx"),
    ("openresty", "nginx"),
    ("apache2", "apache"),
    ("apache2-rc", "apache"),
    ("httpd", "apache"),
    ("httpd-prefork", "apache"),
    ("caddy", "caddy"),
    ("litespeed", "litespeed"),
    ("openlitespeed", "litespeed"),
];

/// The product whose program goes by that name.
#[must_use]
pub fn product(program: &Path) -> Option<&'static str> {
    let name = program.file_name()?;
    PROGRAMS.iter().find(|(each, _)| name == *each).map(|(_, product)| *product)
}

/// nginx puts `nginx: master process /usr/sbin/nginx -c /x` in the place of its words, as one of them.
pub(super) fn split(words: &[Vec<u8>]) -> Vec<Vec<u8>> {
    match words {
        [title] if title.starts_with(b"nginx: master process ") => {
            let words = title.split(|byte| *byte == b' ').skip(3).map(<[u8]>::to_vec);
            words.filter(|word| !word.is_empty()).collect()
        }
        other => other.to_vec(),
    }
}

/// The main file of a command line, and the names that it defines.
pub(super) fn arguments(product: &str, words: &[Vec<u8>]) -> (Option<Vec<u8>>, Vec<String>) {
    let option: &[u8] = match product {
        "nginx" => b"-c",
        "apache" => b"-f",
        "caddy" => b"--config",
        _ => return (None, Vec::new()),
    };
    let (mut config, mut defines) = (None, Vec::new());
    let mut rest = words.iter().skip(1);
    while let Some(word) = rest.next() {
        if word == option {
            config = rest.next().cloned();
        } else if let Some(value) = word.strip_prefix(option).filter(|_| product != "caddy") {
            config = Some(value.to_vec());
        } else if product == "apache" && word == b"-D" {
            defines.extend(rest.next().map(|name| String::from_utf8_lossy(name).into_owned()));
        } else if let Some(name) = word.strip_prefix(b"-D").filter(|_| product == "apache") {
            defines.push(String::from_utf8_lossy(name).into_owned());
        }
    }
    (config, defines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_tells_the_main_file_and_what_is_defined() {
        let told = |product: &str, line: &str| {
            let words: Vec<Vec<u8>> = line.split('|').map(|word| word.as_bytes().to_vec()).collect();
            let (config, defines) = arguments(product, &split(&words));
            format!("{:?} {defines:?}", config.map(|config| String::from_utf8(config).unwrap()))
        };
        assert_eq!(told("nginx", "nginx: master process /usr/sbin/nginx -c /srv/n.conf"), "Some(\"/srv/n.conf\") []");
        assert_eq!(told("nginx", "nginx: worker process"), "None []");
        assert_eq!(told("nginx", "nginx|-c/srv/n.conf"), "Some(\"/srv/n.conf\") []");
        let apache = "/usr/sbin/httpd|-D|SSL|-DFOREGROUND|-f|conf/a.conf|-k|start";
        assert_eq!(told("apache", apache), "Some(\"conf/a.conf\") [\"SSL\", \"FOREGROUND\"]");
        assert_eq!(told("caddy", "/usr/bin/caddy|run|--config|/srv/Caddyfile"), "Some(\"/srv/Caddyfile\") []");
    }
}

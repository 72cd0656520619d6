use super::*;
use crate::watcher::testing::Stage;
use crate::watchers::logs::SPEC;
use crate::watchers::logs::glob::Seen;

/// What is found: path, what, site, and how many formats.
fn found(stage: &Stage) -> Vec<String> {
    let mut seen = Seen::default();
    let mut conf = Conf::new(stage.host(), &mut seen);
    read(&mut conf, Path::new("/etc/nginx/nginx.conf"));
    let problems =
        conf.problems.iter().map(|(path, what)| format!("problem {}: {what}", path.display())).collect::<Vec<_>>();
    let sources = conf.named.into_sources().map(|(path, source)| {
        format!("{path} {} {} {}", source.what.as_str(), source.site.unwrap_or("-".into()), source.formats.len())
    });
    sources.chain(problems).collect()
}

fn stage() -> Stage {
    crate::watcher::testing::stage(&SPEC)
}

#[test]
fn sites_and_their_logs_are_found_through_includes() {
    let stage = stage()
        .file(
            "/etc/nginx/nginx.conf",
            r#"
            error_log /var/log/nginx/main.log warn; # the master's
            events { worker_connections 512; }
            http {
                log_format timed '$remote_addr - $remote_user [$time_local] "$request" '
                                 '$status $body_bytes_sent $request_time';
                access_log /var/log/nginx/access.log;
                error_log /var/log/nginx/error.log;
                include sites-enabled/*;
            }"#,
        )
        .file(
            "/etc/nginx/sites-enabled/shop",
            r#"server { listen 80; access_log /var/log/nginx/shop.log timed buffer=16k;
               location /x { if ($a ~ "}") { access_log off; } access_log /var/log/nginx/x.log timed; }
               server_name Shop.Example www.shop.example; }
               server { listen 443 ssl; server_name shop.example; access_log /var/log/nginx/shop.log timed; error_log /srv/shop/error.log; }"#,
        )
        .file("/etc/nginx/sites-enabled/default", "server { server_name _; root /var/www; }");
    assert_eq!(
        found(&stage),
        [
            "/srv/shop/error.log nginx-error shop.example 0",
            "/var/log/nginx/access.log nginx-access - 1",
            "/var/log/nginx/error.log nginx-error - 0",
            "/var/log/nginx/main.log nginx-error - 0",
            "/var/log/nginx/shop.log nginx-access shop.example 1",
            "/var/log/nginx/x.log nginx-access shop.example 1",
        ]
    );
}

#[test]
fn what_cannot_be_followed_is_no_source_and_what_is_not_understood_is_unknown() {
    let stage = stage().file(
        "/etc/nginx/nginx.conf",
        r#"http { server { server_name a.example;
            access_log syslog:server=unix:/dev/log; access_log /var/log/$host.log; access_log /var/log/z.gz combined gzip;
            access_log /var/log/odd.log nowhere; access_log logs/here.log; error_log stderr; error_log memory:32m;
            content_by_lua_block { if x then return "{}" end } } }
          stream { access_log /var/log/stream.log basic; server { access_log /var/log/s2.log basic; } }
          } include nowhere.conf; include [ab].conf;"#,
    );
    assert_eq!(
        found(&stage),
        [
            "/usr/share/nginx/logs/here.log nginx-access a.example 1",
            "/var/log/odd.log nginx-access a.example 0",
            "problem /etc/nginx/nginx.conf: a block is closed that was not opened",
            "problem /etc/nginx/[ab].conf: a pattern of another kind than * and ?",
        ]
    );
}

#[test]
fn an_include_that_includes_itself_ends() {
    let stage = stage().file("/etc/nginx/nginx.conf", "include /etc/nginx/nginx.conf;\nerror_log /var/log/e.log;");
    let all = found(&stage);
    assert_eq!(all.first().map(String::as_str), Some("/var/log/e.log nginx-error - 0"));
    assert!(all[1].contains("more configuration is included than is read"), "{all:?}");
}

#[test]
fn a_configuration_without_measure_is_read_to_a_bound_and_is_a_problem() {
    let logs: String = (0..30_000).map(|number| format!("access_log /a{number};\n")).collect();
    let format = format!("log_format f '$status {}';\n", "x".repeat(200));
    let servers = "server { server_name a.example; access_log /b f; }\n".repeat(100);
    for (text, problem) in [
        (logs.clone(), "more logs are configured than are looked at"),
        (format!("server {{ {logs} }}"), "more logs are configured than are looked at"),
        ("server { }\n".repeat(30_000), "more logs are configured than are looked at"),
        (format!("http {{ {} {servers} }}", &logs[..10_000]), "more logs are named outside of every site"),
        ("{".repeat(1 << 20), "more blocks lie in each other than are looked at"),
        ("include /etc/*/*;\n".repeat(2_000), "more configuration is included than is read"),
    ] {
        let stage = stage().file("/etc/nginx/nginx.conf", format!("{format}{text}"));
        let began = std::time::Instant::now();
        let all = found(&stage);
        assert!(all.iter().any(|line| line.contains(problem)), "{problem}");
        assert!(all.len() < 20_000 && began.elapsed() < std::time::Duration::from_secs(10), "{problem}");
    }
    // Many small things are nothing.
    let stage = stage().file("/etc/nginx/nginx.conf", format!("{}error_log /e;", ";".repeat(4 << 20)));
    assert_eq!(found(&stage), ["/e nginx-error - 0"]);
}

#[test]
fn patterns_that_stand_for_too_much_are_a_problem() {
    let mut stage = stage().file("/etc/nginx/nginx.conf", "include /many/*/*/x;\n".repeat(100));
    for number in 0..600 {
        stage = stage.folder(&format!("/many/{number}/a"));
    }
    let all = found(&stage);
    assert!(all[0].contains("patterns stand for more than is looked at"), "{all:?}");
}

#[test]
fn cut_and_wild_texts_end_well() {
    for text in ["", "a", "'", "\"\\", "{{{{", "}}}}", "${", "a ${b", "x_by_lua_block {", "# no end", "\\", "server {"]
    {
        let _ = tokens(text).count();
        let stage = stage().file("/etc/nginx/nginx.conf", text);
        assert!(!found(&stage).iter().any(|line| line.contains("access")));
    }
    assert_eq!(tokens("a ${b}c;").count(), 3);
}

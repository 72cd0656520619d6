use super::*;

fn parse(text: &str) -> Result<Config, Vec<String>> {
    Config::parse(Path::new("collector.toml"), text).map_err(|mistakes| mistakes.0)
}

#[test]
fn the_sample_is_the_defaults() {
    let (empty, sample) = (parse("").unwrap(), parse(SAMPLE).unwrap());
    assert_eq!((empty.ingest, empty.enroll, empty.health), (sample.ingest, sample.enroll, sample.health));
    assert_eq!(empty.ingest.port(), 7443);
    assert_eq!(empty.health.to_string(), "127.0.0.1:7480");
    assert_eq!(empty.silent_after, Duration::from_secs(120));
    assert_eq!(empty.repeat_after, Duration::from_secs(86_400));
    assert_eq!(empty.pace.give_up_after, Duration::from_secs(7 * 86_400));
    assert!(empty.receivers.is_empty() && empty.routes.0.is_empty() && empty.advertise.is_none());
}

#[test]
fn what_the_sample_shows_behind_a_hash_is_understood_too() {
    // Its files are not there, and it shows both ways to give an address.
    let text = uncommented();
    let keep = |line: &&str| !line.contains("_file =");
    let config = parse(&text.lines().filter(keep).collect::<Vec<_>>().join("\n")).unwrap();
    assert_eq!(config.advertise.as_deref(), Some("plumb.example.org"));
    assert_eq!((config.receivers[0].rate, config.receivers[0].burst), (Duration::from_secs(10), 5));
    assert_eq!(config.routes.0[0].receiver, "ops");
}

#[test]
fn a_receiver_that_says_little_stands_at_the_defaults_that_the_sample_shows() {
    let config = parse("[[receiver]]\nname = \"a\"\ntype = \"webhook\"\nurl = \"https://example.org/x\"\n").unwrap();
    assert_eq!((config.receivers[0].rate, config.receivers[0].burst), (Duration::from_secs(10), 5));
    let ReceiverKind::Webhook(webhook) = &config.receivers[0].kind;
    assert!(!webhook.allow_http && !webhook.allow_private && webhook.ca_file.is_none() && webhook.bearer.is_none());
}

#[test]
fn every_mistake_is_told_at_once_with_its_line_and_the_nearest_key() {
    let text = "state-dir = \"/srv\"\nsocket = 7\n\n[listen]\ningest = \"7443\"\nenrol = \"x\"\n\n[drift]\n\
        silent_after = \"soon\"\n\n[[receiver]]\nname = \"ops\"\ntype = \"pager\"\n\n[[route]]\nreceiver = \"opps\"\n";
    assert_eq!(
        parse(text).err().unwrap(),
        [
            "collector.toml:1: unknown key `state-dir`, did you mean `state_dir`?",
            "collector.toml:2: socket: expected a text, found an integer",
            "collector.toml:5: ingest: expected an address and port such as \"0.0.0.0:7443\", found \"7443\"",
            "collector.toml:6: unknown key `enrol` in [listen], did you mean `enroll`?",
            "collector.toml:9: silent_after: expected a time span such as \"30s\", \"10m\" or \"7d\", found \"soon\"",
            "collector.toml:11: [[receiver]] needs either `url` or `url_file`",
            "collector.toml:13: type: there is no receiver of type \"pager\"; known: webhook",
            "collector.toml:16: receiver: there is no receiver \"opps\"",
        ]
    );
}

#[test]
fn what_hosts_cannot_connect_to_is_told_with_its_line() {
    let expected =
        "collector.toml:2: advertise: expected a host name or an IP address, without scheme and port, found ";
    let told = |name: &str| parse(&format!("\nadvertise = {name:?}\n")).map(drop).map_err(|told| told.concat());
    for good in ["plumb.example.org", "web_1", "192.0.2.1", "2001:db8::1"] {
        assert_eq!(told(good), Ok(()));
    }
    for bad in ["https://plumb.example.org", "plumb.example.org:7443", "[2001:db8::1]", "two words", "a..b"] {
        assert_eq!(told(bad), Err(format!("{expected}{bad:?}")));
    }
    let idna = "; write letters beyond ASCII as IDNA does (xn--...)";
    assert_eq!(told("überwachung.de"), Err(format!("{expected}\"überwachung.de\"{idna}")));
}

#[test]
fn a_broken_file_is_told_by_line() {
    assert_eq!(parse("\nsocket = = 2\n").err().unwrap(), ["collector.toml:2: extra `=`, expected nothing"]);
}

#[test]
fn a_secret_address_comes_from_a_file_and_an_absent_file_is_a_mistake() {
    let folder = std::env::temp_dir().join(format!("plumb-config-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("url");
    std::fs::write(&file, "https://example.org/secret\n").unwrap();
    let with = |path: &Path| parse(&format!("[[receiver]]\nname = \"a\"\ntype = \"webhook\"\nurl_file = {path:?}\n"));
    let config = with(&file).unwrap();
    let ReceiverKind::Webhook(webhook) = &config.receivers[0].kind;
    assert_eq!(webhook.url.expose(), b"https://example.org/secret");
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(with(&file).err().unwrap()[0].starts_with("collector.toml:4: url_file: /"));
}

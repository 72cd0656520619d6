use proptest::prelude::*;

use super::apache::NICKNAMES;
use super::nginx::COMBINED;
use super::*;

const LINE: &[u8] =
    br#"203.0.113.5 - - [21/Nov/2026:10:01:02 +0000] "POST /wp-login.php HTTP/2.0" 302 17 "https://example.org/" "Mozilla/5.0""#;

fn told(extractor: &Extractor, line: &[u8]) -> String {
    extractor.extract(line).map_or_else(
        || "nothing".to_owned(),
        |hit| {
            let site = String::from_utf8_lossy(hit.site.unwrap_or(b"-")).into_owned();
            let seconds = hit.seconds.map_or_else(|| "-".to_owned(), |seconds| seconds.to_string());
            format!("{site} {} {} {seconds}", hit.status, hit.bytes)
        },
    )
}

fn usual(line: &[u8]) -> String {
    let all = Extractor::usual();
    all.iter().map(|each| told(each, line)).find(|each| each != "nothing").unwrap_or_else(|| "nothing".to_owned())
}

#[test]
fn the_usual_formats_are_told_apart() {
    assert_eq!(usual(LINE), "- 302 17 -");
    let vhost =
        br#"example.org:443 203.0.113.5 - - [21/Nov/2026:10:01:02 +0000] "GET / HTTP/1.1" 200 5120 "-" "curl/8.5.0""#;
    assert_eq!(usual(vhost), "example.org 200 5120 -");
    let common = br#"::1 - bob smith [21/Nov/2026:10:01:02 +0000] "GET / HTTP/1.1" 404 -"#;
    assert_eq!(usual(common), "- 404 0 -");
    let v6 = br#"2001:db8::1 - - [21/Nov/2026:10:01:02 +0000] "-" 400 150 "-" "-""#;
    assert_eq!(usual(v6), "- 400 150 -");
}

#[test]
fn what_is_no_access_line_is_not_understood() {
    for line in
        [&b""[..], b"hello", b"\0\xff\xfe", br#"a b c [d] "r" abc 7"#, br#"a b c [d] "r" 20 7"#, b"[][][]\"\"\""]
    {
        assert_eq!(usual(line), "nothing", "{line:?}");
    }
}

#[test]
fn an_escaped_quote_ends_nothing() {
    let line = br#"203.0.113.5 - - [x] "GET /a\" 500 9 \\" 200 5 "-" "-""#;
    assert_eq!(usual(line), "- 200 5 -");
}

#[test]
fn formats_of_nginx_are_compiled() {
    assert_eq!(told(&Extractor::nginx(COMBINED).unwrap(), LINE), "- 302 17 -");
    let timed = Extractor::nginx(&format!("{COMBINED} $request_time $upstream_response_time")).unwrap();
    let line = [LINE, b" 0.250 0.200"].concat();
    assert_eq!(told(&timed, &line), "- 302 17 0.25");
    let json =
        Extractor::nginx(r#"{"t":"$time_iso8601","h":"$server_name","s":"$status","rt":"$request_time"}"#).unwrap();
    assert_eq!(told(&json, br#"{"t":"2026","h":"example.org","s":"503","rt":"12.001"}"#), "example.org 503 0 12.001");
    let merged = Extractor::nginx("$scheme$host $status").unwrap();
    assert_eq!(told(&merged, b"httpsexample.org 204"), "- 204 0 -");
}

#[test]
fn a_format_that_leaves_something_open_is_not_taken() {
    for format in ["", "$request", "$status$body_bytes_sent", "$", "${status", "$request_time"] {
        assert_eq!(Extractor::nginx(format), None, "{format}");
    }
    assert_eq!(Extractor::apache("%r %{x"), None);
}

#[test]
fn formats_of_apache_are_compiled() {
    let combined = Extractor::apache(NICKNAMES[1].1).unwrap();
    assert_eq!(told(&combined, LINE), "- 302 17 -");
    let micros = Extractor::apache(r#"%h %l %u %t "%r" %>s %b %D"#).unwrap();
    assert_eq!(told(&micros, br#"::1 - - [x] "GET /" 200 5 1500000"#), "- 200 5 1.5");
    let millis = Extractor::apache(r#"%a %t %!200,304{Referer}i "%r" %s %{ms}T 100%%"#).unwrap();
    assert_eq!(told(&millis, br#"::1 [x] - "GET /" 200 1500 100%"#), "- 200 0 1.5");
    let vhost = Extractor::apache(NICKNAMES[0].1).unwrap();
    assert_eq!(told(&vhost, br#"a.example:80 ::1 - - [x] "GET /" 200 5 "-" "-""#), "a.example 200 5 -");
}

proptest! {
    #[test]
    fn any_format_and_any_line_end_well(format in "[$%{}a-z \"\\\\\\[\\]]{0,40}", line in proptest::collection::vec(any::<u8>(), 0..200)) {
        for extractor in [Extractor::nginx(&format), Extractor::apache(&format)].into_iter().flatten().map(Arc::new).chain(Extractor::usual()) {
            let _ = extractor.extract(&line);
        }
    }

    #[test]
    fn what_was_written_in_a_format_is_read_back(status in 100_u16..600, bytes in 0_u64..1 << 40, millis in 0_u32..100_000, request in "[ -~&&[^\"\\\\]]{0,60}") {
        let seconds = format!("{}.{:03}", millis / 1000, millis % 1000);
        let line = format!("192.0.2.1 - - [x] \"{request}\" {status} {bytes} \"-\" \"a\" {seconds}");
        let extractor = Extractor::nginx(&format!("{COMBINED} $request_time")).unwrap();
        let hit = extractor.extract(line.as_bytes()).unwrap();
        prop_assert_eq!((hit.status, hit.bytes), (status, bytes));
        prop_assert!((hit.seconds.unwrap() - f64::from(millis) / 1000.0).abs() < 1e-9);
    }
}

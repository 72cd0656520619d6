use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use plumb_proto::model::Severity;

use super::*;
use crate::notify::testing::alert;

/// Answers one request with `answer` and gives back what was asked.
fn server(answer: &'static str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook/s3cret", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let count = stream.read(&mut buffer).unwrap();
            request.extend_from_slice(&buffer[..count]);
            let text = String::from_utf8_lossy(&request).into_owned();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let head = head.to_lowercase();
            let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
            if length.is_some_and(|length| body.len() >= length.parse().unwrap()) || count == 0 {
                break;
            }
        }
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8(request).unwrap()
    });
    (url, thread)
}

fn webhook(url: &str) -> Webhook {
    Webhook { url: Arc::new(Secret::new(url)), bearer: None, ca_file: None, allow_http: false, allow_private: false }
}

fn send(url: &str, alerts: &[crate::store::rows::Alert]) -> Result<String, DeliveryError> {
    let mut settings = webhook(url);
    settings.bearer = Some(Arc::new(Secret::new("t0ken")));
    settings.open().unwrap().deliver(&Outgoing { receiver: "ops", key: "00ff", alerts })
}

#[test]
fn a_message_is_posted_with_its_key_and_its_bearer() {
    let (url, thread) = server("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(send(&url, &[alert(7, Severity::Critical)]), Ok("status 204 No Content".to_owned()));
    let request = thread.join().unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let head = head.to_lowercase();
    assert!(head.starts_with("post /hook/s3cret http/1.1"), "{head}");
    assert!(head.contains("idempotency-key: 00ff") && head.contains("authorization: bearer t0ken"), "{head}");
    assert_eq!(
        body,
        r#"{"version":1,"key":"00ff","receiver":"ops","test":false,"alerts":[{"transition":1,"kind":"opened","at":"2026-11-21T10:01:02Z","host":"web-1","groups":{},"severity":"critical","drift":{"id":7,"kind":"policy"}}]}"#
    );
}

#[test]
fn a_status_says_whether_to_try_again() {
    let later = |why: &str, after| Err(DeliveryError::Later { why: why.to_owned(), after });
    for (answer, expected) in [
        (
            "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n",
            later("status 503 Service Unavailable", Some(Duration::from_secs(7))),
        ),
        ("HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n", later("status 429 Too Many Requests", None)),
        (
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
            Err(DeliveryError::Never("status 404 Not Found".to_owned())),
        ),
        (
            "HTTP/1.1 302 Found\r\nLocation: http://10.0.0.1/\r\nContent-Length: 0\r\n\r\n",
            Err(DeliveryError::Never("status 302 Found: redirects are not followed".to_owned())),
        ),
        ("SSH-2.0-x\r\n\r\n", later("the answer is not HTTP", None)),
    ] {
        let (url, thread) = server(answer);
        assert_eq!(send(&url, &[]), expected, "{answer}");
        thread.join().unwrap();
    }
}

#[test]
fn an_answer_without_end_is_not_read_to_its_end() {
    let (url, thread) = server("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\nsome");
    assert_eq!(send(&url, &[]), Ok("status 200 OK".to_owned()));
    thread.join().unwrap();
}

#[test]
fn nobody_there_is_no_reason_to_give_up_and_no_reason_to_say_the_address() {
    let url = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}/hook/s3cret", listener.local_addr().unwrap())
    };
    assert_eq!(send(&url, &[]), Err(DeliveryError::Later { why: "connection refused".to_owned(), after: None }));
}

#[test]
fn a_private_address_is_not_reached_unless_it_is_allowed() {
    let DeliveryError::Later { why, .. } = send("https://192.168.7.7/x", &[]).unwrap_err() else { panic!("never") };
    assert_eq!(why, "192.168.7.7 is in a private network: set allow_private = true to allow it");
}

#[test]
fn an_address_that_cannot_be_right_is_told_before_anything_is_sent() {
    for (url, why) in [
        ("http://example.org/x", "url must begin with https:// (or set allow_http = true)"),
        ("ftp://example.org/x", "url must begin with https://"),
        ("https://user:pass@example.org/x", "url must not hold a password: use bearer_file"),
        ("/x", "url has no host"),
        ("https://exa mple.org", "url is not a web address"),
    ] {
        assert_eq!(webhook(url).check(), Err(why.to_owned()), "{url}");
    }
    assert!(webhook("https://example.org/x").check().is_ok());
    assert!(webhook("http://localhost:9/x").check().is_ok());
    assert!(Webhook { allow_http: true, ..webhook("http://example.org/x") }.check().is_ok());
}

//! Receives webhooks on loopback and writes each as one line: the idempotency key, a tab, the body. Standard library
//! only, so that the quickstart can compile it with plain `rustc`.
//!
//! `webhook-sink ADDRESS FILE [FAIL]`: the first FAIL requests are answered with 503.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

/// More is no webhook of ours.
const BODY: usize = 1 << 20;

fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(file)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: webhook-sink ADDRESS FILE [FAIL]");
        std::process::exit(2);
    };
    let mut failures: u32 = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(0);
    let listener = TcpListener::bind(&address)?;
    let mut out = OpenOptions::new().create(true).append(true).open(&file)?;
    eprintln!("listening on {}", listener.local_addr()?);
    for stream in listener.incoming() {
        let refuse = failures > 0;
        failures = failures.saturating_sub(1);
        // a client that goes away in the middle concerns nobody else
        if let Ok(Some(line)) = stream.and_then(|stream| serve(stream, refuse)) {
            out.write_all(line.as_bytes())?;
            out.flush()?;
        }
    }
    Ok(())
}

fn serve(stream: TcpStream, refuse: bool) -> std::io::Result<Option<String>> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut reader = BufReader::new(stream.try_clone()?.take(BODY as u64 + 65_536));
    let (mut length, mut key, mut line) = (0usize, String::new(), String::new());
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().unwrap_or(0),
                "idempotency-key" => key = value.trim().to_owned(),
                _ => {}
            }
        }
    }
    let mut body = vec![0; length.min(BODY)];
    reader.read_exact(&mut body)?;
    let status = if refuse { "503 Service Unavailable" } else { "204 No Content" };
    let mut stream = stream;
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
    let body = String::from_utf8_lossy(&body).replace(['\n', '\r'], " ");
    Ok((!refuse).then(|| format!("{key}\t{body}\n")))
}

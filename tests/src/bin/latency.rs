//! How long it takes from a change on a host to the webhook: `latency [CHANGES]` (200). The PHP binary of a staged host
//! changes its version there and back; each change opens or closes one drift; group_wait 0, rate limit off. Prints the
//! percentiles. Needs the programs that `run-tests` builds, by the same environment.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use plumb_tests::eventually::eventually;
use plumb_tests::lab::{Lab, program};

fn main() {
    let changes = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(200);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, arrivals) = sync_channel(1024);
    std::thread::spawn(move || listener.incoming().for_each(|stream| serve(stream.unwrap(), &sender)));

    let receiver = format!(
        "[notify]\ngroup_wait = \"0s\"\n[[receiver]]\nname = \"bench\"\ntype = \"webhook\"\nurl = \"http://{address}/\"\nrate = \"0s\"\n"
    );
    let mut lab = Lab::new("latency", &program("PLUMB_AGENT"), "", &receiver);
    let root = lab.dir.join("root");
    stage(&root, "8.2.29");
    lab.root = Some(root.clone());
    lab.start_collector();
    lab.collector_is_up();
    lab.enroll("bench");
    lab.start_agent();
    let told = || lab.json(&["facts", "php"]);
    eventually("the first look", Duration::from_secs(60), told, |rows| rows.to_string().contains("8.2.29"));
    std::thread::sleep(Duration::from_secs(3));
    while arrivals.try_recv().is_ok() {}

    let mut taken = Vec::new();
    for change in 0..changes {
        let version = if change % 2 == 0 { "8.2.30" } else { "8.2.29" };
        // spread over the second, so that no rhythm of ours is hit or missed each time
        std::thread::sleep(Duration::from_millis(1000 + (change * 137) % 1000));
        let start = Instant::now();
        stage(&root, version);
        taken.push(wait(&arrivals, start));
    }
    taken.sort();
    let at = |share: f64| taken[((taken.len() as f64 * share).ceil() as usize).clamp(1, taken.len()) - 1].as_secs_f64();
    println!(
        "{} changes: p50 {:.3} s, p90 {:.3} s, p99 {:.3} s, max {:.3} s",
        taken.len(),
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0)
    );
}

/// A root folder with one PHP of that version; the binary is replaced by rename, as a package manager does it.
fn stage(root: &std::path::Path, version: &str) {
    let folder = root.join("usr/sbin");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::create_dir_all(root.join("etc")).unwrap();
    std::fs::write(root.join("etc/os-release"), "ID=debian\nVERSION_ID=\"12\"\nNAME=\"Debian GNU/Linux\"\n").unwrap();
    std::fs::create_dir_all(root.join("etc/php/8.2/fpm")).unwrap();
    let fresh = folder.join("php-fpm8.2.new");
    std::fs::write(&fresh, format!("\x7fELF....X-Powered-By: PHP/{version}\0....")).unwrap();
    let mut rights = std::fs::metadata(&fresh).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut rights, 0o755);
    std::fs::set_permissions(&fresh, rights).unwrap();
    std::fs::rename(fresh, folder.join("php-fpm8.2")).unwrap();
}

fn wait(arrivals: &Receiver<Instant>, start: Instant) -> Duration {
    arrivals.recv_timeout(Duration::from_secs(30)).expect("a webhook within 30 s").duration_since(start)
}

fn serve(stream: TcpStream, arrivals: &SyncSender<Instant>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut line, mut length) = (String::new(), 0);
    while reader.read_line(&mut line).unwrap_or(0) > 2 {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        line.clear();
    }
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_ok() && length > 0 {
        arrivals.send(Instant::now()).unwrap();
    }
    let mut stream = stream;
    let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

//! How fast an access log is read and counted on one core. Arguments: a log, and its format as nginx writes it (default:
//! combined with the request time and another field). The log is copied below a folder of its own first, in memory if
//! the temporary folder is.

use std::fs;
use std::sync::Arc;
use std::time::Instant;

use plumb_agent::host::Host;
use plumb_agent::host::sys::thread_cpu_time;
use plumb_agent::watcher::{Look, Progress};
use plumb_agent::watchers::ALL;
use plumb_proto::time::{ManualClock, Timestamp};

const FORMAT: &str = "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \"$http_referer\" \
    \"$http_user_agent\" $request_time $upstream_response_time";

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let log = arguments.next().unwrap_or_default();
    let format = arguments.next().unwrap_or_else(|| FORMAT.to_owned());
    let root = std::env::temp_dir().join(format!("plumb-log-speed-{}", std::process::id()));
    fs::create_dir_all(root.join("etc/nginx"))?;
    fs::create_dir_all(root.join("srv"))?;
    let conf =
        format!("http {{ log_format f '{format}'; server {{ server_name a.example; access_log /srv/a.log f; }} }}");
    fs::write(root.join("etc/nginx/nginx.conf"), conf)?;
    fs::write(root.join("srv/a.log"), "")?;
    let host = Host::new(&root, Arc::new(ManualClock::at(Timestamp::from_secs(1_795_255_200))));
    let spec = ALL.iter().find(|spec| spec.name == "logs").ok_or_else(|| anyhow::anyhow!("no watcher for logs"))?;
    let mut watcher = spec.make(spec.sample.parse()?)?;
    let mut cursors = std::collections::BTreeMap::new();
    for (round, at) in [(0, 1_795_255_200), (1, 1_795_255_300), (2, 1_795_255_310)] {
        let bytes = if round == 1 { fs::copy(&log, root.join("srv/a.log"))? } else { 0 };
        let (begun, used) = (Instant::now(), thread_cpu_time());
        loop {
            let stored = |name: &str| cursors.get(name).cloned();
            let mut look = Look::new(&host, Timestamp::from_secs(at), &[], &stored);
            let progress = watcher.poll(&mut look)?;
            let told = look.into_told();
            cursors.extend(told.cursors);
            for (series, _, value) in &told.samples {
                eprintln!("{series} {value}");
            }
            if progress != Progress::More {
                break;
            }
        }
        let (wall, cpu) = (begun.elapsed(), thread_cpu_time() - used);
        #[allow(clippy::cast_precision_loss)]
        let speed = bytes as f64 / 1e6 / cpu.as_secs_f64().max(1e-9);
        eprintln!("look {round}: {bytes} bytes, {wall:?} wall, {cpu:?} processor, {speed:.0} MB/s");
    }
    Ok(fs::remove_dir_all(&root)?)
}

//! `run`: the daemon. Observe on this thread, deliver on another, both behind the same locks.

use std::fs::DirBuilder;
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use plumb_proto::time::{Clock, SystemClock};
use tokio::sync::watch;

use super::own::{identity, keep_to_ourselves};
use super::{Configured, Done};
use crate::config::Config;
use crate::host::{Host, Peek, sys};
use crate::link::link;
use crate::manager::Manager;
use crate::observe::{Observer, Options};
use crate::state::{self, disk};
use crate::watcher::Spec;
use crate::{deliver, log, sandbox};

/// Deliver says goodbye in this time, or is left behind.
const GOODBYE: Duration = Duration::from_secs(3);
/// Stack of the thread that delivers: TLS and HTTP/2 need a fraction of the default.
const STACK: usize = 512 << 10;

pub(super) fn run(args: &Configured, root: &Path, specs: &[Spec]) -> anyhow::Result<Done> {
    sys::settle_allocator();
    log::start();
    keep_to_ourselves();
    let mut config = args.load(specs)?;
    let folder = &config.state_dir.clone();
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| format!("make the state folder {}", folder.display()))?;
    let signals = catch_signals().context("catch signals")?;
    let manager = Manager::of_this_process();
    // From here on there is neither a way to write elsewhere nor to start a program. Nothing of the host was read yet,
    // and there is one thread, beside the one that locks itself up in its own way.
    let peek = Peek::start(sandbox::reader::lock);
    if let Err(error) = &peek {
        tracing::warn!("what other processes run will not be seen: {error}");
    }
    let locked = sandbox::lock(folder);
    tracing::info!("sandbox: seccomp {}, landlock {}", locked.seccomp, locked.landlock);

    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let host = Host::new(root, clock.clone()).with_peek(peek.ok());
    host.check()?;
    let (observe_end, deliver_end) = link().context("link the two halves")?;
    let mut observer = Observer::open(Options {
        host,
        watchers: config.assigned()?,
        state: state::Options { folder: folder.clone(), bound: config.spool_bytes, ask: Arc::new(disk::ask_system) },
        record_every: config.record_every,
        cpu_share: config.cpu_share,
        clock: clock.clone(),
        meter: sys::thread_cpu_time,
        link: observe_end,
        locked,
    })?
    .reporting_to(manager);
    let (stop_deliver, stopped) = watch::channel(false);
    let identity = identity(folder);
    let delivering = Builder::new().name("deliver".to_owned()).stack_size(STACK).spawn(move || {
        if let Err(error) = deliver::run(deliver_end, identity, clock, stopped) {
            tracing::error!("nothing can be delivered, so this process ends: {error}");
            // What was committed is there at the next start, and whoever watches this process sees to that.
            std::process::exit(1);
        }
    })?;
    tracing::info!("plumb-agent {} observes {}", plumb_proto::VERSION, root.display());
    loop {
        observer.run(signals.as_fd());
        match signals.read_signal() {
            Ok(None) => {}
            Ok(Some(signal)) if signal.ssi_signo == Signal::SIGHUP as u32 => {
                reload(&mut observer, args, specs, &mut config);
            }
            _ => break,
        }
    }
    tracing::info!("stopping");
    observer.end();
    // Fails only when deliver has ended already.
    let _ = stop_deliver.send(true);
    drop(observer);
    join(&delivering);
    Ok(Done::Well)
}

/// Reads the configuration again as at the start, and takes over what has changed, or nothing.
fn reload(observer: &mut Observer, args: &Configured, specs: &[Spec], config: &mut Config) {
    observer.reloading();
    let read = args.load(specs).map_err(|mistakes| mistakes.to_string().replace('\n', "; "));
    let read = read.and_then(|new| match new.since(config) {
        Ok(settings) => Ok((new, settings)),
        Err(error) => Err(format!("{error:#}")),
    });
    observer.reload(read.map(|(new, settings)| {
        // A move of the state is named until there was a restart.
        *config = Config { state_dir: config.state_dir.clone(), ..new };
        settings
    }));
}

/// What is asked of the process comes as readable bytes instead of ending it in the middle of something: SIGTERM and SIGINT
/// to stop, SIGHUP to read the configuration again. A terminal that closes sends that one too, and it does no harm.
fn catch_signals() -> nix::Result<SignalFd> {
    let mut signals = SigSet::empty();
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().for_each(|signal| signals.add(signal));
    signals.thread_block()?;
    SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
}

fn join(thread: &JoinHandle<()>) {
    let end = Instant::now() + GOODBYE;
    while !thread.is_finished() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(10));
    }
}

//! File integrity of a big web root, measured: `integrity bench [FOLDER]` makes 120,000 files (or takes a given folder),
//! scans them for the first time, looks again while nothing has changed, makes 1,000 edits and finds them all, and is
//! killed in the middle of a first scan. `integrity init WEB STATE` and `integrity check WEB STATE` do one scan each, with
//! the whole processor, for comparisons: `check` prints what changed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use plumb_tests::webroot::{self, Scanner};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next();
    let rest: Vec<PathBuf> = arguments.map(PathBuf::from).collect();
    match (command.as_deref(), rest.as_slice()) {
        (Some("init"), [web, state]) => {
            let _ = std::fs::remove_dir_all(state);
            println!("{} files", scan(web, state).files());
        }
        (Some("check"), [web, state]) => {
            let scanner = scan(web, state);
            scanner.events().iter().for_each(|event| println!("{event}"));
            println!("{} files, {} changes", scanner.files(), scanner.events().len());
        }
        (Some("bench"), []) => bench(None),
        (Some("bench"), [web]) => bench(Some(web)),
        _ => {
            eprintln!("usage: integrity bench [WEB] | init WEB STATE | check WEB STATE");
            std::process::exit(2);
        }
    }
}

/// One look to its end.
fn scan(web: &Path, state: &Path) -> Scanner {
    let mut scanner = Scanner::open(web, state);
    scanner.finish();
    scanner
}

fn bench(given: Option<&Path>) {
    let base = std::env::temp_dir().join(format!("plumb-integrity-{}", std::process::id()));
    let (made, state) = (base.join("web"), base.join("state"));
    let web = given.map_or_else(
        || {
            webroot::make(&made, 120_000, 1);
            made.clone()
        },
        Path::to_path_buf,
    );
    println!("| what | wall s | CPU s | peak RSS MiB |\n|---|---|---|---|");
    for (name, command, repeat) in [("first scan", "init", 1), ("check, nothing changed", "check", 3)] {
        for _ in 0..repeat {
            let (wall, usage) = timed(command, &web, &state);
            println!("| {name} | {:.2} | {:.2} | {:.1} |", wall.as_secs_f64(), usage.0, usage.1);
        }
    }
    let mut scanner = Scanner::open(&web, &state);
    scanner.finish();
    println!("a running agent: RssAnon {:.1} MiB, {} files", webroot::rss_anon() / 1024.0, scanner.files());
    let edits = webroot::edit(&web, 1_000, 7);
    let start = Instant::now();
    let missing = scanner.until_told(&edits.paths(), Duration::from_secs(300));
    println!("1,000 edits: {} found in {:.1} s", 1_000 - missing.len(), start.elapsed().as_secs_f64());
    missing.iter().take(10).for_each(|path| println!("missing: {}", path.display()));
    drop(scanner);
    edits.undo();

    let _ = std::fs::remove_dir_all(&state);
    let mut child = program("init", &web, &state).spawn().expect("this program");
    std::thread::sleep(Duration::from_millis(1_500));
    let running = child.try_wait().expect("a child").is_none();
    child.kill().and_then(|()| child.wait()).expect("killed");
    let start = Instant::now();
    let scanner = scan(&web, &state);
    println!(
        "killed in the middle ({running}), resumed: {} files in {:.1} s, {} events",
        scanner.files(),
        start.elapsed().as_secs_f64(),
        scanner.events().len()
    );
    drop(scanner);
    std::fs::remove_dir_all(&base).expect("a folder of ours");
}

fn program(command: &str, web: &Path, state: &Path) -> Command {
    let mut program = Command::new(std::env::current_exe().expect("this program"));
    program.arg(command).arg(web).arg(state).stdout(Stdio::null());
    program
}

/// Wall time, processor seconds and MiB at most, of this program doing one scan.
fn timed(command: &str, web: &Path, state: &Path) -> (Duration, (f64, f64)) {
    let output = state.with_extension("time");
    let start = Instant::now();
    let this = std::env::current_exe().expect("this program");
    // GNU time is not on every machine, and this program tells of itself as well.
    let status = Command::new(this)
        .arg(command)
        .arg(web)
        .arg(state)
        .env(webroot::COST, &output)
        .stdout(Stdio::null())
        .status()
        .expect("this program");
    assert!(status.success(), "{command} failed");
    (start.elapsed(), webroot::cost(&output))
}

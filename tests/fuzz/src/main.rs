//! One parser under libFuzzer; `PLUMB_FUZZ` names it. `PLUMB_FUZZ_SEEDS` names a folder that gets its seeds.
#![no_main]

#[path = "../../src/fuzz.rs"]
mod fuzz;

use std::sync::LazyLock;

static RUN: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("PLUMB_FUZZ").unwrap_or_default();
    let names = || fuzz::targets().map(|target| target.name).collect::<Vec<_>>().join(" ");
    match fuzz::targets().find(|target| target.name == name) {
        Some(target) => {
            if let Some(folder) = std::env::var_os("PLUMB_FUZZ_SEEDS") {
                for (number, seed) in target.seeds.iter().enumerate() {
                    std::fs::write(std::path::Path::new(&folder).join(format!("seed-{number}")), seed).expect("a seed");
                }
            }
            target.run
        }
        None => {
            eprintln!("PLUMB_FUZZ must name one of: {}", names());
            std::process::exit(2);
        }
    }
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| RUN(bytes));

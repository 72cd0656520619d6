//! The committed code in `src/generated` is what the `.proto` files give. No `protoc` is needed, neither here nor to build.
//! To renew it after an edit: `PLUMB_GENERATE=1 cargo test -p plumb-proto --test generated`.

#![allow(clippy::expect_used)] // a failure here is the test's failure

use std::path::{Path, PathBuf};

const FILES: [&str; 4] = ["model", "ingest", "enroll", "query"];

/// `query` speaks of the model: its code names the model's types where they are, so they are left out of its own run, which
/// comes first because it leaves an empty file for them.
fn generate(into: &Path) {
    run(&["query"], &[(".plumb.model.v1", "crate::generated::model")], into);
    run(&["model", "ingest", "enroll"], &[], into);
}

fn run(names: &[&str], elsewhere: &[(&str, &str)], into: &Path) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files: Vec<PathBuf> = names.iter().map(|name| here.join(format!("{name}.proto"))).collect();
    let set = protox::compile(&files, [here]).expect("the .proto files compile");
    let mut builder = tonic_prost_build::configure()
        .build_transport(false)
        .server_mod_attribute(".", "#[cfg(feature = \"server\")]")
        .out_dir(into);
    for (package, path) in elsewhere {
        builder = builder.extern_path(*package, *path);
    }
    builder.compile_fds(set).expect("code is generated");
}

#[test]
fn the_committed_code_is_what_the_proto_files_give() {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/generated");
    if std::env::var_os("PLUMB_GENERATE").is_some() {
        generate(&committed);
    }
    let fresh = Path::new(env!("CARGO_TARGET_TMPDIR")).join("generated");
    std::fs::create_dir_all(&fresh).expect("a folder below target");
    generate(&fresh);
    for name in FILES {
        let file = format!("plumb.{name}.v1.rs");
        let read = |folder: &Path| std::fs::read_to_string(folder.join(&file)).expect("a generated file");
        assert!(read(&committed) == read(&fresh), "{file} is stale: run with PLUMB_GENERATE=1");
    }
}

use super::SPEC;
use crate::watcher::testing::{Stage, stage};

fn host(files: &[(&str, &str)]) -> Stage {
    let host =
        stage(&SPEC).file("/etc/nginx/nginx.conf", "http { server { root /srv/a/public; } }").folder("/srv/a/public");
    files.iter().fold(host, |host, (path, text)| host.file(&format!("/srv/a/{path}"), text))
}

/// What is told of the one lock file, without times.
fn told(host: &Stage) -> String {
    let look = host.look();
    let words = look.trim_end().split(" from ").next().unwrap_or_default().to_owned();
    let begin = words.find(" changed=").unwrap_or(words.len());
    let (words, rest) = words.split_at(begin);
    assert!(rest.is_empty() || rest.contains("changed=2"), "{look}");
    words.replace("fact dependency_lock /srv/a/", "")
}

fn composer(version: &str, dev: bool) -> String {
    format!(r#"{{"packages":[{{"name":"a/b","version":"{version}"}},{{"name":"c/d","version":"1.0"}}],"dev":{dev}}}"#)
}

const LOCK: &str = r#"{"packages":[{"name":"a/b","version":"2.0"},{"name":"c/d","version":"1.0","abandoned":"e/f"}],
    "packages-dev":[{"name":"t/t","version":"1"}]}"#;
const INSTALLED: &str = "vendor/composer/installed.json";

#[test]
fn a_host_without_lock_files_is_no_error() {
    assert_eq!(stage(&SPEC).look(), "absent");
    assert_eq!(host(&[]).look(), "absent");
}

#[test]
fn a_lock_that_was_changed_without_an_install_is_out_of_step() {
    let host = host(&[("composer.lock", LOCK), (INSTALLED, &composer("1.9", false))]);
    let rest = "abandoned=c/d: use e/f";
    assert_eq!(
        told(&host),
        format!(
            "composer.lock manager=composer locked=3 installed=2 in_step=false differing=a/b: 2.0 locked, 1.9 installed missing= {rest}"
        )
    );
    host.write(&format!("/srv/a/{INSTALLED}"), composer("2.0", false));
    assert_eq!(
        told(&host),
        format!("composer.lock manager=composer locked=3 installed=2 in_step=true differing= missing= {rest}")
    );
    host.write(&format!("/srv/a/{INSTALLED}"), composer("2.0", true));
    assert_eq!(
        told(&host),
        format!("composer.lock manager=composer locked=3 installed=2 in_step=false differing= missing=t/t {rest}")
    );
}

#[test]
fn an_install_and_a_new_lock_are_not_waited_for() {
    let host = host(&[("composer.lock", LOCK), (INSTALLED, &composer("1.9", false))]);
    let _ = told(&host);
    let wakes: Vec<String> = host.wakes().iter().map(|path| path.display().to_string()).collect();
    assert_eq!(wakes, ["/srv/a/vendor/composer/installed.json", "/srv/a/composer.lock"]);
}

#[test]
fn a_checkout_that_is_not_installed_is_no_drift() {
    for (file, text, why) in [
        (
            "composer.lock",
            LOCK,
            "composer locked=3 in_step=?(nothing is installed beside it (no vendor/composer/installed.json)) abandoned=c/d: use e/f",
        ),
        ("yarn.lock", "a@^1:\n  version \"1.2\"\n", "yarn locked=1 in_step=?(it is only counted)"),
        ("pnpm-lock.yaml", "packages:\n  /a@1:\n", "pnpm locked=1 in_step=?(it is only counted)"),
        (
            "uv.lock",
            "[[package]]\nname = \"a\"\nversion = \"1\"\n",
            "uv locked=1 in_step=?(there is no virtual environment beside it)",
        ),
        (
            "Gemfile.lock",
            "GEM\n  specs:\n    rails (7.1.2)\n",
            "gem locked=1 in_step=?(no gems are installed where they are looked for)",
        ),
    ] {
        assert_eq!(told(&host(&[(file, text)])), format!("{file} manager={why}"));
    }
}

#[test]
fn what_npm_rightly_leaves_out_is_not_missing() {
    let lock = r#"{"lockfileVersion":3,"packages":{"":{},"node_modules/a":{"version":"1.0.0"},"node_modules/b":{"version":"1.0.0"},
        "node_modules/mac":{"version":"2.0.0","optional":true,"os":["darwin"]},"node_modules/dev":{"version":"1.0.0","dev":true}}}"#;
    let host = host(&[
        ("package-lock.json", lock),
        ("node_modules/.package-lock.json", r#"{"packages":{"node_modules/a":{"version":"1.0.0"}}}"#),
    ]);
    assert_eq!(
        told(&host),
        "package-lock.json manager=npm locked=4 installed=1 in_step=false differing= missing=node_modules/b"
    );
}

#[test]
fn python_and_ruby_are_compared_by_the_names_of_what_is_installed() {
    let site = ".venv/lib/python3.11/site-packages";
    let host_of = |lock: &str, text: &str| {
        host(&[
            (lock, text),
            (".venv/pyvenv.cfg", ""),
            (&format!("{site}/Django-4.2.5.dist-info/METADATA"), ""),
            (&format!("{site}/idna-3.4.dist-info/METADATA"), ""),
        ])
    };
    assert_eq!(
        told(&host_of(
            "requirements.txt",
            "django==4.2.7\nidna==3.4\ncelery==5.3\nuvloop==1 ; sys_platform != 'win32'\n"
        )),
        "requirements.txt manager=pip locked=4 installed=2 in_step=false differing=django: 4.2.7 locked, 4.2.5 installed missing=celery"
    );
    assert_eq!(
        told(&host_of(
            "poetry.lock",
            "[[package]]\nname = \"idna\"\nversion = \"3.4\"\n\n[[package]]\nname = \"pytest\"\nversion = \"7\"\n"
        )),
        "poetry.lock manager=poetry locked=2 installed=2 in_step=true differing= missing="
    );
    let gems = "vendor/bundle/ruby/3.1.0/specifications";
    let lock = "GEM\n  specs:\n    rack (2.2.8)\n    rails (7.1.2)\n    rspec (3.0)\n";
    let files = [
        ("Gemfile.lock", lock),
        (&format!("{gems}/rack-2.2.8.gemspec"), ""),
        (&format!("{gems}/rack-3.0.0.gemspec"), ""),
        (&format!("{gems}/rails-7.1.1.gemspec"), ""),
    ];
    let host = host(&files);
    let told_of = |missing: &str| {
        format!(
            "Gemfile.lock manager=gem locked=3 installed=2 in_step=false differing=rails: 7.1.2 locked, 7.1.1 installed missing={missing}"
        )
    };
    // Groups may be left out, so what is missing is no difference.
    assert_eq!(told(&host), told_of(""));
    host.write("/srv/a/.bundle/config", "---\nBUNDLE_WITHOUT: \"development:test\"\n");
    assert_eq!(told(&host), told_of(""));
    host.write(&format!("/srv/a/{gems}/rails-7.1.2.gemspec"), "");
    assert!(told(&host).contains("in_step=true"), "{}", told(&host));
}

#[test]
fn gems_that_all_applications_share_prove_only_that_all_are_there() {
    let lock = "GEM\n  specs:\n    bigdecimal (3.1.3)\n    rack (2.2.8)\n";
    let host = host(&[("Gemfile.lock", lock)])
        .file("/usr/local/lib/ruby/gems/3.2.0/specifications/default/bigdecimal-3.1.3.gemspec", "")
        .file("/usr/local/lib/ruby/gems/3.2.0/specifications/rack-3.0.0.gemspec", "");
    assert!(
        told(&host).contains("in_step=?(rack: 2.2.8 locked, 3.0.0 installed, which may be right"),
        "{}",
        told(&host)
    );
    host.write("/usr/local/lib/ruby/gems/3.2.0/specifications/rack-2.2.8.gemspec", "");
    assert!(told(&host).contains("in_step=true"), "{}", told(&host));
    // Bundler was told to put them elsewhere: those of all others do not count.
    host.write("/srv/a/.bundle/config", "---\nBUNDLE_PATH: \"../bundle\"\n");
    host.write("/srv/bundle/ruby/3.2.0/specifications/rack-2.2.7.gemspec", "");
    assert!(told(&host).contains("differing=rack: 2.2.8 locked, 2.2.7 installed"), "{}", told(&host));
}

#[test]
fn packages_of_the_system_or_of_another_manager_leave_it_open() {
    let host = host(&[
        ("requirements.txt", "celery==5.3\n"),
        (".venv/pyvenv.cfg", "include-system-site-packages = true\n"),
        (".venv/lib/python3.11/site-packages/idna-3.4.dist-info/METADATA", ""),
    ]);
    assert!(told(&host).contains("in_step=?(celery is not installed, which may be right"), "{}", told(&host));
    let lock = r#"{"packages":{"node_modules/a":{"version":"1.0.0"}}}"#;
    let store = r#"{"packages":{"node_modules/.store/a@1.0.0-x/node_modules/a":{"version":"1.0.0"}}}"#;
    let linked = self::host(&[("package-lock.json", lock), ("node_modules/.package-lock.json", store)]);
    assert!(told(&linked).contains("in_step=?(npm put the packages elsewhere"), "{}", told(&linked));
    let old = r#"{"packages":{"node_modules/a":{"version":"0.9.0"}}}"#;
    let yarn = self::host(&[
        ("package-lock.json", lock),
        ("node_modules/.package-lock.json", old),
        ("node_modules/.yarn-integrity", ""),
    ]);
    assert!(told(&yarn).contains("in_step=?(nothing is installed beside it, or not by an npm"), "{}", told(&yarn));
}

#[test]
fn what_is_too_big_nested_or_no_file_is_unknown_and_harms_no_other() {
    let host = host(&[("package-lock.json", &"[".repeat(100_000)), ("composer.lock", ""), ("yarn.lock", "a@1:\n")]);
    let file = std::fs::File::create(host.host().full_path("/srv/a/composer.lock".as_ref())).unwrap();
    file.set_len(1 << 30).unwrap();
    let path = host.host().full_path("/srv/a/Gemfile.lock".as_ref());
    assert!(nix::unistd::mkfifo(path.as_path(), nix::sys::stat::Mode::S_IRWXU).is_ok());
    let look = host.look();
    assert!(
        look.contains(
            "composer.lock manager=composer locked=?(/srv/a/composer.lock: bigger than 16777216 bytes) in_step=?("
        ),
        "{look}"
    );
    assert!(look.contains("locked=?(/srv/a/package-lock.json: not of the format that is expected there) "), "{look}");
    assert!(look.contains("yarn.lock manager=yarn locked=1 ") && !look.contains("Gemfile"), "{look}");
}

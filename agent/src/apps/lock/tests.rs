use super::*;
use crate::apps::json::Json;

fn told(packages: &Packages) -> String {
    let each = packages.by_name.iter().map(|(name, package)| {
        let marks = [(package.dev, " dev"), (package.optional, " optional")];
        let marks: String = marks.iter().filter(|(yes, _)| *yes).map(|(_, mark)| *mark).collect();
        format!("{name}={}{marks}", package.version)
    });
    each.collect::<Vec<_>>().join(", ")
}

fn read(text: &str, parse: fn(&mut Json<'_>) -> Result<Packages, crate::apps::json::Fault>) -> Packages {
    let mut from = text.as_bytes();
    parse(&mut Json::new(&mut from)).unwrap()
}

fn lines(text: &str, mut line: impl FnMut(&str, &mut Packages)) -> Packages {
    let mut found = Packages::default();
    each_line(&mut text.as_bytes(), &mut |each| line(each, &mut found)).unwrap();
    found
}

const LOCK: &str = r#"{"_readme":["x"],"content-hash":"c","packages":[
 {"name":"guzzlehttp/guzzle","version":"7.8.1","source":{"type":"git","url":"u","reference":"41042bc7ab002487b876a0683fc8dce04ddce104"},
  "require":{"php":"^7.2","name":"no"},"type":"library","authors":[{"name":"Graham","version":"x"}]},
 {"name":"swift/mailer","version":"v6.3.0","abandoned":"symfony/mailer"},{"name":"old/one","version":"1.0","abandoned":true},
 {"name":"my/fork","version":"dev-main","source":{"reference":"0123456789abcdef"}},
 {"name":"acme/shop","version":"2.0","type":"magento2-module"},{"name":"magento/module-tax","version":"1","type":"magento2-module"}],
 "packages-dev":[{"name":"phpunit/phpunit","version":"10.5.1"}],"platform":{"php":"^8.1"},"platform-overrides":{"php":"8.1"}}"#;

#[test]
fn composer_names_packages_and_what_was_given_up() {
    let lock = read(LOCK, composer);
    assert_eq!(
        told(&lock),
        "acme/shop=2.0, guzzlehttp/guzzle=7.8.1, magento/module-tax=1, my/fork=dev-main 0123456, old/one=1.0, \
         phpunit/phpunit=10.5.1 dev, swift/mailer=v6.3.0"
    );
    assert_eq!(lock.abandoned, ["swift/mailer: use symfony/mailer", "old/one"]);
    let names: Vec<_> = lock.extensions.iter().map(|each| (&*each.name, each.kind)).collect();
    assert_eq!(names, [("acme/shop", "module")]);
}

#[test]
fn what_composer_installed_is_compared_with_the_lock_without_dev_where_it_was_left_out() {
    let installed = |dev: &str| {
        format!(
            r#"{{"packages":[{{"name":"guzzlehttp/guzzle","version":"7.5.0"}},{{"name":"swift/mailer","version":"v6.3.0"}},
            {{"name":"old/one","version":"1.0"}},{{"name":"my/fork","version":"dev-main","source":{{"reference":"fedcba9876"}}}},
            {{"name":"magento/module-tax","version":"1"}}],"dev":{dev},"dev-package-names":[]}}"#
        )
    };
    let lock = read(LOCK, composer);
    let difference = compare(&lock, &read(&installed("false"), composer), same_php);
    assert_eq!(
        difference.differing,
        [
            "guzzlehttp/guzzle: 7.8.1 locked, 7.5.0 installed",
            "my/fork: dev-main 0123456 locked, dev-main fedcba9 installed"
        ]
    );
    assert_eq!(difference.missing, ["acme/shop"]);
    assert_eq!(compare(&lock, &read(&installed("true"), composer), same_php).missing, ["acme/shop", "phpunit/phpunit"]);
    // Composer 1
    let plain = read(r#"[{"name":"a/b","version":"1"}]"#, composer);
    assert_eq!((told(&plain).as_str(), plain.with_dev), ("a/b=1", None));
}

#[test]
fn npm_names_folders_and_what_may_be_missing() {
    let three = r#"{"name":"x","lockfileVersion":3,"packages":{"":{"name":"x","version":"1.0.0","dependencies":{"a":"^1"}},
      "node_modules/a":{"version":"1.2.3","resolved":"u","engines":{"node":">=10"}},
      "node_modules/a/node_modules/b":{"version":"2.0.0","dev":true},"node_modules/fsevents":{"version":"2.3.3","optional":true,"os":["darwin"]},
      "node_modules/@esbuild/aix":{"version":"0.1.0","cpu":["ppc64"]},"packages/own":{"version":"1.0.0"},
      "node_modules/own":{"resolved":"packages/own","link":true}}}"#;
    let expected = "node_modules/@esbuild/aix=0.1.0 optional, node_modules/a=1.2.3, node_modules/a/node_modules/b=2.0.0 dev, \
                    node_modules/fsevents=2.3.3 optional";
    assert_eq!(told(&read(three, npm)), expected);
    let one = r#"{"lockfileVersion":1,"requires":true,"dependencies":{"a":{"version":"1.2.3","requires":{"b":"^2"},
      "dependencies":{"b":{"version":"2.0.0","dev":true}}},"git":{"version":"git+ssh://x"}}}"#;
    assert_eq!(told(&read(one, npm)), "node_modules/a=1.2.3, node_modules/a/node_modules/b=2.0.0 dev");
    let installed = read(r#"{"packages":{"node_modules/a":{"version":"1.2.2"}}}"#, npm);
    let difference = compare(&read(three, npm), &installed, same_text);
    assert_eq!(difference.differing, ["node_modules/a: 1.2.3 locked, 1.2.2 installed"]);
    assert!(difference.missing.is_empty());
}

#[test]
fn packages_within_packages_have_no_endless_names() {
    let begin = format!(r#"{{"dependencies":{{"{}":{{"version":"1.0","#, "x".repeat(500));
    let inner = format!(r#""dependencies":{{"{}":{{"version":"1.0","#, "x".repeat(500)).repeat(30);
    let found = read(&format!("{begin}{inner}{}{}", r#""dev":true"#, "}".repeat(64)), npm);
    assert!(found.cut && found.by_name.keys().all(|name| name.len() <= 4_096));
    assert_eq!(found.by_name.len(), 7);
}

#[test]
fn lists_of_python_are_read_line_by_line() {
    let text = "# pins\nDjango==4.2.7 \\\n    --hash=sha256:00\nzope.interface[test] == 6.1  # why\nloose>=1\nwild==1.*\n\
                pywin32==306 ; sys_platform == 'win32'\n-r other==1.txt\n";
    assert_eq!(told(&lines(text, requirements)), "django=4.2.7, pywin32=306 optional, zope-interface=6.1");
    let text = "version = 1\n[[package]]\nname = \"Flask_Login\"\nversion = \"0.6.3\"\n[package.dependencies]\nversion = \"9\"\n\
                [[package]]\nname = \"app\"\nsource = { virtual = \".\" }\n[metadata]\nname = \"x\"\nversion = \"1\"\n";
    let mut toml = toml_packages();
    let mut found = lines(text, |line, found| toml.line(line, found));
    toml.end(&mut found);
    assert_eq!(told(&found), "flask-login=0.6.3 optional");
    assert_eq!(dist_info("Django-4.2.7.dist-info"), Some(("django".to_owned(), "4.2.7")));
    assert_eq!(dist_info("pip"), None);
    assert_eq!(dist_info("Django-3.2.25.egg-info"), Some(("django".to_owned(), "3.2.25")));
    assert_eq!(dist_info("zope.interface-6.1-py3.11.egg-info"), Some(("zope-interface".to_owned(), "6.1")));
    assert_eq!(dist_info("shop.egg-info"), None);
}

#[test]
fn a_line_that_pins_nothing_names_nothing() {
    for line in [
        "a>=1,==1.2",
        "a @ https://host.example/a.whl?x==1",
        "-e git+https://host.example/a==1",
        "a (==1.0)",
        "a==$VERSION",
    ] {
        assert_eq!(told(&lines(line, requirements)), "", "{line}");
    }
}

#[test]
fn a_version_for_another_system_is_no_difference() {
    // As uv writes it for several versions of Python, with the project itself.
    let text = "[[package]]\nname = \"numpy\"\nversion = \"2.0.2\"\nsource = { registry = \"u\" }\n\n[[package]]\nname = \"numpy\"\n\
                version = \"2.4.6\"\n\n[[package]]\nname = \"shop\"\nversion = \"0.1.0\"\nsource = { editable = \".\" }\n\n\
                [[package]]\nname = \"lib\"\nversion = \"1\"\n[package.source]\ntype = \"directory\"\n";
    let mut toml = toml_packages();
    let mut lock = lines(text, |line, found| toml.line(line, found));
    toml.end(&mut lock);
    let judged = |version: &str| {
        let mut installed = Packages::default();
        installed.add("numpy", Package { version: version.into(), ..Package::default() });
        installed.add("shop", Package { version: "0.0.9".into(), ..Package::default() });
        compare(&lock, &installed, same_python).differing
    };
    assert_eq!(judged("2.0.2"), [""; 0]);
    assert_eq!(judged("2.4.6"), [""; 0]);
    assert_eq!(judged("2.3.0"), ["numpy: 2.0.2 or 2.4.6 locked, 2.3.0 installed"]);
    // What a marker asks for on some systems may be there in another version for something else.
    let lock = lines("typing-extensions==4.0 ; python_version < '3.8'", requirements);
    let mut installed = Packages::default();
    installed.add("typing-extensions", Package { version: "4.9".into(), ..Package::default() });
    let difference = compare(&lock, &installed, same_python);
    assert_eq!(difference.is_none(), None);
    assert_eq!(difference.open.as_deref(), Some("typing-extensions: 4.0 locked, 4.9 installed"));
}

#[test]
fn one_version_that_is_written_in_two_ways_is_one() {
    for (locked, installed) in [
        ("4.2", "4.2.0"),
        ("1.0-RC.1", "1.0rc1"),
        ("v2.0.0b1", "2.0beta1"),
        ("1.0-post1", "1.0.post1"),
        ("2.1.0", "2.1.0+cpu"),
    ] {
        assert!(same_python(locked, installed), "{locked} {installed}");
    }
    for (locked, installed) in
        [("4.2", "4.2.1"), ("1.0", "1.0rc1"), ("10", "1"), ("2.1+cu1", "2.1"), ("1.0a1", "1.0b1")]
    {
        assert!(!same_python(locked, installed), "{locked} {installed}");
    }
    for (locked, installed) in
        [("v1.2", "1.2"), ("dev-main 0123456", "dev-main"), ("1.x-dev 0123456", "1.x-dev 0123456")]
    {
        assert!(same_php(locked, installed), "{locked} {installed}");
    }
    for (locked, installed) in [("1.2", "1.3"), ("dev-main 0123456", "dev-main 7654321"), ("dev-main", "dev-next")] {
        assert!(!same_php(locked, installed), "{locked} {installed}");
    }
}

#[test]
fn lists_of_ruby_and_of_other_managers_are_read_line_by_line() {
    let text = "GEM\n  remote: https://rubygems.org/\n  specs:\n    nokogiri (1.16.0-x86_64-linux)\n      racc (~> 1.4)\n    rails (7.1.2)\n\n\
                DEPENDENCIES\n  rails (~> 7.1)\n";
    let mut section = false;
    let others = "GIT\n  specs:\n    own (1.0)\nPATH\n  remote: .\n  specs:\n    engine (0.1)\n";
    let found = lines(&format!("{others}{text}"), |line, found| bundler(line, &mut section, found));
    assert_eq!(told(&found), "nokogiri=1.16.0, rails=7.1.2");
    for (file, expected) in [
        ("rails-7.1.2.gemspec", Some(("rails", "7.1.2"))),
        ("nokogiri-1.16.0-x86_64-linux.gemspec", Some(("nokogiri", "1.16.0"))),
        ("i18n-js-3.9.2.gemspec", Some(("i18n-js", "3.9.2"))),
        ("unf-ext-1.gemspec", Some(("unf-ext", "1"))),
        ("rails.gemspec", None),
        ("rails-7.1.2", None),
    ] {
        assert_eq!(gemspec(file), expected, "{file}");
    }
    let yarns = ["# yarn lockfile v1", "\"@babel/core@^7.0.0\":", "  version \"7.1\"", "a@^1, a@^2:", "__metadata:"];
    assert_eq!(yarns.iter().filter(|line| yarn(line)).count(), 2);
    let mut section = false;
    let pnpms = [
        "importers:",
        "  .:",
        "packages:",
        "",
        "  /a@1.0.0:",
        "    resolution: {x}",
        "  b@2.0.0:",
        "snapshots:",
        "  c@1:",
    ];
    assert_eq!(pnpms.iter().filter(|line| pnpm(line, &mut section)).count(), 2);
}

#[test]
fn a_line_without_an_end_is_cut() {
    let mut told = Vec::new();
    let text = format!("a\n{}\r\nb", "x".repeat(100_000));
    each_line(&mut text.as_bytes(), &mut |line| told.push(line.len())).unwrap();
    assert_eq!(told, [1, LINE_KEPT, 1]);
}

/// As `lines` keeps them.
const LINE_KEPT: usize = 4 << 10;

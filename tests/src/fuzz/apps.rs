//! What applications consist of: sources, manifests, lock files, archives.

use super::{Target, made, text};
use plumb_agent::apps::json::{Event, Json};
use plumb_agent::apps::lock::{self, Packages};

pub const TARGETS: &[Target] = &[
    Target {
        name: "php",
        run: |bytes| {
            plumb_agent::apps::php::assignments(bytes, &mut |_, value| made((value.text(), value.is_true())));
        },
        seeds: &[
            b"<?php\n$wp_version = '6.4.3'; define( 'WP_DEBUG', true ); const MAJOR = 4; Config::define(\"A\", '1');",
            b"<?php return ['version' => '4.5.1', 'x' => f(1), 'y' => 2.5]; define('D', __DIR__ . '/app'); ?> <b><?php $a = b;",
            b"<?php // $a\n# $b\n/* $c */ #[A]\necho \"$a\"; f(<<<'EOT'\n$d = '4';\n  EOT); $this?->v = 'it\\'s';",
        ],
    },
    Target {
        name: "manifest",
        run: |bytes| {
            use plumb_agent::apps::text;
            let all = super::text(bytes);
            text::header(&all, &["Plugin Name", "Version", "Requires PHP"], &mut |_, value| made(value.len()));
            made((text::value(&all, "version", ':'), text::value(&all, "version", '=')));
            made((text::element(&all, "version"), text::attribute(&all, "extension", "type")));
        },
        seeds: &[
            b"<?php\r\n/**\r\n * Plugin Name:  Shop \r\n * version:1.2\r\n * Requires PHP: 7.4\r\n */",
            b"name: 'Views'\ntype: module\nversion: '8.x-1.2' # packaged\n",
            b"version = \"7.x-3.2\"\n",
            b"<?xml version=\"1.0\"?>\n<!-- <version>0</version> -->\n<extension type='component' method=\"upgrade\">\n<name><![CDATA[x]]></name><version>4.1</version></extension>",
        ],
    },
    Target {
        name: "json",
        run: |mut bytes| {
            let mut json = Json::new(&mut bytes);
            let mut lists = 0;
            while let Ok(Some(event)) = json.event() {
                made((json.text().len(), json.depth()));
                lists += usize::from(event == Event::List);
                // Every other list is passed over.
                if event == Event::List && lists % 2 == 0 && json.skip(event).is_err() {
                    break;
                }
            }
        },
        seeds: &[
            br#" {"a":[1,-2.5e3,true,null,"x\"\u00e9\n"],"b":{"c":{}},"d":"e"} "#,
            br#"[[],[[]],{"a":"\ud83d\ude00"},"\\"]"#,
        ],
    },
    Target {
        name: "composer-lock",
        run: |mut bytes| made(lock::composer(&mut Json::new(&mut bytes))),
        seeds: &[
            br#"{"packages":[{"name":"a/b","version":"7.8.1","source":{"type":"git","reference":"41042bc7ab002487"},"type":"library"},
{"name":"c/d","version":"dev-main","abandoned":"e/f","source":{"reference":"0123456789"}},{"name":"acme/shop","version":"2.0","type":"magento2-module"}],
"packages-dev":[{"name":"p/u","version":"10.5.1","abandoned":true}],"dev":false}"#,
            br#"[{"name":"a/b","version":"1"}]"#,
        ],
    },
    Target {
        name: "npm-lock",
        run: |mut bytes| made(lock::npm(&mut Json::new(&mut bytes))),
        seeds: &[
            br#"{"name":"x","lockfileVersion":3,"packages":{"":{"name":"x"},"node_modules/a":{"version":"1.2.3","engines":{"node":">=10"}},
"node_modules/a/node_modules/b":{"version":"2.0.0","dev":true,"optional":true,"os":["darwin"]},"node_modules/own":{"link":true}}}"#,
            br#"{"lockfileVersion":1,"dependencies":{"a":{"version":"1.2.3","requires":{"b":"^2"},"dependencies":{"b":{"version":"2.0.0","dev":true}}}}}"#,
        ],
    },
    Target {
        name: "lock-lines",
        run: |mut bytes| {
            let mut found: [Packages; 3] = Default::default();
            let (mut toml, mut section, mut gems) = (lock::toml_packages(), false, false);
            let _ = lock::each_line(&mut bytes, &mut |line| {
                lock::requirements(line, &mut found[0]);
                toml.line(line, &mut found[1]);
                lock::bundler(line, &mut gems, &mut found[2]);
                made((lock::yarn(line), lock::pnpm(line, &mut section), lock::dist_info(line), lock::gemspec(line)));
            });
            made(lock::compare(&found[0], &found[1], lock::same_python));
            made(lock::compare(&found[2], &found[0], lock::same_php));
        },
        seeds: &[
            b"# pins\nDjango==4.2.7 \\\n    --hash=sha256:00\nzope.interface[test] == 6.1  # why\npywin32==306 ; sys_platform == 'win32'\n",
            b"version = 1\n[[package]]\nname = \"Flask_Login\"\nversion = \"0.6.3\"\n[package.dependencies]\nversion = \"9\"\n",
            b"GEM\n  specs:\n    nokogiri (1.16.0-x86_64-linux)\n      racc (~> 1.4)\n    rails (7.1.2)\n",
            b"\"@babel/core@^7.0.0\":\n  version \"7.1\"\npackages:\n\n  /a@1.0.0:\n    resolution: {x}\n",
            b"Django-4.2.7.dist-info\nnokogiri-1.16.0-x86_64-linux.gemspec\nunf-ext-1.gemspec\n",
        ],
    },
    Target {
        name: "zip",
        run: |bytes| {
            let mut archive = std::io::Cursor::new(bytes);
            let _ = plumb_agent::apps::zip::entry(&mut archive, "META-INF/MANIFEST.MF", 64 << 10);
        },
        seeds: &[
            b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\x1c\0\0\0\x1c\0\0\0\x14\0\0\0META-INF/MANIFEST.MFSpring-Boot-Version: 3.2.1\r\nPK\x01\x02\x14\0\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\x1c\0\0\0\x1c\0\0\0\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0META-INF/MANIFEST.MFPK\x05\x06\0\0\0\0\x01\0\x01\0B\0\0\0N\0\0\0\0\0",
            b"PK\x03\x04\x14\0\0\0\x08\0\0\0\0\0\0\0\0\0\x1e\0\0\0\x1c\0\0\0\x14\0\0\0META-INF/MANIFEST.MF\x0b.(\xca\xccK\xd7u\xca\xcf/\xd1\rK-*\xce\xcc\xcf\xb3R0\xd63\xd23\xe4\xe5\x02\0PK\x01\x02\x14\0\x14\0\0\0\x08\0\0\0\0\0\0\0\0\0\x1e\0\0\0\x1c\0\0\0\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0META-INF/MANIFEST.MFPK\x05\x06\0\0\0\0\x01\0\x01\0B\0\0\0P\0\0\0\0\0",
        ],
    },
    Target {
        name: "python-names",
        run: |bytes| made(lock::python_name(&text(bytes))),
        seeds: &[b"Flask_Login", b"zope.-_interface"],
    },
];

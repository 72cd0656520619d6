//! What the kernel, listeners, package managers, schedulers and PHP say.

use super::{Target, made, text};

pub const TARGETS: &[Target] = &[
    Target {
        name: "mountinfo",
        run: |bytes| made(plumb_agent::host::mounts::parse(bytes)),
        seeds: &[
            b"22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n36 22 0:31 / /mnt\\040x ro - nfs 10.0.0.2:/x ro\n",
        ],
    },
    Target {
        name: "netlink",
        run: |bytes| {
            use plumb_agent::host::sockets::diag;
            let _ = diag::take(bytes, &mut |message| diag::socket(message).map(|_| true));
        },
        seeds: &[
            b"X\0\0\0\x14\0\x02\0\0\0\0\0\0\0\0\0\x02\n\0\0\x01\xbb\0\0\x7f\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0!\0\0\0g\x12\0\0\x14\0\0\0\x03\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\0",
            b"\x14\0\0\0\x02\0\0\0\0\0\0\0\0\0\0\0\xfe\xff\xff\xff",
        ],
    },
    Target {
        name: "proc-net",
        run: |bytes| {
            use plumb_agent::host::sockets::read;
            let _ = (read(bytes, "tcp", &mut Vec::new()), read(bytes, "udp", &mut Vec::new()));
        },
        seeds: &[
            b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   0: 0100007F:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000   112        0 901 1 0 100 0 0 10 0\n",
            b"   0: 00000000000000000000000001000000:0019 00:00 07 00000000:00000000 00:00000000 00000000 0 0 7 2\n",
        ],
    },
    Target {
        name: "tls-answer",
        run: |mut bytes| made(plumb_agent::host::tls::old::answer(&mut bytes)),
        seeds: &[
            b"\x16\x03\x03\0A\x02\0\0&\x03\x03pppppppppppppppppppppppppppppppp\0\xc0/\0\x0b\0\0\x13\0\0\x10\0\0\x050\x03\x02\x01\x07\0\0\x050\x03\x02\x01\x07",
            b"\x15\x03\x03\0\x02\x01p\x16\x03\x03\0*\x02\0\0&\x03\x03pppppppppppppppppppppppppppppppp\0\xc0/\0\x16\x03\x03\0\x09\x0b\0\0\x13\0\0\x10\0\0\x16\x03\x03\0\x0e\x050\x03\x02\x01\x07\0\0\x050\x03\x02\x01\x07",
            b"\x15\x03\x03\0\x02\x02(",
        ],
    },
    Target {
        name: "x509",
        run: |bytes| {
            use plumb_agent::x509;
            let chain = x509::certificates(bytes).take(100).filter_map(|der| x509::parse(&der.ok()?).ok());
            let chain: Vec<_> = chain.chain(x509::parse(bytes)).collect();
            let _ = (x509::is_complete(&chain), chain.iter().any(|each| each.covers("www.shop.example")));
        },
        seeds: &[
            include_bytes!("../../data/certificate.der"),
            include_bytes!("../../../agent/src/x509/testdata/rsa.pem"),
            b"-----BEGIN TRUSTED CERTIFICATE-----\nMAA=\n-----END TRUSTED CERTIFICATE-----\n",
        ],
    },
    Target {
        name: "bus-message",
        run: |bytes| {
            use plumb_agent::host::bus::message::{decode, size};
            made((bytes.first_chunk().map(size), decode(bytes).is_ok()));
        },
        seeds: &[
            b"l\x02\x01\x01\n\0\0\0\x09\0\0\0\x1f\0\0\0\x05\x01u\0\x01\0\0\0\x06\x01s\0\x04\0\0\0:1.7\0\0\0\0\x08\x01g\0\x01s\0\0\x05\0\0\0hello\0",
            b"l\x03\x01\x01\x07\0\0\0\x09\0\0\0O\0\0\0\x05\x01u\0\x01\0\0\0\x06\x01s\0\x04\0\0\0:1.7\0\0\0\0\x04\x01s\0'\0\0\0org.freedesktop.DBus.Error.AccessDenied\0\x08\x01g\0\x01s\0\0\x02\0\0\0no\0",
        ],
    },
    Target {
        name: "rpm-header",
        run: |bytes| {
            use plumb_agent::host::packages::header::Header;
            for header in [Header::parse(bytes), Header::start(bytes)].into_iter().flatten() {
                made((header.name(), header.package(), header.has(b"/usr/sbin/", b"php-fpm")));
            }
        },
        seeds: &[
            b"\0\0\0\x08\0\0\0[\0\0\x03\xe8\0\0\0\x06\0\0\0\0\0\0\0\x01\0\0\x03\xe9\0\0\0\x06\0\0\0\x04\0\0\0\x01\0\0\x03\xea\0\0\0\x06\0\0\0\n\0\0\0\x01\0\0\x03\xeb\0\0\0\x04\0\0\0\x10\0\0\0\x01\0\0\x04\\\0\0\0\x04\0\0\0\x14\0\0\0\x02\0\0\x04]\0\0\0\x08\0\0\0\x1c\0\0\0\x02\0\0\x04^\0\0\0\x08\0\0\0(\0\0\0\x02\0\0\x13\xe8\0\0\0\x06\0\0\0=\0\0\0\x01php\x008.3.1\x002.el9\0\0\0\0\x07\0\0\0\0\0\0\0\x01php\0php-fpm\0/usr/bin/\0/usr/sbin/\0php:8.2:9050020241112144108:9\0",
        ],
    },
    Target {
        name: "berkeley",
        run: |bytes| {
            let mut file = std::io::Cursor::new(bytes);
            let _ = plumb_agent::host::packages::berkeley::each(&mut file, 1 << 20, &|_| true, &mut |_| {});
        },
        seeds: &[include_bytes!("../../hosts/cpanel/var/lib/rpm/Packages")],
    },
    Target {
        name: "schedule",
        run: |bytes| {
            use plumb_agent::watchers::certificates::timing;
            let text = text(bytes);
            made((timing::of_cron(&text), timing::of_calendars(text.lines()), timing::of_span(&text)));
        },
        seeds: &[
            b"0 */12 * * * root test -x /usr/bin/certbot",
            b"30 2,14 1-15/2 * Mon,Thu x",
            b"@daily x",
            b"*-*-* 00/6:30\nMon..Fri 4:00\n*:0/15 UTC",
            b"1h 30min",
        ],
    },
    Target {
        name: "log-lines",
        run: |bytes| {
            use plumb_agent::watchers::logs::extract::Extractor;
            made(plumb_agent::failures::mask::text(bytes));
            // The first line is a format, the second one a line of it.
            let (format, line) = bytes.split_at(bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len()));
            let line = line.get(1..).unwrap_or_default();
            let formats = [Extractor::nginx(&text(format)), Extractor::apache(&text(format))];
            formats.iter().flatten().for_each(|format| made(format.extract(line)));
            Extractor::usual().iter().for_each(|format| made(format.extract(line)));
        },
        seeds: &[
            b"$remote_addr - ${remote_user} [$time_local] \"$request\" $status $bytes_sent $request_time\n192.0.2.1 - - [x] \"GET / \\\" HTTP/2\" 200 17 0.003",
            b"%v:%p %h %l %u %t \"%r\" %>s %O %{ms}T %!200,304{Referer}i\nshop.example:443 ::1 - - [x] \"GET / HTTP/1.1\" 404 - 12 -",
            b"redis://a:b@10.0.0.1 DB_PASSWORD=x Authorization: Bearer y to=<a.b@example.net>, /x?key=0 0123456789abcdef0123456789abcdef",
        ],
    },
    Target {
        name: "ini",
        run: |bytes| plumb_agent::fpm::ini::parse(bytes, &mut |_, name, value| made((name.len(), value.is_ok()))),
        seeds: &[
            b"\xef\xbb\xbf; a comment\nmemory_limit = 128M ; more\n[opcache]\r\nopcache.enable=On\n[PHP]\nopen_basedir = '/srv/a:/srv/b'\n",
            b"both = \"a\\\"b\" \nmany = \"line one\nline ${TWO}\"\nc = ${LIMIT}\nd = E_ALL & ~E_NOTICE\n[www]\nphp_admin_value[memory_limit] = 64M\n",
        ],
    },
    Target {
        name: "ini-values",
        run: |bytes| {
            use plumb_agent::fpm::settings;
            made((settings::quantity(&text(bytes)), settings::flag(&text(bytes))));
        },
        seeds: &[b"128M", b"-1", b"0x1fk", b"0o17G", b"on", b"stderr", b"1.5G"],
    },
    Target {
        name: "fpm-status",
        run: |bytes| {
            use plumb_agent::fpm::status;
            made((status::is_whole(bytes), status::answer(bytes)));
        },
        seeds: &[
            b"\x01\x06\0\x01\0N\0\0Content-type: application/json\r\n\r\n{\"pool\":\"www\",\"idle processes\":3,\"active pro\x01\x06\0\x01\0J\0\0cesses\":2,\"total processes\":5,\"max active processes\":4,\"slow requests\":17}\x01\x03\0\x01\0\x08\0\0\0\0\0\0\0\0\0\0",
        ],
    },
];

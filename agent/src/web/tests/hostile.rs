use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use super::{Scene, print};
use crate::web::{SITES, Site, apache, caddy, nginx};

const GOOD: &str = "server { server_name good.example; root /srv/good; }";
const GOOD_TOLD: &str = "nginx/good.example listen=*:80 docroot=/srv/good\n";

/// What is told of a host with one good site beside something else; it takes no long time.
fn beside(make: impl FnOnce(&Scene)) -> String {
    let scene = Scene::of(&[
        ("etc/nginx/nginx.conf", "http { include bad/*; include good.conf; }"),
        ("etc/nginx/good.conf", GOOD),
        ("etc/nginx/bad/.keep", ""),
    ]);
    make(&scene);
    let began = Instant::now();
    let told = print(&scene.read());
    assert!(began.elapsed() < Duration::from_secs(10));
    assert!(told.contains(GOOD_TOLD), "{told}");
    told
}

#[test]
fn a_file_as_big_as_a_disk_is_not_read() {
    let told = beside(|scene| {
        let file = std::fs::File::create(scene.folder.path().join("etc/nginx/bad/big")).unwrap();
        file.set_len(1 << 30).unwrap();
    });
    assert_eq!(told, format!("{GOOD_TOLD}problem /etc/nginx/bad/big: bigger than 8388608 bytes\n"));
}

#[test]
fn a_file_that_includes_itself_is_a_fault() {
    let told = beside(|scene| scene.write("/etc/nginx/bad/loop", b"include /etc/nginx/bad/*;"));
    assert!(told.contains("fault nginx: /etc/nginx/bad/loop includes itself\n"), "{told}");
}

#[test]
fn a_fifo_and_links_in_a_circle_are_not_waited_for() {
    let told = beside(|scene| {
        let folder = scene.folder.path().join("etc/nginx/bad");
        nix::unistd::mkfifo(&folder.join("fifo"), nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
        symlink("two", folder.join("one")).unwrap();
        symlink("one", folder.join("two")).unwrap();
        scene.write("/etc/nginx/bad/x", b"include fifo; include bad/fifo;");
    });
    assert!(told.contains("problem /etc/nginx/bad/fifo: not a regular file\n"), "{told}");
    assert!(told.contains("too many links"), "{told}");
}

#[test]
fn bytes_that_are_no_text_make_their_value_unknown_and_no_other() {
    let told = beside(|scene| {
        scene
            .write("/etc/nginx/bad/x", b"server { server_name x.example; root /srv/\xff\xfe; access_log /var/log/x; }");
    });
    assert!(told.contains("nginx/x.example listen=*:80 access=/var/log/x docroot?=it is not UTF-8 text\n"), "{told}");
}

#[test]
fn blocks_without_end_are_a_problem() {
    let told = beside(|scene| scene.write("/etc/nginx/bad/deep", "location / {\n".repeat(100_000).as_bytes()));
    let problem = "problem /etc/nginx/bad/deep: more blocks lie in each other than are looked at\n";
    assert_eq!(told, format!("{GOOD_TOLD}{problem}"));
    let (sites, _) = apache::parse(&"<Directory /x>\n".repeat(100_000));
    assert!(sites.is_empty());
}

#[test]
fn ten_thousand_sites_are_told_up_to_the_limit() {
    let sites: String =
        (0..10_000).map(|n| format!("server {{ server_name s{n}.example; root /srv/{n}; }}\n")).collect();
    let scene = Scene::of(&[("etc/nginx/nginx.conf", &format!("http {{ {GOOD} {sites} }}"))]);
    let web = scene.read();
    assert_eq!(web.sites.len(), SITES);
    let told = print(&web);
    assert!(
        told.contains(GOOD_TOLD) && told.contains("there are more than 2000 sites"),
        "{}",
        &told[told.len() - 500..]
    );
}

/// Bytes of the logs of all these.
fn logs(sites: &[Site]) -> usize {
    sites.iter().flat_map(|site| &site.access_logs).map(|path| path.as_os_str().len()).sum()
}

#[test]
fn thousands_of_blocks_beside_thousands_of_servers_take_no_long_time() {
    let began = Instant::now();
    let (sites, _) = nginx::parse(&["server {} ".repeat(4_000), "http {} ".repeat(20_000)].concat());
    assert_eq!(sites.len(), 4_000);
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn what_thousands_of_servers_inherit_is_not_held_thousands_of_times() {
    let long = "x".repeat(4_000);
    let of_nginx: String = (0..200).map(|n| format!("access_log /{long}/{n};\n")).collect();
    let (sites, _) = nginx::parse(&format!("http {{ {of_nginx} {} }}", "server {}".repeat(200)));
    assert!(!sites.is_empty() && logs(&sites) <= 32 << 20, "{}", logs(&sites));
    let of_apache: String = (0..200).map(|n| format!("CustomLog /{long}/{n} a\n")).collect();
    let (sites, _) = apache::parse(&[of_apache, "<VirtualHost *>\n</VirtualHost>\n".repeat(200)].concat());
    assert!(!sites.is_empty() && logs(&sites) <= 32 << 20, "{}", logs(&sites));
}

#[test]
fn what_variables_stand_for_is_bounded_as_a_whole() {
    let define = format!("Define X /{}\n", "x".repeat(4_000));
    let host = "<VirtualHost ${X}:1 ${X}:2 ${X}:3 ${X}:4>\nCustomLog ${X}/1 a\nCustomLog ${X}/2 a\n</VirtualHost>\n";
    let (sites, _) = apache::parse(&[&define, &*host.repeat(1_000)].concat());
    let listen: usize = sites.iter().flat_map(|site| &site.listen).map(String::len).sum();
    assert!(!sites.is_empty() && listen + logs(&sites) <= 4 << 20, "{listen} {}", logs(&sites));
    let line = format!("{define}<VirtualHost a>\nServerAlias {}\nServerName b\n</VirtualHost>", "${X} ".repeat(1_000));
    assert_eq!(apache::parse(&line).0[0].names, ["b"]);
}

#[test]
fn a_snippet_that_is_imported_thousands_of_times_takes_neither_time_nor_memory() {
    let began = Instant::now();
    let lines =
        format!("(a) {{\nx {{\n{}}}\n}}\ns.example {{\n{}}}\n", "y\n".repeat(10_000), "import a\n".repeat(10_000));
    assert_eq!(caddy::parse(&lines).0[0].names, ["s.example"]);
    assert!(began.elapsed() < Duration::from_secs(10));
    let log = format!("log {{\noutput file /{}\n}}\n", "x".repeat(4_000));
    let tls = format!("tls /{0} /{0}\n", "y".repeat(2_000));
    let (sites, _) = caddy::parse(&format!("(a) {{\n{log}{tls}}}\ns.example {{\n{}}}\n", "import a\n".repeat(10_000)));
    assert_eq!((sites[0].access_logs.len(), sites[0].tls.len()), (1, 1));
}

#[test]
fn no_text_takes_parsers_down() {
    let pieces = [
        "server {",
        "}",
        "server_name",
        "set $a $a$a;",
        "root ${a;",
        "\"",
        "'",
        "\\",
        ";",
        "<VirtualHost",
        "</",
        "${",
        "\0",
        "é",
        "\n",
    ];
    // A small generator of its own: the same texts each time.
    let mut seed = 7_u32;
    for _ in 0..2_000 {
        let text: String = (0..20)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                pieces[(seed >> 16) as usize % pieces.len()]
            })
            .collect();
        let _ = (nginx::parse(&text), apache::parse(&text));
    }
}

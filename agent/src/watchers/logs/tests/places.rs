//! Where a log lies, whether it can be opened there, and what is let go of.

use super::follow::Scene;
use super::*;

#[test]
fn a_log_that_lies_on_another_disk_after_a_restart_is_read_on() {
    let mut scene = Scene::new();
    scene.stage.restart();
    fs::copy(scene.at(""), scene.at(".moving")).unwrap();
    scene.rename(".moving", "");
    scene.write(2);
    assert_eq!(scene.look(), (5, String::new()));
    scene.write(1);
    assert_eq!(scene.look(), (6, String::new()));
}

#[test]
fn a_log_that_begins_as_the_one_before_is_another_one_while_that_is_there() {
    let stage = stage(&SPEC).file(LOG, "");
    stage.look();
    stage.append(LOG, request(1));
    let _ = later(&stage);
    let place = |suffix: &str| stage.host().full_path(Path::new(&format!("{LOG}{suffix}")));
    fs::rename(place(""), place(".1")).unwrap();
    stage.append(LOG, request(1));
    stage.restart();
    assert!(later(&stage).contains("response_bytes_total{site=\"_\"} 2\n"));
}

#[test]
fn an_empty_log_whose_disk_has_another_number_after_a_restart_leaves_no_gap() {
    let stage = stage(&SPEC).file(LOG, "");
    stage.look();
    let mut cursors = stage.cursors();
    let cursor = cursors.get_mut(&format!("log:{LOG}")).unwrap();
    let text = String::from_utf8(cursor.clone()).unwrap();
    let device = text.split("\"device\":").nth(1).unwrap().split(',').next().unwrap();
    *cursor = text.replace(&format!("\"device\":{device},"), "\"device\":7,").into_bytes();
    stage.set_cursors(cursors);
    stage.restart();
    stage.append(LOG, request(1));
    let told = later(&stage);
    assert!(!told.contains("event ") && told.contains("response_bytes_total{site=\"_\"} 1\n"), "{told}");
}

#[test]
fn a_log_that_could_not_be_opened_at_first_is_read_from_where_it_ends_then() {
    for restart in [false, true] {
        // A folder stands for missing rights.
        let stage = stage(&SPEC).file(LOG, request(9).repeat(9));
        let place = |suffix: &str| stage.host().full_path(Path::new(&format!("{LOG}{suffix}")));
        fs::rename(place(""), place("-real")).unwrap();
        fs::create_dir(place("")).unwrap();
        let conf = format!("http {{ access_log {LOG}; }}");
        stage.write("/etc/nginx/nginx.conf", conf);
        assert!(stage.look().contains("not a regular file"));
        let _ = later(&stage);
        if restart {
            stage.restart();
        }
        fs::remove_dir(place("")).unwrap();
        fs::rename(place("-real"), place("")).unwrap();
        let _ = later(&stage);
        stage.append(LOG, request(1));
        assert!(later(&stage).contains("response_bytes_total{site=\"_\"} 1\n"));
    }
}

/// Descriptors that this process has of files that lie, or lay, below a folder.
fn open_below(folder: &Path) -> usize {
    let all = fs::read_dir("/proc/self/fd").unwrap().flatten();
    all.filter(|each| fs::read_link(each.path()).is_ok_and(|file| file.starts_with(folder))).count()
}

#[test]
fn a_log_that_is_rotated_all_the_time_takes_few_descriptors() {
    let mut scene = Scene::new();
    let folder = scene.at("").parent().unwrap().to_owned();
    for number in 1..100 {
        scene.rename("", &format!(".{number}"));
        scene.write(1);
        scene.stage.clock().advance(Duration::from_secs(1));
        let _ = scene.stage.look();
    }
    assert_eq!(scene.look(), (102, String::new()));
    assert!(open_below(&folder) <= 17, "{}", open_below(&folder));
}

#[test]
fn a_log_that_nobody_names_any_more_lets_go_of_what_was_rotated() {
    let conf = |log: &str| format!("http {{ access_log {log}; }}");
    let stage = stage(&SPEC).file("/srv/a.log", "").file("/etc/nginx/nginx.conf", conf("/srv/a.log"));
    stage.look();
    stage.write("/etc/nginx/nginx.conf", conf("/srv/b.log"));
    let _ = later(&stage);
    let place = |suffix: &str| stage.host().full_path(Path::new(&format!("/srv/a.log{suffix}")));
    stage.append("/srv/a.log", request(1));
    for number in 1..4 {
        fs::rename(place(""), place(&format!(".{number}"))).unwrap();
        fs::write(place(""), request(2)).unwrap();
        let _ = later(&stage);
    }
    let mut told = String::new();
    (0..15).for_each(|_| told.push_str(&later(&stage)));
    assert_eq!(open_below(place("").parent().unwrap()), 1);
    assert!(told.contains("event log_gap info /srv/a.log is not named any more: 77 bytes were not read x1"), "{told}");
}

#[test]
fn a_link_that_leads_to_another_file_each_day_is_one_log() {
    for restart in [false, true] {
        let (log, folder) = ("/var/www/a.example/log/access.log", "/var/www/a.example/log");
        let day = |number: u32| format!("{folder}/2026112{number}-access.log");
        let stage = stage(&SPEC).file(&day(1), request(9)).link(log, "20261121-access.log");
        stage.look();
        for number in 2..5 {
            stage.append(&day(number - 1), request(1));
            stage.write(&day(number), request(u64::from(number)));
            let place = stage.host().full_path(Path::new(log));
            fs::remove_file(&place).unwrap();
            std::os::unix::fs::symlink(format!("2026112{number}-access.log"), place).unwrap();
            if restart {
                stage.restart();
            }
            stage.clock().advance(Duration::from_secs(10));
            let told = stage.look();
            assert!(!told.contains("event ") && !told.contains("problem"), "{told}");
        }
        let told = later(&stage);
        assert!(told.contains(&format!("fact log_source {log} format=nginx-access site=a.example ")), "{told}");
        assert_eq!(
            samples(&told),
            [
                format!("log_lines_total{{log_source=\"{log}\"}} 6"),
                "requests_total{site=\"a.example\",status=\"2xx\"} 6".to_owned(),
                "response_bytes_total{site=\"a.example\"} 12".to_owned(),
            ]
        );
    }
}

#[test]
fn a_log_is_read_to_its_end_when_nobody_names_it_any_more_and_its_cursor_is_forgotten() {
    let conf = |log: &str| format!("http {{ access_log {log}; }}");
    let stage = stage(&SPEC).file("/srv/a.log", "").file("/srv/b.log", "");
    stage.write("/etc/nginx/nginx.conf", conf("/srv/a.log"));
    stage.look();
    stage.append("/srv/a.log", request(1));
    stage.write("/etc/nginx/nginx.conf", conf("/srv/b.log"));
    assert!(later(&stage).contains("log_lines_total{log_source=\"/srv/a.log\"} 1"));
    assert!(stage.cursors().contains_key("log:/srv/a.log"));
    stage.clock().advance(Duration::from_secs(2 * 86_400));
    let _ = stage.look();
    let kept: Vec<String> = stage.cursors().into_keys().filter(|name| name.starts_with("log")).collect();
    assert_eq!(kept, ["log:/srv/b.log", "logs"]);
}

use super::*;
use crate::host::bus::Unit;
use crate::watcher::testing::{NOW, Stage, print, stage};
use crate::watchers::services::SPEC;

const WANTS: &str = "/etc/systemd/system/multi-user.target.wants";

/// A host with services, which are enabled when their names begin with `on`.
struct Scene {
    stage: Stage,
    known: Known,
    files: Files,
    now: Duration,
    cursor: Vec<u8>,
}

impl Scene {
    fn new(services: &[(&str, &str)]) -> Self {
        let mut stage = stage(&SPEC);
        for (name, text) in services {
            let path = format!("/usr/lib/systemd/system/{name}");
            stage = stage.file(&path, format!("[Service]\n{text}\n"));
            if name.starts_with("on") {
                stage = stage.link(&format!("{WANTS}/{name}"), &path);
            }
        }
        let mut files = Files::default();
        files.look_through(stage.host());
        Self { stage, known: Known::default(), files, now: Duration::from_secs(1_000), cursor: Vec::new() }
    }

    /// Starts a service anew, as systemd does.
    fn start(&self, name: &str, invocation: &str) {
        let link = format!("/run/systemd/units/invocation:{name}");
        let _ = std::fs::remove_file(self.stage.host().full_path(link.as_ref()));
        std::fs::create_dir_all(self.stage.host().full_path("/run/systemd/units".as_ref())).unwrap();
        std::os::unix::fs::symlink(invocation, self.stage.host().full_path(link.as_ref())).unwrap();
    }

    /// Looks after so many seconds; units as `NAME ACTIVE SUB [JOB]`. Answers rows and events.
    fn look(&mut self, seconds: u64, lines: &[&str]) -> String {
        self.now += Duration::from_secs(seconds);
        let mut units = Units::default();
        for line in lines {
            let mut words = line.split(' ').map(str::as_bytes);
            let mut word = || words.next().unwrap_or_default();
            units.take(Unit { name: word(), load: b"loaded", active: word(), sub: word(), job: word(), path: b"/x" });
        }
        let stored = Some(self.cursor.clone());
        let stored = |_: &str| stored.clone();
        let mut look = Look::new(self.stage.host(), NOW, &[], &stored);
        self.known.update(&mut look, &mut self.files, &units, &["user@*".to_owned()], self.now);
        let failed = self.known.failed(&mut look, &mut |_, of| Some(of.into()), &units);
        self.known.restarts(&mut look, &mut |_| None, &units, self.now);
        let told = look.into_told();
        if let Some((_, cursor)) = told.cursors.last() {
            self.cursor.clone_from(cursor);
        }
        let mut text = String::new();
        for (name, service) in self.known.services(self.now) {
            let active = match &service.active {
                Active::Known { active, sub } => format!("{active}/{sub}"),
                Active::Unknown(reason) => format!("?({reason})"),
            };
            text += &format!("{name} {active} {} {}\n", service.enabled, service.recent.len());
        }
        for (name, failed) in failed {
            text += &format!("failed {name} {} {}\n", failed.result.unwrap(), failed.triggered_by.unwrap_or_default());
        }
        text + &print(&told)
    }
}

#[test]
fn a_service_that_is_restarted_stays_active_and_one_that_is_stopped_does_not() {
    let mut scene = Scene::new(&[("on.service", "")]);
    scene.start("on.service", "a");
    assert_eq!(scene.look(0, &["on.service active running"]), "on.service active/running enabled 0\n");
    assert_eq!(
        scene.look(1, &["on.service deactivating stop-sigterm restart"]),
        "on.service active/running enabled 0\n"
    );
    assert_eq!(scene.look(1, &["on.service inactive dead start"]), "on.service active/running enabled 0\n");
    scene.start("on.service", "b");
    assert_eq!(
        scene.look(1, &["on.service activating start"]),
        "on.service active/running enabled 1\nevent service_restarted info on.service was started anew x1\n"
    );
    assert!(scene.known.moves(scene.now));
    assert_eq!(scene.look(2, &["on.service reloading reload"]), "on.service active/reload enabled 1\n");
    assert!(!scene.known.moves(scene.now));
    assert_eq!(scene.look(600, &["on.service active running"]), "on.service active/running enabled 0\n", "long ago");
    assert_eq!(scene.look(1, &["on.service deactivating stop stop"]), "on.service deactivating/stop enabled 0\n");
    assert_eq!(scene.look(1, &["on.service inactive dead"]), "on.service inactive/dead enabled 0\n");
}

#[test]
fn a_start_that_does_not_end_is_told_as_it_is() {
    let mut scene = Scene::new(&[("on.service", "Type=notify")]);
    let starting = ["on.service activating start start"];
    assert_eq!(scene.look(0, &starting), "on.service ?(it is being started (activating)) enabled 0\n");
    assert_eq!(scene.look(59, &starting), "on.service ?(it is being started (activating)) enabled 0\n");
    assert_eq!(scene.look(1, &starting), "on.service activating/start enabled 0\n");
}

#[test]
fn what_comes_and_goes_by_itself_is_no_service() {
    let mut scene = Scene::new(&[
        ("once.service", "Type=oneshot"),
        ("timed.service", ""),
        ("socket.service", ""),
        ("asked.service", "BusName=org.example.Asked"),
        ("on-demand.service", ""),
        ("inst@.service", ""),
        ("user@.service", ""),
    ]);
    let units = [
        "once.service active running",
        "timed.service active running",
        "timed.timer active waiting",
        "socket.service active running",
        "socket.socket active listening",
        "asked.service active running",
        "on-demand.service active running",
        "on-demand.socket active listening",
        "inst@1.service active running",
        "user@1000.service active running",
        "transient.service active running",
    ];
    assert_eq!(scene.look(0, &units), "on-demand.service active/running enabled 0\n");
}

#[test]
fn a_service_that_was_started_by_hand_is_known_once_it_has_settled_and_stays_known() {
    let mut scene = Scene::new(&[("old.service", ""), ("new.service", "")]);
    let both = ["old.service active running", "new.service active running"];
    assert_eq!(scene.look(0, &both[..1]), "old.service active/running static 0\n");
    assert_eq!(scene.look(60, &both), "old.service active/running static 0\n");
    assert_eq!(scene.look(600, &both), "new.service active/running static 0\nold.service active/running static 0\n");
    // A unit that is stopped and not enabled is unloaded; another start of the agent finds it all the same.
    scene.known = Known::default();
    assert_eq!(scene.look(60, &both[1..]), "new.service active/running static 0\nold.service inactive/dead static 0\n");
    scene.stage.remove("/usr/lib/systemd/system/old.service");
    assert_eq!(scene.look(60, &both[1..]), "new.service active/running static 0\n", "removed for good");
}

#[test]
fn what_has_failed_is_told_with_its_timer_and_an_event_if_it_is_news() {
    let mut scene = Scene::new(&[("on.service", ""), ("job.service", "Type=oneshot")]);
    let timer = "job.timer active waiting";
    let before = ["on.service active running", "srv.mount failed failed", timer];
    let mount = "failed srv.mount org.freedesktop.systemd1.Mount \n";
    assert_eq!(scene.look(0, &before), format!("on.service active/running enabled 0\n{mount}"), "no news at first");
    let after = ["on.service failed failed", "srv.mount failed failed", "job.service failed failed", timer];
    assert_eq!(
        scene.look(60, &after),
        format!(
            "on.service failed/failed enabled 0\nfailed job.service org.freedesktop.systemd1.Service job.timer\n\
             failed on.service org.freedesktop.systemd1.Service \n{mount}\
             event service_failed warning job.service has failed: org.freedesktop.systemd1.Service x1\n\
             event service_failed warning on.service has failed: org.freedesktop.systemd1.Service x1\n"
        )
    );
    assert!(!scene.look(60, &after).contains("event"), "told once");
}

#[test]
fn a_service_that_a_package_manager_has_stopped_is_unknown_for_two_minutes_and_one_that_was_stopped_is_not() {
    let mut scene = Scene::new(&[("on.service", ""), ("on2.service", "")]);
    let runs = ["on.service active running", "on2.service inactive dead"];
    scene.look(0, &runs);
    assert!(scene.look(1, &["on.service inactive dead"]).starts_with("on.service inactive/dead "), "by hand");
    scene.look(1, &runs);
    scene.stage.write("/proc/900/comm", "dpkg\n");
    let waits = "on.service ?(it does not run, but a package manager is at work) enabled 0\non2.service inactive/dead enabled 0\n";
    assert_eq!(scene.look(1, &["on.service deactivating stop-sigterm stop"]), waits);
    assert_eq!(scene.look(60, &["on.service inactive dead"]), waits);
    assert!(scene.known.moves(scene.now), "what becomes of it is looked at soon");
    assert!(scene.look(1, &runs).starts_with("on.service active/running "));
    assert_eq!(scene.look(1, &["on.service inactive dead"]), waits);
    assert_eq!(scene.look(119, &[]), waits);
    assert!(scene.look(1, &[]).starts_with("on.service inactive/dead "));
}

#[test]
fn what_runs_at_the_first_look_after_a_boot_has_to_settle_as_at_any_other_time() {
    let mut scene = Scene::new(&[("on.service", ""), ("splash.service", "")]);
    scene.look(0, &["on.service active running"]);
    scene.known = Known::default();
    let both = ["on.service active running", "splash.service active running"];
    assert_eq!(scene.look(60, &both), "on.service active/running enabled 0\n");
}

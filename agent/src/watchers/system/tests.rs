use super::SPEC;
use crate::watcher::testing::stage;

const STAT: &str = "cpu  100 2 30 4000 50 6 7 8 9 1\ncpu0 50 1 15 2000 25 3 3 4 0 0\ncpu1 50 1 15 2000 25 3 4 4 0 0\n\
    intr 5 0 1\nctxt 77\nbtime 1795000000\nprocesses 88\nprocs_running 3\nprocs_blocked 1\nsoftirq 1 2\n";
const OS_RELEASE: &str =
    "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nID=debian\n";

#[test]
fn tells_the_machine_from_what_the_kernel_says() {
    let host = stage(&SPEC)
        .file("/usr/lib/os-release", OS_RELEASE)
        .link("/etc/os-release", "../usr/lib/os-release")
        .file("/proc/sys/kernel/osrelease", "6.1.0-41-amd64\n")
        .file("/proc/sys/kernel/arch", "x86_64\n")
        .file("/proc/cpuinfo", "processor : 0\nflags\t\t: fpu vme hypervisor lm\n")
        .file("/proc/stat", STAT)
        .file("/proc/loadavg", "0.50 0.25 0.10 3/200 4242\n")
        .file("/proc/meminfo", "MemTotal:       1000 kB\nMemFree:         100 kB\nMemAvailable:    400 kB\nBuffers:  5 kB\nCached:  6 kB\nSwapCached: 9 kB\nShmem: 7 kB\nSwapTotal: 20 kB\nSwapFree: 10 kB\n")
        .file("/proc/uptime", "1234.56 2000.00\n")
        .file("/proc/vmstat", "nr_free_pages 5\noom_kill 0\n")
        .file("/proc/pressure/cpu", "some avg10=0.00 avg60=0.00 avg300=0.00 total=1500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n")
        .file("/proc/pressure/io", "some avg10=0.00 avg60=0.00 avg300=0.00 total=250\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=125\n");
    assert_eq!(
        host.look(),
        "fact os os id=debian name=Debian GNU/Linux version=12 kernel=6.1.0-41-amd64 arch=x86_64 cpus=2 \
         virtualization=vm-other boot_time=2026-11-18T11:06:40Z from /etc/os-release\n\
         sample cpu_seconds_total{mode=\"user\"} 1\n\
         sample cpu_seconds_total{mode=\"nice\"} 0.02\n\
         sample cpu_seconds_total{mode=\"system\"} 0.3\n\
         sample cpu_seconds_total{mode=\"idle\"} 40\n\
         sample cpu_seconds_total{mode=\"iowait\"} 0.5\n\
         sample cpu_seconds_total{mode=\"irq\"} 0.06\n\
         sample cpu_seconds_total{mode=\"softirq\"} 0.07\n\
         sample cpu_seconds_total{mode=\"steal\"} 0.08\n\
         sample context_switches_total 77\n\
         sample forks_total 88\n\
         sample processes_running 3\n\
         sample processes_blocked 1\n\
         sample load1 0.5\n\
         sample load5 0.25\n\
         sample load15 0.1\n\
         sample memory_total_bytes 1024000\n\
         sample memory_available_bytes 409600\n\
         sample memory_free_bytes 102400\n\
         sample memory_buffers_bytes 5120\n\
         sample memory_cached_bytes 6144\n\
         sample memory_shared_bytes 7168\n\
         sample swap_total_bytes 20480\n\
         sample swap_free_bytes 10240\n\
         sample uptime_seconds 1234\n\
         sample pressure_cpu_waiting_seconds_total 1.5\n\
         sample pressure_io_waiting_seconds_total 0.00025\n\
         sample pressure_io_stalled_seconds_total 0.000125\n\
         sample oom_kills_total 0\n"
    );
}

#[test]
fn a_folder_that_is_no_system_is_no_error() {
    assert_eq!(stage(&SPEC).look(), "absent");
}

#[test]
fn an_image_that_does_not_run_says_what_it_cannot_say() {
    let told = stage(&SPEC).file("/etc/os-release", OS_RELEASE).look();
    assert_eq!(
        told,
        "fact os os id=debian name=Debian GNU/Linux version=12 kernel=?(comes by system call, which is not asked under \
         --root) arch=?(comes by system call, which is not asked under --root) cpus=?(/proc/stat cannot be read) \
         virtualization=?(neither /sys nor /proc/cpuinfo tells) boot_time=?(/proc/stat cannot be read) from \
         /etc/os-release\n"
    );
}

#[test]
fn a_malformed_file_is_a_problem_and_hides_no_other() {
    let told = stage(&SPEC).file("/proc/stat", "cpu  many\n").file("/proc/loadavg", "1 2 3 4/5 6\n").look();
    assert!(told.contains("sample load1 1\n"), "{told}");
    assert!(told.contains("problem os /proc/stat* /proc/stat: not as proc(5) describes it\n"), "{told}");
}

#[test]
fn a_kill_for_want_of_memory_is_told_once() {
    let host = stage(&SPEC).file("/proc/stat", STAT).file("/proc/sys/kernel/random/boot_id", "one\n");
    let kills = |count: u32| {
        host.write("/proc/vmstat", format!("oom_kill {count}\n"));
        host.look().lines().filter(|line| line.starts_with("event")).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(kills(3), ""); // before the first look: nobody's news
    assert_eq!(kills(3), "");
    assert_eq!(kills(4), "event oom_kill critical The kernel killed a process for want of memory x1");
    assert_eq!(kills(4), "");
    host.restart();
    assert_eq!(kills(4), "");
    host.restart();
    assert_eq!(kills(6), "event oom_kill critical The kernel killed 2 processes for want of memory x2");
    host.write("/proc/sys/kernel/random/boot_id", "two\n");
    host.restart();
    assert_eq!(kills(2), "event oom_kill critical The kernel killed 2 processes for want of memory x2");
    assert_eq!(kills(2), "");
}

#[test]
fn a_kill_whose_record_was_not_committed_is_told_again() {
    let host = stage(&SPEC).file("/proc/stat", STAT).file("/proc/sys/kernel/random/boot_id", "one\n");
    host.write("/proc/vmstat", "oom_kill 0\n");
    host.look();
    host.look();
    host.write("/proc/vmstat", "oom_kill 1\n");
    let before = host.cursors();
    let event = "event oom_kill critical The kernel killed a process for want of memory x1\n";
    assert!(host.look().ends_with(event));
    host.set_cursors(before); // the record was lost with its cursor
    assert!(host.look().ends_with(event));
    assert!(!host.look().contains("event"));
}

fn reboot(host: &crate::watcher::testing::Stage) -> String {
    let told = host.look();
    let word = told.split_whitespace().find(|word| word.starts_with("reboot_required=")).map(str::to_owned);
    word.unwrap_or_default()
}

#[test]
fn a_newer_kernel_that_is_installed_waits_for_a_restart() {
    let host = stage(&SPEC)
        .file("/proc/stat", STAT)
        .file("/proc/sys/kernel/osrelease", "6.1.0-41-amd64\n")
        .file("/boot/vmlinuz-6.1.0-41-amd64", "")
        .folder("/lib/modules/6.1.0-41-amd64");
    assert_eq!(reboot(&host), "reboot_required=false");
    host.write("/boot/vmlinuz-6.1.0-42-cloud-amd64", "");
    host.write("/lib/modules/6.1.0-42-cloud-amd64/x", "");
    assert_eq!(reboot(&host), "reboot_required=false"); // another flavour
    host.write("/boot/vmlinuz-6.1.0-42-amd64", "");
    assert_eq!(reboot(&host), "reboot_required=false"); // left behind: it has no modules
    host.write("/lib/modules/6.1.0-42-amd64/x", "");
    assert_eq!(reboot(&host), "reboot_required=true");
}

#[test]
fn kernels_whose_modules_are_hidden_do_not_tell_whether_a_restart_is_due() {
    let host = stage(&SPEC)
        .file("/proc/stat", STAT)
        .file("/proc/sys/kernel/osrelease", "6.1.0-41-amd64\n")
        .file("/boot/vmlinuz-6.1.0-41-amd64", "")
        .file("/usr/share/update-notifier/notify-reboot-required", "")
        .folder("/lib/modules");
    assert_eq!(reboot(&host), "reboot_required=?(there");
    host.write("/lib/modules/6.1.0-41-amd64/x", "");
    assert_eq!(reboot(&host), "reboot_required=false");
}

#[test]
fn no_flag_means_nothing_where_nobody_sets_it() {
    let host = stage(&SPEC).file("/proc/stat", STAT).file("/proc/sys/kernel/osrelease", "6.1.0-41-amd64\n");
    assert_eq!(reboot(&host), "");
    host.write("/usr/share/update-notifier/notify-reboot-required", "");
    assert_eq!(reboot(&host), "reboot_required=false");
    host.write("/run/reboot-required", "");
    assert_eq!(reboot(&host), "reboot_required=true");
    host.remove("/run/reboot-required");
    host.write("/boot/vmlinuz-6.1.0-99-amd64", "");
    host.write("/lib/modules/6.1.0-99-amd64/x", "");
    assert_eq!(reboot(&host), "reboot_required=?(the");
}

#[test]
fn containers_and_machines_are_told_apart() {
    let kind = |path: &str, text: &str| {
        let host = stage(&SPEC).file("/proc/stat", STAT).file(path, text);
        let told = host.look();
        told.split_whitespace().find_map(|word| word.strip_prefix("virtualization=")).unwrap_or_default().to_owned()
    };
    assert_eq!(kind("/run/systemd/container", "lxc"), "lxc");
    assert_eq!(kind("/.dockerenv", ""), "docker");
    assert_eq!(kind("/sys/class/dmi/id/sys_vendor", "QEMU\n"), "qemu");
    assert_eq!(kind("/sys/class/dmi/id/sys_vendor", "Dell Inc.\n"), "none");
    assert_eq!(kind("/proc/cpuinfo", "flags : fpu\n"), "none");
}

#[test]
fn a_machine_made_from_an_image_of_a_container_is_no_container() {
    let host = stage(&SPEC).file("/proc/stat", STAT).file("/.dockerenv", "").file("/proc/2/comm", "kthreadd\n");
    let host = host.file("/proc/cpuinfo", "flags : fpu hypervisor\n");
    assert!(host.look().contains("virtualization=vm-other"));
}

#[test]
fn memory_that_runs_out_is_told_at_once_and_memory_that_stays_low_is_not() {
    let host = stage(&SPEC).file("/proc/stat", STAT);
    let is_urgent = |available: u64| {
        host.write("/proc/meminfo", format!("MemTotal: 1000 kB\nMemAvailable: {available} kB\n"));
        host.look().contains("urgent\n")
    };
    assert_eq!(
        [400, 100, 99, 60, 49, 48, 10, 500].map(is_urgent),
        [false, false, true, false, true, false, true, true]
    );
}

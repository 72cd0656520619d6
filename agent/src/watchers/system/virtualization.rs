//! What the machine runs in, by what it says of itself; the words are those of systemd-detect-virt(1).

use std::io::Read;

use crate::host::Host;

/// Bytes of /proc/cpuinfo that hold the first processor.
const CPUINFO: u64 = 8 << 10;
const DMI: [&str; 4] = [
    "/sys/class/dmi/id/product_name",
    "/sys/class/dmi/id/sys_vendor",
    "/sys/class/dmi/id/board_vendor",
    "/sys/class/dmi/id/bios_vendor",
];
const VENDORS: [(&str, &str); 16] = [
    ("KVM", "kvm"),
    ("OpenStack", "kvm"),
    ("KubeVirt", "kvm"),
    ("DigitalOcean", "kvm"),
    ("Hetzner", "kvm"),
    ("Amazon EC2", "amazon"),
    ("QEMU", "qemu"),
    ("VMware", "vmware"),
    ("VMW", "vmware"),
    ("innotek GmbH", "oracle"),
    ("VirtualBox", "oracle"),
    ("Xen", "xen"),
    ("Bochs", "bochs"),
    ("Parallels", "parallels"),
    ("BHYVE", "bhyve"),
    ("Google", "google"),
];

/// `None` when it cannot be told.
pub(super) fn detect(host: &Host) -> Option<&'static str> {
    container(host).or_else(|| machine(host))
}

fn container(host: &Host) -> Option<&'static str> {
    // systemd writes down what started it.
    if let Ok(manager) = host.read_text("/run/systemd/container", 64) {
        let known = ["docker", "lxc", "lxc-libvirt", "openvz", "podman", "rkt", "systemd-nspawn", "wsl", "proot"];
        return Some(known.into_iter().find(|each| *each == manager.trim()).unwrap_or("container-other"));
    }
    let there = |path| host.stat(path).is_ok();
    if there("/run/.containerenv") {
        return Some("podman");
    }
    // The file outlives its container where a virtual machine was made from the image. Who sees the kernel's threads
    // stands in the machine's own process namespace.
    let in_machine = host.read_text("/proc/2/comm", 64).is_ok_and(|name| name.trim() == "kthreadd");
    if there("/.dockerenv") && !in_machine {
        return Some("docker");
    }
    // The outer system of OpenVZ has both.
    (there("/proc/vz") && !there("/proc/bc")).then_some("openvz")
}

fn machine(host: &Host) -> Option<&'static str> {
    let told: Vec<String> = DMI.iter().filter_map(|path| host.read_text(path, 4_096).ok()).collect();
    let vendor = VENDORS.iter().find(|(says, _)| told.iter().any(|text| text.contains(says)));
    let guest = is_guest(host);
    match vendor {
        // Google and Microsoft also sell real machines under the same name.
        Some((_, "google")) if guest == Some(false) => Some("none"),
        Some((_, kind)) => Some(kind),
        None if told.iter().any(|text| text.contains("Microsoft")) && guest != Some(false) => Some("microsoft"),
        None if host.read_text("/sys/hypervisor/type", 64).is_ok_and(|kind| kind.trim() == "xen") => Some("xen"),
        None => match guest {
            Some(true) => Some("vm-other"),
            Some(false) => Some("none"),
            None => (!told.is_empty()).then_some("none"),
        },
    }
}

/// Whether the processor says that a hypervisor runs below; only x86 does.
fn is_guest(host: &Host) -> Option<bool> {
    let mut head = Vec::new();
    host.open("/proc/cpuinfo").ok()?.take(CPUINFO).read_to_end(&mut head).ok()?;
    let flags = head.split(|byte| *byte == b'\n').find(|line| line.starts_with(b"flags"))?;
    Some(flags.split(|byte| *byte == b' ').any(|flag| flag == b"hypervisor"))
}

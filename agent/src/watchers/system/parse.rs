//! Texts of /proc, parsed apart from reading them.

/// Where processor time goes, in the order of /proc/stat; time of guests is part of the first two.
pub(super) const MODES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];

/// What is wanted of /proc/stat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stat {
    /// Processor time by mode, all processors together, in ticks.
    pub(super) ticks: [u64; MODES.len()],
    /// Processors that are online.
    pub(super) cpus: u32,
    /// Boot time in seconds since the epoch.
    pub(super) boot_time: u64,
    pub(super) context_switches: u64,
    pub(super) forks: u64,
    pub(super) running: u64,
    pub(super) blocked: u64,
}

/// `None` when it is not as proc_stat(5) describes it.
pub(super) fn stat(text: &[u8]) -> Option<Stat> {
    let mut stat = Stat::default();
    let mut has_total = false;
    for line in text.split(|byte| *byte == b'\n') {
        let Some(first) = line.first() else { continue };
        let field = match first {
            b'c' if line.starts_with(b"cpu ") => {
                let mut values = words(line).skip(1).map(number);
                for each in &mut stat.ticks {
                    // Old kernels have fewer modes.
                    *each = values.next().unwrap_or(Some(0))?;
                }
                has_total = true;
                continue;
            }
            b'c' if line.starts_with(b"cpu") => {
                stat.cpus += 1;
                continue;
            }
            b'c' if line.starts_with(b"ctxt ") => &mut stat.context_switches,
            b'b' if line.starts_with(b"btime ") => &mut stat.boot_time,
            b'p' if line.starts_with(b"processes ") => &mut stat.forks,
            b'p' if line.starts_with(b"procs_running ") => &mut stat.running,
            b'p' if line.starts_with(b"procs_blocked ") => {
                stat.blocked = number(word(line, 1)?)?;
                break; // the last of interest; what follows is long
            }
            _ => continue,
        };
        *field = number(word(line, 1)?)?;
    }
    has_total.then_some(stat)
}

/// The three load averages.
pub(super) fn load(text: &[u8]) -> Option<[f64; 3]> {
    let mut words = words(text).map(real);
    Some([words.next()??, words.next()??, words.next()??])
}

/// The number behind the first word of the row that begins with `name`.
pub(super) fn row(text: &[u8], name: &[u8]) -> Option<u64> {
    let mut lines = text.split(|byte| *byte == b'\n');
    let line = lines.find(|line| line.strip_prefix(name).is_some_and(|rest| rest.first() == Some(&b' ')))?;
    number(word(line, 1)?)
}

/// Microseconds in all, of the row `some` or `full` (the kernel's Documentation/accounting/psi.rst).
pub(super) fn pressure_total(text: &[u8], row: &[u8]) -> Option<u64> {
    let line = text.split(|byte| *byte == b'\n').find(|line| line.starts_with(row))?;
    words(line).find_map(|word| number(word.strip_prefix(b"total=")?))
}

pub(super) fn word(line: &[u8], at: usize) -> Option<&[u8]> {
    words(line).nth(at)
}

fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty())
}

pub(super) fn number(word: &[u8]) -> Option<u64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

pub(super) fn real(word: &[u8]) -> Option<f64> {
    std::str::from_utf8(word).ok()?.parse().ok().filter(|value: &f64| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_not_made_up() {
        assert_eq!(stat(b""), None);
        assert_eq!(stat(b"cpu  1 2 x 4\n"), None);
        assert_eq!(stat(b"ctxt 5\nprocs_blocked 0\n"), None);
        assert_eq!(load(b"0.5 0.4"), None);
        assert_eq!(load(b"inf 0 0"), None);
        assert_eq!(row(b"MemTotalX: 5 kB\n", b"MemTotal"), None);
        assert_eq!(pressure_total(b"some avg10=0.00\n", b"some"), None);
    }

    #[test]
    fn a_row_is_found_by_its_whole_name() {
        let text = b"SwapCached: 3 kB\nCached:            7 kB\n";
        assert_eq!(row(text, b"Cached:"), Some(7));
        assert_eq!(row(b"oom_kill_x 4\noom_kill 9\n", b"oom_kill"), Some(9));
    }

    #[test]
    fn time_of_an_old_kernel_without_steal_is_zero() {
        let stat = stat(b"cpu  1 2 3 4 5 6 7\ncpu0 1 2 3 4 5 6 7\nctxt 8\nbtime 9\nprocesses 10\nprocs_running 1\nprocs_blocked 2\nsoftirq 1\n");
        let ticks = [1, 2, 3, 4, 5, 6, 7, 0];
        assert_eq!(
            stat,
            Some(Stat { ticks, cpus: 1, boot_time: 9, context_switches: 8, forks: 10, running: 1, blocked: 2 })
        );
    }
}

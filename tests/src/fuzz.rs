//! Parsers that read what others wrote, each with seeds of the right shape: `tests/fuzz.rs` runs them on seeds and mutants,
//! `tests/fuzz/run` under libFuzzer, which looks for paths that nothing has taken yet.

/// A parser and what it usually reads.
pub struct Target {
    /// What it reads.
    pub name: &'static str,
    /// Reads it: any bytes are taken or refused; a panic or a hang is a fault.
    pub run: fn(&[u8]),
    /// Well-formed beginnings.
    pub seeds: &'static [&'static [u8]],
}

/// All of them.
pub const TARGETS: &[Target] = &[Target {
    name: "mountinfo",
    run: |bytes| drop(plumb_agent::host::mounts::parse(bytes)),
    seeds: &[
        b"22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n36 22 0:31 / /mnt\\040x ro - nfs 10.0.0.2:/x ro\n",
    ],
}];

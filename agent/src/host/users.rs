//! Names of users, as `/etc/passwd` has them (passwd(5)). Users of LDAP and the like have none here.

use std::collections::BTreeMap;

use plumb_proto::untrusted::Untrusted;

use super::{Host, HostError, Identity};

/// Where they are.
pub const PASSWD: &str = "/etc/passwd";
/// Bytes of it: tens of thousands of users.
const LIMIT: usize = 4 << 20;

/// Names of users by number, kept as long as the file stays the same.
#[derive(Debug, Default)]
pub struct Users {
    identity: Option<Identity>,
    names: BTreeMap<u32, Untrusted>,
}

impl Users {
    /// Reads the file again if it has changed.
    ///
    /// # Errors
    /// It cannot be read; then no name is known.
    pub fn refresh(&mut self, host: &Host) -> Result<(), HostError> {
        let identity = host.stat(PASSWD).ok().map(|meta| meta.identity);
        if identity.is_some() && identity == self.identity {
            return Ok(());
        }
        (self.identity, self.names) = (None, BTreeMap::new());
        self.names = parse(&host.read(PASSWD, LIMIT)?);
        self.identity = identity;
        Ok(())
    }

    /// A user's name.
    #[must_use]
    pub fn name(&self, uid: u32) -> Option<&Untrusted> {
        self.names.get(&uid)
    }
}

fn parse(text: &[u8]) -> BTreeMap<u32, Untrusted> {
    let mut names = BTreeMap::new();
    for line in text.split(|byte| *byte == b'\n') {
        let mut fields = line.split(|byte| *byte == b':');
        let (Some(name), Some(uid)) = (fields.next(), fields.nth(1)) else { continue };
        let uid = std::str::from_utf8(uid).ok().and_then(|uid| uid.parse().ok());
        if let Some(uid) = uid.filter(|_| !name.is_empty()) {
            names.entry(uid).or_insert_with(|| name.into()); // the first one counts, as for getpwuid(3)
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_name_of_a_number_counts_and_broken_lines_none() {
        let names = parse(b"root:x:0:0:root:/root:/bin/bash\ntoor:x:0:0::/:\nbroken\n:x:5:\nweb:x:33:33\nbad:x:y:1:\n");
        let names: Vec<_> = names.iter().map(|(uid, name)| format!("{uid} {name}")).collect();
        assert_eq!(names, ["0 root", "33 web"]);
    }
}

//! Tells what was found, in the table `database`.

use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use plumb_proto::model::{Severity, Value};
use plumb_proto::untrusted::Untrusted;

use super::{Databases, Instance, Owners, Product, UPGRADE, size};
use crate::host::grant::Right;
use crate::provenance::System;
use crate::tables::DATABASE;
use crate::watcher::Look;

/// Time between two sizes of one data folder.
const SIZE: Duration = Duration::from_secs(600);
/// No size of a data folder is begun after this much of a look.
const SIZES: Duration = Duration::from_secs(2);

impl Databases {
    pub(super) fn tell(&mut self, product: &dyn Product, look: &mut Look<'_>, now: Duration) {
        let Some(owners) = self.owners.take() else { return };
        self.versions.begin();
        let until = look.host.clock().monotonic() + SIZES;
        let system = self.system.clone();
        let instances = std::mem::take(&mut self.instances);
        for instance in &instances {
            self.tell_one(product, look, instance, (&system, &owners), now);
            self.tell_size(look, instance, (now, until));
        }
        self.stopped.retain(|key, _| instances.iter().any(|each| each.key == *key && each.server.is_none()));
        self.sized.retain(|key, _| instances.iter().any(|each| each.key == *key));
        (self.instances, self.owners) = (instances, Some(owners));
    }

    fn tell_one(
        &mut self,
        product: &dyn Product,
        look: &mut Look<'_>,
        instance: &Instance,
        (system, owners): (&System, &Owners),
        now: Duration,
    ) {
        let key = instance.key.as_str();
        let path: Untrusted = instance.binary.as_os_str().as_bytes().into();
        let source = path.to_string();
        look.fact(&DATABASE, key, &source, &[("binary", Value::Text(path))]);
        let package = owners.as_ref().map(|owners| owners.get(&instance.binary));
        system.tell(look, (&DATABASE, key, &source), package);
        let asked_before = instance.server.as_ref().is_some_and(|server| self.versions.was_asked(server));
        let binary = self.found.binaries.iter().find(|binary| binary.path == instance.binary);
        let version = match (binary, self.found.hides(&instance.binary)) {
            (None, Some(error)) => Err((error.to_string(), error.hint())),
            _ => self.versions.installed((product, look.host), instance, binary, package.ok().flatten()),
        };
        match &version {
            Ok(Some(version)) => look.fact(&DATABASE, key, &source, &[("version", Value::Version(version.clone()))]),
            Ok(None) => {}
            Err((why, hint)) => look.unknown(&DATABASE, key, "version", why, hint),
        }
        self.tell_running(look, instance, (&source, version.ok().flatten()), now);
        if let Some(server) = &instance.server
            && !asked_before
            && let Some(why) = self.versions.turned_away(server)
        {
            let text = format!("{key} lets nobody in: {why}");
            look.event(look.now, "database_refuses", Severity::Warning, text);
        }
        match &instance.listen {
            Ok(listen) if listen.is_empty() => {}
            Ok(listen) => {
                let listen = listen.iter().map(|each| each.as_str().into()).collect();
                look.fact(&DATABASE, key, &source, &[("listen", Value::List(listen))]);
            }
            Err((why, hint)) => look.unknown(&DATABASE, key, "listen", why, hint),
        }
        let Some(folder) = &instance.datadir else { return };
        look.fact(&DATABASE, key, &source, &[("datadir", Value::Text(folder.as_os_str().as_bytes().into()))]);
    }

    /// How much its data folder holds; on a slow disk one look does not get round to all of them.
    fn tell_size(&mut self, look: &mut Look<'_>, instance: &Instance, (now, until): (Duration, Duration)) {
        let (key, Some(folder)) = (instance.key.as_str(), &instance.datadir) else { return };
        let due = self.sized.get(key).is_none_or(|sized| now >= *sized + SIZE);
        if due && look.host.clock().monotonic() <= until {
            self.sized.insert(key.to_owned(), now);
            if let Some(bytes) = size::of(look.host, folder) {
                look.gauge("database_size_bytes", &[("database", key)], bytes);
            }
        }
    }

    fn tell_running(
        &mut self,
        look: &mut Look<'_>,
        instance: &Instance,
        (source, installed): (&str, Option<Untrusted>),
        now: Duration,
    ) {
        let key = instance.key.as_str();
        if let Some(server) = &instance.server {
            self.stopped.remove(key);
            let fields = [("running", true.into()), ("restart_needed", server.replaced.into())];
            look.fact(&DATABASE, key, source, &fields);
            match self.versions.running(server, installed.as_ref()) {
                Ok(version) => look.fact(&DATABASE, key, source, &[("running_version", Value::Version(version))]),
                Err(why) => look.unknown(&DATABASE, key, "running_version", why, ""),
            }
            return;
        }
        if let Some(why) = &self.found.hidden {
            for column in ["running", "running_version"] {
                look.unknown(&DATABASE, key, column, why, Right::Processes.hint(look.host));
            }
            return;
        }
        // Package managers stop a server, replace it, and start it again; after a boot it is started later than we are.
        let since = *self.stopped.entry(key.to_owned()).or_insert(now);
        if now < since + UPGRADE
            && let Some(why) = look.host.settles()
        {
            for column in ["running", "running_version"] {
                look.unknown(&DATABASE, key, column, format!("it does not run, but {why}"), "");
            }
            return;
        }
        look.fact(&DATABASE, key, source, &[("running", false.into())]);
    }
}

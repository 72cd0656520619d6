//! Tells what was found, in the table `database`.

use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use plumb_proto::model::{Severity, Value};
use plumb_proto::untrusted::Untrusted;

use super::{Databases, Instance, Owners, Product, UPGRADE};
use crate::host::grant::Right;
use crate::provenance::System;
use crate::tables::DATABASE;
use crate::watcher::Look;

impl Databases {
    pub(super) fn tell(
        &mut self,
        product: &dyn Product,
        login: Option<(&str, &str)>,
        look: &mut Look<'_>,
        now: Duration,
    ) {
        let Some(owners) = self.owners.take() else { return };
        self.versions.begin(now);
        let system = self.system.clone();
        let instances = std::mem::take(&mut self.instances);
        if let Some(login) = login {
            self.logins.visit(product, login, look, (&instances, &self.sizes), now);
        }
        for instance in &instances {
            self.tell_one(product, look, instance, (&system, &owners), now);
            self.tell_refusal(look, instance);
        }
        self.stopped.retain(|key, _| instances.iter().any(|each| each.key == *key && each.server.is_none()));
        self.refusing.retain(|key| instances.iter().any(|each| each.key == *key));
        (self.instances, self.owners) = (instances, Some(owners));
    }

    /// That a server lets nobody in; the moment when it began is an event.
    fn tell_refusal(&mut self, look: &mut Look<'_>, instance: &Instance) {
        let key = instance.key.as_str();
        let at_greeting = instance.server.as_ref().and_then(|server| self.versions.turned_away(server));
        let Some(why) = self.logins.turned_away(key).or(at_greeting) else {
            self.refusing.remove(key);
            return;
        };
        let source = instance.binary.display().to_string();
        look.fact(&DATABASE, key, &source, &[("refuses", why.into())]);
        if self.refusing.insert(key.to_owned()) {
            look.event(look.now, "database_refuses", Severity::Warning, format!("{key} lets nobody in: {why}"));
        }
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

//! `plumb-collector user`: who may ask from other machines. Like all commands here it works on the store itself; a collector
//! that runs takes it up within a second.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use plumb_proto::nearest::nearest;
use plumb_proto::time::{Clock, Timestamp};
use plumb_proto::untrusted::Untrusted;
use serde::Serialize;

use super::{label, print_line, who};
use crate::cli::connect::identity;
use crate::config::Config;
use crate::enroll::ca::Authority;
use crate::serve::{advertised, authority_dir, database, open_store, with_port};
use crate::store::Tx;
use crate::store::rows::{AuditEntry, Groups};
use crate::store::users::{Role, UserIssuance, UserRow};

/// The query port, where collector.toml names none.
const PORT: u16 = 7445;
const DAY: Duration = Duration::from_secs(86_400);

pub(super) const EXAMPLES: &str = "\
Examples:
  plumb-collector user create alice --role operator
  plumb-collector user create acme --role viewer --group client=acme --days 30
  plumb-collector user list
  plumb-collector user revoke alice";

const CREATE_EXAMPLES: &str = "\
Examples:
  plumb-collector user create alice --role operator
  plumb-collector user create acme --role viewer --group client=acme --days 30 --out acme.pem";

#[derive(Subcommand)]
pub(super) enum UserCommand {
    /// Make a user and the file with which they ask: key, certificate, pinned root and address
    #[command(after_help = CREATE_EXAMPLES)]
    Create(Create),
    /// List users
    #[command(
        after_help = "Examples:\n  plumb-collector user list\n  plumb-collector user list --json | jq '.[].name'"
    )]
    List {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Take a user's certificate back; a connection that is open is closed within seconds
    #[command(after_help = "Examples:\n  plumb-collector user revoke alice")]
    Revoke {
        /// Name of the user
        name: String,
    },
}

#[derive(Args)]
pub(super) struct Create {
    /// Name of the user: letters, digits, '-', '_', '.', '@'
    name: String,
    /// What they may do: viewer (ask), operator (approve), admin (decide about hosts)
    #[arg(long, value_parser = ["viewer", "operator", "admin"])]
    role: String,
    /// Only hosts with this label are theirs; may be given more than once
    #[arg(long, value_name = "K=V", value_parser = label)]
    group: Vec<(String, String)>,
    /// How long the certificate is good for
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=825))]
    days: u32,
    /// The file to make [default: NAME.pem]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// A user as `user create --json` prints it.
#[derive(Serialize)]
struct CreatedJson<'a> {
    name: &'a str,
    file: String,
    /// The line to try it with.
    line: String,
    expires: String,
}

/// A user as `user list --json` prints it.
#[derive(Serialize)]
struct UserJson {
    name: String,
    role: &'static str,
    groups: Groups,
    state: &'static str,
    created: String,
    expires: String,
    revoked: Option<String>,
}

pub(super) fn run(config: &Config, command: UserCommand, clock: &dyn Clock) -> Result<()> {
    match command {
        UserCommand::Create(arguments) => create(config, arguments, clock),
        UserCommand::List { json } => list(config, json, clock.now()),
        UserCommand::Revoke { name } => revoke(config, &name, clock.now()),
    }
}

fn audit(tx: &mut dyn Tx, at: Timestamp, action: &str, user: &str, detail: String) -> Result<()> {
    tx.audit(&AuditEntry {
        at,
        who: who(),
        action: action.to_owned(),
        subject: Untrusted::from(user),
        allowed: true,
        detail,
    })
}

fn create(config: &Config, arguments: Create, clock: &dyn Clock) -> Result<()> {
    let authority = authority_dir(&config.state_dir);
    if !authority.exists() {
        bail!("there is no certificate authority in {}: start the collector once, it makes one", authority.display());
    }
    let now = clock.now();
    let (authority, _) = Authority::open(&authority, now)?;
    let Some(role) = Role::parse(&arguments.role) else { bail!("there is no role {}", arguments.role) };
    let name = arguments.name.as_str();
    let made = authority.issue_user(name, DAY * arguments.days, now)?;
    let user = UserRow {
        name: name.to_owned(),
        role,
        groups: arguments.group.into_iter().collect(),
        key_hash: made.key_hash,
        created: now,
        not_after: made.not_after,
        revoked: None,
    };
    let issued = UserIssuance {
        user: name.to_owned(),
        serial: made.serial,
        key_hash: made.key_hash,
        not_after: made.not_after,
        issued: now,
        chain: made.chain,
    };
    let address = format!(
        "https://{}",
        with_port(&advertised(config.advertise.as_deref()), config.query.map_or(PORT, |at| at.port()))
    );
    let path = std::path::absolute(arguments.out.unwrap_or_else(|| PathBuf::from(format!("{name}.pem"))))?;
    let key = String::from_utf8_lossy(made.key.expose());
    let chain = String::from_utf8_lossy(&issued.chain);
    write(&path, &identity::file(&address, name, &key, &chain, authority.root_pem()))?;
    if let Err(error) = save(config, &user, &issued) {
        let _ = std::fs::remove_file(&path);
        return Err(error);
    }
    let line = format!("plumb --collector {address} --identity {} hosts", path.display());
    let expires = Timestamp::from_secs(user.not_after.millis() / 1000).to_string();
    if arguments.json {
        let file = path.display().to_string();
        print_line(&serde_json::to_string(&CreatedJson { name, file, line, expires })?)?;
    } else {
        print_line(&path.display().to_string())?;
        print_line(&line)?;
        eprintln!(
            "The file is all that {name} needs: it holds a private key, so hand it over in secret, and delete it here. As \
             ~/.config/plumb/identity.pem it needs no option. It is good until {expires}."
        );
    }
    if config.query.is_none() {
        eprintln!(
            "The query port is off: set `listen` in the section [query] of collector.toml, and restart the collector."
        );
    }
    Ok(())
}

fn save(config: &Config, user: &UserRow, issued: &UserIssuance) -> Result<()> {
    open_store(&config.state_dir)?.commit(&mut |tx| {
        let known = tx.users()?.into_iter().find(|known| known.name == user.name);
        if known.is_some_and(|known| known.revoked.is_none() && known.not_after > user.created) {
            bail!(
                "there is a user \"{0}\" already: `plumb-collector user revoke {0}` makes room for a new certificate",
                user.name
            );
        }
        tx.save_user(user)?;
        tx.log_user_issuance(issued)?;
        let limits: Vec<String> = user.groups.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let detail = format!("{} {} until {}", user.role.as_str(), limits.join(" "), user.not_after);
        audit(tx, user.created, "user create", &user.name, detail)
    })
}

/// Writes a new private file: one that is there is somebody's identity.
fn write(path: &Path, text: &str) -> Result<()> {
    let what = || format!("make {}", path.display());
    let file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(path);
    let mut file = file.with_context(what)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).with_context(what)
}

fn list(config: &Config, json: bool, now: Timestamp) -> Result<()> {
    let users = match database(&config.state_dir).exists() {
        true => open_store(&config.state_dir)?.questions()?.users()?,
        false => Vec::new(),
    };
    let users: Vec<UserJson> = users
        .into_iter()
        .map(|user| UserJson {
            state: match user.revoked {
                Some(_) => "revoked",
                None if now >= user.not_after => "expired",
                None => "active",
            },
            role: user.role.as_str(),
            created: user.created.to_string(),
            expires: user.not_after.to_string(),
            revoked: user.revoked.map(|at| at.to_string()),
            name: user.name,
            groups: user.groups,
        })
        .collect();
    if json {
        return print_line(&serde_json::to_string(&users)?);
    }
    for user in &users {
        let groups: Vec<String> = user.groups.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let groups = if groups.is_empty() { "every host".to_owned() } else { groups.join(" ") };
        let UserJson { name, role, state, expires, .. } = user;
        print_line(&format!("{name:<20}  {role:<8}  {state:<7}  until {expires}  {groups}"))?;
    }
    if users.is_empty() {
        eprintln!("There is no user. `plumb-collector user create NAME --role viewer` makes one.");
    }
    Ok(())
}

fn revoke(config: &Config, name: &str, now: Timestamp) -> Result<()> {
    if !database(&config.state_dir).exists() {
        bail!("there is no store in {} yet", config.state_dir.display());
    }
    open_store(&config.state_dir)?.commit(&mut |tx| {
        let users = tx.users()?;
        let Some(user) = users.iter().find(|user| user.name == name) else {
            let meant = nearest(name, users.iter().map(|user| user.name.as_str()));
            let hint = meant.map_or_else(
                || "`plumb-collector user list` lists them".to_owned(),
                |meant| format!("did you mean {meant}?"),
            );
            bail!("there is no user \"{name}\": {hint}");
        };
        if user.revoked.is_some() {
            bail!("{name} was revoked already");
        }
        tx.save_user(&UserRow { revoked: Some(now), ..user.clone() })?;
        audit(tx, now, "user revoke", name, String::new())
    })?;
    print_line(&format!("{name} is revoked: a connection that is open is closed within seconds"))
}

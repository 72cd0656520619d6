//! What the definitions of the command lines and the samples do not say: files, exit status, where to read on.

use super::program::Program;
use super::settings::Settings;

const EXIT: (&str, &[(&str, &str)]) = (
    "EXIT STATUS",
    &[("0", "It did its job."), ("1", "It could not; standard error says why."), ("2", "The command line is wrong.")],
);

pub(super) const PROGRAMS: &[Program] = &[
    Program {
        name: "plumb",
        section: "1",
        command: plumb_collector::cli::command,
        description: "`plumb` asks a collector and prints what it answers. On the collector's own machine it uses a socket \
            and needs no set-up: root and members of the group `plumb` may ask. From another machine it uses mutual TLS, \
            with the file that `plumb-collector user create` has made, once the collector has a query port.\n\n\
            Whatever deviates is a drift: of what a person has approved, or of a rule. Unknown is a value of its own; it is \
            never shown as ok, and comes with a reason.\n\n\
            What is printed for people may change; with `--json` the keys are stable, times are RFC 3339 in UTC, sizes are \
            bytes.",
        lists: &[
            (
                "EXIT STATUS",
                &[
                    ("0", "It did its job."),
                    (
                        "1",
                        "It could not; standard error says why. Of `drift --exit-code`: something has drifted. Of `rules \
                      test`: the file has a mistake.",
                    ),
                    ("2", "The command line is wrong."),
                ],
            ),
            (
                "ENVIRONMENT",
                &[
                    ("PLUMB_COLLECTOR", "Where the collector is, unless `--collector` says it."),
                    ("PLUMB_IDENTITY", "Who asks, unless `--identity` says it."),
                    ("NO_COLOR", "If it is set and not empty, nothing is coloured."),
                    ("COLUMNS", "The width of the terminal, where that cannot be asked."),
                ],
            ),
            (
                "FILES",
                &[
                    ("/run/plumb/collector.sock", "The collector on this machine."),
                    ("~/.config/plumb/identity.pem", "Key, certificate and address, to ask from another machine."),
                ],
            ),
        ],
        see_also: "`plumb-collector`(8), `plumb-collector.toml`(5), `plumb-agent`(8)",
    },
    Program {
        name: "plumb-agent",
        section: "8",
        command: plumb_agent::cli::command,
        description: "`plumb-agent` reads, and does nothing else: it finds by itself what there is to watch, starts no program, and takes no orders: what comes back \
            from the collector is that a record has arrived, or a renewed certificate. `once` and `check` work before the host \
            is enrolled.\n\n\
            The service `plumb-agent` runs before enrolment too: it waits for an identity, and goes on within 5 seconds \
            after `enroll` has made one.",
        lists: &[
            EXIT,
            (
                "ENVIRONMENT",
                &[
                    ("NO_COLOR", "If it is set and not empty, nothing is coloured."),
                    ("COLUMNS", "The width of the terminal, where that cannot be asked."),
                ],
            ),
            (
                "FILES",
                &[
                    ("/etc/plumb/agent.toml", "Settings; see `plumb-agent.toml`(5). Needed only to change something."),
                    ("/etc/plumb/agent.d/*.toml", "Read after it, in the order of their names."),
                    (
                        "/var/lib/plumb-agent/identity",
                        "This host's private key and certificate. They are never copied: a \
                      cloned machine enrols anew.",
                    ),
                    (
                        "/var/lib/plumb-agent/state.db",
                        "Records that wait for the collector, and where reading goes on.",
                    ),
                    ("/var/lib/plumb-agent/status.json", "What `plumb-agent status` shows."),
                ],
            ),
        ],
        see_also: "`plumb-agent.toml`(5), `plumb-collector`(8), `plumb`(1), `systemctl`(1)",
    },
    Program {
        name: "plumb-collector",
        section: "8",
        command: plumb_collector::admin::command,
        description: "`plumb-collector` takes what agents report, keeps it, judges it, and tells whom it concerns. The first start makes a \
            certificate authority, which every agent trusts from its enrolment on.\n\n\
            Commands other than `serve` work on the files of the collector, while it runs or not: run them as root, or as \
            the user `plumb-collector`.",
        lists: &[
            EXIT,
            (
                "PORTS",
                &[
                    ("7443", "Agents report (gRPC, mutual TLS 1.3)."),
                    ("7444", "Hosts enrol."),
                    ("7445", "Users ask from other machines. Closed unless the section [query] opens it."),
                    (
                        "127.0.0.1:7480",
                        "http://127.0.0.1:7480/healthz answers 200 while the store takes what comes; /metrics is \
                      for Prometheus.",
                    ),
                ],
            ),
            (
                "FILES",
                &[
                    ("/etc/plumb/collector.toml", "Settings; see `plumb-collector.toml`(5)."),
                    ("/etc/plumb/policy.d/*.toml", "Rules of your own, laid over those that ship."),
                    ("/usr/share/plumb/policy", "The rules that ship, to be read: they are built in."),
                    ("/var/lib/plumb-collector/collector.db", "The history."),
                    (
                        "/var/lib/plumb-collector/ca",
                        "The certificate authority. Whoever has it can pose as any host or as the \
                      collector.",
                    ),
                    ("/run/plumb/collector.sock", "The socket of `plumb`."),
                ],
            ),
        ],
        see_also: "`plumb-collector.toml`(5), `plumb`(1), `plumb-agent`(8), `systemctl`(1)",
    },
];

pub(super) const SETTINGS: &[Settings] = &[
    Settings {
        name: "plumb-agent.toml",
        about: "settings of plumb-agent",
        description: "`/etc/plumb/agent.toml` is in TOML. The agent needs none of it: what is left out stays at its default, \
            and every setting below is shown with it. Files in `/etc/plumb/agent.d` are read after it, in the order of their \
            names; what comes later wins.\n\n\
            Each section is a watcher. `enabled = false` switches it off, and `every` is the time from one of its looks to the \
            next (ms, s, m, h).\n\n\
            A key that is not known is an error: `plumb-agent check` names every mistake with its file, its line and the key \
            that was probably meant. The service takes changes with `systemctl reload plumb-agent`.",
        sample: include_str!("../../../packaging/agent.toml"),
        files: &[("/etc/plumb/agent.toml", "This file."), ("/etc/plumb/agent.d/*.toml", "What is laid over it.")],
        see_also: "`plumb-agent`(8), https://toml.io",
    },
    Settings {
        name: "plumb-collector.toml",
        about: "settings of plumb-collector",
        description: "`/etc/plumb/collector.toml` is in TOML. What is left out stays at its default, and settings \
            are shown with it. The sections [[receiver]] and [[route]] are examples; each may be written more than once.\n\n\
            Times are written as 30s, 10m, 2h, 1d. A key that is not known is an error: `plumb-collector check` names every \
            mistake with its line and the key that was probably meant. The service takes changes with `systemctl reload \
            plumb-collector`.",
        sample: include_str!("../../../packaging/collector.toml"),
        files: &[
            ("/etc/plumb/collector.toml", "This file."),
            ("/etc/plumb/policy.d/*.toml", "Rules of your own: `plumb rules test FILE` tries one."),
        ],
        see_also: "`plumb-collector`(8), `plumb`(1), https://toml.io",
    },
];

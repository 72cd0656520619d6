//! The command line. One file per command; this one says what there is and turns outcomes into exit codes: 0 when a
//! command did its job, 1 when it could not, 2 for wrong usage.

mod check;
mod enroll;
mod found;
mod gather;
mod grants;
mod json;
mod once;
mod own;
mod run;
mod status;
mod table;
mod terminal;
mod units;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{self, Config, Mistakes};
use crate::watcher::Spec;
use terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  plumb-agent once                       what is on this host, now
  plumb-agent once --watcher php --json
  plumb-agent check                      what cannot be read, and how to grant it
  plumb-agent status                     connection, spool, own cost

With --json a command prints one JSON document. Exit codes: 0 done, 1 could not,
2 wrong usage.";

/// Watches one web host and reports to a plumb collector. It reads, and does nothing else.
#[derive(Parser)]
#[command(
    name = "plumb-agent",
    version = plumb_proto::VERSION,
    arg_required_else_help = true,
    after_help = EXAMPLES,
    max_term_width = 100
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// The folder that is the host's file system root, for images, chroots and fixtures.
    #[arg(long, global = true, value_name = "DIR", default_value = "/")]
    root: PathBuf,
}

#[derive(Subcommand)]
enum Command {
    /// Observe and deliver, until stopped.
    #[command(after_help = "Examples:\n  plumb-agent run\n  plumb-agent run --config agent.toml")]
    Run(Configured),
    /// Observe once, print, and leave. Needs no collector and no configuration, and writes nothing.
    #[command(
        after_help = "Examples:\n  plumb-agent once\n  plumb-agent once --watcher php --json\n  plumb-agent once --root /mnt/image"
    )]
    Once(once::Args),
    /// Show what is discovered, what cannot be read and how to grant it, and mistakes in the configuration.
    #[command(after_help = "Examples:\n  plumb-agent check\n  plumb-agent check --json | jq .problems")]
    Check(Printed),
    /// Enrol this host at a collector, with a token that it has made.
    #[command(
        after_help = "Examples:\n  plumb-agent enroll --collector https://collector.example.com:7444 --token-file token\n\n\
                            `plumb-collector token create` prints the whole line to paste."
    )]
    Enroll(enroll::Args),
    /// Show what the running agent says of itself.
    #[command(after_help = "Examples:\n  plumb-agent status\n  plumb-agent status --json | jq .spool")]
    Status(Printed),
}

/// What a command reads its settings from.
#[derive(Args)]
struct Configured {
    /// The configuration file; files in agent.d beside it are read after it.
    #[arg(long, value_name = "FILE", default_value = config::FILE)]
    config: PathBuf,
}

impl Configured {
    fn load(&self, specs: &[Spec]) -> Result<Config, Mistakes> {
        Config::load(&self.config, self.is_named(), specs)
    }

    /// Whether the file was named on the command line.
    fn is_named(&self) -> bool {
        self.config.as_os_str() != config::FILE
    }

    /// Where the state lies, and the mistakes in the files, if there are any.
    fn state_dir(&self, specs: &[Spec]) -> anyhow::Result<(PathBuf, Mistakes)> {
        match self.load(specs) {
            Ok(config) => Ok((config.state_dir, Mistakes(Vec::new()))),
            Err(mistakes) => Ok((Config::state_dir(&self.config)?, mistakes)),
        }
    }
}

/// A command that reads settings and prints.
#[derive(Args)]
struct Printed {
    #[command(flatten)]
    configured: Configured,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// What a command did.
enum Done {
    /// Its job.
    Well,
    /// It printed why not.
    NotWell,
}

/// The definition of the command line, for man pages and completions.
#[must_use]
pub fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

/// Runs the command line of this process with these watchers.
#[must_use]
pub fn main(specs: Vec<Spec>) -> ExitCode {
    let Cli { command, root } = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to stdout and are no error.
            let _ = error.print();
            return u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
        }
    };
    let terminal = Terminal::stdout();
    let done = match command {
        Command::Run(args) => run::run(&args, &root, &specs),
        Command::Once(args) => match once::run(&args, &root, &specs, &terminal) {
            Err(once::Failure::Usage(why)) => {
                complain(&why);
                return ExitCode::from(2);
            }
            Err(once::Failure::Other(error)) => Err(error),
            Ok(done) => Ok(done),
        },
        Command::Check(args) => check::run(&args, &root, &specs, &terminal),
        Command::Enroll(args) => enroll::run(&args, &root, &specs, &terminal),
        Command::Status(args) => status::run(&args, &specs, &terminal),
    };
    match done {
        Ok(Done::Well) => ExitCode::SUCCESS,
        Ok(Done::NotWell) => ExitCode::FAILURE,
        Err(error) => {
            complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn complain(why: &str) {
    use std::io::Write;
    // Nowhere to complain to.
    let _ = writeln!(std::io::stderr(), "error: {why}");
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_definition_of_the_command_line_holds_together() {
        super::Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_examples() {
        let mut cli = super::Cli::command();
        cli.build();
        for command in cli.get_subcommands_mut().filter(|command| command.get_name() != "help") {
            let help = command.render_long_help().to_string();
            assert!(help.contains("\nExamples:\n  plumb-agent "), "{help}");
        }
    }
}

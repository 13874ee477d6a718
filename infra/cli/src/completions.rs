//! `millrace completions`: what a shell needs to complete verbs and options.

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use crate::output::{self, CliError};

/// Print the script with which a shell completes verbs and options
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    millrace completions bash > ~/.local/share/bash-completion/completions/millrace\n  \
    millrace completions zsh > \"${fpath[1]}/_millrace\"\n  \
    millrace completions fish > ~/.config/fish/completions/millrace.fish")]
pub(crate) struct Arguments {
    /// The shell
    shell: Shell,
}

/// Prints the script for the command line `C`.
pub(crate) fn run<C: CommandFactory>(arguments: &Arguments) -> Result<(), CliError> {
    let mut script = Vec::new();
    generate(arguments.shell, &mut C::command(), "millrace", &mut script);
    output::text(&String::from_utf8(script)?)
}

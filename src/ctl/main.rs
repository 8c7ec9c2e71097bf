//! `secure-execctl`: everything an administrator of secure-exec does.

mod audit;
mod cli;
mod closure;
mod explain;
mod folder;
mod plan;
mod profile;
mod screen;
mod table;
mod whitelist;
mod yaml;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _, error::ErrorKind};
use secure_exec::failure::Failure;
use secure_exec::guard;

use cli::{Command, Typed};
use screen::Screen;

fn main() -> ExitCode {
    guard::as_caller(program)
}

fn program() -> ExitCode {
    let failure = match Typed::try_parse() {
        Ok(typed) => match run(typed) {
            Ok(status) => return status,
            Err(failure) => failure,
        },
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
            ) =>
        {
            match Screen::new(false).print(&error.to_string()) {
                Ok(()) => return ExitCode::SUCCESS,
                Err(failure) => failure,
            }
        }
        Err(error) => usage(&error),
    };
    let message = screen::lines(&failure.to_string());
    let _closed = writeln!(std::io::stderr(), "{message}");
    ExitCode::from(failure.status())
}

fn run(typed: Typed) -> Result<ExitCode, Failure> {
    let screen = Screen::new(typed.common.json);
    match typed.command {
        Command::Whitelist(command) => whitelist::run(&typed.common, command, screen),
        Command::Profile(command) => profile::run(&typed.common, command, screen),
        Command::Explain(what) => explain::run(&typed.common, what, screen),
        Command::Audit(command) => audit::run(&typed.common, command, screen),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            let mut command = Typed::command();
            clap_complete::generate(shell, &mut command, "secure-execctl", &mut script);
            // clap_complete 4.6 calls a program by two names where its name has
            // a hyphen, and then completes no word after a command.
            let script = String::from_utf8_lossy(&script);
            screen.print(&script.replace("secure__subcmd__execctl", "secure__execctl"))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn usage(error: &clap::Error) -> Failure {
    let text = error.to_string();
    let text = text.trim_end();
    Failure::own(match error.kind() {
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            format!("no command given\n{text}")
        }
        _ => text.strip_prefix("error: ").unwrap_or(text).to_string(),
    })
}

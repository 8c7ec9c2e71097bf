//! The launcher's command line: what was typed, not yet what it means.

use std::ffi::{OsStr, OsString};
use std::os::fd::RawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use secure_exec_core::escape::Escaped;
use secure_exec_core::policy::Policy;

use crate::failure::Failure;

/// What to do.
#[derive(Debug)]
pub enum Command {
    /// Launch a plugin.
    Launch(Box<Arguments>),
    /// Print the help text.
    Help,
    /// Print the version.
    Version,
}

/// The options and operands.
#[derive(Debug, Default)]
pub struct Arguments {
    /// `--whitelist`.
    pub whitelist: Option<PathBuf>,
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--policy`.
    pub policy: Option<Policy>,
    /// `--profile`.
    pub profile: Option<String>,
    /// `--audit-log`.
    pub audit_log: Option<PathBuf>,
    /// `--plugin-root`.
    pub plugin_root: Option<PathBuf>,
    /// `--dry-run`.
    pub dry_run: bool,
    /// `--json`, for `--dry-run`.
    pub json: bool,
    /// `--ready-fd`.
    pub ready_fd: Option<RawFd>,
    /// `--quiet`.
    pub quiet: bool,
    /// `-v`.
    pub verbose: bool,
    /// PLUGIN.
    pub plugin: OsString,
    /// The whole of `argv[0]`, where the launcher was called by the plugin's
    /// name.
    pub called_as: Option<OsString>,
    /// ARGS…, the plugin's.
    pub plugin_arguments: Vec<OsString>,
}

/// The help text.
pub const HELP: &str = "\
Usage: secure-exec [OPTIONS] PLUGIN [ARGS...]

Verifies the bytes of PLUGIN against a whitelist and runs exactly those bytes
in a sandbox. Everything after PLUGIN goes to the plugin untouched. Called
under another name (a symlink), that name is PLUGIN and all arguments are the
plugin's.

Options:
  --whitelist PATH    whitelist file, or a folder of NAME.yaml files
  --config PATH       configuration (/etc/secure-exec/config.yaml)
  --policy POLICY     strict, permissive or audit-only
  --profile PROFILE   sandbox profile, a name or a file
  --audit-log PATH    where decisions are recorded
  --plugin-root DIR   where relative plugin paths begin
  --dry-run           print decision and plan, run nothing
  --json              print the dry run as JSON
  --ready-fd N        end of file on N: the plugin runs; else one JSON line
  --quiet             no warnings
  -v, --verbose       say what is done
  -h, --help          this text
  -V, --version       the version

Exit status: the plugin's own; 125 secure-exec failed; 126 the plugin was
refused or could not be executed; 127 no such plugin.
";

/// The launcher's own name; under any other it is a plugin's stand-in.
const OWN_NAME: &str = "secure-exec";

/// A command line that can't be followed.
#[derive(Debug)]
pub struct Misuse {
    /// A usage failure (exit status 125) that names the argument.
    pub failure: Failure,
    /// `--ready-fd`, whose reader would take its end for a plugin that runs.
    pub ready_fd: Option<RawFd>,
}

impl From<Failure> for Misuse {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            ready_fd: None,
        }
    }
}

/// Reads the command line. `executed` tells the name of the link through which
/// this program was executed, if that is another one than `argv[0]` says: a
/// host may write there what it likes, as CUPS does a printer's name. Executed
/// by its own name, it goes by `argv[0]`.
///
/// # Errors
/// The first mistake.
pub fn parse(
    mut words: impl Iterator<Item = OsString>,
    executed: impl FnOnce(&OsStr) -> Option<OsString>,
) -> Result<Command, Misuse> {
    let whole = words.next().unwrap_or_default();
    let called = whole.as_bytes().rsplit(|byte| *byte == b'/').next();
    let called = OsStr::from_bytes(called.unwrap_or_default());
    let link = executed(called).filter(|link| link != OWN_NAME);
    if called.is_empty() && link.is_none() {
        return Err(Failure::usage("the program was started without a name").into());
    }
    if called != OWN_NAME || link.is_some() {
        return Ok(Command::Launch(Box::new(Arguments {
            plugin: link.unwrap_or_else(|| called.to_owned()),
            called_as: Some(whole.clone()),
            plugin_arguments: words.collect(),
            ..Arguments::default()
        })));
    }
    parse_options(words)
}

fn parse_options(words: impl Iterator<Item = OsString>) -> Result<Command, Misuse> {
    let mut parser = lexopt::Parser::from_args(words);
    let mut typed = Arguments::default();
    let mut mistake = None;
    // On after a mistake: --ready-fd may be still to come.
    loop {
        match parse_one(&mut parser, &mut typed) {
            Ok(Parsed::Option) => {}
            Ok(Parsed::All) => break,
            Ok(Parsed::Instead(command)) if mistake.is_none() => return Ok(command),
            Ok(Parsed::Instead(_)) => {}
            Err(failure) => {
                mistake.get_or_insert(failure);
            }
        }
    }
    let mistake = mistake.or_else(|| missing(&typed));
    match mistake {
        None => Ok(Command::Launch(Box::new(typed))),
        Some(failure) => Err(Misuse {
            failure,
            ready_fd: typed.ready_fd,
        }),
    }
}

/// What was read.
enum Parsed {
    /// An option.
    Option,
    /// PLUGIN and what follows it, or the end.
    All,
    /// An option that asks for no launch.
    Instead(Command),
}

fn parse_one(parser: &mut lexopt::Parser, typed: &mut Arguments) -> Result<Parsed, Failure> {
    use lexopt::Arg::{Long, Short, Value};
    let usage = |error: lexopt::Error| Failure::usage(Escaped(&error.to_string()));
    let Some(argument) = parser.next().map_err(usage)? else {
        return Ok(Parsed::All);
    };
    match argument {
        Long("whitelist") => typed.whitelist = Some(parser.value().map_err(usage)?.into()),
        Long("config") => typed.config = Some(parser.value().map_err(usage)?.into()),
        Long("policy") => {
            typed.policy = Some(policy("--policy", &parser.value().map_err(usage)?)?);
        }
        Long("profile") => {
            typed.profile = Some(text("--profile", parser.value().map_err(usage)?)?);
        }
        Long("audit-log") => typed.audit_log = Some(parser.value().map_err(usage)?.into()),
        Long("plugin-root") => typed.plugin_root = Some(parser.value().map_err(usage)?.into()),
        Long("dry-run") => typed.dry_run = true,
        Long("json") => typed.json = true,
        Long("ready-fd") => typed.ready_fd = Some(descriptor(parser.value().map_err(usage)?)?),
        Long("quiet") => typed.quiet = true,
        Short('v') | Long("verbose") => typed.verbose = true,
        Long(name @ ("supervise" | "watch")) => {
            return Err(Failure::usage(format!(
                "--{name} is not part of this version: the plugin replaces the launcher"
            )));
        }
        Short('h') | Long("help") => return Ok(Parsed::Instead(Command::Help)),
        Short('V') | Long("version") => return Ok(Parsed::Instead(Command::Version)),
        Value(plugin) => {
            typed.plugin = plugin;
            typed.plugin_arguments = parser.raw_args().map_err(usage)?.collect();
            return Ok(Parsed::All);
        }
        unknown @ (Long(_) | Short(_)) => {
            return Err(usage(unknown.unexpected()));
        }
    }
    Ok(Parsed::Option)
}

/// What options demand of each other.
fn missing(typed: &Arguments) -> Option<Failure> {
    let mistake = if typed.plugin.is_empty() {
        "no PLUGIN given"
    } else if typed.json && !typed.dry_run {
        "--json goes with --dry-run"
    } else if typed.ready_fd.is_some() && typed.dry_run {
        "--ready-fd does not go with --dry-run, which runs nothing"
    } else {
        return None;
    };
    Some(Failure::usage(mistake))
}

/// A policy by its name; `place` says where it was written.
pub(crate) fn policy(place: &str, name: &OsStr) -> Result<Policy, Failure> {
    let name = name.to_string_lossy();
    Policy::from_name(&name).ok_or_else(|| {
        Failure::usage(format!(
            "{place}: '{}' is no policy; use one of {}",
            Escaped(&name),
            Policy::NAMES.join(", ")
        ))
    })
}

pub(crate) fn text(option: &str, value: OsString) -> Result<String, Failure> {
    value
        .into_string()
        .map_err(|_| Failure::usage(format!("{option}: the value is not UTF-8")))
}

fn descriptor(value: OsString) -> Result<RawFd, Failure> {
    let shown = String::from_utf8_lossy(&value.into_vec()).into_owned();
    match shown.parse::<RawFd>() {
        Ok(number) if number > 2 => Ok(number),
        _ => Err(Failure::usage(format!(
            "--ready-fd: '{}' is no descriptor above 2",
            Escaped(&shown)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(words: &[&str]) -> Result<Command, Misuse> {
        parse(words.iter().map(OsString::from), |_| None)
    }

    fn launch(words: &[&str]) -> Box<Arguments> {
        match typed(words).unwrap() {
            Command::Launch(arguments) => arguments,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn all_after_the_plugin_is_the_plugins() {
        let parsed = launch(&[
            "secure-exec",
            "--quiet",
            "p",
            "--whitelist",
            "-v",
            "--",
            "x",
        ]);
        assert!(parsed.quiet && parsed.whitelist.is_none() && !parsed.verbose);
        assert_eq!(parsed.plugin_arguments, ["--whitelist", "-v", "--", "x"]);
    }

    #[test]
    fn another_name_is_the_plugin() {
        let parsed = launch(&["/opt/cni/bin/host-local", "--policy", "nonsense"]);
        assert_eq!(parsed.plugin, "host-local");
        assert_eq!(parsed.plugin_arguments, ["--policy", "nonsense"]);
    }

    #[test]
    fn the_link_that_was_executed_is_the_plugin_whatever_the_host_calls_it() {
        for (link, plugin) in [
            (Some("texttopdf"), "texttopdf"),
            (Some("secure-exec"), "Printer"),
            (None, "Printer"),
        ] {
            let words = ["Printer", "7"].map(OsString::from).into_iter();
            let parsed = parse(words, |_| link.map(OsString::from)).unwrap();
            let Command::Launch(parsed) = parsed else {
                panic!("{parsed:?}")
            };
            assert_eq!(parsed.plugin, plugin);
            assert_eq!(parsed.called_as.unwrap(), "Printer");
        }
        let own = ["secure-exec", "p"].map(OsString::from).into_iter();
        let Command::Launch(parsed) = parse(own, |_| None).unwrap() else {
            panic!("no launch")
        };
        assert_eq!(parsed.plugin, "p");
        // Whatever the host calls it, its words are the plugin's.
        for called in ["secure-exec", "", "/"] {
            let words = [called, "--version"].map(OsString::from).into_iter();
            let parsed = parse(words, |_| Some("cat".into())).unwrap();
            let Command::Launch(parsed) = parsed else {
                panic!("{parsed:?}")
            };
            assert_eq!(
                (&*parsed.plugin, &*parsed.plugin_arguments),
                ("cat".as_ref(), &["--version".into()][..])
            );
        }
        assert!(parse(["".into()].into_iter(), |_| None).is_err());
    }

    #[test]
    fn an_unknown_policy_is_no_fallback() {
        assert!(typed(&["secure-exec", "--policy", "Strict", "p"]).is_err());
    }

    #[test]
    fn standard_streams_are_no_ready_descriptor() {
        for number in ["-1", "0", "2", "x", "99999999999"] {
            assert!(typed(&["secure-exec", "--ready-fd", number, "p"]).is_err());
        }
    }

    #[test]
    fn a_mistake_is_told_to_the_ready_descriptor_wherever_it_stands() {
        for words in [
            &["secure-exec", "--policy", "x", "--ready-fd", "7", "p"][..],
            &["secure-exec", "--ready-fd=7", "--unknown", "p"],
            &["secure-exec", "--unknown=x", "--quiet=x", "--ready-fd=7"],
            &["secure-exec", "--dry-run", "--ready-fd", "7", "p"],
        ] {
            assert_eq!(typed(words).unwrap_err().ready_fd, Some(7), "{words:?}");
        }
        let plugins = ["secure-exec", "--unknown", "p", "--ready-fd", "7"];
        assert_eq!(typed(&plugins).unwrap_err().ready_fd, None);
    }
}

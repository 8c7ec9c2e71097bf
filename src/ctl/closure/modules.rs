//! The modules that a script imports. The interpreter's own means find them:
//! a program of ours, which parses the script and runs none of it, launched by
//! `secure-exec` with nothing but folders of code to read.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use secure_exec::failure::Failure;
use secure_exec_core::digest::{self, Algorithm};
use secure_exec_core::escape::Escaped;
use serde_json::json;

use crate::whitelist::draft;

/// A language whose imports can be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    Python,
    Node,
    Perl,
}

/// A script, and what it would run with.
pub(super) struct Script<'a> {
    pub(super) language: Language,
    pub(super) bytes: &'a [u8],
    pub(super) interpreter: &'a Path,
    /// Where it lies; what is beside it counts where it is run at its path.
    pub(super) place: &'a Path,
    /// The argument of its first line.
    pub(super) argument: Option<&'a str>,
    /// What the profile sets.
    pub(super) environment: &'a [(String, String)],
    /// Folders that its modules may lie in.
    pub(super) folders: &'a [PathBuf],
    /// More files that it loads.
    pub(super) with: &'a [PathBuf],
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Modules {
    /// Real paths.
    pub(super) files: BTreeSet<PathBuf>,
    /// What the administrator should know.
    pub(super) notes: Vec<String>,
}

impl Language {
    /// The language of an interpreter, by its name.
    pub(super) fn of(interpreter: &Path) -> Option<Self> {
        let name = interpreter.file_name()?.to_str()?;
        let plain = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
        match plain {
            "python" => Some(Self::Python),
            "node" | "nodejs" => Some(Self::Node),
            "perl" => Some(Self::Perl),
            _ => None,
        }
    }

    const fn program(self) -> &'static str {
        match self {
            Self::Python => include_str!("modules.py"),
            Self::Node => include_str!("modules.js"),
            Self::Perl => include_str!("modules.pl"),
        }
    }
}

impl Script<'_> {
    /// Finds the script's modules.
    ///
    /// # Errors
    /// The search could not be run.
    pub(super) fn modules(&self) -> Result<Modules, Failure> {
        let failed =
            |why: String| Failure::own(format!("the script's modules are not found: {why}"));
        let answer = self.answer().map_err(failed)?;
        let folders: Vec<PathBuf> = self
            .folders
            .iter()
            .chain(self.with)
            .filter_map(|folder| std::fs::canonicalize(folder).ok())
            .collect();
        let mut modules = Modules::default();
        for line in answer.lines() {
            let (kind, rest) = line.split_once('\t').unwrap_or_default();
            match kind {
                "note" => modules.notes.push(rest.to_string()),
                // The script had a say in this answer, so it is held to what
                // could have been read there.
                "file" => match std::fs::canonicalize(rest) {
                    Ok(path) if path.is_file() && folders.iter().any(|on| path.starts_with(on)) => {
                        modules.files.insert(path);
                    }
                    _ => modules
                        .notes
                        .push(format!("'{}' is no file of code", Escaped(rest))),
                },
                _ => return Err(failed(format!("'{}' is no answer", Escaped(line)))),
            }
        }
        Ok(modules)
    }

    /// Runs the search.
    fn answer(&self) -> Result<String, String> {
        let text = |error: std::io::Error| error.to_string();
        let launcher = std::env::current_exe().map_err(text)?;
        let launcher = launcher.with_file_name("secure-exec");
        if !launcher.is_file() {
            return Err(format!(
                "'{}' does not exist\nInstall secure-exec beside secure-execctl: it confines the search.",
                Escaped(&launcher.to_string_lossy())
            ));
        }
        let own = tempfile::tempdir().map_err(text)?;
        let at = |name: &str| own.path().join(name);
        let program = format!("{}\n{}", self.first_line()?, self.language.program());
        std::fs::write(at("modules"), &program).map_err(text)?;
        std::fs::set_permissions(at("modules"), PermissionsExt::from_mode(0o755)).map_err(text)?;
        std::fs::write(at("script"), self.bytes).map_err(text)?;
        std::fs::write(at("whitelist"), self.whitelist(&program)?).map_err(text)?;
        let folder = json!({ "profile_dir": at("no-profiles") });
        std::fs::write(at("config"), folder.to_string()).map_err(text)?;
        let mut command = Command::new(launcher);
        command.env_clear().env("HOME", own.path());
        for (option, value) in [
            ("--config", at("config")),
            ("--whitelist", at("whitelist")),
            // Not beside the plugin, where a log could pass for one.
            ("--audit-log", at("log/audit.log")),
            ("--policy", "strict".into()),
        ] {
            command.arg(option).arg(value);
        }
        command.args(["--quiet", "modules"]).args(self.arguments());
        command.stdin(File::open(at("script")).map_err(text)?);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = command.output().map_err(text)?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("the search ended with {}\n{said}", output.status));
        }
        String::from_utf8(output.stdout).map_err(|_| "the answer is not UTF-8".into())
    }

    fn first_line(&self) -> Result<String, String> {
        let path = self
            .interpreter
            .to_str()
            .ok_or("the interpreter's path is not UTF-8")?;
        let flags = match self.language {
            // Without `site`, which would run what other packages ask it to.
            Language::Python => format!(" -S{}", self.python_flags()),
            Language::Node | Language::Perl => String::new(),
        };
        Ok(format!("#!{path}{flags}"))
    }

    /// The script's flags that have a say in where modules are.
    fn python_flags(&self) -> String {
        let flags = self
            .argument
            .and_then(|argument| argument.strip_prefix('-'));
        let flags = flags.filter(|flags| flags.chars().all(|c| "bBdEIOPqsSuv".contains(c)));
        flags
            .map(|flags| flags.replace('S', ""))
            .unwrap_or_default()
    }

    fn arguments(&self) -> Vec<PathBuf> {
        let mut arguments = match self.language {
            Language::Python | Language::Node => vec![self.place.to_path_buf()],
            Language::Perl => Vec::new(),
        };
        if self.language == Language::Python {
            let argument = self.argument.unwrap_or_default();
            let has_site = !(argument.starts_with('-') && argument.contains('S'));
            arguments.push(if has_site { "site" } else { "no-site" }.into());
        }
        let suffixes: &[&str] = match self.language {
            Language::Python => &["py"],
            Language::Node => &["js", "cjs", "mjs"],
            Language::Perl => &["pm", "pl"],
        };
        let is_module = |path: &&PathBuf| {
            let suffix = path.extension().and_then(|suffix| suffix.to_str());
            suffix.is_some_and(|suffix| suffixes.contains(&suffix))
        };
        arguments.extend(self.with.iter().filter(is_module).cloned());
        arguments
    }

    /// A whitelist of the one program, whose profile lets it read code. JSON
    /// is YAML.
    fn whitelist(&self, program: &str) -> Result<String, String> {
        let interpreter = draft::digest(self.interpreter, Algorithm::Sha256);
        let interpreter = interpreter.map_err(|failure| failure.to_string())?;
        let folders = self.folders.iter().chain(self.with);
        let folders: Vec<String> = folders
            .filter_map(|folder| Some(format!("-{}", folder.to_str()?)))
            .collect();
        let mut set = serde_json::Map::new();
        for (name, value) in self.environment {
            set.insert(name.clone(), json!(value));
        }
        set.insert("PYTHONDONTWRITEBYTECODE".into(), json!("1"));
        let whitelist = json!({
            "version": "1.0",
            "plugins": [{
                "name": "modules",
                "path": "./modules",
                "hash": digest::sha256(program.as_bytes()).to_string(),
                "interpreter": { "path": self.interpreter, "hash": interpreter.to_string() },
                "profile": {
                    "extends": "default",
                    "filesystem": { "code": folders },
                    "memory": { "write_execute": self.language == Language::Node },
                    "limits": { "cpu_seconds": 60 },
                    "environment": { "set": set },
                },
            }],
        });
        Ok(whitelist.to_string())
    }
}

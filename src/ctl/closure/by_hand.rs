//! The program that an interpreter is given by its entry's arguments.

use std::path::{Path, PathBuf};

use secure_exec::failure::Failure;
use secure_exec::opened::Opened;
use secure_exec::script;
use secure_exec_core::escape::Escaped;
use secure_exec_core::invocation::{self, Named, Program, Role};

use super::modules::Language;

/// What an interpreter that is the plugin runs by its entry's arguments.
pub(super) struct ByHand {
    /// Real paths.
    pub(super) files: Vec<PathBuf>,
    pub(super) language: Option<Language>,
    /// A program that imports what `-m` names.
    text: Option<String>,
}

impl ByHand {
    /// `None` where the caller gives it one.
    pub(super) fn of(opened: &Opened) -> Option<Self> {
        let entry = opened.listed.entry.as_ref()?;
        let names = script::of_names(&opened.listed, &opened.path);
        let reading = invocation::read(&names, &entry.args);
        let runs =
            |named: &&Named<'_>| named.role == Role::Run || invocation::is_code_name(named.text);
        let working = opened.listed.profile.working_directory.as_deref();
        let working = Path::new(working.unwrap_or(""));
        let files = reading.named.iter().filter(runs);
        let mut files: Vec<PathBuf> = files
            .flat_map(|named| named.places(working))
            .filter_map(|place| std::fs::canonicalize(place).ok())
            .filter(|path| path.is_file())
            .collect();
        if let Some(pin) = &entry.script
            && let Ok(path) = std::fs::canonicalize(&pin.path)
        {
            files.retain(|file| *file != path);
            files.insert(0, path);
        }
        let language = names.iter().map(Path::new).find_map(Language::of);
        let text = match reading.program {
            Program::Module(name)
                if language.is_some()
                    && name
                        .chars()
                        .all(|c| c.is_alphanumeric() || "._".contains(c)) =>
            {
                Some(format!(
                    "import runpy\n__import__(\"{name}\")\n__import__(\"{name}.__main__\")\n"
                ))
            }
            _ => None,
        };
        if files.is_empty() && text.is_none() {
            return None;
        }
        Some(Self {
            files,
            language,
            text,
        })
    }

    /// The program that is run: the first file, or what stands for it.
    pub(super) fn bytes(&self) -> Result<Vec<u8>, Failure> {
        if let Some(text) = &self.text {
            return Ok(text.clone().into_bytes());
        }
        let Some(first) = self.files.first() else {
            return Ok(Vec::new());
        };
        let shown = first.to_string_lossy();
        let failed = |error| Failure::own(format!("'{}': {error}", Escaped(&shown)));
        std::fs::read(first).map_err(failed)
    }
}

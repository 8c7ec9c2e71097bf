//! The first line of a script (man 2 execve, "Interpreter scripts").

use crate::escape::{Escaped, is_unsafe};

/// Bytes of a file that decide what it is: the kernel reads 256.
pub const HEAD: usize = 256;

/// Which program runs a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shebang {
    /// Absolute path of the interpreter.
    pub interpreter: String,
    /// The one argument that may follow.
    pub argument: Option<String>,
}

impl Shebang {
    /// The program that `env` would look for, with its arguments, where the
    /// interpreter is `/usr/bin/env` with one plain word, or with `-S` and plain
    /// words (man 1 env). Quotes, escapes, variables and assignments are not
    /// plain.
    #[must_use]
    pub fn env_target(&self) -> Option<(&str, Vec<&str>)> {
        let text = self.argument.as_deref().filter(|_| self.is_env())?;
        let split = ["--split-string=", "-S"];
        let split = split.iter().find_map(|option| text.strip_prefix(option));
        let mut words = match split {
            Some(words) => words
                .split([' ', '\t'])
                .filter(|word| !word.is_empty())
                .collect(),
            None => vec![text],
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
        let plain_argument = |c: char| plain(c) || "/=:,@%".contains(c);
        if words.is_empty() {
            return None;
        }
        let program = words.remove(0);
        // A path is as good as a name where words are split.
        let is_path = split.is_some() && program.starts_with('/');
        let is_program = !program.starts_with(['-', '.'])
            && program.chars().all(|c| plain(c) || (is_path && c == '/'));
        let are_plain = words.iter().all(|word| word.chars().all(plain_argument));
        (is_program && are_plain).then_some((program, words))
    }

    /// The interpreter is `env`, whatever it is to do.
    #[must_use]
    pub fn is_env(&self) -> bool {
        matches!(self.interpreter.as_str(), "/usr/bin/env" | "/bin/env")
    }
}

/// Reads the first line, as the kernel does but stricter: a line that is cut
/// at the kernel's limit, a relative path and control characters are refused.
/// `Ok(None)` where the file is no script.
///
/// # Errors
/// What is wrong, as a sentence.
pub fn parse(head: &[u8]) -> Result<Option<Shebang>, String> {
    let Some(rest) = head.strip_prefix(b"#!") else {
        return Ok(None);
    };
    let rest = rest.get(..HEAD - 2).unwrap_or(rest);
    let end = rest.iter().position(|byte| *byte == b'\n');
    let line = match end {
        Some(end) => rest.get(..end).unwrap_or(rest),
        None if rest.len() == HEAD - 2 => {
            return Err(format!(
                "the script's first line is longer than {HEAD} bytes"
            ));
        }
        None => rest,
    };
    let line = std::str::from_utf8(line).map_err(|_| "the script's first line is not UTF-8")?;
    let line = line.trim_matches([' ', '\t']);
    if let Some(plain) = line.strip_suffix('\r') {
        return Err(format!(
            "the script's first line ends with a carriage return: '{}\\r'",
            Escaped(plain)
        ));
    }
    if line.chars().any(|c| is_unsafe(c) && c != '\t') {
        return Err(format!(
            "the script's first line has a control character: '{}'",
            Escaped(line)
        ));
    }
    let (interpreter, argument) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    if !interpreter.starts_with('/') {
        return Err(format!(
            "the script's interpreter '{}' is no absolute path",
            Escaped(interpreter)
        ));
    }
    let argument = argument.trim_matches([' ', '\t']);
    Ok(Some(Shebang {
        interpreter: interpreter.to_string(),
        argument: (!argument.is_empty()).then(|| argument.to_string()),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> (String, Option<String>) {
        let found = parse(text.as_bytes()).unwrap().unwrap();
        (found.interpreter, found.argument)
    }

    #[test]
    fn as_the_kernel_reads_it() {
        assert_eq!(line("#!/bin/sh\n"), ("/bin/sh".into(), None));
        assert_eq!(
            line("#! \t/bin/sh \t -e  -u \t\nx"),
            ("/bin/sh".into(), Some("-e  -u".into()))
        );
        assert_eq!(line("#!/bin/sh"), ("/bin/sh".into(), None));
        assert_eq!(parse(b"\x7fELF").unwrap(), None);
        assert_eq!(parse(b"").unwrap(), None);
    }

    #[test]
    fn hostile_lines() {
        for text in [
            "#!\n",
            "#!sh\n",
            "#!../sh\n",
            "#!/bin/sh\r\n",
            "#!/bin/s\0h\n",
            "#!/bin/\x1b[2J\n",
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(parse(b"#!/bin/\xff\n").is_err());
        let long = format!("#!/{}\n", "a".repeat(300));
        assert!(parse(&long.as_bytes()[..HEAD]).is_err());
    }

    #[test]
    fn env_names_one_plain_program() {
        let target = |text: &str| {
            parse(text.as_bytes())
                .unwrap()
                .unwrap()
                .env_target()
                .map(|(program, words)| format!("{program}|{}", words.join("|")))
        };
        assert_eq!(target("#!/usr/bin/env python3\n"), Some("python3|".into()));
        for (text, found) in [
            ("-S python3 -x", "python3|-x"),
            ("-Snode  --flag=a/b \t-c", "node|--flag=a/b|-c"),
            ("--split-string=deno run", "deno|run"),
            ("-S /usr/bin/node -r x", "/usr/bin/node|-r|x"),
        ] {
            let text = format!("#!/usr/bin/env {text}\n");
            assert_eq!(target(&text), Some(found.into()), "{text}");
        }
        for text in [
            "../x",
            "A=b",
            "a b",
            "-i",
            "",
            "-S",
            "-S A=b node",
            "-S -i node",
            "-vS node",
            "-S 'node' x",
            "-S node \"x\"",
            "-S node $HOME",
            "-S node a\\_b",
            "-S node #x",
            "-S ../x",
            "-i -S node",
            "/bin/sh",
            "--split-string= -u",
        ] {
            assert_eq!(target(&format!("#!/usr/bin/env {text}\n")), None, "{text}");
        }
        assert_eq!(target("#!/bin/sh -e\n"), None);
    }
}

//! How interpreters read their words: which of them names the program that
//! they run, and which may name files. A whitelist that pins `node` has said
//! nothing of the file that `node` is given.

/// A part of a word that may name a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named<'a> {
    /// Which word it stands in.
    pub word: usize,
    /// Where it begins there, in bytes.
    pub start: usize,
    /// The part.
    pub text: &'a str,
    /// What the program does with it.
    pub role: Role,
}

/// What a program does with a file that a word names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It runs it, whatever the file looks like.
    Run,
    /// That is not known: the file's own look decides.
    Unknown,
}

/// Where an interpreter takes its program from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program<'a> {
    /// It is no interpreter that is known here, or needs none.
    NotKnown,
    /// From the words themselves, as `sh -c` does: they are the whitelist's.
    Text,
    /// From a file that a word names.
    File,
    /// From wherever a module of this name is found, as `python -m` does.
    Module(&'a str),
    /// From its standard input, or from a word of the caller's.
    Open,
}

/// What the words of a command lead to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading<'a> {
    /// Parts that may name files, in order.
    pub named: Vec<Named<'a>>,
    /// The interpreter's program.
    pub program: Program<'a>,
}

/// Reads the words of a command. The program may have several names: that of
/// its file, that of a link, the one that it is told. Options are read as the
/// interpreter reads them; each word counts that could be a file, so a mistake
/// here is a file too many.
#[must_use]
pub fn read<'a>(names: &[&str], words: &'a [String]) -> Reading<'a> {
    let family = names.iter().find_map(|name| family(name));
    let mut reader = Reader {
        words,
        at: 0,
        family,
        named: Vec::new(),
        program: match family {
            Some(family) if family.operand => Program::Open,
            _ => Program::NotKnown,
        },
    };
    reader.all();
    Reading {
        named: reader.named,
        program: reader.program,
    }
}

/// Whether a file of this name holds code, by its ending.
#[must_use]
pub fn is_code_name(name: &str) -> bool {
    let ending = name
        .rsplit('/')
        .next()
        .and_then(|name| name.rsplit_once('.'));
    ending.is_some_and(|(_, ending)| {
        ENDINGS
            .iter()
            .any(|known| known.eq_ignore_ascii_case(ending))
    })
}

/// Whether bytes begin as code does that is told by its first ones: scripts,
/// ELF, WebAssembly, Java classes.
#[must_use]
pub fn is_code_head(head: &[u8]) -> bool {
    const STARTS: [&[u8]; 4] = [b"#!", b"\x7fELF", b"\0asm", b"\xca\xfe\xba\xbe"];
    STARTS.iter().any(|start| head.starts_with(start))
}

/// Endings of files that interpreters run or load.
const ENDINGS: &[&str] = &[
    "awk", "bash", "beam", "cjs", "class", "clj", "coffee", "csh", "cts", "dll", "el", "elc",
    "erl", "ex", "exs", "fish", "groovy", "jar", "js", "jsx", "ksh", "kts", "lua", "luac", "mjs",
    "mts", "node", "pex", "phar", "php", "pl", "pm", "ps1", "psgi", "py", "pyc", "pyo", "pyw",
    "pyz", "r", "rb", "rbw", "rkt", "scm", "sh", "so", "tcl", "ts", "tsx", "war", "wasm", "zsh",
];

/// Interpreters that read their words alike.
struct Family {
    /// Their names, without a version's digits.
    names: &'static [&'static str],
    /// The first word that is no option is the program.
    operand: bool,
    /// Letters of options whose value is the program's text.
    text: &'static str,
    /// That text may stand right behind the letter.
    text_attached: bool,
    /// The same as words.
    long_text: &'static [&'static str],
    /// Letter of the option whose value is a module's name.
    module: &'static str,
    /// Letters of options that have another value.
    values: &'static str,
    /// Letters of options whose value, if they have one, is the rest of the
    /// word.
    attached: &'static str,
    /// Options whose value is another word.
    long_values: &'static [&'static str],
    /// Options whose value is a file that is run.
    files: &'static [&'static str],
    /// Such a value without a slash is a module's name.
    file_names_modules: bool,
    /// Words before the program.
    verbs: &'static [&'static str],
}

const NONE: Family = Family {
    names: &[],
    operand: false,
    text: "",
    text_attached: false,
    long_text: &[],
    module: "",
    values: "",
    attached: "",
    long_values: &[],
    files: &[],
    file_names_modules: false,
    verbs: &[],
};

const FAMILIES: &[Family] = &[
    Family {
        names: &["python", "pypy"],
        operand: true,
        text: "c",
        text_attached: true,
        module: "m",
        values: "WX",
        long_values: &["--check-hash-based-pycs"],
        ..NONE
    },
    Family {
        names: &["node", "nodejs"],
        operand: true,
        text: "ep",
        long_text: &["--eval", "--print"],
        values: "C",
        long_values: NODE_VALUES,
        files: &[
            "-r",
            "--require",
            "--import",
            "--loader",
            "--experimental-loader",
            "--snapshot-blob",
        ],
        file_names_modules: true,
        ..NONE
    },
    Family {
        names: &["deno", "bun"],
        operand: true,
        long_text: &["eval", "--eval", "-e"],
        long_values: &[
            "-c",
            "--config",
            "--cert",
            "--ext",
            "--import-map",
            "--lock",
            "--location",
            "--seed",
            "--env-file",
            "--cwd",
        ],
        files: &["-r", "--preload", "--require", "--import"],
        file_names_modules: true,
        verbs: &["run", "serve", "test", "bench"],
        ..NONE
    },
    Family {
        names: &["perl"],
        operand: true,
        text: "eE",
        text_attached: true,
        values: "I",
        attached: "CDFMVimx",
        ..NONE
    },
    Family {
        names: &["ruby", "jruby", "truffleruby"],
        operand: true,
        text: "e",
        text_attached: true,
        values: "CEI",
        attached: "FKTWix",
        long_values: &["--encoding", "--external-encoding", "--internal-encoding"],
        files: &["-r"],
        file_names_modules: true,
        ..NONE
    },
    Family {
        names: &["php", "php-cgi"],
        operand: true,
        text: "BERr",
        text_attached: true,
        long_text: &[
            "--run",
            "--process-begin",
            "--process-code",
            "--process-end",
        ],
        values: "Scdt",
        long_values: &["--define", "--php-ini", "--docroot", "--server"],
        files: &[
            "-F",
            "-f",
            "-z",
            "--file",
            "--process-file",
            "--zend-extension",
        ],
        ..NONE
    },
    Family {
        names: &["lua", "luajit", "texlua"],
        operand: true,
        text: "e",
        text_attached: true,
        values: "jl",
        ..NONE
    },
    Family {
        names: &[
            "sh", "bash", "rbash", "dash", "ash", "ksh", "mksh", "lksh", "zsh", "yash", "fish",
            "posh",
        ],
        operand: true,
        text: "c",
        values: "Oo",
        files: &["--rcfile", "--init-file"],
        ..NONE
    },
    Family {
        names: &["tclsh", "wish", "expect"],
        operand: true,
        text: "c",
        text_attached: true,
        long_values: &["-encoding"],
        files: &["-f"],
        ..NONE
    },
    Family {
        names: &["Rscript"],
        operand: true,
        text: "e",
        ..NONE
    },
    Family {
        names: &["awk", "gawk", "mawk", "nawk", "original-awk"],
        values: "Fv",
        files: &[
            "-E",
            "--exec",
            "-f",
            "--file",
            "-i",
            "--include",
            "-l",
            "--load",
        ],
        ..NONE
    },
    Family {
        names: &["sed", "gsed"],
        text: "e",
        files: &["-f", "--file"],
        ..NONE
    },
    Family {
        names: &["make", "gmake"],
        values: "CI",
        files: &["-f", "--file", "--makefile"],
        ..NONE
    },
    Family {
        names: &["java"],
        files: &["-jar"],
        ..NONE
    },
];

/// Node's options with a value that may be another word and is no program
/// (`node --help`).
const NODE_VALUES: &[&str] = &[
    "--conditions",
    "--cpu-prof-dir",
    "--cpu-prof-interval",
    "--cpu-prof-name",
    "--debug-port",
    "--diagnostic-dir",
    "--disable-proto",
    "--disable-warning",
    "--dns-result-order",
    "--env-file",
    "--env-file-if-exists",
    "--experimental-default-type",
    "--heap-prof-dir",
    "--heap-prof-interval",
    "--heap-prof-name",
    "--heapsnapshot-near-heap-limit",
    "--heapsnapshot-signal",
    "--icu-data-dir",
    "--input-type",
    "--inspect-port",
    "--inspect-publish-uid",
    "--localstorage-file",
    "--max-http-header-size",
    "--openssl-config",
    "--redirect-warnings",
    "--report-dir",
    "--report-directory",
    "--report-filename",
    "--report-signal",
    "--secure-heap",
    "--secure-heap-min",
    "--test-concurrency",
    "--test-name-pattern",
    "--test-reporter",
    "--test-reporter-destination",
    "--test-timeout",
    "--title",
    "--tls-cipher-list",
    "--tls-keylog",
    "--trace-event-categories",
    "--trace-event-file-pattern",
    "--unhandled-rejections",
    "--use-largepages",
    "--v8-pool-size",
    "--watch-path",
];

fn family(name: &str) -> Option<&'static Family> {
    let name = name.rsplit('/').next().unwrap_or(name);
    let plain = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    FAMILIES
        .iter()
        .find(|family| family.names.contains(&name) || family.names.contains(&plain))
}

struct Reader<'a> {
    words: &'a [String],
    at: usize,
    family: Option<&'static Family>,
    named: Vec<Named<'a>>,
    program: Program<'a>,
}

impl<'a> Reader<'a> {
    fn all(&mut self) {
        if let Some(family) = self.family {
            self.options(family);
        }
        while let Some(word) = self.next() {
            self.parts(word, 0);
        }
    }

    /// The words up to the program.
    fn options(&mut self, family: &'static Family) {
        while let Some(word) = self.next() {
            if word == "--" {
                if family.operand
                    && let Some(word) = self.next()
                {
                    self.operand(word);
                }
                return;
            }
            if family.long_text.contains(&word) {
                self.text();
            } else if family.verbs.contains(&word) {
                // The program follows.
            } else if let Some(rest) = option_of(word) {
                self.option(family, word, rest);
            } else if family.operand {
                self.operand(word);
                return;
            } else {
                self.parts(word, 0);
            }
            if family.operand && matches!(self.program, Program::Text | Program::Module(_)) {
                return;
            }
        }
    }

    fn option(&mut self, family: &'static Family, word: &'a str, letters: &'a str) {
        let (name, value) = match word.split_once('=') {
            Some((name, _)) => (name, word.get(name.len().saturating_add(1)..)),
            None => (word, None),
        };
        if family.files.contains(&name) {
            match value {
                Some(value) => self.file(family, value, name.len().saturating_add(1)),
                None => {
                    if let Some(value) = self.next() {
                        self.file(family, value, 0);
                    }
                }
            }
            return;
        }
        if family.long_text.contains(&name) {
            self.program = Program::Text;
            return;
        }
        if value.is_none() && family.long_values.contains(&word) {
            if let Some(value) = self.next() {
                self.parts(value, 0);
            }
            return;
        }
        if word.starts_with("--") || word.len() < 2 {
            self.parts(word, 0);
            return;
        }
        for (place, letter) in letters.char_indices() {
            let start = place.saturating_add(letter.len_utf8());
            let rest = letters.get(start..).unwrap_or_default();
            let start = start.saturating_add(1);
            let short = format!("-{letter}");
            if family.text.contains(letter) {
                if rest.is_empty() || !family.text_attached {
                    self.text();
                } else {
                    self.program = Program::Text;
                }
                return;
            } else if family.module.contains(letter) {
                let module = if rest.is_empty() {
                    self.next()
                } else {
                    Some(rest)
                };
                self.program = module.map_or(Program::Open, Program::Module);
                return;
            } else if family.files.iter().any(|file| **file == short) {
                if rest.is_empty() {
                    if let Some(value) = self.next() {
                        self.file(family, value, 0);
                    }
                } else {
                    self.file(family, rest, start);
                }
                return;
            } else if family.values.contains(letter) {
                let (value, start) = if rest.is_empty() {
                    (self.next(), 0)
                } else {
                    (Some(rest), start)
                };
                if let Some(value) = value {
                    self.parts(value, start);
                }
                return;
            } else if family.attached.contains(letter) {
                self.parts(rest, start);
                return;
            }
        }
        self.parts(word, 0);
    }

    /// The program's text is the next word, which names no file.
    fn text(&mut self) {
        self.program = Program::Text;
        self.next();
    }

    fn operand(&mut self, word: &'a str) {
        if word == "-" {
            return;
        }
        self.program = Program::File;
        self.name(word, 0, Role::Run);
    }

    fn file(&mut self, family: &'static Family, value: &'a str, start: usize) {
        let is_module = family.file_names_modules && !value.contains('/');
        self.name(
            value,
            start,
            if is_module { Role::Unknown } else { Role::Run },
        );
        if !family.operand || !family.file_names_modules {
            self.program = Program::File;
        }
    }

    /// A word as a whole, what stands behind `=`, `@` or an option's letters,
    /// and the members of a list.
    fn parts(&mut self, word: &'a str, offset: usize) {
        let mut starts = vec![0];
        starts.extend(word.find('=').map(|at| at.saturating_add(1)));
        if word.starts_with('@') {
            starts.push(1);
        }
        if word.starts_with('-') {
            starts.extend(word.find(['/', '.']));
        }
        starts.dedup();
        for start in starts {
            let Some(part) = word.get(start..) else {
                continue;
            };
            let place = offset.saturating_add(start);
            self.name(part, place, Role::Unknown);
            if part.contains([':', ',']) {
                let mut at = place;
                for member in part.split([':', ',']) {
                    self.name(member, at, Role::Unknown);
                    at = at.saturating_add(member.len()).saturating_add(1);
                }
            }
        }
    }

    fn name(&mut self, text: &'a str, start: usize, role: Role) {
        // What is longer can be no path (man 7 path_resolution).
        if text.is_empty() || text.len() >= 4096 {
            return;
        }
        self.named.push(Named {
            word: self.at.saturating_sub(1),
            start,
            text,
            role,
        });
    }

    fn next(&mut self) -> Option<&'a str> {
        let word = self.words.get(self.at)?;
        self.at = self.at.saturating_add(1);
        Some(word)
    }
}

/// What stands behind the mark of an option.
fn option_of(word: &str) -> Option<&str> {
    let rest = word.strip_prefix('-').or_else(|| word.strip_prefix('+'))?;
    (!rest.is_empty()).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(String::from).collect()
    }

    /// The files that are run, and where the program comes from.
    #[track_caller]
    fn runs(name: &str, line: &str, files: &[&str], program: &str) {
        let words = words(line);
        let reading = read(&[name], &words);
        let run = reading.named.iter().filter(|named| named.role == Role::Run);
        let run: Vec<&str> = run.map(|named| named.text).collect();
        assert_eq!(run, files, "{name} {line}");
        assert_eq!(format!("{:?}", reading.program), program, "{name} {line}");
        for named in &reading.named {
            let word = &words[named.word];
            assert!(word[named.start..].starts_with(named.text), "{named:?}");
        }
    }

    #[test]
    fn the_program_is_the_first_word_that_is_no_option() {
        for (name, line, file) in [
            ("node", "/srv/i.js", "/srv/i.js"),
            ("/usr/bin/node", "--title x --env-file=.env i a b.js", "i"),
            ("nodejs", "-C dev --no-warnings pkg", "pkg"),
            ("python3.11", "-I -W error -Xdev run -m", "run"),
            ("pypy3", "-u run", "run"),
            ("sh", "-eu run c.sh", "run"),
            ("bash", "-o pipefail +O extglob -x run", "run"),
            ("perl", "-w -I lib -Mstrict -i.bak run", "run"),
            ("ruby", "-W0 -Ilib run", "run"),
            ("php8.2", "-d a=b run", "run"),
            ("lua5.4", "-l m run", "run"),
            ("tclsh8.6", "run", "run"),
            ("deno", "run --allow-read run.ts", "run.ts"),
            ("sh", "-- -x", "-x"),
        ] {
            runs(name, line, &[file], "File");
        }
        runs("node", "-r ./hook i.js", &["./hook", "i.js"], "File");
        runs("node", "--import=/h.mjs i.js", &["/h.mjs", "i.js"], "File");
        runs("node", "-r hook i.js", &["i.js"], "File");
        runs("bash", "--rcfile rc run", &["rc", "run"], "File");
        runs("gawk", "-F : -f prog data", &["prog"], "File");
        runs("php", "-f run", &["run"], "File");
        runs("java", "-cp /c -jar /a.jar", &["/a.jar"], "File");
    }

    #[test]
    fn a_program_in_the_words_is_no_file() {
        for (name, line) in [
            ("sh", "-c exit"),
            ("bash", "-euxc exit a"),
            ("python3", "-Ic pass"),
            ("python3", "-cpass x"),
            ("perl", "-lane print a"),
            ("perl", "-MPOSIX -e1"),
            ("node", "--eval 1"),
            ("node", "-pe 1 x"),
            ("node", "--print=1"),
            ("ruby", "-e 1"),
            ("php", "-r 1;"),
            ("lua", "-e x"),
            ("deno", "eval 1"),
        ] {
            runs(name, line, &[], "Text");
        }
        runs(
            "python3",
            "-m http.server 80",
            &[],
            "Module(\"http.server\")",
        );
        runs("python3", "-Immod a", &[], "Module(\"mod\")");
        for (name, line) in [
            ("node", ""),
            ("sh", "-"),
            ("python3", "-u"),
            ("bash", "-x -"),
        ] {
            runs(name, line, &[], "Open");
        }
        runs("awk", "{print} data", &[], "NotKnown");
        runs("sort", "-o file", &[], "NotKnown");
        runs("busybox", "sh run", &[], "NotKnown");
    }

    #[test]
    fn files_stand_within_words_too() {
        let words = words("--a=/x -I/y @/z /p:/q,r --s plain http://h/x.js");
        let named = read(&["tool"], &words).named;
        let all: Vec<&str> = named.iter().map(|named| named.text).collect();
        for part in [
            "/x", "/y", "/z", "/p", "/q", "r", "/p:/q,r", "plain", "//h/x.js",
        ] {
            assert!(all.contains(&part), "{part}: {all:?}");
        }
        for named in &named {
            assert!(
                words[named.word][named.start..].starts_with(named.text),
                "{named:?}"
            );
        }
    }

    #[test]
    fn code_is_told_by_its_ending_or_its_first_bytes() {
        for name in ["/a/i.js", "x.MJS", "a.b.py", "libx.so", "App.jar"] {
            assert!(is_code_name(name), "{name}");
        }
        for name in [
            "config.yaml",
            "hosts",
            "a.js/data",
            "log.txt",
            ".js.json",
            "x.so.1.txt",
            "js",
        ] {
            assert!(!is_code_name(name), "{name}");
        }
        assert!(is_code_head(b"#!/bin/sh") && is_code_head(b"\x7fELF\x02"));
        assert!(!is_code_head(b"# comment") && !is_code_head(b"") && !is_code_head(b"{}"));
    }
}

//! How interpreters read their words: which of them names the program that
//! they run, and which may name files. A whitelist that pins `node` has said
//! nothing of the file that `node` is given.

mod families;

use std::path::{Path, PathBuf};

pub use families::is_many;
use families::{Family, family, has};

/// A part of a word that may name a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named<'a> {
    /// Which word it stands in.
    pub word: usize,
    /// Where it begins there, in bytes.
    pub start: usize,
    /// The part.
    pub text: &'a str,
    /// What the program does with it.
    pub role: Role,
    /// The folder that the program has gone to before; empty where it stays.
    pub folder: PathBuf,
}

impl Named<'_> {
    /// The paths that it may be of, for a program that starts in this folder.
    pub fn places(&self, start: &Path) -> impl Iterator<Item = PathBuf> {
        let moved = start.join(&self.folder).join(self.text);
        let stays = self.role == Role::Unknown && !self.folder.as_os_str().is_empty();
        std::iter::once(moved).chain(stays.then(|| start.join(self.text)))
    }
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
    // A program of many that is called by the name of one is that one.
    let mut single = names.iter().filter(|name| !is_many(name));
    let many = names.first().filter(|name| is_many(name));
    let family = single
        .find_map(|name| family(name))
        .or_else(|| many.and_then(|name| family(name)));
    let words = words.iter().enumerate();
    let mut reader = Reader {
        words: words
            .map(|(number, text)| Word {
                number,
                start: 0,
                text,
            })
            .collect(),
        at: 0,
        family,
        operand: family.is_some_and(|family| family.operand),
        folder: PathBuf::new(),
        moves: Vec::new(),
        named: Vec::new(),
        program: open_program(family),
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
            .split(' ')
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
const ENDINGS: &str = "awk bash beam cjs class clj coffee csh cts dll el elc erl ex exs fish groovy jar java js jsx ksh kts lua luac mjs mts node pex phar php pl pm ps1 psgi py pyc pyo pyw pyz r rb rbw rkt scm sh so tcl ts tsx war wasm zsh";

fn open_program<'a>(family: Option<&'static Family>) -> Program<'a> {
    match family {
        Some(family) if family.operand || family.in_folder => Program::Open,
        _ => Program::NotKnown,
    }
}

/// A word as the program sees it: one of the command's, or a part of one that
/// is split.
#[derive(Clone, Copy)]
struct Word<'a> {
    number: usize,
    start: usize,
    text: &'a str,
}

struct Reader<'a> {
    words: Vec<Word<'a>>,
    at: usize,
    family: Option<&'static Family>,
    /// The first word that is no option is the program.
    operand: bool,
    /// Where it has gone.
    folder: PathBuf,
    /// Which of `named` are the folders on that way.
    moves: Vec<usize>,
    named: Vec<Named<'a>>,
    program: Program<'a>,
}

impl<'a> Reader<'a> {
    fn all(&mut self) {
        let mut last = None;
        while let Some(family) = self.family.take() {
            last = Some(family);
            match family.command {
                Some(before) => self.command(family, before),
                None => self.options(family),
            }
        }
        while let Some(word) = self.next() {
            self.parts(word, 0);
        }
        self.goes(last.is_some_and(|family| family.in_folder));
    }

    /// The program goes to its folders before it opens anything.
    fn goes(&mut self, in_folder: bool) {
        if self.folder.as_os_str().is_empty() {
            return;
        }
        let lies_there = in_folder && self.program == Program::Open;
        for (number, named) in self.named.iter_mut().enumerate() {
            if !self.moves.contains(&number) {
                named.folder.clone_from(&self.folder);
            } else if lies_there {
                named.role = Role::Run;
            }
        }
        if lies_there {
            self.program = Program::File;
        }
    }

    /// The words up to another command, whose words the rest are. Its name may
    /// be that of a file; what else it is, the system says.
    fn command(&mut self, family: &'static Family, mut before: usize) {
        let mut has_ended = false;
        while let Some(word) = self.next() {
            if !has_ended && word == "--" {
                has_ended = true;
            } else if let Some(rest) = option_of(word).filter(|_| !has_ended) {
                if !self.split(family, word) {
                    self.option(family, word, rest);
                }
            } else if word.contains('=') && family.names == "env" {
                self.parts(word, 0);
            } else if before > 0 {
                before = before.saturating_sub(1);
                self.parts(word, 0);
            } else {
                self.parts(word, 0);
                self.family = families::family(word);
                self.operand = self.family.is_some_and(|family| family.operand);
                self.program = open_program(self.family);
                return;
            }
        }
    }

    /// Whether the option's value is split into words, which come next.
    fn split(&mut self, family: &'static Family, word: &'a str) -> bool {
        let mut names = family.split.split(' ').filter(|name| !name.is_empty());
        let Some(start) = names.find_map(|name| {
            let rest = word.strip_prefix(name)?;
            let is_long = name.starts_with("--");
            match (rest.strip_prefix('='), is_long) {
                (Some(_), true) => Some(name.len().saturating_add(1)),
                _ => (rest.is_empty() || !is_long).then_some(name.len()),
            }
        }) else {
            return false;
        };
        let own = self.at.saturating_sub(1);
        let (place, start) = if start < word.len() {
            (own, start)
        } else {
            (self.at, 0)
        };
        let Some(split) = self.words.get(place).copied() else {
            return true;
        };
        let mut parts = Vec::new();
        let mut at = start;
        for text in split
            .text
            .get(start..)
            .unwrap_or_default()
            .split([' ', '\t', '\n', '\x0b', '\x0c', '\r'])
        {
            if !text.is_empty() {
                parts.push(Word {
                    number: split.number,
                    start: split.start.saturating_add(at),
                    text,
                });
            }
            at = at.saturating_add(text.len()).saturating_add(1);
        }
        self.words.splice(place..=place, parts);
        self.at = place;
        true
    }

    /// The words up to the program.
    fn options(&mut self, family: &'static Family) {
        while let Some(word) = self.next() {
            if word == "--" {
                if self.operand
                    && let Some(word) = self.next()
                {
                    self.operand(word);
                }
                return;
            }
            if has(family.long_text, word) {
                self.text();
            } else if has(family.verbs, word) {
                // The program follows.
            } else if let Some(rest) = option_of(word) {
                self.option(family, word, rest);
            } else if self.operand {
                self.operand(word);
                return;
            } else {
                self.parts(word, 0);
            }
            if self.operand && matches!(self.program, Program::Text | Program::Module(_)) {
                return;
            }
        }
    }

    fn option(&mut self, family: &'static Family, word: &'a str, letters: &'a str) {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some((value, name.len().saturating_add(1)))),
            None => (word, None),
        };
        let name = family.option(name);
        if has(family.makes_operand, name) {
            self.operand = true;
            self.program = Program::Open;
        }
        if has(family.files, name) {
            match value {
                Some((value, start)) => self.file(family, name, value, start),
                None => self.file_after(family, name),
            }
            return;
        }
        if has(family.folders, name) && word.starts_with("--") {
            if let Some((value, start)) = value.or_else(|| Some((self.next()?, 0))) {
                self.go(value, start);
            }
            return;
        }
        if has(family.long_text, name) {
            self.program = Program::Text;
            return;
        }
        if has(family.long_values, name) {
            if let Some((value, start)) = value.or_else(|| Some((self.next()?, 0))) {
                self.setting(family, value, start);
                self.parts(value, start);
            }
            return;
        }
        if word.starts_with("--") || word.len() < 2 {
            self.parts(word, 0);
            return;
        }
        let mut is_split = false;
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
            } else if has(family.files, &short) {
                if rest.is_empty() {
                    self.file_after(family, &short);
                } else {
                    self.file(family, &short, rest, start);
                }
                return;
            } else if family.apart.contains(letter) {
                is_split = true;
                if let Some(value) = self.next() {
                    self.parts(value, 0);
                }
            } else if family.long.contains(letter) {
                match rest {
                    "" => {
                        if let Some(value) = self.next() {
                            self.long(family, value, 0);
                        }
                    }
                    rest => self.long(family, rest, start),
                }
                return;
            } else if family.values.contains(letter) {
                let (value, start) = if rest.is_empty() {
                    (self.next(), 0)
                } else {
                    (Some(rest), start)
                };
                if let Some(value) = value {
                    if has(family.folders, &short) {
                        self.go(value, start);
                    } else {
                        self.setting(family, value, start);
                        self.parts(value, start);
                    }
                }
                return;
            } else if family.attached.contains(letter) {
                if has(family.folders, &short) && !rest.is_empty() {
                    self.go(rest, start);
                }
                self.parts(rest, start);
                return;
            }
        }
        // Such letters stand by themselves.
        if !is_split {
            self.parts(word, 0);
        }
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

    fn file_after(&mut self, family: &'static Family, option: &str) {
        if let Some(value) = self.next() {
            self.file(family, option, value, 0);
        }
    }

    fn file(&mut self, family: &'static Family, option: &str, value: &'a str, start: usize) {
        if has(family.urls, option) && value.starts_with("data:") {
            return;
        }
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

    /// The program goes to a folder.
    fn go(&mut self, value: &'a str, start: usize) {
        self.moves.push(self.named.len());
        self.push(value, start, Role::Unknown);
        if let Some(named) = self.named.last_mut() {
            named.folder.clone_from(&self.folder);
        }
        self.folder.push(value);
    }

    /// Long options without their mark, separated by commas.
    fn long(&mut self, family: &'static Family, value: &'a str, mut start: usize) {
        let mut follows = false;
        let mut left = Some(value);
        while let Some(list) = left {
            let piece = list.split(',').next().unwrap_or_default();
            let name = piece.split('=').next().unwrap_or_default();
            let option = format!("--{}", name.to_ascii_lowercase());
            if has(family.files, family.option(&option)) {
                match list
                    .get(name.len()..)
                    .and_then(|rest| rest.strip_prefix('='))
                {
                    Some(value) => {
                        let start = start.saturating_add(name.len()).saturating_add(1);
                        self.file(family, &option, value, start);
                    }
                    None => follows = true,
                }
            }
            let over = piece.len().saturating_add(1);
            start = start.saturating_add(over);
            left = list.get(over..);
        }
        if follows {
            self.file_after(family, "--file");
        }
    }

    /// `NAME=FILE`, with blanks and quotes as in a file of settings. Of several
    /// lines each may name a file, and no one file is what all of them name.
    fn setting(&mut self, family: &'static Family, value: &'a str, start: usize) {
        let is_program = |line: &str| {
            let name = line.trim_start_matches('=').split('=').next();
            has(family.settings, name.unwrap_or_default().trim())
        };
        if value.contains(['\n', '\r']) {
            if value.split(['\n', '\r']).any(is_program) {
                self.name(value, start, Role::Run);
            }
        } else if is_program(value) {
            let name = value.trim_start_matches('=');
            let file = name.split_once('=').map_or(name, |(_, file)| file);
            let file = file.trim();
            let quotes = ['"', '\''];
            let unquoted = quotes
                .iter()
                .find_map(|quote| file.strip_prefix(*quote)?.strip_suffix(*quote));
            let file = unquoted.unwrap_or(file);
            // Neither runs anything.
            if !file.is_empty() && file != "none" {
                let over = value.rfind(file).unwrap_or_default();
                self.name(file, start.saturating_add(over), Role::Run);
            }
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
        if role == Role::Unknown && (text.is_empty() || text.len() >= 4096) {
            return;
        }
        self.push(text, start, role);
    }

    fn push(&mut self, text: &'a str, start: usize, role: Role) {
        let Some(word) = self.words.get(self.at.saturating_sub(1)) else {
            return;
        };
        self.named.push(Named {
            word: word.number,
            start: word.start.saturating_add(start),
            text,
            role,
            folder: PathBuf::new(),
        });
    }

    fn next(&mut self) -> Option<&'a str> {
        let word = self.words.get(self.at)?;
        self.at = self.at.saturating_add(1);
        Some(word.text)
    }
}

/// What stands behind the mark of an option.
fn option_of(word: &str) -> Option<&str> {
    let rest = word.strip_prefix('-').or_else(|| word.strip_prefix('+'))?;
    (!rest.is_empty()).then_some(rest)
}

#[cfg(test)]
mod tests;

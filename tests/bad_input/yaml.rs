//! What is wrong in any YAML file, for each file that the launcher reads.

use std::os::unix::fs::FileTypeExt as _;
use std::path::PathBuf;

use nix::sys::stat::Mode;

use super::{place_in, refused};
use crate::kit::{Host, Launch, Outcome};

/// The files that the launcher reads.
#[derive(Clone, Copy, Debug)]
enum File {
    Whitelist,
    Config,
    Profile,
}

const FILES: [File; 3] = [File::Whitelist, File::Config, File::Profile];

impl File {
    /// A key of the file whose value is a mapping.
    fn mapping(self) -> &'static str {
        match self {
            Self::Whitelist => "settings",
            Self::Config => "audit",
            Self::Profile => "filesystem",
        }
    }
}

/// A host with a sound plugin and one file that is about to be wrong.
struct Case {
    host: Host,
    file: File,
}

impl Case {
    fn of(file: File) -> Self {
        let mut host = Host::new();
        host.install_sh("p", "echo ran");
        host.list("p", &[]);
        Self { host, file }
    }

    fn path(&self) -> PathBuf {
        self.host.path("wrong.yaml")
    }

    fn launch(&self) -> Launch<'_> {
        let launch = self.host.launch("p");
        match self.file {
            File::Whitelist => launch.whitelist(self.path()),
            File::Config => launch.option("--config").option(self.path()),
            File::Profile => launch.profile(self.path()),
        }
    }

    #[track_caller]
    fn refuses(&self, text: impl AsRef<[u8]>) -> Outcome {
        std::fs::write(self.path(), text).unwrap();
        let outcome = refused(self.launch(), 125);
        let records = self.host.records();
        assert!(
            records
                .iter()
                .all(|record| record["event_type"] == "plugin_exited"),
            "nothing was decided: {outcome:#?}"
        );
        outcome
    }
}

#[test]
fn the_files_of_these_tests_are_sound_before_they_are_wrong() {
    for file in FILES {
        let case = Case::of(file);
        let good = match file {
            File::Whitelist => std::fs::read(case.host.whitelist()).unwrap(),
            File::Config => b"version: 1\n".to_vec(),
            File::Profile => b"version: 1\nname: wrong\n".to_vec(),
        };
        std::fs::write(case.path(), good).unwrap();
        case.launch().run().succeeded().prints("ran\n");
    }
}

#[test]
fn a_mistake_is_named_by_file_line_and_column() {
    for file in FILES {
        let case = Case::of(file);
        let key = file.mapping();
        for (text, (line, column), what) in [
            (
                "version: 1\nversion: 1\n",
                (2, 1),
                "duplicate key 'version'",
            ),
            (
                "version: 1\nnonsense: 1\n",
                (2, 1),
                "unknown field `nonsense`",
            ),
            ("version: 2\n", (1, 10), "version '2' is not supported"),
            ("version: -1\n", (1, 10), "not supported"),
            ("version: 99999999999999999999\n", (1, 10), "not supported"),
            ("version: {a: b}\n", (1, 10), "expected"),
            ("version: 1\n---\nversion: 1\n", (2, 1), "a second document"),
            ("version: 1\n...\nx\n", (3, 1), "a second document"),
            (
                "version: &a 1\n",
                (1, 13),
                "anchors and aliases are not allowed",
            ),
            (
                "version: *a\n",
                (1, 10),
                "anchors and aliases are not allowed",
            ),
            (
                "<<: {version: 1}\n",
                (1, 1),
                "merge keys ('<<') are not allowed",
            ),
            ("version: 1\nKEY: {KEY: 1}\n", (2, 0), "unknown field"),
            ("version: 1\nKEY: 7\n", (2, 0), "expected a mapping"),
            ("version: 1\nKEY: [a]\n", (2, 0), "expected a mapping"),
            ("version: 1\nKEY: {\n", (2, 0), "unclosed bracket"),
            ("version: 1\n\"KEY: {}\n", (2, 1), "unclosed quote"),
            ("version: 1\nKEY:\n\tx: 1\n", (3, 2), "tabs"),
            ("version: 1\n? [a, b]\n: 1\n", (2, 3), "expected text"),
            ("version: 1\n%YAML 9.9\n", (2, 1), "directive"),
            ("version: 1\r\nnonsense: 1\r\n", (2, 1), "unknown field"),
            ("just words\n", (1, 1), "expected a mapping"),
            ("[1, 2]\n", (1, 1), "expected a mapping"),
        ] {
            let outcome = case.refuses(text.replace("KEY", key)).says(what);
            let found = place_in(&outcome, &case.path());
            let is_there = found.0 == line && (column == 0 || found.1 == column);
            assert!(is_there, "{file:?} {text:?}: {outcome:#?}");
        }
    }
}

#[test]
fn bombs_cost_nothing() {
    let mut aliases = String::from("a: &a [x,x,x,x,x,x,x,x,x]\n");
    for (one, other) in ('a'..'y').zip('b'..'z') {
        let many = format!("*{one},").repeat(9);
        aliases.push_str(&format!("{other}: &{other} [{many}]\n"));
    }
    for file in FILES {
        let case = Case::of(file);
        let key = file.mapping();
        for bomb in [
            aliases.clone(),
            format!("version: 1\n{key}: {}\n", "[".repeat(400_000)),
            format!("version: 1\n{key}: {}\n", "{a: ".repeat(400_000)),
            format!("version: 1\n{key}: {}x\n", "- ".repeat(400_000)),
            format!("version: 1\n{key}: {}x\n", "? ".repeat(400_000)),
            "---\n".repeat(400_000),
            format!("version: 1\n{}: 1\n", "x".repeat(1 << 20)),
            format!("version: 1\n{key}: {{{}: 1}}\n", "y".repeat(1 << 20)),
            format!("version: {}\n", "9".repeat(1 << 20)),
            format!("version: 1\n{key}: \"{}\"\n", "z".repeat(1 << 20)),
            format!("version: 1\n{key}: \"{}\n", "\\\n".repeat(1 << 20)),
            format!("version: 1\n#{}\n{key}: 1\n", "#".repeat(8 << 20)),
        ] {
            let outcome = case.refuses(&bomb);
            place_in(&outcome, &case.path());
        }
    }
}

#[test]
fn a_file_of_many_small_things_is_refused_within_the_same_bounds() {
    for file in FILES {
        let case = Case::of(file);
        let mut large = format!("version: 1\n{}: [", file.mapping());
        large.push_str(&"1,".repeat(2 << 20));
        let outcome = case.refuses(large + "]\n");
        place_in(&outcome, &case.path());
    }
}

#[test]
fn what_a_terminal_obeys_is_escaped() {
    for file in FILES {
        let case = Case::of(file);
        let key = file.mapping();
        for text in [
            "version: 1\n\"\\e[2J\": 1\n".to_string(),
            "version: 1\n\x1b[2J: 1\n".to_string(),
            "version: 1\n\u{9b}2J: 1\n".to_string(),
            "version: 1\n\u{202e}gnol: 1\n".to_string(),
            "version: 1\n\"a\\nforged\": 1\n".to_string(),
            "version: 1\n\"a\\rERROR\": 1\n".to_string(),
            "version: \"\\e[2J\"\n".to_string(),
            "version: 1\nb\0: 1\n".to_string(),
            "version: 1\n\"\\0\": 1\n".to_string(),
            format!("version: 1\n{key}: {{\"\\u2028\\u2066\\x7f\": 1}}\n"),
        ] {
            case.refuses(&text).says("wrong.yaml");
        }
    }
}

#[test]
fn text_that_is_no_utf8_is_placed() {
    for file in FILES {
        let case = Case::of(file);
        let outcome = case.refuses(b"version: 1\n# \xc3\xa9 \xff\n").says("UTF-8");
        assert_eq!(place_in(&outcome, &case.path()), (2, 5));
        // UTF-16 with its mark, a cut sequence, an overlong one.
        for text in [&b"\xff\xfev\0e\0"[..], b"version: 1 #\xe2\x82", b"\xc0\x80"] {
            place_in(&case.refuses(text).says("UTF-8"), &case.path());
        }
    }
}

#[test]
fn an_empty_file_says_nothing() {
    for file in FILES {
        let case = Case::of(file);
        for text in ["", "\n", " \n\t\n"] {
            case.refuses(text).says("the file is empty");
        }
    }
}

#[test]
fn a_file_over_the_limit_is_not_read() {
    for file in FILES {
        let case = Case::of(file);
        let large = std::fs::File::create(case.path()).unwrap();
        large.set_len((64 << 20) + 1).unwrap();
        refused(case.launch(), 125).says("larger than 64 MiB");
    }
}

#[test]
fn what_is_no_regular_file_is_not_read() {
    for file in FILES {
        let case = Case::of(file);
        let (path, place) = (case.path(), case.path());
        let remove = || std::fs::remove_file(&place).unwrap();
        std::fs::create_dir(&path).unwrap();
        match file {
            // A folder of entries, which has none of that name.
            File::Whitelist => drop(refused(case.launch(), 126)),
            _ => drop(refused(case.launch(), 125).says("it is a folder")),
        }
        std::fs::remove_dir(&path).unwrap();

        nix::unistd::mkfifo(&path, Mode::S_IRWXU).unwrap();
        refused(case.launch(), 125).says("it is a FIFO");
        remove();

        let endless = std::fs::metadata("/dev/zero").unwrap().file_type();
        assert!(endless.is_char_device());
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        refused(case.launch(), 125).says("it is a character device");
        remove();

        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        refused(case.launch(), 125).says("can't be read");
        remove();

        std::os::unix::fs::symlink(&path, &path).unwrap();
        refused(case.launch(), 125).says("can't be read");
        remove();

        refused(case.launch(), 125).says("can't be read");
        let nowhere = case.host.path("wrong.yaml/below");
        let launch = case.host.launch("p").option("--config").option(nowhere);
        refused(launch, 125).says("can't be read");
    }
}

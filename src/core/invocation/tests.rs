//! Commands, and what they run.

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
    let empty = [String::new(), "run".into()];
    let reading = read(&["node"], &empty);
    assert_eq!(reading.program, Program::File);
    assert_eq!(
        (reading.named[0].text, reading.named[0].role),
        ("", Role::Run)
    );
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
    runs("busybox", "ls run", &[], "NotKnown");
}

#[test]
fn a_command_within_a_command_has_the_words_of_its_own() {
    for (name, line) in [
        ("/bin/busybox", "sh run"),
        ("busybox.static", "ash -e run"),
        ("toybox", "sh run a"),
        ("busybox", "env -i A=/b /bin/dash -u run"),
        ("env", "/bin/dash run"),
        ("/usr/bin/env", "-i A=b -u C --chdir /d -- sh run"),
        ("env", "-S dash run"),
        ("env", "nice -n 5 timeout -k 3 10 python3.11 run"),
        ("timeout", "10s sh run"),
        ("setsid", "-w perl run"),
        ("xargs", "-n 1 sh run"),
        ("flock", "/lock node run"),
        ("ld-linux-x86-64.so.2", "--library-path /l /bin/dash run"),
    ] {
        runs(name, line, &["run"], "File");
    }
    runs("busybox", "sh -c x", &[], "Text");
    runs("env", "sh", &[], "Open");
    runs("env", "python3 -m x", &[], "Module(\"x\")");
    runs("env", "tool run", &[], "NotKnown");
    // What is called by the name of one of many is that one.
    let words = words("sh run");
    let reading = read(&["/bin/ls", "busybox"], &words);
    assert!(
        reading
            .named
            .iter()
            .all(|named| named.role == Role::Unknown)
    );
    for names in [&["sh", "/bin/busybox"], &["/bin/busybox", "sh"]] {
        assert_eq!(read(names, &words).program, Program::File);
    }
    // Words that are split keep their places.
    for line in [
        ["-Sdash  -u\trun x", "y"],
        ["--split-string=A=b dash run", "y"],
    ] {
        let words = line.map(String::from);
        let reading = read(&["env"], &words);
        let run = reading.named.iter().find(|named| named.role == Role::Run);
        let run = run.unwrap();
        assert_eq!((run.word, run.text), (0, "run"));
        assert!(words[0][run.start..].starts_with("run"));
        assert!(
            reading
                .named
                .iter()
                .any(|named| (named.word, named.text) == (1, "y"))
        );
    }
}

#[test]
fn each_way_to_name_a_program_counts() {
    for (name, line, file) in [
        ("mawk", "-W exec p d", "p"),
        ("mawk", "-We p", "p"),
        ("mawk", "-W random=1,EXEC p", "p"),
        ("gawk", "-bW exec=p d", "p"),
        ("gawk", "--fi p", "p"),
        ("sed", "--fil p", "p"),
        ("sed", "--fi=p", "p"),
        ("sed", "-es/a/b/ -f p", "p"),
        ("sed", "-i.foo -f p", "p"),
        ("make", "--makef=p", "p"),
        ("make", "-sC d all", "d"),
        ("make", "-Cd", "d"),
        ("make", "--dir d", "d"),
        ("make", "-C d -f p", "p"),
        ("php", "-d auto_prepend_file=p -d a=b", "p"),
        ("php", "-nd=auto_append_file=\"p\"", "p"),
        ("php", "--define=opcache.preload=p", "p"),
        ("php", "--define auto_prepend_file", "auto_prepend_file"),
        ("java", "--source 17 -cp c p", "p"),
        ("java", "--source=17 p x", "p"),
        ("ruby", "-C d p", "p"),
        ("zsh", "-oerrexit p", "p"),
    ] {
        let program = if name == "php" { "Open" } else { "File" };
        let program = if line.contains("--define a") {
            "Open"
        } else {
            program
        };
        runs(name, line, &[file], program);
    }
    let lines = ["-d".into(), "a=b\nauto_prepend_file=p".into()];
    let reading = read(&["php"], &lines);
    assert!(reading.named.iter().any(|named| named.role == Role::Run));
    runs("make", "all", &[], "Open");
    assert!(is_code_name("X.java"));
    // What only looks like one.
    for (name, line, program) in [
        ("sed", "-i.foo s/a/b/ x", "NotKnown"),
        (
            "php",
            "-d auto_prepend_file= -d auto_append_file=none",
            "Open",
        ),
        ("bash", "-oe pipefail -c exit", "Text"),
        ("dash", "-oc errexit exit", "Text"),
        ("node", "--import data:text/javascript,1 -e 1", "Text"),
        ("java", "-cp c Main", "NotKnown"),
        ("node", "--impor x -e 1", "File"),
    ] {
        let files: &[&str] = if program == "File" { &["x"] } else { &[] };
        runs(name, line, files, program);
    }
    runs("node", "-r data:/../x -e 1", &["data:/../x"], "Text");
}

#[test]
fn a_program_is_looked_up_where_its_interpreter_goes() {
    for (name, line, text, places) in [
        ("ruby", "-C d -Ce p", "p", &["/s/d/e/p"][..]),
        ("ruby", "-r ./p -X d -e 1", "./p", &["/s/d/./p"]),
        ("ruby", "-xd p", "p", &["/s/d/p"]),
        ("ruby", "-C d /p", "/p", &["/p"]),
        ("ruby", "-C d p x", "x", &["/s/d/x", "/s/x"]),
        ("bun", "--cwd=d run p", "p", &["/s/d/p"]),
        ("make", "-f p -C d", "p", &["/s/d/p"]),
        ("make", "-C d -C e", "e", &["/s/d/e"]),
        ("perl", "-xd p", "p", &["/s/p"]),
        ("sh", "p", "p", &["/s/p"]),
    ] {
        let words = words(line);
        let reading = read(&[name], &words);
        let named = reading.named.iter().find(|named| named.text == text);
        let found: Vec<_> = named.unwrap().places(Path::new("/s")).collect();
        let places: Vec<PathBuf> = places.iter().map(PathBuf::from).collect();
        assert_eq!(found, places, "{name} {line}");
    }
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

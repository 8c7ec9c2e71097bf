//! The search of `whitelist lock` for libraries: what it finds is what the real
//! loader finds.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::ctl;
use crate::kit::{Host, namespace, run};
use crate::locking::{SPEAK, compile, library, pins};

#[test]
fn the_search_agrees_with_the_real_loader() {
    let mut host = Host::new();
    for folder in ["a", "b", "c", "d", "d/glibc-hwcaps"] {
        host.folder(format!("plugins/{folder}"));
    }
    host.folder("plugins/lib");
    host.folder("plugins/lib/x86_64-linux-gnu");
    host.folder("plugins/on");
    host.folder("plugins/on/x86_64");
    // A run path holds for the library that has it, DT_RPATH for all below.
    library(&host, "gcc", "plugins/a/libdeep.so", "a", &[]);
    library(&host, "gcc", "plugins/b/libdeep.so", "b", &[]);
    library(
        &host,
        "gcc",
        "plugins/c/libspeak.so",
        "c",
        &["-Lplugins/a", "-ldeep"],
    );
    let own = ["-Lplugins/a", "-ldeep", "-Wl,-rpath,$ORIGIN/../b"];
    library(&host, "gcc", "plugins/a/libown.so", "own", &own);
    // What a folder has for this processor comes first.
    for level in ["x86-64-v2", "x86-64-v3"] {
        let folder = format!("plugins/d/glibc-hwcaps/{level}");
        host.folder(&folder);
        library(&host, "gcc", &format!("{folder}/libspeak.so"), level, &[]);
    }
    library(&host, "gcc", "plugins/d/libspeak.so", "d", &[]);
    library(
        &host,
        "gcc",
        "plugins/lib/x86_64-linux-gnu/libspeak.so",
        "lib",
        &[],
    );
    library(
        &host,
        "gcc",
        "plugins/on/x86_64/libspeak.so",
        "platform",
        &[],
    );
    std::os::unix::fs::symlink("d/libspeak.so", host.path("plugins/libspeak.so")).unwrap();
    let old = "-Wl,--disable-new-dtags";
    let programs: &[(&str, &[&str])] = &[
        (
            "rpath",
            &[
                "-Lplugins/c",
                "-lspeak",
                old,
                "-Wl,-rpath,$ORIGIN/c:$ORIGIN/a",
            ],
        ),
        (
            "order",
            &[
                "-Lplugins/c",
                "-lspeak",
                old,
                "-Wl,-rpath,${ORIGIN}/c:${ORIGIN}/b:${ORIGIN}/a",
            ],
        ),
        (
            "own",
            &[
                "-Lplugins/a",
                "-lown",
                "-Lplugins/c",
                "-lspeak",
                old,
                "-Wl,-rpath,$ORIGIN/a:$ORIGIN/c",
            ],
        ),
        (
            "hwcaps",
            &["-Lplugins/d", "-lspeak", "-Wl,-rpath,$ORIGIN/d"],
        ),
        (
            "token",
            &["-Lplugins/d", "-lspeak", "-Wl,-rpath,$ORIGIN/$LIB"],
        ),
        (
            "platform",
            &["-Lplugins/d", "-lspeak", "-Wl,-rpath,$ORIGIN/on/$PLATFORM"],
        ),
        ("link", &["-Lplugins/d", "-lspeak", "-Wl,-rpath,$ORIGIN"]),
        (
            "system",
            &[
                "-Lplugins/d",
                "-lspeak",
                "-lm",
                "-lpthread",
                "-ldl",
                "-Wl,-rpath,$ORIGIN/d",
            ],
        ),
        ("slash", &["plugins/d/libspeak.so", "-Wl,-rpath,$ORIGIN/c"]),
    ];
    for (name, words) in programs {
        let path = format!("plugins/{name}");
        let all = [
            &[&*path, "-Wl,--no-as-needed", "-Wl,--allow-shlib-undefined"],
            *words,
        ]
        .concat();
        compile(&host, "gcc", SPEAK, &all);
    }
    // Other people's programs, with libraries in plenty.
    for program in ["git", "python3", "perl", "strace", "gcc"] {
        let path = format!("/usr/bin/{program}");
        host.install_copy(program, std::fs::canonicalize(path).unwrap());
    }
    let own = programs.iter().map(|(name, _)| *name);
    for name in own.chain(["git", "python3", "perl", "strace", "gcc"]) {
        host.list(name, &[]);
        let expected = traced(host.command(host.path("plugins").join(name)));
        assert!(expected.len() >= 2, "{name}: {expected:?}");
        assert_eq!(pins(&host, name), expected, "{name}");
    }
}

#[test]
fn the_cache_is_read_as_the_real_loader_reads_it() {
    let mut host = Host::new();
    host.folder("found");
    host.folder("found/glibc-hwcaps");
    host.folder("found/glibc-hwcaps/x86-64-v2");
    library(&host, "gcc", "found/libspeak.so", "plain", &[]);
    library(
        &host,
        "gcc",
        "found/glibc-hwcaps/x86-64-v2/libspeak.so",
        "better",
        &[],
    );
    compile(&host, "gcc", SPEAK, &["plugins/p", "-Lfound", "-lspeak"]);
    host.list("p", &[]);
    let folders = format!("{}\n/lib/x86_64-linux-gnu\n", host.path("found").display());
    let list = host.write("ld.so.conf", &folders);
    let cache = host.path("ld.so.cache");
    let mut make = host.command("/sbin/ldconfig");
    make.arg("-X").arg("-f").arg(list).arg("-C").arg(&cache);
    run(make, b"").succeeded();
    // Without it, there is no such library.
    let outcome = ctl(&host, ["whitelist", "lock", "p"]).refused(125);
    outcome
        .says("the library 'libspeak.so' of")
        .says("is not found");
    namespace::private(|| {
        let mut mount = Command::new("mount");
        mount.arg("--bind").arg(&cache).arg("/etc/ld.so.cache");
        run(mount, b"").succeeded();
        let expected = traced(host.command(host.path("plugins/p")));
        let found = expected.iter().any(|path| path.contains("/found/"));
        assert!(found, "{expected:?}");
        assert_eq!(pins(&host, "p"), expected);
        host.launch("p").run().succeeded();
    });
}

#[test]
fn musl_has_rules_of_its_own() {
    let mut host = Host::new();
    host.folder("a");
    host.folder("b");
    // Here a run path holds for what is below, too.
    library(&host, "musl-gcc", "b/libdeep.so", "b", &[]);
    library(&host, "musl-gcc", "a/libspeak.so", "a", &["-Lb", "-ldeep"]);
    let words = [
        "plugins/p",
        "-La",
        "-lspeak",
        "-Wl,--allow-shlib-undefined",
        "-Wl,-rpath,$ORIGIN/../a:$ORIGIN/../b",
    ];
    compile(&host, "musl-gcc", SPEAK, &words);
    host.list("p", &[]);
    let mut list = host.command("/lib/ld-musl-x86_64.so.1");
    list.arg("--list").arg(host.path("plugins/p"));
    let expected = traced(list);
    assert_eq!(expected.len(), 3, "{expected:?}");
    assert_eq!(pins(&host, "p"), expected);
    host.launch("p").run().succeeded().prints("a\n");
    std::fs::rename(host.path("b/libdeep.so"), host.path("a/libspeak.so")).unwrap();
    host.launch("p").run().refused(126).says("library_mismatch");
}

/// What the loader itself says that it would load, as real paths.
pub(crate) fn traced(mut command: Command) -> BTreeSet<String> {
    command.env("LD_TRACE_LOADED_OBJECTS", "1");
    let outcome = run(command, b"").succeeded();
    let words = outcome.stdout.split_whitespace().map(Path::new);
    words
        .filter(|word| word.is_absolute())
        .map(|path| path.canonicalize().unwrap().to_str().unwrap().to_string())
        .collect()
}

//! `whitelist lock` of programs: nothing is loaded but what was pinned.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::kit::{EVERYONE, Host, Outcome, User, digest, run};
use crate::searching::traced;
use crate::{command, ctl, json, text};

/// Compiles for a host: `words` are the compiler's, with paths from its
/// folder.
pub(crate) fn compile(host: &Host, compiler: &str, source: &str, words: &[&str]) -> PathBuf {
    let file = host.write("source.c", source);
    let out = host.path(words[0]);
    let mut command = Command::new(compiler);
    command.current_dir(host.path(""));
    command.arg("-o").arg(&out).arg(file).args(&words[1..]);
    run(command, b"").succeeded();
    host.own(&out);
    out
}

/// A library; `lib/libspeak.so` has the function `speak`, which answers with
/// the word.
pub(crate) fn library(
    host: &Host,
    compiler: &str,
    path: &str,
    word: &str,
    words: &[&str],
) -> PathBuf {
    let source = format!(
        "const char *{}(void) {{ return {word:?}; }}",
        function(path)
    );
    let soname = Path::new(path).file_name().unwrap().to_str().unwrap();
    let soname = format!("-Wl,-soname,{soname}");
    let all = [&[path, "-shared", "-fPIC", &*soname], words].concat();
    compile(host, compiler, &source, &all)
}

fn function(path: &str) -> &str {
    let name = Path::new(path).file_name().unwrap().to_str().unwrap();
    name.strip_prefix("lib").unwrap().split('.').next().unwrap()
}

/// Says what its library says.
pub(crate) const SPEAK: &str = "#include <stdio.h>\nextern const char *speak(void);\n\
                     int main(void) { return puts(speak()) < 0; }";

/// The pinned paths of an entry.
pub(crate) fn pins(host: &Host, name: &str) -> BTreeSet<String> {
    let locked = json(host, ["whitelist", "lock", name]);
    let pins = locked["locked"][0]["libraries"].as_array().unwrap();
    pins.iter()
        .map(|pin| pin["path"].as_str().unwrap().to_string())
        .collect()
}

/// A plugin that says what its library says, which lies beside it in `lib`.
fn linked(user: User) -> (Host, PathBuf) {
    let host = Host::of(user);
    host.folder("plugins/lib");
    let speak = library(&host, "gcc", "plugins/lib/libspeak.so", "verified", &[]);
    host.folder("evil");
    library(&host, "gcc", "evil/libspeak.so", "evil", &[]);
    host.folder("plugins/before");
    let words = [
        "plugins/p",
        "-Lplugins/lib",
        "-lspeak",
        "-Wl,-rpath,$ORIGIN/before:$ORIGIN/lib",
    ];
    compile(&host, "gcc", SPEAK, &words);
    host.profile(
        "own",
        "filesystem: { code: ['{plugin_dir}/lib', '{plugin_dir}/before', '-/evil'] }",
    );
    ctl(&host, ["whitelist", "add", "plugins/p", "--profile", "own"]).succeeded();
    (host, speak)
}

fn lock(host: &Host, words: &[&str]) -> Outcome {
    ctl(host, ["whitelist", "lock"].iter().chain(words)).succeeded()
}

#[test]
fn a_locked_program_runs_with_its_own_libraries_alone() {
    for user in EVERYONE {
        let (host, speak) = linked(user);
        let own = host.path("plugins/p");
        let told = lock(&host, &["p"]);
        assert!(told.stdout.ends_with("p: 4 files\n") || told.stdout.ends_with("p: 3 files\n"));
        assert_eq!(pins(&host, "p"), traced(host.command(&own)));
        assert!(pins(&host, "p").contains(speak.canonicalize().unwrap().to_str().unwrap()));
        host.launch("p").run().succeeded().prints("verified\n");
        let sandbox = &host.record("sandbox_applied")["sandbox"];
        assert_eq!(sandbox["pinned_libraries"], pins(&host, "p").len());
        ctl(&host, ["whitelist", "verify"])
            .succeeded()
            .prints("p: OK\n");
    }
}

#[test]
fn a_locked_program_in_namespaces_runs_with_its_own_libraries_alone() {
    for user in EVERYONE {
        let (host, speak) = linked(user);
        let code = "filesystem: { code: ['{plugin_dir}/lib', '{plugin_dir}/before'] }";
        host.profile("own", &format!("{code}\nisolation: namespaces"));
        lock(&host, &["p"]);
        host.launch("p").run().succeeded().prints("verified\n");
        let before = host.path("plugins/before/libspeak.so");
        std::fs::copy(host.path("evil/libspeak.so"), &before).unwrap();
        host.own(&before);
        host.bare(host.path("plugins/p"), &[]).prints("evil\n");
        host.launch("p").run().succeeded().prints("verified\n");
        std::fs::rename(before, speak).unwrap();
        host.launch("p").run().refused(126).says("library_mismatch");
    }
}

#[test]
fn a_replaced_library_of_a_locked_program_is_refused() {
    for user in EVERYONE {
        // One byte more is enough, though it changes nothing that is loaded.
        let (host, speak) = linked(user);
        let own = host.path("plugins/p");
        lock(&host, &["p"]);
        let longer = [std::fs::read(&speak).unwrap(), b"\0".to_vec()].concat();
        std::fs::write(&speak, longer).unwrap();
        host.bare(&own, &[]).prints("verified\n");
        host.launch("p").run().refused(126).says("library_mismatch");
        let verdict = ctl(&host, ["whitelist", "verify"]);
        assert_eq!(verdict.status, 1);
        assert!(
            verdict.stdout.starts_with("p: library_mismatch"),
            "{verdict:#?}"
        );

        let (host, speak) = linked(user);
        let own = host.path("plugins/p");
        lock(&host, &["p"]);
        std::fs::rename(host.path("evil/libspeak.so"), &speak).unwrap();
        host.bare(&own, &[]).prints("evil\n");
        host.launch("p").run().refused(126).says("library_mismatch");
    }
}

#[test]
fn a_library_that_comes_before_the_locked_one_is_not_loaded() {
    for user in EVERYONE {
        let (host, _) = linked(user);
        let own = host.path("plugins/p");
        let evil = host.path("evil/libspeak.so");
        std::fs::copy(&evil, host.path("plugins/before/libspeak.so")).unwrap();
        host.own(&host.path("plugins/before/libspeak.so"));
        host.bare(&own, &[]).prints("evil\n");
        // The profile lets it in, as long as nothing is locked.
        host.launch("p").run().succeeded().prints("evil\n");
        std::fs::remove_file(host.path("plugins/before/libspeak.so")).unwrap();
        lock(&host, &["p"]);
        std::fs::copy(&evil, host.path("plugins/before/libspeak.so")).unwrap();
        host.own(&host.path("plugins/before/libspeak.so"));
        host.bare(&own, &[]).prints("evil\n");
        host.launch("p").run().succeeded().prints("verified\n");
        // And it is told when one asks.
        let diff = ctl(&host, ["whitelist", "lock", "--diff", "p"]);
        assert_eq!(diff.status, 1, "{diff:#?}");
        assert!(diff.stdout.contains("p added   "), "{diff:#?}");
        assert!(diff.stdout.contains("before/libspeak.so\n"), "{diff:#?}");
    }
}

#[test]
fn no_variable_brings_another_library_into_a_locked_program() {
    for user in EVERYONE {
        let (host, _) = linked(user);
        let folder = host.path("evil");
        let own = host.path("plugins/p");
        // The run path comes second to the variable.
        let mut bare = host.command(&own);
        bare.env("LD_LIBRARY_PATH", &folder);
        run(bare, b"").prints("evil\n");
        lock(&host, &["p"]);
        let launch = host.launch("p").env("LD_LIBRARY_PATH", &folder);
        launch.run().succeeded().prints("verified\n");
        // Even where the profile itself sets it, after the lock.
        let set = format!(
            "filesystem: {{ code: [{folder:?}] }}\nenvironment: {{ set: {{ LD_LIBRARY_PATH: {folder:?} }} }}"
        );
        host.profile("own", &set);
        host.launch("p").run().succeeded().prints("verified\n");
        // A lock from now on is of what that leads to.
        lock(&host, &["p", "--prune"]);
        host.launch("p").run().succeeded().prints("evil\n");
    }
}

#[test]
fn a_file_that_a_locked_program_opens_later_must_be_named() {
    for user in EVERYONE {
        let host = Host::of(user);
        host.folder("lib");
        library(&host, "gcc", "lib/libbelow.so", "below", &[]);
        let words = ["-Llib", "-lbelow", "-Wl,-rpath,$ORIGIN"];
        let late = library(&host, "gcc", "lib/liblate.so", "late", &words);
        let words = ["plugins/p"];
        let source = format!(
            "#include <dlfcn.h>\n#include <stdio.h>
            int main(void) {{
                void *late = dlopen({late:?}, RTLD_NOW);
                return puts(late ? \"loaded\" : dlerror()) < 0;
            }}"
        );
        compile(&host, "gcc", &source, &words);
        host.profile(
            "own",
            &format!("filesystem: {{ code: [{:?}] }}", host.path("lib")),
        );
        ctl(&host, ["whitelist", "add", "plugins/p", "--profile", "own"]).succeeded();
        host.launch("p").run().succeeded().prints("loaded\n");
        lock(&host, &["p"]);
        let outcome = host.launch("p").run().succeeded();
        assert!(outcome.stdout.contains("Permission denied"), "{outcome:#?}");
        lock(&host, &["p", "--with", late.to_str().unwrap()]);
        host.launch("p").run().succeeded().prints("loaded\n");
        // It stays, with what it needs, until it is let go.
        let settled = text(&host);
        lock(&host, &["p"]);
        assert_eq!(text(&host), settled);
        lock(&host, &["p", "--prune"]);
        let outcome = host.launch("p").run().succeeded();
        assert!(outcome.stdout.contains("Permission denied"), "{outcome:#?}");
        // A folder stands for all that lies in it.
        lock(&host, &["p", "--with", "lib"]);
        host.launch("p").run().succeeded().prints("loaded\n");
    }
}

#[test]
fn an_upgrade_shows_in_a_diff_and_is_taken_over_by_a_lock() {
    let (host, speak) = linked(User::Root);
    let shown = speak.canonicalize().unwrap();
    let shown = shown.to_str().unwrap();
    let diff = ["whitelist", "lock", "--diff", "p"];
    // Nothing is locked yet, so all of it would be new.
    let outcome = ctl(&host, diff);
    assert_eq!(outcome.status, 1, "{outcome:#?}");
    assert!(outcome.stdout.contains(&format!("p added   {shown}\n")));
    let before = text(&host);
    lock(&host, &["p"]);
    // But for the time.
    let head = |text: &str| {
        let head = text.split_once("    profile").unwrap().0.lines();
        let head = head.filter(|line| !line.starts_with("updated_at"));
        head.map(String::from).collect::<Vec<_>>()
    };
    assert!(head(&text(&host)).starts_with(&head(&before)));
    let settled = text(&host);
    ctl(&host, diff)
        .succeeded()
        .prints("p: unchanged, 3 files\n");
    lock(&host, &["p"]).prints("p: unchanged, 3 files\n");
    assert_eq!(text(&host), settled);

    // A library changes, and one more comes with it.
    let old = digest(&speak);
    library(&host, "gcc", "plugins/lib/libdeep.so", "deep", &[]);
    let words = [
        "-Lplugins/lib",
        "-ldeep",
        "-Wl,-rpath,$ORIGIN",
        "-Wl,--no-as-needed",
    ];
    library(
        &host,
        "gcc",
        "plugins/lib/libspeak.so",
        "upgraded",
        &[&words[3..], &words[..3]].concat(),
    );
    let new = digest(&speak);
    let outcome = ctl(&host, diff);
    assert_eq!(outcome.status, 1, "{outcome:#?}");
    let deep = shown.replace("libspeak", "libdeep");
    outcome.prints(&format!(
        "p added   {deep}\np changed {shown}\n  before {old}\n  after  {new}\np: 4 files\n"
    ));
    assert_eq!(text(&host), settled);
    host.launch("p").run().refused(126).says("library_mismatch");
    // An update takes over digests, not files.
    ctl(&host, ["whitelist", "update", "p"]).succeeded();
    let outcome = host.launch("p").run();
    assert!(outcome.stderr.contains("libdeep.so"), "{outcome:#?}");
    assert_ne!(outcome.status, 0);
    lock(&host, &["p"]);
    host.launch("p").run().succeeded().prints("upgraded\n");

    // It goes again.
    library(&host, "gcc", "plugins/lib/libspeak.so", "verified", &[]);
    std::fs::remove_file(&deep).unwrap();
    let outcome = json(&host, diff);
    let changes = outcome["diff"][0]["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 2, "{outcome:#}");
    assert_eq!(changes[0]["file"], deep);
    assert!(
        changes[0]["after"].is_null() && changes[1]["after"] == old,
        "{outcome:#}"
    );
    ctl(&host, ["whitelist", "update", "p"])
        .refused(125)
        .says("whitelist lock");
    lock(&host, &["p"]);
    host.launch("p").run().succeeded().prints("verified\n");
}

#[test]
fn a_plugin_that_is_not_the_listed_one_is_not_locked() {
    let (host, _) = linked(User::Root);
    let before = text(&host);
    for (words, says) in [
        (&["nosuch"][..], "has no plugin 'nosuch'"),
        (&["p", "p"], "named twice"),
        (&["p", "--with", "plugins/absent"], "plugins/absent"),
        (&["p", "--with", "/dev/null"], "neither a file nor a folder"),
        (&[], "NAME"),
    ] {
        ctl(&host, ["whitelist", "lock"].iter().chain(words))
            .refused(125)
            .says(says);
    }
    compile(&host, "gcc", "int main(void) { return 0; }", &["plugins/p"]);
    ctl(&host, ["whitelist", "lock", "p"])
        .refused(125)
        .says("whitelist update");
    assert_eq!(text(&host), before);
    let outcome = ctl(&host, ["whitelist", "lock", "--diff", "p"]);
    assert_eq!(outcome.status, 1);
    assert!(
        outcome.stdout.starts_with("p changed ./plugins/p\n"),
        "{outcome:#?}"
    );
}

#[test]
fn a_static_program_has_nothing_to_pin() {
    let mut host = Host::new();
    compile(
        &host,
        "musl-gcc",
        "int main(void) { return 0; }",
        &["plugins/p", "-static"],
    );
    host.list("p", &[]);
    let before = text(&host);
    let told = lock(&host, &["p"]);
    assert!(told.stdout.contains("static"), "{told:#?}");
    assert_eq!(text(&host), before);
}

#[test]
fn a_grant_that_lets_other_code_in_is_warned_of() {
    let (host, _) = linked(User::Root);
    host.profile("own", "filesystem: { read: ['{plugin_dir}', /usr] }");
    let told = lock(&host, &["p"]);
    let told = told.says("which holds code");
    assert_eq!(told.stderr.matches("WARNING").count(), 2, "{told:#?}");
}

#[test]
fn a_locked_launch_leaves_no_process_behind_it() {
    let (host, _) = linked(User::Root);
    lock(&host, &["p"]);
    let trace = host.path("trace");
    let words = ["strace", "-f", "-e", "trace=process,seccomp,ptrace", "-o"];
    let launch = host.launch("p").under(words).under([&trace]);
    launch.run().succeeded().prints("verified\n");
    let trace = std::fs::read_to_string(trace).unwrap();
    let of = |call: &str| trace.lines().filter(|line| line.contains(call)).count();
    assert!(of("execveat(") >= 1, "{trace}");
    for call in ["fork(", "clone", "ptrace("] {
        assert_eq!(of(call), 0, "{trace}");
    }
    let processes: BTreeSet<_> = trace
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(processes.len(), 1, "{trace}");
}

#[test]
fn comments_and_layout_stay_when_an_entry_is_locked() {
    let host = Host::new();
    compile(&host, "gcc", "int main(void) { return 0; }", &["plugins/p"]);
    let hash = digest(&host.path("plugins/p"));
    let head =
        "# mine\nversion: '1.0'\nplugins:\n# the first\n- name: p # one\n  path: ./plugins/p\n";
    let tail = "  enabled: true # yes\n# end\n";
    host.write(
        "plugins.whitelist",
        &format!("{head}  hash: '{hash}' # two\n{tail}"),
    );
    lock(&host, &["p"]);
    let now = text(&host);
    assert!(
        now.starts_with(&format!("{head}  hash: '{hash}' # two\n  libraries:\n")),
        "{now}"
    );
    assert!(now.ends_with(tail), "{now}");
    let paths: Vec<_> = now
        .lines()
        .filter_map(|line| line.split("path: ").nth(1))
        .collect();
    assert!(paths[1..].is_sorted(), "{now}");
    host.launch("p").run().succeeded();
    // Pins by hand, by a link's name: they become what the link leads to.
    let by_hand = "/lib/x86_64-linux-gnu/libc.so.6";
    let pin = format!(
        "  libraries: [{{path: {by_hand}, hash: '{}'}}]\n",
        digest(Path::new(by_hand))
    );
    host.write(
        "plugins.whitelist",
        &format!("{head}  hash: '{hash}' # two\n{pin}{tail}"),
    );
    let mut once = command(&host, ["whitelist", "lock", "p"]);
    once.arg("--json");
    run(once, b"").succeeded();
    assert!(!text(&host).contains(" /lib/"), "{}", text(&host));
    host.launch("p").run().succeeded();
}

#[test]
fn what_is_said_of_a_bad_lock_file_makes_it_good() {
    type Spoil = fn(&Path);
    let spoils: [(&str, Spoil); 3] = [
        ("missing", |lock| std::fs::remove_file(lock).unwrap()),
        ("changed", |lock| {
            std::fs::write(lock, "secure-exec-lock 1\n").unwrap();
        }),
        ("malformed", |_| {}),
    ];
    for user in EVERYONE {
        for (what, spoil) in spoils {
            let mut host = Host::of(user);
            host.install_sh("p", "echo ran");
            let lock_file = host.write("p.lock", "secure-exec-lock 2\n");
            let pin = format!("lock: {:?}", digest(&lock_file));
            host.list("p", &[&pin]);
            spoil(&lock_file);
            let refused = host.launch("p").run().refused(126);
            let cure = "'secure-execctl whitelist lock p'";
            assert!(refused.stderr.contains(cure), "{what}: {refused:#?}");
            assert!(!refused.stderr.contains("\\u{"), "{what}: {refused:#?}");
            let reason = host.record("security_violation")["reason"].to_string();
            assert!(reason.contains("p.lock"), "{reason}");
            assert!(
                !reason.contains("\\n") && !reason.contains("u{"),
                "{reason}"
            );
            let words: Vec<&str> = cure.trim_matches('\'').split(' ').skip(1).collect();
            ctl(&host, words).succeeded();
            host.launch("p").run().succeeded().prints("ran\n");
        }
    }
}

#[test]
fn a_lock_file_of_two_whitelists_stays_while_one_of_them_has_its_digest() {
    let mut host = Host::of(User::Root);
    for name in ["black", "white"] {
        host.install_sh(name, "echo ran");
        let lock = host.write(format!("{name}.lock"), "secure-exec-lock 1\n");
        host.list(name, &[&format!("lock: {:?}", digest(&lock))]);
    }
    for name in ["black", "white"] {
        ctl(&host, ["whitelist", "lock", name]).succeeded();
    }
    let other = host.path("other.whitelist");
    std::fs::copy(host.whitelist(), &other).unwrap();
    let without = |whitelist: &Path| {
        let program = host.path("bin/secure-execctl");
        let mut remove = host.command(program);
        remove.arg("--config").arg(host.path("config.yaml"));
        remove.arg("--whitelist").arg(whitelist);
        remove.args(["whitelist", "remove", "black"]);
        run(remove, b"").succeeded();
    };
    without(&other);
    host.launch("black").run().succeeded().prints("ran\n");
    without(&host.whitelist());
    assert!(!host.path("black.lock").exists());
    assert!(host.path("white.lock").exists());
}

#[test]
fn a_folder_in_a_lock_files_place_is_named() {
    let mut host = Host::new();
    host.install_sh("p", "echo ran");
    let lock = host.write("p.lock", "secure-exec-lock 1\n");
    host.list("p", &[&format!("lock: {:?}", digest(&lock))]);
    std::fs::remove_file(&lock).unwrap();
    std::fs::create_dir(&lock).unwrap();
    let refused = ctl(&host, ["whitelist", "lock", "p"]).refused(125);
    refused.says("p.lock': it is a folder");
}

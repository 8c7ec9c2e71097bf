//! Profiles that extend several, and what `python` says of multiprocessing.

use super::ISOLATIONS;
use crate::kit::namespace::private;
use crate::kit::{EVERYONE, Host};

/// Tries what each of two profiles grants, and what neither does.
const BOTH: &str = r#"#!/usr/bin/python3
import os, socket
def attempt(name, what):
    try:
        what()
        print(name, "works", flush=True)
    except OSError as error:
        print(name, type(error).__name__, flush=True)
def fork():
    if os.fork() == 0:
        os._exit(0)
    os.wait()
attempt("fork", fork)
attempt("bind", lambda: socket.socket().bind(("127.0.0.1", 8080)))
attempt("other", lambda: socket.socket().bind(("127.0.0.1", 8082)))
attempt("file", lambda: open("/etc/passwd").close())
"#;

#[test]
fn a_profile_that_extends_two_may_do_what_each_may_and_nothing_else() {
    let cases = [
        ("python", ["works", "PermissionError", "PermissionError"]),
        (
            "network-service",
            ["PermissionError", "works", "PermissionError"],
        ),
        (
            "[python, network-service]",
            ["works", "works", "PermissionError"],
        ),
        (
            "[network-service, python]",
            ["works", "works", "PermissionError"],
        ),
    ];
    for user in EVERYONE {
        let mut host = Host::of(user);
        for (at, (extends, _)) in cases.iter().enumerate() {
            for isolation in ISOLATIONS {
                let name = format!("{isolation}{at}");
                host.install(&name, BOTH);
                // What a script needs of Python itself.
                let code = "code: [-/usr/lib/python3, -/usr/lib/python3.11, -/usr/lib/python3.13]";
                host.list(&name, &[&format!(
                    "profile: {{ extends: {extends}, isolation: {isolation}, filesystem: {{ {code} }} }}"
                )]);
            }
        }
        let host = &host;
        private(move || {
            let bare = host.bare(host.path("plugins/process0"), &[]).succeeded();
            bare.prints("fork works\nbind works\nother works\nfile works\n");
            for (at, (extends, [fork, bind, other])) in cases.iter().enumerate() {
                for isolation in ISOLATIONS {
                    let outcome = host.launch(format!("{isolation}{at}")).run().succeeded();
                    let file = match isolation {
                        "process" => "PermissionError",
                        _ => "FileNotFoundError",
                    };
                    let wanted = format!("fork {fork}\nbind {bind}\nother {other}\nfile {file}\n");
                    assert_eq!(outcome.stdout, wanted, "{extends} {isolation}");
                }
            }
            assert_eq!(host.record("sandbox_applied")["profile"], "inline");
        });
    }
}

#[test]
fn two_that_disagree_are_a_mistake_with_its_place() {
    let mut host = Host::new();
    host.profile("one", "umask: \"022\"");
    host.profile("other", "umask: \"027\"");
    host.install_sh("p", "umask");
    host.list("p", &[]);
    host.profile("both", "extends: [one, other]");
    let refused = host.launch("p").profile("both").run().refused(125);
    refused.says(
        "profile 'both': 'other' and 'one', which it extends, say different things of the umask",
    );
    host.profile("own", "extends: [one, other]\numask: \"0\"");
    host.launch("p")
        .profile("own")
        .run()
        .succeeded()
        .prints("0000\n");
}

const PROCESSES: &str = r#"#!/usr/bin/python3
import multiprocessing, os, sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import shared_memory
fork = multiprocessing.get_context("fork")
def put(queue): queue.put(7)
def square(n): return n * n
def send(pipe): pipe.send(1); pipe.close()
def process():
    here, there = fork.Pipe()
    child = fork.Process(target=send, args=(there,))
    child.start()
    found = here.recv()
    child.join()
    return found, child.exitcode
def queue():
    queue = fork.Queue()
    child = fork.Process(target=put, args=(queue,))
    child.start()
    found = queue.get()
    child.join()
    return found
def lock():
    with fork.Lock(): return True
def pool():
    with fork.Pool(2) as pool: return pool.map(square, [1, 2, 3])
def value(): return fork.Value("i", 3).value
def memory():
    memory = shared_memory.SharedMemory(create=True, size=10)
    memory.buf[0] = 7
    found = memory.buf[0]
    memory.close()
    memory.unlink()
    return found
def executor():
    with ProcessPoolExecutor(2, mp_context=fork) as pool: return list(pool.map(square, [1, 2]))
def manager():
    with fork.Manager() as manager:
        shared = manager.dict()
        shared["a"] = 1
        return dict(shared)
for name in sys.argv[1:]:
    try:
        print(name, globals()[name](), flush=True)
    except PermissionError:
        print(name, "refused", flush=True)
"#;

/// What forks alone do.
const SHARING: [&str; 5] = ["queue", "lock", "pool", "value", "executor"];

#[test]
fn multiprocessing_works_in_python_as_its_comment_says() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install("process", PROCESSES);
        host.install("namespaces", PROCESSES);
        host.install("manager", PROCESSES);
        host.list("process", &["profile: python"]);
        host.list(
            "namespaces",
            &["profile: { extends: python, isolation: namespaces }"],
        );
        host.install("executes", PROCESSES);
        let execute = "filesystem: { execute: [/usr/bin/python3] }";
        host.list(
            "executes",
            &[&format!(
                "profile: {{ extends: python, isolation: namespaces, {execute} }}"
            )],
        );
        let manager = "profile: { extends: python, isolation: namespaces, \
            filesystem: { write: [\"{runtime_dir}\"] }, network: { unix: { bind: [\"{runtime_dir}\"], connect: [\"{runtime_dir}\"] } }, \
            environment: { set: { TMPDIR: \"{runtime_dir}\" } } }";
        host.list("manager", &[manager]);
        let bare = |words: &[&str]| {
            host.bare(host.path("plugins/process"), words)
                .succeeded()
                .stdout
        };
        let confined =
            |name: &str, words: &[&str]| host.launch(name).args(words).run().succeeded().stdout;
        assert_eq!(confined("process", &["process"]), bare(&["process"]));
        let refused = SHARING.map(|name| format!("{name} refused\n"));
        assert_eq!(confined("process", &SHARING), refused.concat());
        assert_eq!(confined("namespaces", &["process"]), bare(&["process"]));
        assert_eq!(confined("namespaces", &SHARING), bare(&SHARING));
        // It starts a process that watches over names.
        assert_eq!(confined("process", &["memory"]), "memory refused\n");
        assert_eq!(confined("executes", &["memory"]), bare(&["memory"]));
        // Strict wants the kernel to hold connect(2) to the granted folder.
        let manager = host.launch("manager").policy("permissive").arg("manager");
        assert_eq!(manager.run().succeeded().stdout, bare(&["manager"]));
    }
}

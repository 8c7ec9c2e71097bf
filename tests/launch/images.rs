//! How the bytes are fixed between hash and exec, and pinned libraries.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::kit::{EVERYONE, Host, digest, program, run};

const SMALL: &str = "int main(void) { return 0; }";
/// Larger than what a copy is cheaper for.
const LARGE: &str = "package main\n\nfunc main() {}\n";

fn strength(host: &Host, name: &str) -> String {
    host.launch(name).run().succeeded();
    let image = &host.record("sandbox_applied")["image"];
    image.as_str().unwrap().to_string()
}

#[test]
fn the_record_says_how_the_bytes_were_fixed() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        let is_root = user.is_root();
        let in_place = if is_root { "guarded" } else { "leased" };
        for (name, built, choice, expected) in [
            ("small", program::c(SMALL), "auto", in_place),
            ("large", program::go(LARGE), "auto", in_place),
            ("small-copy", program::c(SMALL), "sealed", "sealed"),
            ("large-copy", program::go(LARGE), "sealed", "sealed"),
            ("small-lease", program::c(SMALL), "in-place", "leased"),
            ("large-lease", program::go(LARGE), "in-place", "leased"),
        ] {
            host.install_copy(name, built);
            host.list(name, &[&format!("image: {choice}")]);
            assert_eq!(strength(&host, name), expected, "{name}");
        }
        // What an interpreter reads is read after exec, when a lease is gone.
        host.install_sh("script", "exit 0");
        host.list("script", &["image: in-place"]);
        let expected = if is_root { "guarded" } else { "sealed" };
        assert_eq!(strength(&host, "script"), expected);
        let reason = host.record("sandbox_applied")["image_reason"].clone();
        let is_told = reason
            .as_str()
            .is_some_and(|why| why.starts_with("not guarded: '"));
        assert_eq!(is_told, !is_root, "{reason}");
    }
}

#[test]
fn a_minimum_of_sealed_makes_copies_and_refuses_leases() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.set("image_minimum: sealed");
        for (name, choice) in [("auto", "auto"), ("lease", "in-place")] {
            host.install_copy(name, program::go(LARGE));
            host.list(name, &[&format!("image: {choice}")]);
        }
        assert_eq!(strength(&host, "auto"), "sealed");
        host.launch("lease")
            .run()
            .refused(126)
            .says("the image is leased, the whitelist demands sealed");
        let record = host.record("security_violation");
        assert_eq!(record["violation_type"], "sandbox_unavailable");
    }
}

#[test]
fn the_minimum_holds_for_a_pinned_interpreter_too() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        // Large enough for a lease.
        let shell = host.install_copy("shell", "/bin/bash");
        host.install("p", format!("#!{}\n:\n", shell.display()));
        let (path, hash) = (shell.to_str().unwrap(), digest(&shell));
        host.list(
            "p",
            &[&format!(
                "interpreter: {{ path: {path:?}, hash: {hash:?} }}"
            )],
        );
        let leases = |host: &Host| {
            let mut trace = host.command("strace");
            trace.args(["-e", "trace=fcntl"]);
            let launch = host.launch("p").command();
            trace.arg(launch.get_program()).args(launch.get_args());
            let outcome = run(trace, b"").succeeded();
            outcome.stderr.matches("F_SETLEASE, F_RDLCK) ").count()
        };
        // Root's script is leased as well as guarded.
        assert_eq!(leases(&host), 1 + usize::from(user.is_root()));
        host.set("image_minimum: sealed");
        assert_eq!(leases(&host), 0);
    }
}

#[test]
fn verity_is_refused_where_the_kernel_measures_nothing() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_copy("p", program::c(SMALL));
        host.list("p", &["image: verity"]);
        let why = "the kernel measures no fs-verity digest of it";
        host.launch("p").run().refused(126).says(why);
        let permissive = host.launch("p").policy("permissive").run();
        permissive.succeeded().says("WARNING: ").says(why);
        assert_eq!(host.record("sandbox_applied")["image"], "sealed");
    }
}

#[test]
fn a_program_that_looks_beside_itself_stays_where_it_is() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        let built = Linked::new(&host, "$ORIGIN");
        host.install_copy("p", &built.program);
        std::fs::copy(&built.library, host.path("plugins/libanswer.so")).unwrap();
        let profile = "profile: { filesystem: { read: ['{plugin_dir}'] } }";
        host.list("p", &[profile]);
        assert_eq!(host.launch("p").run().status, 42);
        let expected = if user.is_root() { "guarded" } else { "leased" };
        assert_eq!(host.record("sandbox_applied")["image"], expected);

        let hash = digest(&host.path("plugins/p"));
        host.list_path("copy", "./plugins/p", &hash, &[profile, "image: sealed"]);
        let outcome = host.launch("copy").run();
        assert_eq!(outcome.status, 127, "{outcome:#?}");
        outcome
            .says("WARNING: plugin 'copy' looks for libraries beside itself ($ORIGIN)")
            .says("libanswer.so: cannot open shared object file");
    }
}

/// In its place the kernel would not execute it (`EPERM`), where it can't give
/// the capabilities.
#[test]
fn a_program_whose_file_has_capabilities_runs_as_a_copy() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        let plugin = host.install_copy("p", program::c(SMALL));
        let mut set = Command::new("setcap");
        set.arg("cap_net_raw=ep").arg(&plugin);
        run(set, b"").succeeded();
        host.list("p", &[]);
        assert_eq!(strength(&host, "p"), "sealed");
        let reason = host.record("sandbox_applied")["image_reason"].clone();
        assert!(
            reason
                .as_str()
                .unwrap()
                .contains("the file has capabilities")
        );
    }
}

/// Waits until a process asks for a lock that the test holds on this file.
fn await_append(child: &mut std::process::Child, log: &Path) {
    let link =
        |entry: std::io::Result<std::fs::DirEntry>| std::fs::read_link(entry.ok()?.path()).ok();
    let folder = PathBuf::from(format!("/proc/{}/fd", child.id()));
    loop {
        assert!(child.try_wait().unwrap().is_none(), "it ended too early");
        let call = std::fs::read_to_string(folder.with_file_name("syscall")).unwrap_or_default();
        let open = std::fs::read_dir(&folder)
            .into_iter()
            .flatten()
            .filter_map(link);
        // The pause between two tries: clock_nanosleep(2), nanosleep(2).
        let pauses = ["230 ", "35 "]
            .iter()
            .any(|number| call.starts_with(number));
        if pauses && open.into_iter().any(|path| path == log) {
            return;
        }
        std::thread::yield_now();
    }
}

#[test]
fn whoever_opens_a_leased_file_for_writing_during_the_launch_ends_it() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_copy("plugin", program::go(LARGE));
        host.list("plugin", &[]);
        let shell = host.install_copy("shell", "/bin/bash");
        host.install("script", format!("#!{}\n:\n", shell.display()));
        let (path, hash) = (shell.to_str().unwrap(), digest(&shell));
        let pin = format!("interpreter: {{ path: {path:?}, hash: {hash:?} }}");
        host.list("script", &[&pin]);
        for (name, target) in [("plugin", host.path("plugins/plugin")), ("script", shell)] {
            host.launch(name).run().succeeded();
            let held = host.lock_audit_log();
            let mut command = host.launch(name).command();
            command.stdin(Stdio::null()).stderr(Stdio::piped());
            let mut child = command.spawn().unwrap();
            await_append(&mut child, &host.audit_log());
            // The kernel asks the holder of the lease and lets nobody write.
            let opened = File::options()
                .write(true)
                .custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits())
                .open(&target);
            let refused = opened.unwrap_err().kind();
            assert_eq!(refused, std::io::ErrorKind::WouldBlock, "{name}");
            drop(held);
            let output = child.wait_with_output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(126), "{name}: {said}");
            assert!(said.contains("for writing during the launch"), "{said}");
            host.launch(name).run().succeeded();
        }
    }
}

/// A program with a library of its own, whose answer is its exit status.
struct Linked {
    program: PathBuf,
    library: PathBuf,
}

impl Linked {
    fn new(host: &Host, run_path: &str) -> Self {
        let source = |name: &str, text: &str| host.write(name, text);
        let library = host.path("bin/libanswer.so");
        let mut shared = Command::new("gcc");
        shared.args(["-shared", "-fPIC", "-Wl,-soname,libanswer.so", "-o"]);
        shared.arg(&library);
        shared.arg(source("answer.c", "int answer(void) { return 42; }"));
        run(shared, b"").succeeded();
        let program = host.path("bin/linked");
        let mut main = Command::new("gcc");
        main.arg("-o").arg(&program);
        main.arg(source(
            "main.c",
            "#include <dlfcn.h>\n\
             int answer(void);\n\
             int main(int n, char **a) {\n\
                 if (n == 1) return answer();\n\
                 return dlopen(a[1], RTLD_NOW) ? 0 : 3;\n\
             }",
        ));
        main.arg(&library).arg(format!("-Wl,-rpath,{run_path}"));
        main.arg("-ldl");
        run(main, b"").succeeded();
        host.own(&library);
        Self { program, library }
    }

    /// All that the dynamic loader loads for the program, itself included.
    fn needs(&self, host: &Host) -> Vec<PathBuf> {
        let program = self.program.to_str().unwrap();
        let listed = host.bare("ldd", &[program]).succeeded().stdout;
        let path = |word: &str| word.starts_with('/').then(|| PathBuf::from(word));
        listed.split_whitespace().filter_map(path).collect()
    }
}

/// An entry's `libraries`.
fn pins(paths: &[PathBuf]) -> String {
    let pin = |path: &PathBuf| format!("\n  - {{ path: {path:?}, hash: {:?} }}", digest(path));
    format!("libraries:{}", paths.iter().map(pin).collect::<String>())
}

#[test]
fn pinned_libraries_are_verified_and_no_other_can_be_loaded() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        let built = Linked::new(&host, host.path("bin").to_str().unwrap());
        let needs = built.needs(&host);
        assert!(needs.len() >= 3, "{needs:?}");
        let (own, of_system): (Vec<PathBuf>, Vec<PathBuf>) = needs
            .iter()
            .cloned()
            .partition(|path| *path == built.library);
        assert_eq!(own.len(), 1, "{needs:?}");
        for (name, more) in [
            ("pinned", pins(&needs)),
            ("one-less", pins(&of_system)),
            ("unpinned", String::new()),
        ] {
            host.install_copy(name, &built.program);
            let folder = host.path("bin");
            let profile = match name {
                "unpinned" => format!("profile: {{ filesystem: {{ read: [{folder:?}] }} }}"),
                _ => "profile: default".into(),
            };
            host.list(name, &[&profile, &more]);
        }
        assert_eq!(host.launch("pinned").run().status, 42);
        let sandbox = &host.record("sandbox_applied")["sandbox"];
        assert_eq!(sandbox["pinned_libraries"], needs.len());
        assert_eq!(host.launch("unpinned").run().status, 42);
        // The dynamic loader's own words and status.
        let outcome = host.launch("one-less").run();
        assert_eq!(outcome.status, 127, "{outcome:#?}");
        outcome.says("libanswer.so");

        let library = "libz.so.1";
        host.launch("unpinned").arg(library).run().succeeded();
        assert_eq!(host.launch("pinned").arg(library).run().status, 3);

        let mut bytes = std::fs::read(&built.library).unwrap();
        let name = b"answer.c\0";
        let at = bytes.windows(name.len()).position(|found| found == name);
        bytes[at.unwrap()] = b'A';
        std::fs::write(&built.library, bytes).unwrap();
        assert_eq!(host.launch("unpinned").run().status, 42);
        host.launch("pinned")
            .run()
            .refused(126)
            .says("library_mismatch")
            .says(&digest(&built.library));
        let record = host.record("security_violation");
        assert_eq!(record["violation_type"], "library_mismatch");
        assert_eq!(record["severity"], "high");
    }
}

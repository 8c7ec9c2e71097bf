//! What a plugin loads after its exec, pinned and swapped.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::identity::{BEFORE_EXEC, naive, show};
use super::interloper::strike;
use crate::kit::{EVERYONE, Host, User, digest, program};

#[test]
fn a_pinned_library_that_is_swapped_is_not_loaded() {
    for user in EVERYONE {
        let (host, plugin, library) = linked(user);
        host.bare(&plugin, &[]).succeeded().prints("verified\n");
        host.launch("p").run().succeeded().prints("verified\n");
        std::fs::rename(host.path("plugins/evil"), &library).unwrap();
        host.bare(&plugin, &[]).succeeded().prints("evil\n");

        let (host, _, library) = linked(user);
        let swap = format!("mv {} {}", show(&host, "evil"), library.display());
        let outcome = strike(&host, BEFORE_EXEC, &swap, &host.launch("p"));
        assert_eq!(outcome.stdout, "not loaded\n", "{outcome:#?}");
    }
}

#[test]
fn a_locked_plugins_own_library_that_is_swapped_is_not_loaded() {
    for user in EVERYONE {
        let swap = |host: &Host| format!("mv {} {}", show(host, "evil"), show(host, "libspeak.so"));
        let host = needing(user);
        naive(&host, &swap(&host)).prints("evil\n");

        let host = needing(user);
        host.launch("p").run().succeeded().prints("verified\n");
        let outcome = strike(&host, BEFORE_EXEC, &swap(&host), &host.launch("p"));
        assert_eq!(
            (outcome.status, &*outcome.stdout),
            (127, ""),
            "{outcome:#?}"
        );
        // Refused there, the loader looks on, and finds none.
        let refused = "error while loading shared libraries: libspeak.so: cannot open";
        assert!(outcome.stderr.contains(refused), "{outcome:#?}");
    }
}

#[test]
fn a_locked_scripts_module_that_is_swapped_is_not_imported() {
    for user in EVERYONE {
        let locked = || {
            let mut host = Host::of(user);
            host.install("p", "#!/usr/bin/python3\nimport speak\n");
            let module = host.install("speak.py", "print('verified')\n");
            host.install("evil", "print('evil')\n");
            // All of the standard library that it could need, and its own.
            let mut pins = vec![module, "/lib64/ld-linux-x86-64.so.2".into()];
            let maps = "import os, sys; print(*sorted(m.__file__ for m in sys.modules.values() if getattr(m, '__file__', None)))";
            let loaded = host
                .bare("/usr/bin/python3", &["-c", maps])
                .succeeded()
                .stdout;
            pins.extend(loaded.split_whitespace().map(PathBuf::from));
            for library in ["libc.so.6", "libm.so.6", "libz.so.1", "libexpat.so.1"] {
                pins.push(Path::new("/lib/x86_64-linux-gnu").join(library));
            }
            let profile = "profile:\n  extends: python\n  filesystem: { code: ['{plugin_dir}'] }\n  \
                           environment: { set: { PYTHONPATH: '{plugin_dir}' } }";
            host.list("p", &[profile, &pinned(&pins)]);
            host
        };
        let swap = |host: &Host| format!("mv {} {}", show(host, "evil"), show(host, "speak.py"));
        let host = locked();
        naive(&host, &swap(&host)).prints("evil\n");

        let host = locked();
        host.launch("p").run().succeeded().prints("verified\n");
        let outcome = strike(&host, BEFORE_EXEC, &swap(&host), &host.launch("p"));
        assert_eq!((outcome.status, &*outcome.stdout), (1, ""), "{outcome:#?}");
        assert!(outcome.stderr.contains("PermissionError"), "{outcome:#?}");
    }
}

#[test]
fn a_pinned_library_that_somebody_else_can_write_is_refused() {
    for user in EVERYONE {
        // Nothing guards a library's file between the check and the loading.
        let (host, plugin, library) = linked(user);
        let held = OpenOptions::new().append(true).open(&library).unwrap();
        let outcome = host.launch("p").run().refused(126);
        outcome.says("is open for writing");
        std::fs::write(&library, std::fs::read(host.path("plugins/evil")).unwrap()).unwrap();
        host.bare(&plugin, &[]).succeeded().prints("evil\n");
        drop(held);

        for (mode, owner) in [(0o666, None), (0o664, None), (0o644, Some(1))] {
            let (host, _, library) = linked(user);
            std::fs::set_permissions(&library, PermissionsExt::from_mode(mode)).unwrap();
            std::os::unix::fs::chown(&library, owner, None).unwrap();
            let outcome = host.launch("p").run().refused(126);
            outcome.says("insecure_permissions");
        }
    }
}

/// A plugin that loads the pinned library beside it.
fn linked(user: User) -> (Host, PathBuf, PathBuf) {
    let mut host = Host::of(user);
    let library = |word: &str| {
        program::shared_c(&format!(
            "#include <stdio.h>\nvoid speak(void) {{ puts({word:?}); }}"
        ))
    };
    let evil = library("evil");
    host.install_copy("evil", evil);
    let library = host.install_copy("library", library("verified"));
    let plugin = host.install_copy(
        "p",
        program::c(&format!(
            "#include <dlfcn.h>\n#include <stdio.h>
            int main(void) {{
                void *library = dlopen({:?}, RTLD_NOW);
                void (*speak)(void) = library ? dlsym(library, \"speak\") : NULL;
                if (!speak) return puts(\"not loaded\") < 0;
                speak();
            }}",
            library
        )),
    );
    let system = [
        "/lib/x86_64-linux-gnu/libc.so.6",
        "/lib64/ld-linux-x86-64.so.2",
    ];
    let pins = [
        std::slice::from_ref(&library),
        &system.map(PathBuf::from)[..],
    ]
    .concat();
    host.list("p", &[&pinned(&pins)]);
    (host, plugin, library)
}

/// A plugin that is linked with the library beside it, and may read all that
/// lies there, but for its pins.
fn needing(user: User) -> Host {
    let mut host = Host::of(user);
    let library = |name: &str, word: &str| {
        let speak = format!("#include <stdio.h>\nvoid speak(void) {{ puts({word:?}); }}");
        host.install_copy(name, program::shared_c(&speak))
    };
    library("evil", "evil");
    let library = library("libspeak.so", "verified");
    let source = host.write(
        "p.c",
        "void speak(void);\nint main(void) { speak(); return 0; }",
    );
    let mut compiler = std::process::Command::new("gcc");
    compiler.arg("-o").arg(host.path("plugins/p")).arg(source);
    compiler.arg("-L").arg(host.path("plugins")).arg("-lspeak");
    compiler.arg(format!("-Wl,-rpath,{}", host.path("plugins").display()));
    crate::kit::run(compiler, b"").succeeded();
    host.own(&host.path("plugins/p"));
    let system = [
        "/lib/x86_64-linux-gnu/libc.so.6",
        "/lib64/ld-linux-x86-64.so.2",
    ];
    let pins = [&[library], &system.map(PathBuf::from)[..]].concat();
    let profile = "profile: { filesystem: { code: ['{plugin_dir}'] } }";
    host.list("p", &[profile, &pinned(&pins)]);
    host
}

fn pinned(paths: &[PathBuf]) -> String {
    let mut pins = String::from("libraries:\n");
    for path in paths {
        writeln!(pins, "  - {{ path: {path:?}, hash: {:?} }}", digest(path)).unwrap();
    }
    pins
}

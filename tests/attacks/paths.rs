//! Paths that lead elsewhere, and files that are no plugin.

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;

use super::behind;
use crate::kit::{EVERYONE, Host, Launch, Outcome, digest, outer, run};

const NOTHING: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn a_link_out_of_the_plugin_root_is_refused_and_one_inside_is_followed() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        let root = host.folder("plugins/root");
        let inside = host.install_sh("root/inside", "echo inside");
        let outside = host.install_sh("outside", "echo outside");
        for (name, target) in [
            ("near", Path::new("inside")),
            ("relative", Path::new("../outside")),
            ("absolute", &outside),
            ("chain", Path::new("relative")),
            ("folder", Path::new("..")),
        ] {
            symlink(target, root.join(name)).unwrap();
            host.own(&root.join(name));
        }
        host.bare(root.join("chain"), &[]).prints("outside\n");

        host.set(&format!("plugin_root: {root:?}"));
        host.list_path("near", "near", &digest(&inside), &[]);
        let doors = outer::doors(&host);
        for door in &doors {
            let launch = host.launch("near").under(door).run();
            launch.succeeded().prints("inside\n");
        }
        for path in [
            "relative",
            "absolute",
            "chain",
            "folder/outside",
            "../outside",
            "./../outside",
            "folder/../outside",
        ] {
            let name = format!("p{}", path.replace('/', "-"));
            host.list_path(&name, path, &digest(&outside), &[]);
            for door in &doors {
                let outcome = host.launch(&name).under(door).run().refused(126);
                outcome.says("path_traversal");
            }
        }
    }
}

#[test]
fn a_magic_link_is_refused_wherever_it_stands_in_the_path() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        let plugin = host.install_sh("p", "echo p");
        // Whoever resolves it twice finds two programs: one is hashed, the
        // other is run.
        let exe = "exec /proc/self/exe -c 'echo another'";
        let hashed = digest(Path::new("/proc/self/exe"));
        assert_eq!(hashed, digest(Path::new("/usr/bin/sha256sum")));
        host.bare("/bin/sh", &["-c", exe]).prints("another\n");

        let below = format!("/proc/self/root{}", plugin.display());
        let link = host.path("plugins/link");
        symlink("/proc/self/fd/7", &link).unwrap();
        let doors = outer::doors(&host);
        for path in [
            "/proc/self/exe",
            "/proc/thread-self/exe",
            "/proc/self/fd/7",
            "/dev/fd/7",
            &below,
            "/proc/self/cwd/plugins/p",
            link.to_str().unwrap(),
            "plugins/link",
        ] {
            let name = format!("p{}", path.replace('/', "-"));
            host.list_path(&name, path, &digest(&plugin), &[]);
            let with_descriptor = r#"exec 7<"$0"; exec "$@""#;
            let arguments = ["-c", with_descriptor, plugin.to_str().unwrap()];
            for door in &doors {
                let launch = host.launch(&name).under(door).command();
                let outcome = run(behind(&host, "/bin/sh", &arguments, &launch), b"");
                outcome.refused(126).says("path_traversal");
            }
        }
    }
}

#[test]
fn what_is_no_regular_file_is_refused_without_waiting() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        let fifo = host.path("plugins/fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::from_bits_truncate(0o755)).unwrap();
        host.own(&fifo);
        let socket = host.path("plugins/socket");
        let _listener = UnixListener::bind(&socket).unwrap();
        host.own(&socket);
        host.folder("plugins/folder");
        // Whoever reads these waits for good.
        for endless in [&*fifo, Path::new("/dev/zero")] {
            let outcome = host.bare("timeout", &["1", "sha256sum", endless.to_str().unwrap()]);
            assert_eq!(outcome.status, 124, "{outcome:#?}");
        }
        for path in [
            "plugins/fifo",
            "/dev/zero",
            "plugins/socket",
            "plugins/folder",
            "/dev/null",
        ] {
            let name = format!("p{}", path.replace('/', "-"));
            host.list_path(&name, path, NOTHING, &[]);
            for door in outer::doors(&host) {
                let launch = host.launch(&name).under(door);
                let outcome = bounded(&host, &launch).refused(126);
                outcome.says("not_a_regular_file");
            }
        }
        // The same as an interpreter, a library and a configuration file.
        let script = host.install("script", format!("#!{}\n", fifo.display()));
        host.list_path("script", "plugins/script", &digest(&script), &[]);
        let outcome = bounded(&host, &host.launch("script")).refused(126);
        outcome.says("interpreter_untrusted");
        host.install_copy("p", "/bin/true");
        let pin = format!("libraries: [{{ path: {fifo:?}, hash: {NOTHING:?} }}]");
        host.list("p", &[&pin]);
        let outcome = bounded(&host, &host.launch("p")).refused(126);
        outcome.says("library_mismatch");
        let outcome = bounded(&host, &host.launch("p").whitelist(&fifo)).refused(125);
        outcome.says("not a regular file");
    }
}

#[test]
fn a_file_of_a_hundred_gigabytes_is_refused_without_reading_it() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        let sparse = host.install("sparse", "#!/bin/sh\n");
        let file = std::fs::OpenOptions::new()
            .write(true)
            .open(&sparse)
            .unwrap();
        file.set_len(100 << 30).unwrap();
        drop(file);
        let outcome = host.bare("timeout", &["1", "sha256sum", sparse.to_str().unwrap()]);
        assert_eq!(outcome.status, 124, "{outcome:#?}");

        host.list_path("sparse", "plugins/sparse", NOTHING, &[]);
        let outcome = bounded(&host, &host.launch("sparse")).refused(126);
        outcome.says("file_size_exceeded");
        let interpreted = host.install("script", format!("#!{}\n", sparse.display()));
        let pin = format!("interpreter: {{ path: {sparse:?}, hash: {NOTHING:?} }}");
        host.list_path("script", "plugins/script", &digest(&interpreted), &[&pin]);
        let outcome = bounded(&host, &host.launch("script")).refused(126);
        outcome.says("interpreter_untrusted");
        host.install_copy("p", "/bin/true");
        let pin = format!("libraries: [{{ path: {sparse:?}, hash: {NOTHING:?} }}]");
        host.list("p", &[&pin]);
        let outcome = bounded(&host, &host.launch("p")).refused(126);
        outcome.says("library_mismatch");
        let outcome = bounded(&host, &host.launch("p").whitelist(&sparse)).refused(125);
        outcome.says("larger than 64 MiB");
    }
}

/// Runs a launch with little memory and an end, so that one that reads on and
/// on, or waits, fails the test.
fn bounded(host: &Host, launch: &Launch<'_>) -> Outcome {
    let limits = ["60", "prlimit", "--as=268435456", "--cpu=20", "--"];
    run(behind(host, "timeout", &limits, &launch.command()), b"")
}

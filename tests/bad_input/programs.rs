//! Plugin files that can't be run, or only by what is not to be trusted.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::assert_clean;
use crate::kit::{Host, Outcome, digest, open_to_all, program};

const STATIC: &str = "int main(void) { return 0; }";

/// A plugin of these bytes, listed with their true digest, is refused under
/// every policy with this violation, and nothing of it runs.
#[track_caller]
fn refuses(bytes: impl AsRef<[u8]>, violation: &str, what: &str) {
    let mut host = Host::new();
    host.install("p", &bytes);
    host.list("p", &[]);
    for policy in ["strict", "permissive", "audit-only"] {
        let launch = host.launch("p").policy(policy).under(super::BOUNDS);
        let outcome = launch.run().refused(126);
        is_recorded(&host, &outcome, violation, what);
        assert_eq!(host.record("security_violation")["policy"], policy);
    }
}

/// As [`refuses`], where a weaker policy would try and fail.
#[track_caller]
fn refused_under_strict(bytes: impl AsRef<[u8]>, violation: &str, what: &str) {
    let mut host = Host::new();
    host.install("p", &bytes);
    host.list("p", &[]);
    let outcome = host.launch("p").under(super::BOUNDS).run().refused(126);
    is_recorded(&host, &outcome, violation, what);
    host.launch("p").policy("permissive").run().refused(126);
    let record = host.record("plugin_exited");
    assert_eq!(
        (&record["result"], &record["policy"]),
        (&"blocked".into(), &"permissive".into())
    );
}

#[track_caller]
fn is_recorded(host: &Host, outcome: &Outcome, violation: &str, what: &str) {
    assert_clean(&outcome.stderr);
    let start = format!("ERROR: Plugin 'p' refused ({violation}): ");
    assert!(outcome.stderr.contains(&start), "{outcome:#?}");
    assert!(outcome.stderr.contains(what), "no '{what}' in {outcome:#?}");
    let record = host.record("security_violation");
    assert_eq!(record["violation_type"], violation);
    assert_eq!(record["result"], "blocked");
    assert_eq!(record["action_taken"], "plugin_execution_blocked");
    assert!(
        record["reason"].as_str().unwrap().contains(what),
        "{record:#?}"
    );
}

#[test]
fn what_is_neither_program_nor_script() {
    for bytes in [
        &b""[..],
        b"\x7f",
        b"#",
        b"MZ\x90\0",
        b"\x7fELG",
        b"echo hello\n",
        b" #!/bin/sh\necho\n",
        b"\xef\xbb\xbf#!/bin/sh\n",
        b"\0\0\0\0",
    ] {
        refuses(
            bytes,
            "insecure_permissions",
            "neither an ELF program nor a script",
        );
    }
}

#[test]
fn a_first_line_that_names_no_interpreter() {
    let what = "interpreter_untrusted";
    refuses("#!", what, "is no absolute path");
    refuses("#!\n", what, "is no absolute path");
    refuses("#! \t \n/bin/sh\n", what, "is no absolute path");
    refuses("#!sh\n", what, "'sh' is no absolute path");
    refuses("#!./sh\n", what, "'./sh' is no absolute path");
    refuses("#!../../bin/sh\n", what, "is no absolute path");
    refuses(
        format!("#!/bin/sh {}\n", "x".repeat(1 << 20)),
        what,
        "longer than 256 bytes",
    );
    refuses(
        format!("#!{}", "/".repeat(1 << 20)),
        what,
        "longer than 256 bytes",
    );
    refuses(
        "#!/bin/sh\r\necho\r\n",
        what,
        "ends with a carriage return: '/bin/sh\\r'",
    );
    refuses("#!/bin/s\0h\n", what, "control character");
    refuses("#!/bin/sh \x1b[2J\n", what, "'/bin/sh \\u{1b}[2J'");
    refuses("#!/bin/sh \u{202e}\n", what, "\\u{202e}");
    refuses(b"#!/bin/\xff\n", what, "is not UTF-8");
}

#[test]
fn each_has_a_cure_that_cures() {
    let [line, begins] = ["Correct the script's first line", "begins with '#!'"];
    // No pin mends the line.
    let pin = digest(Path::new("/bin/sh"));
    let pin = format!("interpreter: {{ path: /bin/sh, hash: '{pin}' }}");
    for (wrong, cure) in [
        ("#!/bin/sh\r\necho ran\r\n", line),
        ("#!sh\necho ran\n", line),
        ("\u{feff}#!/bin/sh\necho ran\n", begins),
        ("", begins),
    ] {
        for more in [&[][..], &[&*pin]] {
            let mut host = Host::new();
            host.install("p", wrong);
            host.list("p", more);
            host.launch("p").run().refused(126).says(cure);
        }
    }
    // But that of an 'env' which is told to do more than to find a program.
    let mut host = Host::new();
    host.install("p", "#!/usr/bin/env -S 'sh'\necho ran\n");
    host.list("p", &[]);
    host.launch("p").run().refused(126).says(line);
    host.install("q", "#!/usr/bin/env -S 'sh'\necho ran\n");
    host.list("q", &[&pin]);
    host.launch("q").run().succeeded().prints("ran\n");
    let mut host = Host::new();
    host.install("p", "#!/bin/sh\necho ran\n");
    host.list("p", &[]);
    host.launch("p").run().succeeded().prints("ran\n");
}

#[test]
fn an_interpreter_that_is_none() {
    let what = "interpreter_untrusted";
    refuses("#!/nonexistent/sh\n", what, "'/nonexistent/sh': open: ");
    refuses("#!/\n", what, "'/' is a folder");
    refuses("#!/etc\n", what, "'/etc' is a folder");
    refuses("#!/dev/zero\n", what, "'/dev/zero' is a character device");
    refuses("#!/proc/self/exe\n", what, "'/proc/self/exe': open: ");
    refuses(
        "#!/etc/passwd\n",
        what,
        "neither an ELF program nor a script",
    );
    refuses(
        "#!/usr/bin/env nonexistent-program\n",
        what,
        "no program 'nonexistent-program' is in",
    );
}

#[test]
fn an_interpreter_that_is_a_script() {
    let mut host = Host::new();
    // In a folder of root's alone, so that the place is no reason.
    let path = host.install("p", "");
    let own = format!("#!{}\n", path.display());
    host.install("p", own);
    host.list(
        "p",
        &[&format!(
            "interpreter: {{path: {path:?}, hash: {:?}}}",
            digest(&path)
        )],
    );
    let outcome = host.launch("p").run().refused(126);
    is_recorded(
        &host,
        &outcome,
        "interpreter_untrusted",
        "neither an ELF program nor a script",
    );
    let other = host.install_sh("other", "echo ran");
    host.install("q", format!("#!{}\n", other.display()));
    host.list(
        "q",
        &[&format!(
            "interpreter: {{path: {other:?}, hash: {:?}}}",
            digest(&other)
        )],
    );
    host.launch("q")
        .run()
        .refused(126)
        .says("neither an ELF program nor a script");
}

#[test]
fn an_interpreter_of_what_is_no_script() {
    let mut host = Host::new();
    let plugin = host.install_copy("p", "/usr/bin/true");
    host.list_path("q", "./plugins/p", &digest(&plugin), &[]);
    host.launch("q").run().succeeded();
    host.list("p", &["interpreter: { path: /bin/sh }"]);
    let outcome = host.launch("p").run().refused(126);
    is_recorded(
        &host,
        &outcome,
        "interpreter_untrusted",
        "take 'interpreter' out of the entry",
    );
}

#[test]
fn an_interpreter_in_a_place_that_others_can_write() {
    let mut host = Host::new();
    let interpreter = host.path("bin/sh");
    std::fs::copy("/bin/sh", &interpreter).unwrap();
    host.install("p", format!("#!{}\necho ran\n", interpreter.display()));
    host.list("p", &[]);
    let above = host.path("bin");
    open_to_all(&above);
    let outcome = host.launch("p").run().refused(126);
    let what = format!("'{}' can be written by others", above.display());
    is_recorded(&host, &outcome, "interpreter_untrusted", &what);
    // The same with a link to a sound one: the link is not.
    let link = host.path("bin/link");
    symlink("/bin/sh", &link).unwrap();
    host.install("q", format!("#!{}\necho ran\n", link.display()));
    host.list("q", &[]);
    host.launch("q").run().refused(126).says(&what);
    // A pin makes the place not matter.
    let pin = format!(
        "interpreter: {{path: {interpreter:?}, hash: {:?}}}",
        digest(&interpreter)
    );
    host.list_path(
        "r",
        "./plugins/p",
        &digest(&host.path("plugins/p")),
        &[&pin],
    );
    host.launch("r").run().succeeded().prints("ran\n");
}

#[test]
fn a_program_for_another_machine() {
    let good = std::fs::read(program::static_c(STATIC)).unwrap();
    let changed = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let what = "no 64-bit program for";
    refuses(changed(4, 1), "insecure_permissions", what);
    refuses(changed(5, 2), "insecure_permissions", "");
    // An object file, a core dump; AArch64, RISC-V.
    refuses(changed(16, 1), "insecure_permissions", what);
    refuses(changed(16, 4), "insecure_permissions", what);
    refuses(changed(18, 243), "insecure_permissions", what);
    let (mine, other) = if cfg!(target_arch = "x86_64") {
        (62, 183)
    } else {
        (183, 62)
    };
    assert_eq!(good[18], mine);
    refuses(changed(18, other), "insecure_permissions", what);
}

#[test]
fn a_damaged_program() {
    let good = std::fs::read(program::static_c(STATIC)).unwrap();
    for length in [4, 5, 15, 16, 20, 63, 64, 65, 119] {
        refuses(&good[..length], "insecure_permissions", "");
    }
    let changed = |at: usize, with: &[u8]| {
        let mut bytes = good.clone();
        bytes[at..at + with.len()].copy_from_slice(with);
        bytes
    };
    // e_phoff, e_phentsize, e_phnum; the class.
    for offset in [u64::MAX, u64::MAX - 55, i64::MAX as u64, good.len() as u64] {
        refuses(
            changed(32, &offset.to_le_bytes()),
            "insecure_permissions",
            "header is damaged",
        );
    }
    for size in [0_u16, 1, 55, 57, u16::MAX] {
        refuses(
            changed(54, &size.to_le_bytes()),
            "insecure_permissions",
            "header is damaged",
        );
    }
    for count in [74_u16, 1000, u16::MAX] {
        refuses(
            changed(56, &count.to_le_bytes()),
            "insecure_permissions",
            "header is damaged",
        );
    }
    refuses(
        changed(4, &[3]),
        "insecure_permissions",
        "header is damaged",
    );
}

#[test]
fn a_program_whose_loader_is_none() {
    let mut host = Host::new();
    let good = std::fs::read(program::c(STATIC)).unwrap();
    host.install("p", &good);
    host.list("p", &[]);
    host.launch("p").run().succeeded();
    // PT_INTERP's entry of the program header table.
    let word = |at: usize| {
        usize::try_from(u64::from_le_bytes(good[at..at + 8].try_into().unwrap())).unwrap()
    };
    let table = word(32);
    let entry = (table..)
        .step_by(56)
        .find(|at| good[*at..*at + 4] == [3, 0, 0, 0])
        .unwrap();
    let (offset, size) = (word(entry + 8), word(entry + 32));
    assert!(good[offset..offset + size].starts_with(b"/lib"));
    let changed = |changes: &[(usize, &[u8])]| {
        let mut bytes = good.clone();
        for (at, with) in changes {
            bytes[*at..*at + with.len()].copy_from_slice(with);
        }
        bytes
    };
    let damaged = "header is damaged";
    for (field, value) in [
        (8, u64::MAX),
        (8, good.len() as u64),
        (32, u64::MAX),
        (32, 4097),
    ] {
        let bytes = changed(&[(entry + field, &value.to_le_bytes())]);
        refuses(bytes, "insecure_permissions", damaged);
    }
    let no_path = "loader has no absolute path";
    refuses(
        changed(&[(entry + 32, &0_u64.to_le_bytes())]),
        "insecure_permissions",
        no_path,
    );
    refuses(
        changed(&[(offset, b"lib")]),
        "insecure_permissions",
        no_path,
    );
    refuses(
        changed(&[(offset + 3, b"\0")]),
        "insecure_permissions",
        no_path,
    );
    refuses(
        changed(&[(offset + 3, b"\x1b")]),
        "insecure_permissions",
        no_path,
    );
    // A second one.
    let other = (table..)
        .step_by(56)
        .find(|at| good[*at..*at + 4] == [4, 0, 0, 0])
        .unwrap();
    let twice = changed(&[(other, &good[entry..entry + 56])]);
    refuses(twice, "insecure_permissions", "names two dynamic loaders");
    refused_under_strict(
        changed(&[(offset + 1, b"nix")]),
        "interpreter_untrusted",
        "/nix",
    );
    // Without its NUL the kernel takes it for none.
    let size = u64::try_from(size - 1).unwrap();
    let open = changed(&[(entry + 32, &size.to_le_bytes())]);
    host.install("p", open);
    let mut host = host;
    host.list_path("q", "./plugins/p", &digest(&host.path("plugins/p")), &[]);
    let outcome = host.launch("q").run().refused(126);
    assert_clean(&outcome.stderr);
}

#[test]
fn a_plugin_that_can_not_be_executed_or_read() {
    let mut host = Host::of(crate::kit::User::Ordinary);
    let path = host.install_sh("p", "echo ran");
    host.list("p", &[]);
    let mode = |mode| std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
    mode(0o644);
    let outcome = host.launch("p").run().refused(126);
    is_recorded(
        &host,
        &outcome,
        "insecure_permissions",
        "no execute permission here (mode 0644)",
    );
    // Executable for others than this user.
    std::os::unix::fs::chown(&path, Some(0), Some(0)).unwrap();
    mode(0o744);
    host.launch("p")
        .run()
        .refused(126)
        .says("no execute permission here (mode 0744)");
    mode(0o711);
    let outcome = host
        .launch("p")
        .run()
        .refused(126)
        .says("must be able to read it");
    assert_clean(&outcome.stderr);
    let record = host.record("plugin_exited");
    assert_eq!(record["result"], "blocked");
    assert!(record["reason"].as_str().unwrap().contains("EACCES"));
}

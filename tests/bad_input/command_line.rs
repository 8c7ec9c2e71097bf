//! Command lines and environments that mean nothing, or something hostile.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;

use super::{assert_clean, refused};
use crate::kit::{Host, Outcome, run, with_ready};

fn host() -> Host {
    let mut host = Host::new();
    host.install_sh("p", "echo ran");
    host.list("p", &[]);
    host
}

/// The launcher with these words and no others.
fn typed(host: &Host, words: &[&OsStr]) -> Outcome {
    let mut command = host.command(host.launcher());
    command.args(words);
    let outcome = run(command, b"");
    assert_clean(&outcome.stderr);
    outcome
}

#[test]
fn what_is_no_option_is_named() {
    let host = host();
    let long = format!("--{}", "x".repeat(100_000));
    for (words, what) in [
        (vec!["--nonsense", "p"], "'--nonsense'"),
        (vec!["-x", "p"], "'-x'"),
        (vec!["--"], "no PLUGIN given"),
        (vec![], "no PLUGIN given"),
        (vec![""], "no PLUGIN given"),
        (vec!["--policy"], "'--policy'"),
        (vec!["--whitelist"], "'--whitelist'"),
        (vec!["--quiet=1", "p"], "--quiet"),
        (vec!["--policy", "", "p"], "'' is no policy"),
        (
            vec!["--policy", "Strict", "p"],
            "'Strict' is no policy; use one of strict",
        ),
        (vec!["--policy=off", "p"], "'off' is no policy"),
        (vec!["--ready-fd", "2", "p"], "no descriptor above 2"),
        (vec!["--ready-fd", "-7", "p"], "no descriptor above 2"),
        (vec!["--json", "p"], "--json goes with --dry-run"),
        (vec!["--supervise", "p"], "not part of this version"),
        (vec!["--\x1b[2J\u{202e}", "p"], "--\\u{1b}[2J\\u{202e}"),
        (vec!["--a\nERROR: forged", "p"], "forged"),
        (vec![&long, "p"], "bytes)"),
        (vec!["--policy", &long[2..], "p"], "bytes)"),
    ] {
        let words: Vec<&OsStr> = words.iter().map(OsStr::new).collect();
        let outcome = typed(&host, &words).says(what);
        assert_eq!(
            (outcome.status, &*outcome.stdout),
            (125, ""),
            "{outcome:#?}"
        );
        let lines: Vec<&str> = outcome.stderr.lines().collect();
        assert!(lines[0].starts_with("ERROR: "), "{outcome:#?}");
        assert_eq!(lines[1..], ["Try 'secure-exec --help'."], "{outcome:#?}");
    }
}

#[test]
fn an_unknown_policy_is_an_error_wherever_it_is_written() {
    let host = host();
    let launch = || host.launch("p");
    refused(launch().policy("none"), 125).says("--policy: 'none' is no policy");
    let launch = launch().env("SECURE_EXEC_POLICY", "Permissive\x1b[2J");
    refused(launch, 125).says("SECURE_EXEC_POLICY: 'Permissive\\u{1b}[2J' is no policy");
    host.write("config.yaml", "policy: relaxed\n");
    refused(host.launch("p"), 125).says("config.yaml:1:9: unknown variant `relaxed`");
    // The command line's does not make the file's a good one.
    refused(host.launch("p").policy("strict"), 125).says("config.yaml:1:9");
    assert!(host.records().is_empty());
}

#[test]
fn values_that_are_no_text_are_refused_where_text_is_meant() {
    let host = host();
    let raw = OsStr::from_bytes(b"p\xff\x1b");
    refused(host.launch(raw), 125).says("PLUGIN is not UTF-8");
    refused(host.launch("p").profile(raw), 125).says("--profile: the value is not UTF-8");
    let profile = host.launch("p").env("SECURE_EXEC_PROFILE", raw);
    refused(profile, 125).says("SECURE_EXEC_PROFILE: the value is not UTF-8");
    let option = OsStr::from_bytes(b"--p\xff\x1b[2J");
    assert_eq!(typed(&host, &[option]).status, 125);
    // A path is bytes.
    let whitelist = host.path(raw);
    std::fs::copy(host.whitelist(), &whitelist).unwrap();
    let launch = host.launch("p").whitelist(&whitelist);
    launch.run().succeeded().prints("ran\n");
}

#[test]
fn a_plugin_that_no_entry_names_is_refused_by_any_name() {
    let host = host();
    let long = "x".repeat(100_000);
    for name in [
        ".",
        "..",
        "/",
        "/bin/true",
        "./plugins/p",
        "../p",
        "P",
        " p",
        "p ",
        "p\n",
        "\n",
        "\t",
        "p\x1b[2J",
        "\u{202e}p",
        "p\u{200b}",
        "*",
        "p*",
        "~",
        "null",
        "{}",
        "ERROR",
        &long,
    ] {
        refused(host.launch(name), 126)
            .says("not found in whitelist\n")
            .says("whitelist add");
        let record = host.record("security_violation");
        assert_eq!(record["violation_type"], "plugin_not_whitelisted");
        assert_eq!(record["plugin_name"], name);
    }
    let launch = host.launch("\u{202e}a\u{9b}b\u{7f}c\nd\u{2028}");
    refused(launch, 126).says("Plugin '\\u{202e}a\\u{9b}b\\u{7f}c\\u{a}d\\u{2028}' not found");
}

#[test]
fn the_log_too_has_hostile_names_escaped() {
    let host = host();
    let name = "\u{202e}a\u{9b}b\u{7f}c\n{}\u{2028}\u{2066}\u{feff}";
    refused(host.launch(name), 126);
    let log = std::fs::read_to_string(host.audit_log()).unwrap();
    assert_clean(&log);
    assert_eq!(log.lines().count(), 1);
    assert_eq!(host.record("security_violation")["plugin_name"], name);
    let ready = host.path("ready");
    let launch = host.launch(name).option("--ready-fd").option("9");
    let command = with_ready(&host, &launch.command(), &ready);
    assert_eq!(run(command, b"").status, 126);
    let line = std::fs::read_to_string(ready).unwrap();
    assert_clean(&line);
    assert_eq!(line.lines().count(), 1, "{line:?}");
}

#[test]
fn the_kernel_admits_no_nul_and_no_word_of_a_megabyte() {
    let host = host();
    let mut command = host.command(host.launcher());
    let error = command.arg("p\0q").spawn().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    let mut command = host.command(host.launcher());
    let error = command.arg("x".repeat(1 << 20)).spawn().unwrap_err();
    assert_eq!(error.raw_os_error(), Some(nix::libc::E2BIG));
}

#[test]
fn a_program_called_by_no_name_stands_for_nothing() {
    let host = host();
    for name in ["", "/", "bin/"] {
        let mut command = host.command(host.launcher());
        command.arg0(name).args(["--version"]);
        let outcome = run(command, b"").refused(125);
        assert_clean(&outcome.says("started without a name").stderr);
    }
    // Any other name is a plugin's, and its arguments are no options.
    for name in [".", "..", "p\x1b[2J\u{202e}", "-v", "--version"] {
        let mut command = host.command(host.launcher());
        command
            .env("SECURE_EXEC_CONFIG", host.path("config.yaml"))
            .env("SECURE_EXEC_WHITELIST", host.whitelist())
            .env("SECURE_EXEC_AUDIT_LOG", host.audit_log())
            .arg0(name)
            .args(["--policy", "audit-only", "--help"]);
        let outcome = run(command, b"")
            .refused(126)
            .says("not found in whitelist");
        assert_clean(&outcome.stderr);
        assert_eq!(host.record("security_violation")["plugin_name"], name);
    }
}

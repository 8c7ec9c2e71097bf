//! Variables that name certificates, and the files that come with them.

use std::fmt::Write as _;
use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};

use crate::kit::{EVERYONE, Host, ORDINARY, Outcome, User, digest};

const ISOLATIONS: [&str; 2] = ["process", "namespaces"];

/// Prints the variable and what the file has that it names.
const PLUGIN: &str = r#"read -r line 2>/dev/null < "${A_CERT:-$SSL_CERT_FILE}" || line=unread
echo "${SSL_CERT_FILE-unset} $line""#;

fn host(user: User, isolation: &str) -> Host {
    let mut host = Host::of(user);
    host.install_sh("p", PLUGIN);
    let pass = "pass: [SSL_CERT_FILE, SSL_CERT_DIR, A_CERT]";
    host.list(
        "p",
        &[&format!(
            "profile: {{ isolation: {isolation}, environment: {{ {pass} }} }}"
        )],
    );
    std::fs::set_permissions(host.path(""), PermissionsExt::from_mode(0o755)).unwrap();
    host
}

fn launch(host: &Host, variables: &[(&str, &str)]) -> Outcome {
    let launch = host.launch("p");
    let launch = variables
        .iter()
        .fold(launch, |launch, (name, value)| launch.env(name, value));
    launch.run().succeeded()
}

/// Root's, with a certificate: `certs/a.pem`.
fn folder_of_root() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::create_dir(folder.path().join("certs")).unwrap();
    std::fs::write(folder.path().join("certs/a.pem"), "first\n").unwrap();
    folder
}

#[test]
fn a_file_that_such_a_variable_names_can_be_read() {
    for (user, isolation) in EVERYONE
        .into_iter()
        .flat_map(|u| ISOLATIONS.map(|i| (u, i)))
    {
        let host = host(user, isolation);
        let file = host.write("ca.pem", "certificate\n");
        let file = file.to_str().unwrap();
        let outcome = launch(&host, &[("SSL_CERT_FILE", file)]);
        assert_eq!(
            (&*outcome.stdout, &*outcome.stderr),
            (&*format!("{file} certificate\n"), "")
        );
        // By another variable it can not; nor does a file come with that.
        let other = launch(&host, &[("A_CERT", file)]);
        assert_eq!(other.stdout, "unset unread\n");
        // Nor by one that the profile does not pass.
        let other = launch(&host, &[("A_CERT", file), ("CURL_CA_BUNDLE", file)]);
        assert_eq!(other.stdout, "unset unread\n");
        let folder = folder_of_root();
        let folder = &*format!("{}/certs", folder.path().display());
        let variables = [
            ("SSL_CERT_DIR", folder),
            ("A_CERT", &*format!("{folder}/a.pem")),
        ];
        let outcome = launch(&host, &variables);
        assert_eq!((&*outcome.stdout, &*outcome.stderr), ("unset first\n", ""));
        // What is absent is the caller's matter.
        let outcome = launch(&host, &[("SSL_CERT_FILE", "/nonexistent/ca.pem")]);
        assert_eq!(outcome.stdout, "/nonexistent/ca.pem unread\n");
    }
}

/// The attack: a caller, or who chooses his variables, has root's launcher grant
/// what the plugin is after.
#[test]
fn what_is_not_everybodys_does_not_come_with_a_variable() {
    for (user, isolation) in EVERYONE
        .into_iter()
        .flat_map(|u| ISOLATIONS.map(|i| (u, i)))
    {
        let host = host(user, isolation);
        let secret = host.write("secret", "password\n");
        let bare = |path: &str| {
            let mut command = host.command("/bin/sh");
            command.args(["-c", PLUGIN]).env("SSL_CERT_FILE", path);
            crate::kit::run(command, b"").stdout
        };
        let check = |name: &str, value: &str, file: &str| {
            let outcome = launch(&host, &[(name, value), ("A_CERT", file)]);
            assert_eq!(outcome.stdout, "unset unread\n", "{name}={value}");
            let warning = format!("WARNING: the variable '{name}' is not passed");
            outcome.says(&warning).says("'filesystem.read'");
        };
        let path = secret.to_str().unwrap();
        std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o640)).unwrap();
        assert!(bare(path).ends_with(" password\n"));
        check("SSL_CERT_FILE", path, path);
        let link = host.path("link");
        symlink(&secret, &link).unwrap();
        check("SSL_CERT_FILE", link.to_str().unwrap(), path);
        // Its mode would let everybody, but its folder does not.
        let closed = host.folder("closed");
        let inner = host.write("closed/secret", "password\n");
        std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o700)).unwrap();
        let inner = inner.to_str().unwrap();
        check("SSL_CERT_FILE", inner, inner);
        // A folder with a secret in it, or beneath.
        check("SSL_CERT_DIR", host.path("").to_str().unwrap(), path);
        let open = host.folder("open");
        check("SSL_CERT_DIR", &format!("{}:/", open.display()), path);
        check("SSL_CERT_FILE", "/", path);
        check("SSL_CERT_FILE", "secret", path);
        check(
            "SSL_CERT_FILE",
            &format!("{}/../secret", open.display()),
            path,
        );
        check("SSL_CERT_FILE", "/proc/self/environ", "/proc/self/environ");
        if user == User::Root {
            check("SSL_CERT_FILE", "/etc/shadow", "/etc/shadow");
        } else {
            chown(&secret, Some(0), Some(ORDINARY)).unwrap();
            check("SSL_CERT_FILE", path, path);
        }
    }
}

#[test]
fn what_the_profile_grants_or_sets_itself_is_its_own() {
    let mut host = Host::new();
    let secret = host.write("secret", "password\n");
    std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o600)).unwrap();
    let path = secret.to_str().unwrap();
    host.install_sh("p", PLUGIN);
    host.list("p", &[&format!(
        "profile: {{ filesystem: {{ read: [{path}] }}, environment: {{ pass: [SSL_CERT_FILE] }} }}"
    )]);
    let outcome = launch(&host, &[("SSL_CERT_FILE", path)]);
    assert_eq!(outcome.stdout, format!("{path} password\n"));
    host.install_sh("q", PLUGIN);
    host.list(
        "q",
        &["profile: { environment: { pass: [A_CERT], set: { SSL_CERT_FILE: /set } } }"],
    );
    let set = host.launch("q").env("SSL_CERT_FILE", path).run();
    set.succeeded().prints("/set unread\n");
}

/// The attack: what lies in a folder is looked at once, and put there later.
#[test]
fn a_folder_that_others_than_root_fill_does_not_come_with_a_variable() {
    for (user, isolation) in EVERYONE
        .into_iter()
        .flat_map(|u| ISOLATIONS.map(|i| (u, i)))
    {
        let host = host(user, isolation);
        let (open, empty, theirs) = (folder_of_root(), folder_of_root(), folder_of_root());
        let certs = open.path().join("certs");
        std::fs::set_permissions(certs, PermissionsExt::from_mode(0o777)).unwrap();
        std::fs::remove_file(empty.path().join("certs/a.pem")).unwrap();
        let certs = theirs.path().join("certs");
        chown(certs, Some(ORDINARY), Some(ORDINARY)).unwrap();
        for (folder, why) in [
            (&open, "can be written by others than root"),
            (&empty, "is an empty folder"),
            (&theirs, "belongs to user"),
        ] {
            let folder = &*format!("{}/certs", folder.path().display());
            let file = format!("{folder}/a.pem");
            let outcome = launch(&host, &[("SSL_CERT_DIR", folder), ("A_CERT", &file)]);
            assert_eq!(outcome.stdout, "unset unread\n", "{folder}");
            outcome
                .says("WARNING: the variable 'SSL_CERT_DIR' is not passed")
                .says(why);
        }
    }
}

/// The attack: a library that no pin is for, readable by a caller's word.
#[test]
fn an_entry_that_pins_its_libraries_gets_nothing_by_a_variable() {
    for (user, isolation) in EVERYONE
        .into_iter()
        .flat_map(|u| ISOLATIONS.map(|i| (u, i)))
    {
        let mut host = host(user, isolation);
        let evil = host.write("evil.so", "library\n");
        let evil = evil.to_str().unwrap();
        let outcome = launch(&host, &[("SSL_CERT_FILE", evil)]);
        assert_eq!(outcome.stdout, format!("{evil} library\n"));
        let mut pins = String::from("libraries:\n");
        for library in [
            "/lib64/ld-linux-x86-64.so.2",
            "/lib/x86_64-linux-gnu/libc.so.6",
        ] {
            let digest = digest(std::path::Path::new(library));
            writeln!(pins, "  - {{ path: {library}, hash: {digest:?} }}").unwrap();
        }
        for (name, granted, read, told) in [
            ("closed", String::new(), "unread", "unset"),
            ("reads", format!("read: [{evil:?}]"), "library", evil),
        ] {
            host.install_sh(name, PLUGIN);
            host.list(name, &[
                &pins,
                &format!(
                    "profile: {{ isolation: {isolation}, filesystem: {{ {granted} }}, environment: {{ pass: [SSL_CERT_FILE, A_CERT] }} }}"
                ),
            ]);
            let launched = |path: &str| {
                let launch = host.launch(name).env("SSL_CERT_FILE", path);
                launch.env("A_CERT", path).run().succeeded()
            };
            let outcome = launched(evil);
            assert_eq!(outcome.stdout, format!("{told} {read}\n"));
            if told == "unset" {
                outcome.says("the plugin's entry pins all that it loads");
                // Nor what is absent now.
                assert_eq!(launched("/nonexistent/a.so").stdout, "unset unread\n");
            }
        }
    }
}

#[test]
fn a_variable_that_names_another_users_link_is_not_passed() {
    for user in EVERYONE {
        let host = host(user, "process");
        let file = host.write("ca.pem", "certificate\n");
        let link = host.path("link");
        symlink(&file, &link).unwrap();
        host.own(&link);
        let link = link.to_str().unwrap();
        let outcome = launch(&host, &[("SSL_CERT_FILE", link)]);
        assert_eq!(outcome.stdout, format!("{link} certificate\n"));
        lchown(link, Some(12_345), Some(12_345)).unwrap();
        let outcome = launch(&host, &[("SSL_CERT_FILE", link)]);
        assert_eq!(outcome.stdout, "unset unread\n");
        let warned = outcome.says("which belongs to another user (12345)");
        assert!(!warned.stderr.contains("\\u{a}"), "{}", warned.stderr);
    }
}

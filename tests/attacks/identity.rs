//! Races for the identity of the bytes: what was verified is swapped or
//! written before it is executed.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use super::hostile;
use super::interloper::strike;
use crate::kit::{EVERYONE, Host, Outcome, digest, program};

/// Before the launch's own exec: the one before is the canary's.
pub(super) const BEFORE_EXEC: (&str, u32) = ("execveat", 2);
/// After hashing, before the lease is looked at for the last time.
const BEFORE_DOMAIN: (&str, u32) = ("landlock_restrict_self", 1);

/// More than a page, and than a pipe holds.
const LARGE: usize = 300 << 10;

#[test]
fn a_rename_over_the_path_after_verification_changes_nothing() {
    for user in EVERYONE {
        for size in [0, LARGE] {
            let host = host_of(user, size);
            let swap = format!("mv {} {}", show(&host, "evil"), show(&host, "p"));
            naive(&host, &swap).prints("evil\n");

            let host = host_of(user, size);
            let swap = format!("mv {} {}", show(&host, "evil"), show(&host, "p"));
            let outcome = strike(&host, BEFORE_EXEC, &swap, &host.launch("p"));
            outcome.succeeded().prints("verified\n");
        }
    }
}

#[test]
fn writing_the_same_inode_after_hashing_does_not_reach_a_sealed_copy() {
    for user in EVERYONE {
        let host = host_of(user, 0);
        naive(&host, &overwrite(&host, "p")).prints("evil\n");

        let host = listed(unlisted(user, 0), &["image: sealed"]);
        let write = overwrite(&host, "p");
        let outcome = strike(&host, BEFORE_EXEC, &write, &host.launch("p"));
        outcome.succeeded().prints("verified\n");
        assert_eq!(host.record("sandbox_applied")["image"], "sealed");
        // The next launch sees what lies there now.
        host.launch("p").run().refused(126).says("hash mismatch");
    }
}

#[test]
fn a_writer_between_hashing_and_exec_ends_an_in_place_launch() {
    for user in EVERYONE {
        let host = host_in_place(user);
        naive(&host, &overwrite(&host, "p")).prints("evil\n");

        let host = host_in_place(user);
        let outcome = strike(&host, BEFORE_DOMAIN, &knock(&host, "p"), &host.launch("p"));
        // The writer may not write yet, and the launch has seen him.
        outcome.refused_after("open for writing: EAGAIN\n");
    }
}

#[test]
fn a_writer_is_seen_and_kept_out_in_namespaces_too() {
    for user in EVERYONE {
        let more = ["image: in-place", "profile: { isolation: namespaces }"];
        let host = listed(unlisted(user, 0), &more);
        let outcome = strike(&host, BEFORE_DOMAIN, &knock(&host, "p"), &host.launch("p"));
        outcome.refused_after("open for writing: EAGAIN\n");

        let host = listed(unlisted(user, 0), &more);
        let outcome = strike(&host, BEFORE_EXEC, &knock(&host, "p"), &host.launch("p"));
        let outcome = outcome.succeeded().prints("verified\n");
        assert_eq!(outcome.stderr, "open for writing: EAGAIN\n");
    }
}

#[test]
fn a_writer_right_before_an_in_place_exec_is_kept_out() {
    for user in EVERYONE {
        let host = host_in_place(user);
        let outcome = strike(&host, BEFORE_EXEC, &knock(&host, "p"), &host.launch("p"));
        let outcome = outcome.succeeded().prints("verified\n");
        assert_eq!(outcome.stderr, "open for writing: EAGAIN\n");
        assert_eq!(host.record("sandbox_applied")["image"], "leased");
    }
}

#[test]
fn a_writer_from_before_the_launch_gets_a_copy_or_a_refusal() {
    for user in EVERYONE {
        let host = host_of(user, LARGE);
        let held = OpenOptions::new()
            .append(true)
            .open(host.path("plugins/p"))
            .unwrap();
        let write = overwrite(&host, "p");
        let outcome = strike(&host, BEFORE_EXEC, &write, &host.launch("p"));
        outcome.succeeded().prints("verified\n");
        assert_eq!(host.record("sandbox_applied")["image"], "sealed");
        drop(held);

        let host = host_in_place(user);
        let held = OpenOptions::new()
            .append(true)
            .open(host.path("plugins/p"))
            .unwrap();
        let outcome = host.launch("p").run().refused(126);
        outcome.says("somebody may be writing the file");
        drop(held);
        host.launch("p").run().succeeded().prints("verified\n");
    }
}

#[test]
fn a_file_that_grows_while_it_is_read_is_refused() {
    for user in EVERYONE {
        let host = listed(unlisted(user, 0), &["max_file_size: 1MiB", "image: sealed"]);
        let grow = format!("head -c 600000 /dev/zero >> {}", show(&host, "p"));
        let outcome = strike(&host, ("sendfile", 0), &grow, &host.launch("p"));
        outcome.refused(126).says("grew while it was read");
    }
}

#[test]
fn a_script_that_is_swapped_or_written_runs_as_it_was_verified() {
    for user in EVERYONE {
        for by_rename in [true, false] {
            let make = || {
                let mut host = Host::of(user);
                host.install_sh("p", "echo verified");
                host.install_sh("evil", "echo evil");
                // A guarded one is root's, who may do as he likes.
                host.list("p", &["image: sealed"]);
                let strike = if by_rename {
                    format!("mv {} {}", show(&host, "evil"), show(&host, "p"))
                } else {
                    overwrite(&host, "p")
                };
                (host, strike)
            };
            let (host, swap) = make();
            naive(&host, &swap).prints("evil\n");
            let (host, swap) = make();
            let outcome = strike(&host, BEFORE_EXEC, &swap, &host.launch("p"));
            outcome.succeeded().prints("verified\n");
        }
    }
}

#[test]
fn a_pinned_interpreter_that_is_swapped_runs_as_it_was_verified() {
    for user in EVERYONE {
        for size in [0, LARGE] {
            let host = interpreted(user, size);
            let swap = format!("mv {} {}", show(&host, "evil"), show(&host, "interpreter"));
            naive(&host, &swap).prints("evil\n");

            let host = interpreted(user, size);
            let swap = format!("mv {} {}", show(&host, "evil"), show(&host, "interpreter"));
            let outcome = strike(&host, BEFORE_EXEC, &swap, &host.launch("p"));
            outcome.succeeded().prints("verified\n");
        }
    }
}

#[test]
fn writing_a_pinned_interpreter_after_hashing_is_in_vain_or_ends_the_launch() {
    for user in EVERYONE {
        let host = interpreted(user, 0);
        let write = overwrite(&host, "interpreter");
        naive(&host, &write).prints("evil\n");

        let mut host = interpreted(user, 0);
        host.set("image_minimum: sealed");
        let write = overwrite(&host, "interpreter");
        let outcome = strike(&host, BEFORE_EXEC, &write, &host.launch("p"));
        outcome.succeeded().prints("verified\n");

        let host = interpreted(user, LARGE);
        let knock = knock(&host, "interpreter");
        let outcome = strike(&host, BEFORE_DOMAIN, &knock, &host.launch("p"));
        outcome.refused_after("open for writing: EAGAIN\n");
    }
}

/// A host with the listed plugin "p" and "evil" beside it.
fn host_of(user: crate::kit::User, size: usize) -> Host {
    listed(unlisted(user, size), &[])
}

fn host_in_place(user: crate::kit::User) -> Host {
    listed(unlisted(user, 0), &["image: in-place"])
}

fn listed(mut host: Host, more: &[&str]) -> Host {
    host.list("p", more);
    host
}

fn unlisted(user: crate::kit::User, size: usize) -> Host {
    let host = Host::of(user);
    install(&host, "p", &says("verified"), size);
    install(&host, "evil", &says("evil"), size);
    host
}

/// A script with an interpreter of the user's own, pinned, and an evil one.
fn interpreted(user: crate::kit::User, size: usize) -> Host {
    let mut host = Host::of(user);
    install(&host, "interpreter", &says("verified"), size);
    install(&host, "evil", &says("evil"), size);
    let interpreter = host.path("plugins/interpreter");
    host.install("p", format!("#!{}\n", interpreter.display()));
    let pin = format!(
        "interpreter: {{ path: {interpreter:?}, hash: {:?} }}",
        digest(&interpreter)
    );
    host.list("p", &[&pin]);
    host
}

/// Installs a program, with bytes behind its end up to a size.
fn install(host: &Host, name: &str, program: &PathBuf, size: usize) {
    let mut bytes = std::fs::read(program).unwrap();
    bytes.resize(bytes.len().max(size), 0);
    host.install(name, bytes);
}

fn says(word: &str) -> PathBuf {
    let text = format!("#include <stdio.h>\nint main(void) {{ return puts({word:?}) < 0; }}");
    program::static_c(&text)
}

pub(super) fn show(host: &Host, name: &str) -> String {
    host.path("plugins").join(name).display().to_string()
}

/// Writes evil bytes into the file itself.
fn overwrite(host: &Host, name: &str) -> String {
    format!("cat {} > {}", show(host, "evil"), show(host, name))
}

/// Asks for the file for writing, without waiting for the lease.
fn knock(host: &Host, name: &str) -> String {
    let program = hostile(
        r#"int main(int n, char **a) { TRY("open for writing", open(a[1], O_WRONLY | O_NONBLOCK)); }"#,
    );
    let knock = host.install_copy("knock", program);
    format!("{} {}", knock.display(), show(host, name))
}

/// What a launcher does that verifies a path and executes it.
pub(super) fn naive(host: &Host, strike: &str) -> Outcome {
    naive_at(host, &host.path("plugins/p"), strike)
}

/// The same of a plugin that lies there.
pub(super) fn naive_at(host: &Host, plugin: &Path, strike: &str) -> Outcome {
    let launcher = host.install_sh(
        "naive",
        r#"[ "sha256:$(sha256sum "$2" | cut -d' ' -f1)" = "$1" ] || exit 126
        sh -ec "$3"; exec "$2""#,
    );
    let plugin_text = plugin.to_str().unwrap();
    host.bare(launcher, &[&digest(plugin), plugin_text, strike])
}

impl Outcome {
    /// The launch was refused because somebody wants to write the file, after
    /// the strike had said this.
    #[track_caller]
    fn refused_after(mut self, said: &str) {
        let rest = self.stderr.strip_prefix(said).map(String::from);
        self.stderr = rest.unwrap_or_else(|| panic!("{self:#?}"));
        self.refused(126).says("for writing during the launch");
    }
}

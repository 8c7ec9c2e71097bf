//! Compilers and what calls them. They execute other programs, so their
//! profiles say which.

use super::Software;
use crate::kit::EVERYONE;

const PROGRAM: &str = "#include <math.h>
#include <stdio.h>
int main(int n, char **a) { printf(\"%d %.3f\\n\", n, sqrt(2.0 * n)); return 3; }
";

#[test]
fn gcc() {
    // The linker makes its result executable, which is a change of mode.
    let profile = "extends: default\nisolation: auto\n\
        filesystem: { read: [/usr/include], write: [WORK], metadata: true, execute: [/usr/bin, /usr/lib/gcc] }\n\
        processes: { fork: true }\n\
        environment: { set: { TMPDIR: WORK } }";
    for user in EVERYONE {
        let software = Software::new(user, "/usr/bin/gcc", profile).file("p.c", PROGRAM);
        let words = "-O2 -Wall -s -o p p.c -lm".split(' ').collect::<Vec<_>>();
        software.alike(&words, "").succeeded();
        let program = software.host.path("confined/p");
        let outcome = software.host.bare(program, &["x"]);
        assert_eq!((outcome.status, &*outcome.stdout), (3, "2 2.000\n"));
        let wrong = software.file("p.c", "int main(void) { return x; }");
        let outcome = wrong.alike(&words, "");
        assert_eq!(outcome.status, 1);
        assert!(
            outcome.stderr.contains("'x' undeclared") || outcome.stderr.contains("‘x’ undeclared")
        );
    }
}

#[test]
fn tcc() {
    let profile = "extends: default\nisolation: auto\n\
        filesystem: { read: [/usr/include], write: [WORK], metadata: true }\n\
        memory: { write_execute: true }";
    for user in EVERYONE {
        let software = Software::new(user, "/usr/bin/tcc", profile).file("p.c", PROGRAM);
        software.alike(&["-o", "p", "p.c", "-lm"], "").succeeded();
        let program = software.host.path("confined/p");
        assert_eq!(software.host.bare(program, &["x"]).stdout, "2 2.000\n");
        let outcome = software.alike(&["-lm", "-run", "p.c", "x"], "");
        assert_eq!((outcome.status, &*outcome.stdout), (3, "2 2.000\n"));
    }
}

#[test]
fn make() {
    let makefile = "parts := $(patsubst %.in,%.out,$(sort $(wildcard *.in)))
all: sum
%.out: %.in
\ttr a-z A-Z < $< > $@
sum: $(parts)
\tcat $^ > $@ && wc -c < $@
.PHONY: all
";
    // It has what it starts take the user that it already is (posix_spawn(3),
    // POSIX_SPAWN_RESETIDS).
    let profile = "extends: default\n\
        filesystem: { write: [WORK], execute: [/bin/sh, /usr/bin/tr, /usr/bin/cat, /usr/bin/wc] }\n\
        processes: { fork: true }\n\
        syscalls: { allow: [setresuid, setresgid] }";
    for user in EVERYONE {
        let software = Software::new(user, "/usr/bin/make", profile)
            .file("Makefile", makefile)
            .file("a.in", "one\n")
            .file("b.in", "two\n");
        let outcome = software.alike(&["-j2"], "").succeeded();
        assert!(outcome.stdout.ends_with("\n8\n"), "{outcome:#?}");
        assert_eq!(software.read("sum"), b"ONE\nTWO\n");
        let nothing = software.alike(&["-q"], "");
        assert_eq!(nothing.status, 0, "{nothing:#?}");
        let outcome = software.alike(&["no-such"], "");
        assert_eq!(outcome.status, 2);
    }
}

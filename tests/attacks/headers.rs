//! Memory that is writable and executable because a program's headers say so:
//! the kernel maps it at exec, before any filter counts. It maps the plugin, or
//! its interpreter, and a dynamic loader.

use std::path::Path;

use super::hostile;
use crate::kit::{EVERYONE, Host, digest};

const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";
const LIBRARY: &str = "/lib/x86_64-linux-gnu/libc.so.6";

#[test]
fn a_program_gets_no_writable_code_by_its_headers_either() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        let sound = std::fs::read(hostile(RUNS)).unwrap();
        host.install("sound", &sound);
        host.install("stack", with_flags(&sound, PT_GNU_STACK));
        host.install("segment", with_flags(&sound, PT_LOAD));
        host.install("zeroes", with_zeroes(&sound));
        for name in ["sound", "stack", "segment", "zeroes"] {
            host.list(name, &[]);
        }
        granting(&host);
        for attack in ["stack", "segment", "zeroes"] {
            host.bare(host.path("plugins").join(attack), &[attack])
                .all_work();
            judged(&host, attack, attack);
            // The same code in a program without such headers.
            for profile in ["process", "namespaces"] {
                let outcome = host.launch("sound").profile(profile).arg(attack).run();
                assert_eq!((outcome.status, &*outcome.stdout), (CRASHED, ""));
            }
        }
    }
}

#[test]
fn nor_by_those_of_its_loader() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        let sound = std::fs::read(hostile(RUNS)).unwrap();
        let loader = with_zeroes(&std::fs::read(LOADER).unwrap());
        let loader = host.install("ld.so", loader);
        host.install("p", with_loader(&sound, &loader));
        host.list("p", &[&pins(&[&loader, Path::new(LIBRARY)])]);
        granting(&host);
        host.bare(host.path("plugins/p"), &["loader"]).all_work();
        judged(&host, "p", "loader");
    }
}

#[test]
fn a_loader_that_claims_to_be_of_another_machine_is_read_as_the_kernel_reads_it() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        let sound = std::fs::read(hostile(RUNS)).unwrap();
        // The kernel looks at no byte of the identification but the first four.
        let mut loader = with_zeroes(&std::fs::read(LOADER).unwrap());
        loader[4] = 1;
        let loader = host.install("ld.so", loader);
        host.install("p", with_loader(&sound, &loader));
        host.list("p", &[&pins(&[&loader, Path::new(LIBRARY)])]);
        host.profile("process", "isolation: process");
        host.bare(host.path("plugins/p"), &["loader"]).all_work();
        let refused = host.launch("p").arg("loader").run().refused(126);
        refused.says("the dynamic loader's headers say nothing");
    }
}

#[test]
fn nor_by_those_of_its_interpreter() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        let sound = std::fs::read(hostile(RUNS)).unwrap();
        let interpreter = host.install("interpreter", with_zeroes(&sound));
        let script = format!("#!{}\n", interpreter.display());
        host.install("script", script);
        let (path, hash) = (interpreter.display(), digest(&interpreter));
        let pin = format!("interpreter: {{ path: {path}, hash: \"{hash}\" }}");
        host.list("script", &[&pin]);
        granting(&host);
        host.bare(host.path("plugins/script"), &["zeroes"])
            .all_work();
        judged(&host, "script", "zeroes");
    }
}

/// How a shell reports SIGSEGV.
const CRASHED: i32 = 128 + 11;

/// Profiles with and without memory that is writable and executable.
fn granting(host: &Host) {
    for isolation in ["process", "namespaces"] {
        let isolation_line = format!("isolation: {isolation}");
        host.profile(isolation, &isolation_line);
        let granted = format!("{isolation_line}\nmemory: {{ write_execute: true }}");
        host.profile(&format!("{isolation}-granted"), &granted);
    }
}

/// Works where the profile grants it, and is refused elsewhere.
#[track_caller]
fn judged(host: &Host, plugin: &str, attack: &str) {
    for isolation in ["process", "namespaces"] {
        let granted = format!("{isolation}-granted");
        let granted = host.launch(plugin).profile(granted).arg(attack);
        granted.run().all_work();
        let refused = host.launch(plugin).profile(isolation).arg(attack).run();
        refused.refused(126).says("(sandbox_unavailable)");
    }
}

/// YAML of an entry that pins files.
fn pins(files: &[&Path]) -> String {
    let pins = files.iter().map(|file| {
        let (path, hash) = (file.display(), digest(file));
        format!("{{ path: {path}, hash: \"{hash}\" }}")
    });
    let pins: Vec<String> = pins.collect();
    format!("libraries: [{}]", pins.join(", "))
}

const PT_LOAD: u32 = 1;
const PT_INTERP: u32 = 3;
const PT_NOTE: u32 = 4;
const PT_GNU_STACK: u32 = 0x6474_e551;

/// The program with some of its program headers changed.
fn changed(program: &[u8], mut change: impl FnMut(u32, &mut [u8])) -> Vec<u8> {
    let mut program = program.to_vec();
    let start = u32::from_le_bytes(program[32..36].try_into().unwrap());
    let count = u16::from_le_bytes(program[56..58].try_into().unwrap());
    let table = program[start as usize..].chunks_mut(56);
    for header in table.take(count.into()) {
        let kind = u32::from_le_bytes(header[..4].try_into().unwrap());
        change(kind, header);
    }
    program
}

/// All segments of a kind readable, writable and executable.
fn with_flags(program: &[u8], kind: u32) -> Vec<u8> {
    changed(program, |found, header| {
        if found == kind {
            header[4..8].copy_from_slice(&7_u32.to_le_bytes());
        }
    })
}

/// Instead of its notes, a segment that is read and executed and of which
/// nothing is in the file.
fn with_zeroes(program: &[u8]) -> Vec<u8> {
    let mut is_made = false;
    let program = changed(program, |kind, header| {
        if kind != PT_NOTE || is_made {
            return;
        }
        is_made = true;
        // Flags, offset, two addresses, sizes in the file and in memory, alignment.
        header[..4].copy_from_slice(&PT_LOAD.to_le_bytes());
        header[4..8].copy_from_slice(&5_u32.to_le_bytes());
        let rest: [u64; 6] = [0, ZEROES, ZEROES, 0, 0x4000, 0x1000];
        for (field, value) in header[8..].chunks_mut(8).zip(rest) {
            field.copy_from_slice(&value.to_le_bytes());
        }
    });
    assert!(is_made);
    program
}

/// Where those are: beyond all of the program. The attacker knows it too.
const ZEROES: u64 = 0x0100_0000;

/// The program with another dynamic loader, whose name lies behind its end.
fn with_loader(program: &[u8], loader: &Path) -> Vec<u8> {
    let name = format!("{}\0", loader.display());
    let (place, length) = (program.len() as u64, name.len() as u64);
    let mut program = changed(program, |kind, header| {
        if kind == PT_INTERP {
            header[8..16].copy_from_slice(&place.to_le_bytes());
            header[32..40].copy_from_slice(&length.to_le_bytes());
        }
    });
    program.extend(name.into_bytes());
    program
}

/// Runs an instruction, "return", that it wrote itself.
const RUNS: &str = r##"
#include <sys/auxv.h>
extern char __executable_start[];
static char segment[16];
int main(int n, char **a) {
    const char *attack = a[n - 1];
    char stack[16];
    char *code = !strcmp(attack, "stack") ? stack
        : !strcmp(attack, "segment") ? segment
        : !strcmp(attack, "zeroes") ? __executable_start + 0x1000000
        : (char *)getauxval(AT_BASE) + 0x1000000;
#if defined __x86_64__
    memcpy(code, "\xc3", 1);
#else
    memcpy(code, "\xc0\x03\x5f\xd6", 4);
#endif
    __builtin___clear_cache(code, code + 4);
    ((void (*)(void))code)();
    tell(attack, 0);
}
"##;

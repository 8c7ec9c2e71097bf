//! Hosts that send something through their plugins: pandoc, nbdkit and CUPS.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use super::shims::{self, FOLDERS, Shims};
use crate::kit::namespace::private;
use crate::kit::{EVERYONE, Outcome, User, package, run};

/// Raises the voice of a document.
const FILTER: &str = r#"#!/usr/bin/python3
import json, os, sys
def louder(x):
    if isinstance(x, list): return [louder(y) for y in x]
    if isinstance(x, dict):
        if x.get("t") == "Str": return {"t": "Str", "c": x["c"].upper()}
        return {key: louder(value) for key, value in x.items()}
    return x
document = json.load(sys.stdin)
if document["meta"]: sys.exit("metadata is not for me")
document["blocks"] = louder(document["blocks"])
told = sys.argv[1] + os.environ["PANDOC_VERSION"] + os.environ["PANDOC_READER_OPTIONS"][:1]
document["blocks"].append({"t": "Para", "c": [{"t": "Str", "c": told}]})
json.dump(document, sys.stdout)
"#;

#[test]
fn pandoc() {
    let profile =
        "{ extends: python, environment: { pass: [PANDOC_VERSION, PANDOC_READER_OPTIONS] } }";
    for user in EVERYONE {
        let host = Shims::new(user);
        let filter = host.host.install("louder", FILTER);
        let host = host.plugin("louder", filter, profile);
        for format in ["html", "latex"] {
            let call = format!("printf 'a *word*\\n' | pandoc -F HERE/louder -t {format}");
            let told = host.alike(&call, shims::exactly).succeeded();
            assert!(told.stdout.contains("WORD"), "{told:#?}");
            assert!(told.stdout.contains(&format!("{format}2.")), "{told:#?}");
        }
        let told = host.alike(
            "printf '%% title\\n\\na\\n' | pandoc -F HERE/louder -t html",
            shims::exactly,
        );
        assert_eq!(told.status, 83, "{told:#?}");
        assert!(told.stderr.contains("metadata is not for me"), "{told:#?}");
        host.all_ran();
    }
}

/// A disk of 64 KiB, each of whose operations is a launch.
const DISK: &str = r#"#!/bin/sh
f=$tmpdir/data
case "$1" in
load) truncate -s 65536 "$f" ;;
config) [ "$2" = name ] || { echo "unknown $2" >&2; exit 1; } ;;
open) echo handle ;;
get_size) echo 65536 ;;
pread) dd if="$f" skip="$4" count="$3" iflag=count_bytes,skip_bytes status=none ;;
pwrite) dd of="$f" seek="$4" conv=notrunc oflag=seek_bytes status=none ;;
can_write) ;;
thread_model) echo serialize_requests ;;
*) exit 2 ;;
esac
"#;

#[test]
fn nbdkit() {
    let profile = "{ extends: default, \
        filesystem: { write: [\"${tmpdir}\"], execute: [/usr/bin/dd, /usr/bin/truncate] }, \
        processes: { fork: true }, environment: { pass: [tmpdir] } }";
    let without_folder = |text: &str| {
        let lines = text.lines().filter(|line| !line.contains("uri:"));
        lines.collect::<Vec<_>>().join("\n")
    };
    for user in EVERYONE {
        let host = Shims::new(user);
        let script = host.host.install("disk", DISK);
        let host = host.plugin("disk", script, profile);
        // It resolves links before it calls what they lead to.
        let script = host.host.path("plugins/disk");
        for (folder, program) in [("bare", script), ("confined", host.host.launcher())] {
            let place = host.folder(folder).join("disk");
            fs::remove_file(&place).unwrap();
            fs::hard_link(program, &place).unwrap();
        }
        let told = host
            .alike(
                "export TMPDIR=HERE; seq 10000 | head -c 40000 > in
                nbdkit -U - sh HERE/disk name=a --run 'nbdinfo \"$uri\" && nbdcopy in \"$uri\" &&
                    nbdcopy \"$uri\" out && cmp -n 40000 in out && sha256sum out
                    nbdinfo --can trim \"$uri\"; echo trim: $?'",
                without_folder,
            )
            .succeeded();
        assert!(
            told.stdout.contains("export-size: 65536 (64K)"),
            "{told:#?}"
        );
        assert!(told.stdout.ends_with("trim: 2\n"), "{told:#?}");
        let told = host.alike(
            "TMPDIR=HERE nbdkit -U - sh HERE/disk size=a --run true",
            shims::exactly,
        );
        assert_eq!(told.status, 1, "{told:#?}");
        assert!(told.stderr.contains("disk: unknown size"), "{told:#?}");
        host.all_ran();
    }
}

/// What `cupsfilter` makes of a text, with each server folder. It gives its
/// filters an environment without a variable of ours, so the configuration lies
/// where launchers look for it; and `argv[0]` is not the filter's name.
fn printed(host: &Shims, format: &str) -> [Outcome; 2] {
    FOLDERS.map(|folder| {
        let top = host.host.path("").display().to_string();
        let bin = host.host.path(format!("{folder}.bin"));
        if !bin.exists() {
            fs::create_dir(&bin).unwrap();
            symlink(host.folder(folder), bin.join("filter")).unwrap();
        }
        let settings = format!(
            "ServerBin {top}/{folder}.bin\nDataDir /usr/share/cups\nServerRoot {top}\n\
             CacheDir {top}\nTempDir {top}\nFileDevice yes\n"
        );
        let settings = host.host.write(format!("{folder}.conf"), &settings);
        let mut command = Command::new(package("cups").join("usr/sbin/cupsfilter"));
        command.arg("-c").arg(settings);
        command.args([
            "-p",
            "/usr/share/ppd/cupsfilters/Generic-PDF_Printer-PDF.ppd",
        ]);
        command.args(["-i", "text/plain", "-m", format]);
        command.arg(host.host.path("served/text"));
        command.current_dir("/");
        run(command, b"")
    })
}

/// Folders of a path, one above the other.
fn lay(path: &str, over: &Path) {
    let mut mount = Command::new("mount");
    mount.args(["-t", "overlay", "none", "-o"]);
    mount
        .arg(format!("lowerdir={}:{path}", over.display()))
        .arg(path);
    run(mount, b"").succeeded();
}

#[test]
fn cups() {
    private(|| {
        let mut host = Shims::new(User::Root);
        let served = host.host.folder("served");
        host.host.write("served/text", "Hello\nworld\n");
        let profile = format!("{{ extends: cups-filter, filesystem: {{ read: [{served:?}] }} }}");
        for name in ["texttopdf", "pdftopdf", "gstoraster"] {
            let filter = Path::new("/usr/lib/cups/filter").join(name);
            // gstoraster and others are links to one program.
            host = host.plugin(name, fs::canonicalize(filter).unwrap(), &profile);
        }
        for folder in ["etc", "etc/secure-exec", "etc/secure-exec/profiles.d"] {
            host.host.folder(folder);
        }
        let log = host.host.audit_log();
        host.host.write(
            "etc/secure-exec/config.yaml",
            &format!("audit: {{ log_file: {log:?} }}\n"),
        );
        let whitelist = host.host.path("etc/secure-exec/plugins.whitelist");
        fs::copy(host.host.whitelist(), whitelist).unwrap();
        lay("/etc", &host.host.path("etc"));
        lay("/usr/share/cups", &package("cups").join("usr/share/cups"));
        let [bare, confined] = printed(&host, "application/vnd.cups-raster");
        assert_eq!(bare.status, 0, "{bare:#?}");
        assert_eq!(confined.status, 0, "{}", confined.stderr);
        assert!(bare.raw.len() > 1_000_000);
        assert!(confined.raw == bare.raw, "other dots");
        // A PDF holds the time at which it was made.
        let [bare, confined] = printed(&host, "application/vnd.cups-pdf");
        assert_eq!(
            (bare.status, confined.status),
            (0, 0),
            "{}",
            confined.stderr
        );
        assert!(bare.stdout.contains("%PDF-"));
        assert_eq!(confined.raw.len(), bare.raw.len());
        host.all_ran();
    });
}

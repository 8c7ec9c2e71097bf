//! Hosts that only know a path to a plugin: protoc and git, unmodified.

use std::process::Command;

use crate::kit::{EVERYONE, Host, program, run};

const PROTO: &str = r#"syntax = "proto3";
package greeter;
message HelloRequest { string name = 1; repeated int32 numbers = 2; }
message HelloReply { string message = 1; map<string, HelloRequest> more = 2; }
service Greeter {
  rpc SayHello (HelloRequest) returns (HelloReply);
  rpc Stream (stream HelloRequest) returns (stream HelloReply);
}
"#;

fn output(host: &Host, folder: &str) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = std::fs::read_dir(host.path(folder))
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_string();
            (name, std::fs::read(path).unwrap())
        })
        .collect();
    files.sort();
    files
}

#[test]
fn protoc_runs_its_plugin_through_a_link_to_the_launcher() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_copy("protoc-gen-grpc_cpp", "/usr/bin/grpc_cpp_plugin");
        host.list("protoc-gen-grpc_cpp", &[]);
        let shim = host.shim("protoc-gen-grpc_cpp");
        host.write("greeter.proto", PROTO);
        let generate = |plugin: &std::path::Path, folder: &str| {
            host.folder(folder);
            let mut protoc = host.command("/usr/bin/protoc");
            protoc.envs(host.shim_variables());
            protoc.arg(format!("--plugin=protoc-gen-grpc_cpp={}", plugin.display()));
            protoc.arg(format!("--grpc_cpp_out=generate_mock_code=true:{folder}"));
            protoc.arg("greeter.proto");
            run(protoc, b"").succeeded();
            output(&host, folder)
        };
        let bare = generate("/usr/bin/grpc_cpp_plugin".as_ref(), "bare");
        assert_eq!(bare.len(), 3);
        assert_eq!(generate(&shim, "confined"), bare);
        let record = host.record("sandbox_applied");
        assert_eq!(record["plugin_name"], "protoc-gen-grpc_cpp");
        assert_eq!(record["profile"], "default");
    }
}

#[test]
fn protoc_hears_of_a_plugin_that_was_refused() {
    let mut host = Host::new();
    host.install_copy("protoc-gen-grpc_cpp", "/usr/bin/grpc_cpp_plugin");
    host.list("protoc-gen-grpc_cpp", &[]);
    let plugin = host.path("plugins/protoc-gen-grpc_cpp");
    let mut bytes = std::fs::read(&plugin).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&plugin, bytes).unwrap();
    let shim = host.shim("protoc-gen-grpc_cpp");
    host.write("greeter.proto", PROTO);
    host.folder("out");
    let mut protoc = host.command("/usr/bin/protoc");
    protoc.envs(host.shim_variables());
    protoc.arg(format!("--plugin=protoc-gen-grpc_cpp={}", shim.display()));
    protoc.args(["--grpc_cpp_out=out", "greeter.proto"]);
    let outcome = run(protoc, b"");
    assert_ne!(outcome.status, 0);
    let outcome = outcome.says("Plugin hash mismatch for 'protoc-gen-grpc_cpp'");
    outcome.says("Plugin failed with status code 126");
    assert_eq!(output(&host, "out"), []);
}

#[test]
fn protoc_itself_reads_one_folder_and_writes_another() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        let [source, out] = ["source", "out"].map(|name| host.folder(name));
        host.write("source/greeter.proto", PROTO);
        host.write("greeter.proto", PROTO);
        host.install_copy("protoc", "/usr/bin/protoc");
        let profile = format!(
            "profile:\n  filesystem: {{ read: [{source:?}], write: [{out:?}] }}\n  umask: '022'"
        );
        host.list("protoc", &[&profile]);
        let path = |name: &str| host.path(name).display().to_string();
        let confined = |from: &str, to: &str| {
            host.launch("protoc")
                .arg(format!("-I{}", path(from)))
                .arg(format!("--cpp_out={}", path(to)))
                .arg(path(from) + "/greeter.proto")
                .run()
        };
        host.folder("bare");
        let include = format!("-I{}", path("source"));
        let to = format!("--cpp_out={}", path("bare"));
        host.bare(
            "/usr/bin/protoc",
            &[&include, &to, &(path("source") + "/greeter.proto")],
        )
        .succeeded();
        confined("source", "out").succeeded();
        let written = output(&host, "out");
        assert_eq!(written.len(), 2);
        assert_eq!(written, output(&host, "bare"));
        // Neither may it write where it reads, nor read or write elsewhere.
        for (from, to) in [("source", "source"), ("source", "home"), (".", "out")] {
            let outcome = confined(from, to);
            assert_ne!(outcome.status, 0, "{from} {to}");
            assert!(outcome.stderr.contains("Permission denied"), "{outcome:#?}");
        }
        assert_eq!(output(&host, "home"), []);
    }
}

/// Answers git's credential protocol.
const HELPER: &str = r#"#include <stdio.h>
#include <string.h>
int main(int n, char **a) {
    char line[256], host[256] = "";
    if (n < 2 || strcmp(a[n - 1], "get")) return 0;
    while (fgets(line, sizeof line, stdin) && *line != '\n')
        if (sscanf(line, "host=%255s", host)) ;
    printf("username=user-of-%s\npassword=p w%c1\n", host, '=');
    return 0;
}"#;

const SCRIPT: &str = r#"[ "$1" = get ] || exit 0
while read -r line && [ "$line" ]; do case $line in host=*) host=${line#host=};; esac; done
printf 'username=user-of-%s\npassword=p w=1\n' "$host""#;

fn fill(host: &Host, helper: &std::path::Path) -> String {
    let mut git: Command = host.command("git");
    git.envs(host.shim_variables());
    git.env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0");
    git.arg("-c")
        .arg(format!("credential.helper={}", helper.display()));
    git.args(["credential", "fill"]);
    let asked = b"protocol=https\nhost=example.org\n\n";
    run(git, asked).succeeded().stdout
}

#[test]
fn git_asks_its_credential_helper_through_a_link_to_the_launcher() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_copy("helper-c", program::c(HELPER));
        host.install_sh("helper-sh", SCRIPT);
        for name in ["helper-c", "helper-sh"] {
            host.list(name, &[]);
            let bare = fill(&host, &host.path("plugins").join(name));
            assert!(bare.contains("username=user-of-example.org\n"), "{bare}");
            assert_eq!(fill(&host, &host.shim(name)), bare);
            assert_eq!(host.record("sandbox_applied")["plugin_name"], name);
        }
    }
}

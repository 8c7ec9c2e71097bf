//! Servers on standard streams: Model Context Protocol and language servers;
//! and a compiler that comes as an npm package.
//!
//! A package's program imports what lies beside it, so node gets its path as
//! the entry's argument, and the profile lets it read the package.

use serde_json::{Value, json};

use super::Software;
use super::packages::{self, FOLDER};
use super::session::{Framing, Session};
use crate::kit::{EVERYONE, User};

const NODE: &str = "/usr/bin/node";

/// What a client hears from the server, the same with secure-exec.
fn conversation(
    software: &Software,
    arguments: &[&str],
    framing: Framing,
    talk: impl Fn(&mut Session, &str) -> Vec<Value>,
) -> Vec<Value> {
    let folders = ["bare", "confined"];
    let mut commands = software.commands(arguments).into_iter();
    let [bare, confined] = folders.map(|folder| {
        let mut session = Session::start(commands.next().unwrap(), framing);
        let work = software.work(folder);
        let heard = talk(&mut session, &work);
        assert_eq!(session.end(), Some(0), "{folder}");
        let text = Value::from(heard).to_string().replace(&work, "WORK");
        serde_json::from_str::<Vec<Value>>(&text).unwrap()
    });
    assert_eq!(confined, bare);
    assert_eq!(software.files("confined"), software.files("bare"));
    let applied = software.host.record("sandbox_applied");
    assert_eq!(applied["sandbox"]["enforcement"], "full");
    bare
}

/// The handshake of MCP, and the list of tools.
fn tools(session: &mut Session) -> Vec<Value> {
    let hello = session.ask(
        "initialize",
        json!({ "protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": { "name": "host", "version": "1" } }),
    );
    session.tell("notifications/initialized", json!({}));
    let list = session.ask("tools/list", json!({}));
    assert!(!list["tools"].as_array().unwrap().is_empty());
    vec![hello, list]
}

fn call(session: &mut Session, name: &str, arguments: Value) -> Value {
    session.ask(
        "tools/call",
        json!({ "name": name, "arguments": arguments }),
    )
}

fn node(user: User, program: &str, profile: &str) -> (Software, String) {
    let program = format!("{FOLDER}/node_modules/{program}");
    (Software::new(user, NODE, profile), program)
}

#[test]
fn mcp_server_filesystem() {
    let profile = "extends: mcp-stdio\n\
        filesystem: { read: [/run/packages], write: [WORK] }";
    packages::with_npm(|| {
        for user in EVERYONE {
            let program = "@modelcontextprotocol/server-filesystem/dist/index.js";
            let (software, program) = node(user, program, profile);
            let software = software.file("note", "one\ntwo\n");
            let heard = conversation(
                &software,
                &[&program, "WORK"],
                Framing::Lines,
                |session, work| {
                    let path = |name: &str| format!("{work}/{name}");
                    let mut heard = tools(session);
                    for (name, arguments) in [
                        ("list_allowed_directories", json!({})),
                        ("read_text_file", json!({ "path": path("note"), "head": 1 })),
                        (
                            "write_file",
                            json!({ "path": path("new"), "content": "three" }),
                        ),
                        ("create_directory", json!({ "path": path("folder/within") })),
                        (
                            "move_file",
                            json!({ "source": path("new"), "destination": path("folder/new") }),
                        ),
                        (
                            "edit_file",
                            json!({ "path": path("note"),
                        "edits": [{ "oldText": "two", "newText": "2" }] }),
                        ),
                        ("directory_tree", json!({ "path": work })),
                        ("search_files", json!({ "path": work, "pattern": "**/new" })),
                        ("read_text_file", json!({ "path": "/etc/passwd" })),
                    ] {
                        heard.push(call(session, name, arguments));
                    }
                    heard
                },
            );
            assert_eq!(heard[3]["content"][0]["text"], "one");
            assert_eq!(heard.last().unwrap()["isError"], true);
            assert_eq!(software.read("note"), b"one\n2\n");
            assert_eq!(software.read("folder/new"), b"three");
        }
    });
}

#[test]
fn mcp_server_memory() {
    let profile = "extends: mcp-stdio\n\
        filesystem: { read: [/run/packages], write: [WORK] }\n\
        environment: { set: { MEMORY_FILE_PATH: WORK/memory.jsonl } }";
    packages::with_npm(|| {
        for user in EVERYONE {
            let program = "@modelcontextprotocol/server-memory/dist/index.js";
            let (software, program) = node(user, program, profile);
            let software = software.set("MEMORY_FILE_PATH", "WORK/memory.jsonl");
            conversation(&software, &[&program], Framing::Lines, |session, _| {
                let mut heard = tools(session);
                let entity =
                    json!({ "name": "plugin", "entityType": "program", "observations": ["works"] });
                for (name, arguments) in [
                    ("create_entities", json!({ "entities": [entity] })),
                    ("search_nodes", json!({ "query": "works" })),
                    ("read_graph", json!({})),
                ] {
                    heard.push(call(session, name, arguments));
                }
                heard
            });
            let kept = String::from_utf8(software.read("memory.jsonl")).unwrap();
            assert!(kept.contains("\"observations\":[\"works\"]"), "{kept}");
        }
    });
}

#[test]
fn mcp_server_everything() {
    let profile = "extends: mcp-stdio\nfilesystem: { read: [/run/packages] }";
    packages::with_npm(|| {
        let program = "@modelcontextprotocol/server-everything/dist/index.js";
        let (software, program) = node(User::Ordinary, program, profile);
        let heard = conversation(
            &software,
            &[&program, "stdio"],
            Framing::Lines,
            |session, _| {
                let mut heard = tools(session);
                heard.push(call(session, "echo", json!({ "message": "heard" })));
                heard.push(call(session, "get-sum", json!({ "a": 2, "b": 3 })));
                heard.push(session.ask("prompts/list", json!({})));
                heard.push(session.ask("resources/templates/list", json!({})));
                heard
            },
        );
        assert_eq!(heard[2]["content"][0]["text"], "Echo: heard");
    });
}

#[test]
fn mcp_server_time() {
    let profile = "extends: mcp-stdio\n\
        filesystem: { read: [/run/packages] }\n\
        environment: { set: { PYTHONPATH: /run/packages } }";
    packages::with_pypi(|| {
        let program = format!("{FOLDER}/bin/mcp-server-time");
        let software = Software::new(User::Ordinary, program, profile).set("PYTHONPATH", FOLDER);
        let arguments = ["--local-timezone", "Europe/Berlin"];
        let heard = conversation(&software, &arguments, Framing::Lines, |session, _| {
            let mut heard = tools(session);
            let arguments = json!({ "time": "12:00",
                    "source_timezone": "Asia/Tokyo", "target_timezone": "Asia/Kolkata" });
            // The answer has today's date.
            let converted = call(session, "convert_time", arguments);
            let text = converted["content"][0]["text"].as_str().unwrap();
            assert!(text.contains("T08:30:00+05:30"), "{text}");
            heard.push(converted["isError"].clone());
            let arguments = json!({ "timezone": "Nowhere/Else" });
            heard.push(call(session, "get_current_time", arguments));
            heard
        });
        assert_eq!(heard[3]["isError"], true);
    });
}

/// Opens a document and asks what is known of the word in a line.
fn questions(session: &mut Session, work: &str, name: &str, text: &str) -> Vec<Value> {
    let at = format!("file://{work}/{name}");
    let mut heard = vec![session.ask(
        "initialize",
        json!({ "processId": null, "rootUri": format!("file://{work}"), "capabilities": {} }),
    )];
    session.tell("initialized", json!({}));
    let language = if name.ends_with("py") {
        "python"
    } else {
        "shellscript"
    };
    session.tell(
        "textDocument/didOpen",
        json!({ "textDocument": { "uri": at, "languageId": language, "version": 1, "text": text } }),
    );
    for question in [
        "documentSymbol",
        "definition",
        "references",
        "hover",
        "completion",
    ] {
        let params = json!({ "textDocument": { "uri": at }, "position": { "line": 3, "character": 3 },
            "context": { "includeDeclaration": true } });
        heard.push(session.ask(&format!("textDocument/{question}"), params));
    }
    heard.push(session.ask("shutdown", Value::Null));
    session.tell("exit", Value::Null);
    heard
}

#[test]
fn python_lsp_server() {
    // It asks the interpreter that it runs under for its version.
    let profile = "extends: python\n\
        filesystem: { read: [/run/packages, WORK], execute: [/usr/bin/python3] }\n\
        environment: { set: { PYTHONPATH: /run/packages } }";
    let text = "def double(n):\n    \"\"\"Twice.\"\"\"\n    return 2 * n\ndouble(3)\n";
    packages::with_pypi(|| {
        let program = format!("{FOLDER}/bin/pylsp");
        let software = Software::new(User::Ordinary, program, profile)
            .set("PYTHONPATH", FOLDER)
            .set("HOME", "/nonexistent")
            .file("a.py", text);
        let heard = conversation(&software, &[], Framing::Headers, |session, work| {
            questions(session, work, "a.py", text)
        });
        assert_eq!(heard[1][0]["name"], "double");
        assert_eq!(heard[2][0]["range"]["start"]["line"], 0);
        assert!(heard[4].to_string().contains("Twice."), "{}", heard[4]);
    });
}

#[test]
fn bash_language_server() {
    let profile = "extends: node\nfilesystem: { read: [/run/packages, WORK] }";
    let text = "double() {\n  echo \"$1$1\"\n}\ndouble 3\n";
    packages::with_npm(|| {
        let (software, program) = node(User::Ordinary, "bash-language-server/out/cli.js", profile);
        let software = software.file("a.sh", text);
        let heard = conversation(
            &software,
            &[&program, "start"],
            Framing::Headers,
            |session, work| questions(session, work, "a.sh", text),
        );
        assert_eq!(heard[1][0]["name"], "double");
        assert_eq!(heard[2][0]["range"]["start"]["line"], 0);
        assert!(
            heard[4].to_string().contains("defined on line 1"),
            "{}",
            heard[4]
        );
    });
}

#[test]
fn typescript() {
    let profile = "extends: node\nfilesystem: { read: [/run/packages], write: [WORK] }";
    packages::with_npm(|| {
        let (software, program) = node(User::Ordinary, "typescript/lib/tsc.js", profile);
        let software = software.file(
            "a.ts",
            "export const f = (n: number): string => `${n}`;\nconst n: number = f(1);\n",
        );
        let arguments = [
            &*program,
            "--target",
            "es2020",
            "--declaration",
            "--outDir",
            "out",
            "a.ts",
        ];
        let outcome = software.alike(&arguments, "");
        assert!(outcome.stdout.contains("error TS2322"), "{outcome:#?}");
        assert!(
            software
                .read("out/a.d.ts")
                .starts_with(b"export declare const f")
        );
    });
}

//! `mcp-stdio`: Model Context Protocol servers, one JSON-RPC message a line.

use serde_json::{Value, json};

use crate::kit::{EVERYONE, Host, Outcome, run};

const PYTHON: &str = r#"#!/usr/bin/env python3
import asyncio, json, pathlib, subprocess, sys
root = pathlib.Path(sys.argv[1])
def call(name, arguments):
    if name == "read":
        return (root / arguments["path"]).read_text()
    if name == "run":
        return subprocess.run(arguments["words"], capture_output=True, text=True).stdout
    raise ValueError("unknown tool " + name)
def answer(method, params):
    if method == "initialize":
        return {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}},
                "serverInfo": {"name": "files", "version": "1"}}
    if method == "tools/list":
        schema = {"type": "object", "properties": {"path": {"type": "string"}}}
        return {"tools": [{"name": "read", "description": "Reads a file", "inputSchema": schema}]}
    try:
        called = asyncio.to_thread(call, params["name"], params["arguments"])
        text, failed = asyncio.run(called), False
    except Exception as error:
        text, failed = type(error).__name__, True
    return {"content": [{"type": "text", "text": text}], "isError": failed}
for line in sys.stdin:
    message = json.loads(line)
    if "id" in message:
        result = answer(message["method"], message.get("params"))
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}))
"#;

const NODE: &str = r#"#!/usr/bin/env node
const fs = require('fs'), path = require('path'), readline = require('readline');
const { execFileSync } = require('child_process');
const root = process.argv[2];
const call = { read: (given) => fs.readFileSync(path.join(root, given.path), 'utf8'),
  run: (given) => execFileSync(given.words[0], given.words.slice(1), { encoding: 'utf8' }) };
const answer = {
  initialize: (params) => ({ protocolVersion: params.protocolVersion, capabilities: { tools: {} },
    serverInfo: { name: 'files', version: '1' } }),
  'tools/list': () => ({ tools: [{ name: 'read', description: 'Reads a file',
    inputSchema: { type: 'object', properties: { path: { type: 'string' } } } }] }),
  'tools/call': (params) => {
    try { return { content: [{ type: 'text', text: call[params.name](params.arguments) }], isError: false }; }
    catch (error) { return { content: [{ type: 'text', text: error.code }], isError: true }; }
  },
};
readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const message = JSON.parse(line);
  if (message.id === undefined) return;
  const result = answer[message.method](message.params);
  console.log(JSON.stringify({ jsonrpc: '2.0', id: message.id, result }));
});
"#;

/// A session: the handshake, the list of tools, and calls.
fn session() -> String {
    let call = |id: u32, name: &str, arguments: Value| {
        json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call",
            "params": { "name": name, "arguments": arguments } })
    };
    let initialize = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {},
        "clientInfo": { "name": "host", "version": "1" } } });
    [
        initialize,
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
        json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list" }),
        call(3, "read", json!({ "path": "note" })),
        call(4, "read", json!({ "path": "../outside" })),
        call(5, "run", json!({ "words": ["/bin/echo", "ran"] })),
    ]
    .map(|message| format!("{message}\n"))
    .concat()
}

fn results(outcome: &Outcome) -> Vec<Value> {
    assert_eq!((outcome.status, &*outcome.stderr), (0, ""), "{outcome:#?}");
    let lines = outcome.stdout.lines().enumerate();
    lines
        .map(|(index, line)| {
            let message: Value = serde_json::from_str(line).unwrap();
            assert_eq!(message["id"], index + 1);
            message["result"].clone()
        })
        .collect()
}

#[test]
fn mcp_stdio_serves_tools_from_python_and_from_node() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        let folder = host.folder("served");
        host.write("served/note", "from the folder");
        host.write("outside", "from elsewhere");
        host.profile(
            "served",
            &format!("extends: mcp-stdio\nfilesystem: {{ read: [{folder:?}] }}"),
        );
        for (name, source, refused) in [
            ("python", PYTHON, ["PermissionError", "PermissionError"]),
            ("node", NODE, ["EACCES", "EPERM"]),
        ] {
            host.install(name, source);
            host.list(name, &["profile: served"]);
            let mut bare = host.command(host.path("plugins").join(name));
            bare.arg(&folder);
            let bare = results(&run(bare, session().as_bytes()));
            let launch = host.launch(name).arg(&folder).stdin(session());
            let confined = results(&launch.run());
            assert_eq!(confined[..3], bare[..3]);
            assert_eq!(bare[3]["content"][0]["text"], "from elsewhere");
            assert_eq!(bare[4]["content"][0]["text"], "ran\n");
            for (result, error) in confined[3..].iter().zip(refused) {
                let expected =
                    json!({ "content": [{ "type": "text", "text": error }], "isError": true });
                assert_eq!(*result, expected, "{name}");
            }
        }
    }
}

//! A client of Model Context Protocol with five servers, which it starts by
//! their commands.

use serde_json::{Value, json};

use super::packages::{self, FOLDER, NPM_FOLDER};
use super::shims::{FOLDERS, Shims};
use crate::kit::{EVERYONE, run};

/// The client of PyPI's `mcp`. Each server is asked for its tools, and for one
/// answer.
const CLIENT: &str = r#"import asyncio, json, os, sys
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

async def ask(server):
    command, arguments, tool, given = server
    parameters = StdioServerParameters(command=command, args=arguments, env=dict(os.environ))
    async with stdio_client(parameters) as (back, to):
        async with ClientSession(back, to) as session:
            hello = await session.initialize()
            tools = await session.list_tools()
            answer = await session.call_tool(tool, given)
            return [json.loads(x.model_dump_json()) for x in (hello, tools, answer)]

async def main():
    said = await asyncio.gather(*[ask(server) for server in json.load(sys.stdin)])
    print(json.dumps(said, sort_keys=True))

asyncio.run(main())
"#;

#[test]
fn mcp_client_with_five_servers() {
    let node = |more: &str| {
        format!("{{ extends: mcp-stdio, filesystem: {{ read: [{NPM_FOLDER}]{more} }} }}")
    };
    let memory = format!(
        "{{ extends: mcp-stdio, filesystem: {{ read: [{NPM_FOLDER}], write: [WORK/folder] }}, \
         environment: {{ pass: [MEMORY_FILE_PATH] }} }}"
    );
    let python = format!(
        "{{ extends: mcp-stdio, filesystem: {{ read: [{FOLDER}] }}, \
         environment: {{ set: {{ PYTHONPATH: {FOLDER} }} }} }}"
    );
    packages::with_both(|| {
        for user in EVERYONE {
            let mut host = Shims::new(user);
            for folder in FOLDERS {
                let folder = host.host.folder(format!("{folder}/folder"));
                std::fs::write(folder.join("note"), "noted").unwrap();
                host.host.own(&folder.join("note"));
            }
            for (name, profile) in [
                ("everything", node("")),
                ("filesystem", node(", write: [WORK/folder]")),
                ("memory", memory.clone()),
                ("thinking", node("")),
            ] {
                host = host.plugin(name, "/usr/bin/node", &profile);
            }
            let time = format!("{FOLDER}/bin/mcp-server-time");
            let host = host.plugin("time", time, &python);
            let [bare, confined] = FOLDERS.map(|folder| {
                let work = host.work(folder);
                let entry = |name: &str| {
                    format!("{NPM_FOLDER}/node_modules/@modelcontextprotocol/server-{name}/dist/index.js")
                };
                let thought = json!({ "thought": "one", "nextThoughtNeeded": false,
                    "thoughtNumber": 1, "totalThoughts": 1 });
                let servers: Value = [
                    ("everything", vec![entry("everything"), "stdio".into()],
                        "echo", json!({ "message": "heard" })),
                    ("filesystem", vec![entry("filesystem"), format!("{work}/folder")],
                        "read_text_file", json!({ "path": format!("{work}/folder/note") })),
                    ("memory", vec![entry("memory")], "create_entities",
                        json!({ "entities": [{ "name": "a", "entityType": "b", "observations": [] }] })),
                    ("thinking", vec![entry("sequential-thinking")],
                        "sequentialthinking", thought),
                    ("time", vec!["--local-timezone".into(), "Europe/Berlin".into()],
                        "get_current_time", json!({ "timezone": "Nowhere/Else" })),
                ]
                .map(|(name, words, tool, given)| {
                    json!([format!("{work}/{name}"), words, tool, given])
                })
                .into_iter()
                .collect();
                let mut client = host.command("/usr/bin/python3");
                client.args(["-c", CLIENT]);
                client.env("PYTHONPATH", FOLDER).env("PYTHONDONTWRITEBYTECODE", "1");
                client.env("MEMORY_FILE_PATH", format!("{work}/folder/memory"));
                let outcome = run(client, servers.to_string().as_bytes());
                let said = outcome.succeeded().stdout.replace(&work, "WORK");
                serde_json::from_str::<Value>(&said).unwrap()
            });
            assert_eq!(confined, bare);
            let answers = bare.as_array().unwrap();
            assert_eq!(answers.len(), 5);
            assert_eq!(answers[0][2]["content"][0]["text"], "Echo: heard");
            assert_eq!(answers[1][2]["content"][0]["text"], "noted");
            for folder in FOLDERS {
                let kept = host.folder(folder).join("folder/memory");
                assert!(std::fs::read_to_string(kept).unwrap().contains("\"a\""));
            }
            host.all_ran();
        }
    });
}

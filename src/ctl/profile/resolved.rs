//! A resolved profile, every key with the value in force.

use secure_exec_core::profile::{PathGrant, Ports, Profile};
use serde_json::{Value, json};

use crate::yaml::write::quoted;

/// As JSON, with the keys of a profile. System calls are in layers, one a
/// profile of the chain, since each adds and then takes away.
pub(crate) fn json(profile: &Profile) -> Value {
    let files = &profile.filesystem;
    let network = &profile.network;
    let limits = &profile.limits;
    let environment = &profile.environment;
    let layers = profile.chain.iter().zip(&profile.syscalls.layers);
    let layers: Vec<Value> = layers
        .map(|(name, layer)| json!({ "profile": name, "allow": layer.allow, "deny": layer.deny }))
        .collect();
    json!({
        "name": profile.name,
        "description": profile.description,
        "chain": profile.chain,
        "filesystem": {
            "code": paths(&files.code),
            "read": paths(&files.read),
            "apart": paths(&files.apart),
            "write": paths(&files.write),
            "execute": paths(&files.execute),
            "metadata": files.metadata,
            "devices": files.devices,
            "private_tmp": files.private_tmp,
        },
        "network": {
            "tcp": { "connect": ports(&network.tcp_connect), "bind": ports(&network.tcp_bind) },
            "udp": network.udp,
            "icmp": network.icmp,
            "unix": {
                "connect": paths(&network.unix_connect),
                "bind": paths(&network.unix_bind),
                "abstract": network.unix_abstract,
            },
            "netlink": network.netlink,
        },
        "processes": {
            "fork": profile.processes.fork,
            "signals": profile.processes.signals.name(),
            "new_session": profile.processes.new_session,
        },
        "syscalls": {
            "layers": layers,
            "on_violation": profile.syscalls.on_violation.name(),
        },
        "memory": {
            "write_execute": profile.write_execute,
            "shared_execute": profile.shared_execute,
        },
        "limits": {
            "memory": limits.memory,
            "processes": limits.processes,
            "open_files": limits.open_files,
            "file_size": limits.file_size,
            "cpu_seconds": limits.cpu_seconds,
            "core": limits.core,
        },
        "environment": {
            "pass": environment.pass,
            "set": environment.set,
            "secrets": environment.secrets,
        },
        "capabilities": { "keep": profile.capabilities },
        "descriptors": {
            "pass": profile.descriptors.pass,
            "listen_fds": profile.descriptors.listen,
        },
        "terminal": profile.terminal,
        "user": profile.user,
        "working_directory": profile.working_directory,
        "umask": format!("{:03o}", profile.umask),
        "isolation": profile.isolation.name(),
    })
}

/// As YAML.
pub(crate) fn yaml(profile: &Profile) -> String {
    let resolved = json(profile);
    let mut text = String::new();
    for key in KEYS {
        if let Some(value) = resolved.get(key) {
            pair(key, value, 0, &mut text);
        }
    }
    text
}

/// The order in which profiles are written.
const KEYS: [&str; 17] = [
    "name",
    "description",
    "chain",
    "filesystem",
    "network",
    "processes",
    "syscalls",
    "memory",
    "limits",
    "environment",
    "capabilities",
    "descriptors",
    "terminal",
    "user",
    "working_directory",
    "umask",
    "isolation",
];

fn paths(grants: &[PathGrant]) -> Vec<String> {
    let written = |grant: &PathGrant| {
        let optional = if grant.optional { "-" } else { "" };
        format!("{optional}{}", grant.path)
    };
    grants.iter().map(written).collect()
}

fn ports(ports: &Ports) -> Value {
    match ports {
        Ports::Any => json!("*"),
        Ports::List(list) => json!(list),
    }
}

/// A key with its value, on one line or more.
fn pair(key: &str, value: &Value, depth: usize, text: &mut String) {
    let margin = "  ".repeat(depth);
    let key = quoted(key);
    match value {
        Value::Object(inner) if !inner.is_empty() => {
            text.push_str(&format!("{margin}{key}:\n"));
            for (key, value) in inner {
                pair(key, value, depth + 1, text);
            }
        }
        Value::Array(items) if items.len() > 4 || items.iter().any(Value::is_object) => {
            text.push_str(&format!("{margin}{key}:\n"));
            for item in items {
                text.push_str(&format!("{margin}  - {}\n", line(item)));
            }
        }
        other => text.push_str(&format!("{margin}{key}: {}\n", line(other))),
    }
}

fn line(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(line).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(pairs) if pairs.is_empty() => "{}".into(),
        Value::Object(pairs) => {
            let pairs = pairs.iter();
            let pairs: Vec<String> = pairs
                .map(|(key, value)| format!("{}: {}", quoted(key), line(value)))
                .collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        other => other.to_string(),
    }
}

//! What a plan grants, and what it refuses, in plain words.

use secure_exec::dry_run::Inspection;
use secure_exec::failure::Failure;
use secure_exec_core::arch::Arch;
use secure_exec_core::escape::Escaped;
use secure_exec_core::filter::{Action, Filter, named};
use secure_exec_core::plan::namespaces::SHARED_MEMORY;
use secure_exec_core::plan::{GrantKind, Resource, SandboxPlan, Step, TMPDIR};
use secure_exec_core::policy::Policy;
use secure_exec_core::profile::{OnViolation, Ports, Signals, TEMPORARY};
use secure_exec_core::syscall;
use serde_json::json;

use super::{Fact, Section};
use crate::plan::filter;

/// What is not confined is as the caller's.
const UNCONFINED: &str = "whatever the caller may";

/// Paths, by what may be done to them. Optional ones that do not exist are
/// left out.
pub(super) fn files(inspection: &Inspection, plan: &SandboxPlan) -> Section {
    let facts = match plan.landlock() {
        None => vec![Fact::new(
            "confined",
            "everything",
            json!(false),
            UNCONFINED,
        )],
        Some(landlock) => {
            let memory = plan.namespaces().and_then(|plan| plan.shared_memory);
            let of = |kind: GrantKind| -> Vec<String> {
                let grants = landlock.grants.iter().filter(|grant| grant.kind == kind);
                grants
                    .filter(|grant| grant.path != SHARED_MEMORY || memory.is_none())
                    .filter(|grant| !is_temporary(plan, &grant.path))
                    .filter(|grant| !grant.optional || std::fs::metadata(&grant.path).is_ok())
                    .map(|grant| grant.path.clone())
                    .collect()
            };
            let listed = of(GrantKind::List);
            let binds = landlock
                .grants
                .iter()
                .any(|grant| matches!(grant.kind, GrantKind::BindSocket | GrantKind::OwnSocket));
            let no_files = if binds {
                "nothing but sockets, see below"
            } else {
                "nothing"
            };
            let entry = inspection.listed().entry.as_ref();
            let pins = entry.map(|entry| entry.libraries.as_slice());
            let pins = pins.unwrap_or_default().iter();
            let pinned: Vec<String> = pins.map(|pin| pin.path.clone()).collect();
            let locked = [
                Fact::new("pinned", "pinned", json!(pinned), counted(&pinned)),
                Fact::list("list", "names in", &listed, "nothing"),
            ];
            let mut facts = vec![
                Fact::new(
                    "confined",
                    "confined",
                    json!(true),
                    "to these, and what lies beneath them",
                ),
                Fact::list("read", "read", &of(GrantKind::Read), "nothing"),
                Fact::list("write", "write", &of(GrantKind::Write), no_files),
                Fact::list(
                    "execute",
                    "execute",
                    &of(GrantKind::Execute),
                    "nothing: no exec after the launch",
                ),
                Fact::list("devices", "devices", &of(GrantKind::Device), "none"),
                Fact::list("terminals", "terminals", &of(GrantKind::Terminal), "none"),
                Fact::flag(
                    "metadata",
                    "modes, owners",
                    inspection.listed().profile.filesystem.metadata,
                ),
            ];
            if !pinned.is_empty() {
                facts.extend(locked);
            }
            if let Some(folder) = plan.temporary() {
                let (folders, text) = match plan.namespaces() {
                    Some(_) => (
                        TEMPORARY.to_vec(),
                        format!("in {} of its own", TEMPORARY.join(" and ")),
                    ),
                    None => (
                        vec![folder],
                        format!("in a folder of the launch's own (${TMPDIR})"),
                    ),
                };
                let key = "temporary";
                facts.push(Fact::new(key, "temporary", json!(folders), text));
            }
            let apart = of(GrantKind::Apart);
            if !apart.is_empty() {
                facts.push(Fact::list("apart", "read apart", &apart, "nothing"));
            }
            if let Some(memory) = memory {
                let text = match memory.size {
                    Some(most) => {
                        format!("in a {SHARED_MEMORY} of its own, {} at most", size(most))
                    }
                    None => format!("in a {SHARED_MEMORY} of its own"),
                };
                facts.push(Fact::new(
                    "shared_memory",
                    "shared memory",
                    json!(memory.size),
                    text,
                ));
            }
            facts
        }
    };
    Section {
        key: "files",
        title: "Files",
        facts,
    }
}

/// Whether a path is for temporary files, and the plugin's own.
fn is_temporary(plan: &SandboxPlan, path: &str) -> bool {
    let Some(folder) = plan.temporary() else {
        return false;
    };
    match plan.namespaces() {
        Some(_) => TEMPORARY.contains(&path),
        None => path == folder,
    }
}

/// A few paths, or how many there are.
fn counted(paths: &[String]) -> String {
    if paths.len() > 8 {
        return format!("{} files, named in the entry", paths.len());
    }
    let shown: Vec<String> = paths.iter().map(|path| Escaped(path).to_string()).collect();
    shown.join(", ")
}

/// Sockets.
pub(super) fn network(inspection: &Inspection, plan: &SandboxPlan) -> Section {
    let network = &inspection.listed().profile.network;
    if plan.seccomp().is_none() {
        return Section {
            key: "network",
            title: "Network",
            facts: vec![Fact::new(
                "confined",
                "everything",
                json!(false),
                UNCONFINED,
            )],
        };
    }
    let ports = |key, label, ports: &Ports| match ports {
        Ports::Any => Fact::new(key, label, json!("*"), "every port, of every host"),
        Ports::List(list) if list.is_empty() => Fact::new(key, label, json!([]), "nothing"),
        Ports::List(list) => {
            let shown: Vec<String> = list.iter().map(ToString::to_string).collect();
            let text = format!("port {}, of every host", shown.join(", "));
            Fact::new(key, label, json!(list), text)
        }
    };
    let paths = |kind: GrantKind| -> Vec<String> {
        let grants = plan.landlock().map(|plan| plan.grants.as_slice());
        let grants = grants.unwrap_or_default().iter();
        grants
            .filter(|grant| grant.kind == kind)
            .map(|grant| grant.path.clone())
            .collect()
    };
    let own = paths(GrantKind::OwnSocket);
    let binds = [paths(GrantKind::BindSocket), own.clone()].concat();
    Section {
        key: "network",
        title: "Network",
        facts: vec![
            Fact::new("confined", "confined", json!(true), "to these"),
            ports("tcp_connect", "TCP to", &network.tcp_connect),
            ports("tcp_bind", "TCP on", &network.tcp_bind),
            Fact::flag("udp", "UDP", network.udp),
            Fact::flag("icmp", "ICMP", network.icmp),
            Fact::list(
                "unix_connect",
                "UNIX to",
                &paths(GrantKind::ConnectSocket),
                "nothing",
            ),
            Fact::list("unix_bind", "UNIX on", &binds, "nothing"),
            Fact::list("unix_remove", "removes files", &own, "nothing"),
            Fact::flag("unix_abstract", "UNIX abstract", network.unix_abstract),
            Fact::flag("netlink", "netlink", network.netlink),
        ],
    }
}

/// Other processes, memory and rights.
pub(super) fn processes(inspection: &Inspection, plan: &SandboxPlan) -> Section {
    let profile = &inspection.listed().profile;
    let mut facts = Vec::new();
    if plan.seccomp().is_some() {
        let fork = profile.processes.fork;
        let text = if fork {
            "new processes and threads"
        } else {
            "threads alone"
        };
        facts.push(Fact::new("fork", "starts", json!(fork), text));
        let signals = profile.processes.signals;
        let text = match signals {
            Signals::Own => "its own processes",
            Signals::Any => "every process of its user",
        };
        facts.push(Fact::new("signals", "signals", json!(signals.name()), text));
        let text = if profile.write_execute {
            "may be writable and executable: code can be made at run time"
        } else {
            "never writable and executable: no code is made at run time"
        };
        facts.push(Fact::new(
            "write_execute",
            "memory",
            json!(profile.write_execute),
            text,
        ));
        if profile.shared_execute {
            facts.push(Fact::new(
                "shared_execute",
                "shared memory",
                json!(true),
                "may be executable: code can be made at run time by a second mapping",
            ));
        }
    } else {
        facts.push(Fact::new(
            "confined",
            "everything",
            json!(false),
            UNCONFINED,
        ));
    }
    let descriptors = &profile.descriptors;
    let mut passed: Vec<String> = descriptors.pass.iter().map(ToString::to_string).collect();
    passed.extend(
        descriptors
            .listen
            .then(|| "those of LISTEN_FDS".to_string()),
    );
    facts.push(Fact::list(
        "descriptors",
        "descriptors",
        &passed,
        "0, 1 and 2 alone",
    ));
    if inspection.listed().policy != Policy::AuditOnly {
        facts.push(Fact::list(
            "capabilities",
            "capabilities",
            &profile.capabilities,
            "none",
        ));
        let user = profile.user.as_deref();
        let text = user.map_or("the caller".into(), |user| Escaped(user).to_string());
        facts.push(Fact::new("user", "user", json!(user), text));
    }
    Section {
        key: "processes",
        title: "Processes",
        facts,
    }
}

/// Resource limits.
pub(super) fn limits(plan: &SandboxPlan) -> Section {
    let limits = plan.steps().iter().find_map(|step| match step {
        Step::Limits(limits) => Some(limits.as_slice()),
        _ => None,
    });
    let facts = limits.unwrap_or_default().iter().map(|limit| {
        let label = match limit.resource {
            Resource::Data => "memory",
            Resource::AddressSpace => "addresses",
            Resource::Processes => "processes",
            Resource::OpenFiles => "open files",
            Resource::FileSize => "file size",
            Resource::CpuSeconds => "CPU seconds",
            Resource::Core => "core dump",
        };
        let text = match limit.resource {
            Resource::Data | Resource::AddressSpace | Resource::FileSize | Resource::Core => {
                size(limit.value)
            }
            Resource::Processes | Resource::OpenFiles | Resource::CpuSeconds => {
                limit.value.to_string()
            }
        };
        Fact::new(limit.resource.name(), label, json!(limit.value), text)
    });
    Section {
        key: "limits",
        title: "Limits",
        facts: facts.collect(),
    }
}

/// Names of variables; values are not for showing.
pub(super) fn environment(inspection: &Inspection, plan: &SandboxPlan) -> Section {
    let environment = &inspection.listed().profile.environment;
    let names = plan.steps().iter().find_map(|step| match step {
        Step::Environment(names) => Some(names.clone()),
        _ => None,
    });
    let mut facts = vec![Fact::list(
        "names",
        "has",
        &names.unwrap_or_default(),
        "nothing",
    )];
    if inspection.listed().policy != Policy::AuditOnly {
        let secrets: Vec<String> = environment
            .secrets
            .iter()
            .map(|(name, source)| format!("{name} from {source}"))
            .collect();
        facts.push(Fact::list(
            "pass",
            "may inherit",
            &environment.pass,
            "nothing",
        ));
        facts.push(Fact::list("secrets", "secrets", &secrets, "none"));
    }
    Section {
        key: "environment",
        title: "Environment",
        facts,
    }
}

/// System calls, by group.
pub(super) fn system_calls(plan: &SandboxPlan) -> Result<Section, Failure> {
    let mut facts = Vec::new();
    match (filter(plan), plan.seccomp()) {
        (Some(filter), Some(seccomp)) => {
            let filter = filter.map_err(Failure::own)?;
            let [allowed, partly, refused] = groups(&filter);
            let text = match seccomp.on_violation {
                OnViolation::Errno => "fails with EPERM, an exec with ENOENT",
                OnViolation::Kill => "ends the process",
                OnViolation::Log => "is made all the same, and logged: no protection",
            };
            facts.push(Fact::list("allowed", "allowed", &allowed, "nothing"));
            facts.push(Fact::list("partly", "in part", &partly, "nothing"));
            facts.push(Fact::list("refused", "refused", &refused, "nothing"));
            let by_name = named(Arch::NATIVE, &seccomp.layers).map_err(Failure::own)?;
            if !by_name.is_empty() {
                let named = by_name.iter().map(|(name, why)| format!("{name} ({why})"));
                let named: Vec<_> = named.collect();
                facts.push(Fact::list("named", "by name", &named, "nothing"));
            }
            facts.push(Fact::new(
                "on_violation",
                "a refused call",
                json!(seccomp.on_violation.name()),
                text,
            ));
        }
        _ => facts.push(Fact::new(
            "confined",
            "everything",
            json!(false),
            UNCONFINED,
        )),
    }
    Ok(Section {
        key: "system_calls",
        title: "System calls",
        facts,
    })
}

/// The groups of which all, some and no calls can be made.
fn groups(filter: &Filter) -> [Vec<String>; 3] {
    let mut sorted = [Vec::new(), Vec::new(), Vec::new()];
    let [allowed, partly, refused] = &mut sorted;
    for (name, _, members) in syscall::groups() {
        let calls = calls(members);
        let free = calls
            .iter()
            .filter(|call| filter.constant(**call) == Some(Action::Allow));
        let free = free.count();
        let closed = calls.iter().filter(|call| {
            let constant = filter.constant(**call);
            constant.is_some_and(|action| !matches!(action, Action::Allow | Action::Log))
        });
        let closed = closed.count();
        if closed == calls.len() {
            refused.push(name.to_string());
        } else if free == calls.len() {
            allowed.push(name.to_string());
        } else {
            let open = calls.len().saturating_sub(closed);
            partly.push(if closed == 0 {
                format!("{name} (by arguments)")
            } else {
                format!("{name} ({open} of {})", calls.len())
            });
        }
    }
    sorted
}

/// The numbers of a group's calls on this machine.
fn calls(members: &[&str]) -> Vec<u32> {
    let mut numbers: Vec<u32> = members
        .iter()
        .flat_map(|member| match syscall::group(member) {
            Some(members) => calls(members),
            None => syscall::number(Arch::NATIVE, member).into_iter().collect(),
        })
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

fn size(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let unit = units
        .into_iter()
        .find(|(shift, _)| bytes >> shift > 0 && bytes.trailing_zeros() >= *shift);
    match unit {
        Some((shift, name)) => format!("{} {name}", bytes >> shift),
        None => format!("{bytes} bytes"),
    }
}

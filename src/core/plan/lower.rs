//! Lowering: profile, kernel and policy in, plan out.

use std::path::Path;

use super::enforcement::share;
use super::{
    Enforcement, Environment, Grant, GrantKind, KernelFacts, LandlockPlan, Limit, Resource,
    SandboxPlan, SeccompPlan, Settled, Step, namespaces, settle,
};
use crate::arch::Arch;
use crate::escape::Escaped;
use crate::filter::{self, Sockets, StandIn};
use crate::policy::Policy;
use crate::profile::{Isolation, PathGrant, Ports, Profile, Signals, TEMPORARY, has_dotdot};

/// What lowering needs beside the profile.
pub struct Inputs<'a> {
    /// The running kernel.
    pub kernel: KernelFacts,
    /// The policy in force.
    pub policy: Policy,
    /// The plugin's environment, already composed.
    pub environment: &'a Environment,
    /// The plugin runs as user 0.
    pub superuser: bool,
    /// Expands the variables of a path.
    pub expand: &'a dyn Fn(&str) -> Result<String, String>,
    /// The entry pins the files that the plugin loads, so folders of code are
    /// listed and not read.
    pub libraries_pinned: bool,
    /// A folder that a launch makes for itself, where the profile asks for
    /// temporary files of its own and there are no namespaces.
    pub temporary: &'a str,
}

/// Lowers a profile.
///
/// # Errors
/// A sentence, for a path with an unknown variable or with `..`.
pub fn lower(profile: &Profile, inputs: &Inputs<'_>) -> Result<SandboxPlan, String> {
    let names = inputs.environment.names().map(String::from).collect();
    let mut steps = vec![Step::Environment(names)];
    if inputs.policy == Policy::AuditOnly {
        steps.push(Step::Descriptors);
        return Ok(SandboxPlan {
            steps,
            enforcement: Enforcement::None,
            taken_over: Vec::new(),
            settled: Settled {
                isolation: Isolation::None,
                because: None,
            },
            temporary: None,
        });
    }
    steps.push(Step::Inherited);
    let settled = settle(profile, inputs.kernel);
    let isolation = settled.isolation;
    let means = inputs.kernel.namespaces.ok();
    let means = means.filter(|_| isolation.has_namespaces());
    let mut landlock = if isolation.confines() {
        Some(landlock(profile, inputs, means.is_some())?)
    } else {
        None
    };
    let mut spaces = None;
    if let (Some(landlock), Some(means)) = (&landlock, means) {
        let plan = namespaces::lower(profile, means, &landlock.grants)?;
        steps.push(Step::Namespaces(plan.clone()));
        spaces = Some(plan);
    }
    let temporary = match (&mut landlock, profile.filesystem.private_tmp) {
        (Some(landlock), true) => Some(temporary(landlock, spaces.is_some(), inputs)),
        _ => None,
    };
    if let (Some(_), Some(Step::Environment(names))) = (&temporary, steps.first_mut())
        && !names.iter().any(|name| name == super::TMPDIR)
    {
        names.push(super::TMPDIR.into());
        names.sort();
    }
    if let Some(path) = &profile.working_directory {
        steps.push(Step::WorkingDirectory((inputs.expand)(path)?));
    }
    if profile.processes.new_session {
        steps.push(Step::NewSession);
    }
    steps.push(Step::Umask(profile.umask));
    steps.push(Step::Limits(limits(profile)));
    if let Some(user) = &profile.user {
        steps.push(Step::User(user.clone()));
    }
    steps.push(Step::Descriptors);
    steps.push(Step::Capabilities(profile.capabilities.clone()));
    steps.push(Step::NoNewPrivileges);
    let Some(mut landlock) = landlock else {
        return Ok(SandboxPlan {
            steps,
            enforcement: Enforcement::None,
            taken_over: Vec::new(),
            settled,
            temporary: None,
        });
    };
    let shares = share(profile, inputs.kernel);
    let mut seccomp = seccomp(profile, &landlock, shares.stand_in, inputs.superuser);
    if let Some((group, calls)) = filter::void(Arch::NATIVE, &seccomp.layers) {
        return Err(format!(
            "the group '{group}' admits nothing: its calls take effect only by name; write [{}] instead, or fewer of them",
            calls.join(", ")
        ));
    }
    if let Some(spaces) = spaces {
        seccomp.own_pid = Some(namespaces::PLUGIN_PID);
        if spaces.shared_memory.is_some() {
            seccomp.writes = true;
            landlock.grants.push(Grant {
                path: namespaces::SHARED_MEMORY.into(),
                optional: true,
                kind: GrantKind::Write,
            });
        }
    }
    if inputs.kernel.landlock_abi > 0 {
        steps.push(Step::Landlock(landlock));
    }
    if inputs.kernel.seccomp {
        steps.push(Step::Seccomp(seccomp));
    }
    Ok(SandboxPlan {
        steps,
        enforcement: shares.enforcement,
        taken_over: shares.taken_over,
        settled,
        temporary,
    })
}

/// Grants what is the plugin's own, and says where programs find it.
fn temporary(landlock: &mut LandlockPlan, has_namespaces: bool, inputs: &Inputs<'_>) -> String {
    let [first, _] = TEMPORARY;
    let folders = match has_namespaces {
        true => TEMPORARY.map(String::from).to_vec(),
        false => vec![inputs.temporary.to_string()],
    };
    let found = if has_namespaces {
        first
    } else {
        inputs.temporary
    };
    landlock
        .grants
        .extend(folders.into_iter().map(|path| Grant {
            path,
            // The launch makes it, or ends.
            optional: !has_namespaces,
            kind: GrantKind::Write,
        }));
    found.to_string()
}

fn landlock(
    profile: &Profile,
    inputs: &Inputs<'_>,
    has_namespaces: bool,
) -> Result<LandlockPlan, String> {
    let files = &profile.filesystem;
    let mut grants = Vec::new();
    let mut add = |wanted: &[PathGrant], kind: GrantKind| -> Result<(), String> {
        for grant in wanted {
            // A folder of code is one, also where a profile grants it twice.
            let is_code = files.code.iter().any(|code| code.path == grant.path);
            let kind = match kind {
                GrantKind::Read | GrantKind::Apart if is_code && inputs.libraries_pinned => {
                    GrantKind::List
                }
                other => other,
            };
            let path = match (inputs.expand)(&grant.path) {
                Ok(path) => path,
                Err(_) if grant.optional => continue,
                Err(why) => {
                    let path = Escaped(&grant.path);
                    return Err(format!(
                        "{why}\nSet it, or write '-{path}' if it may be unset."
                    ));
                }
            };
            if !path.starts_with('/') || has_dotdot(&path) {
                let path = Escaped(&path);
                return Err(format!(
                    "the path '{path}' must be absolute and without '..'"
                ));
            }
            grants.push(Grant {
                path,
                optional: grant.optional,
                kind,
            });
        }
        Ok(())
    };
    add(&files.code, GrantKind::Read)?;
    add(&files.read, GrantKind::Read)?;
    // Without namespaces, which are missing then, it is read like the rest.
    let apart = match has_namespaces {
        true => GrantKind::Apart,
        false => GrantKind::Read,
    };
    add(&files.apart, apart)?;
    add(&files.write, GrantKind::Write)?;
    add(&files.execute, GrantKind::Execute)?;
    add(&profile.network.unix_bind, GrantKind::BindSocket)?;
    add(&profile.network.unix_connect, GrantKind::ConnectSocket)?;
    // There is a right to remove a file, not one to remove a socket. Where the
    // plugin's own files lie, and nobody else's, it may have that.
    if let Ok(runtime) = (inputs.expand)("{runtime_dir}") {
        let binds = grants
            .iter_mut()
            .filter(|grant| grant.kind == GrantKind::BindSocket);
        for grant in binds.filter(|grant| Path::new(&grant.path).starts_with(&runtime)) {
            grant.kind = GrantKind::OwnSocket;
        }
    }
    let caller = profile.terminal.then_some(CALLERS_TERMINAL);
    let named = files.devices.iter().map(String::as_str);
    let named = named.filter(|name| Some(*name) != caller);
    grants.extend(named.chain(caller).map(|name| Grant {
        path: format!("/dev/{name}"),
        optional: true,
        // Opened without its settings a terminal shows every password that is
        // typed.
        kind: if name.starts_with(TERMINALS) {
            GrantKind::Terminal
        } else {
            GrantKind::Device
        },
    }));
    let ports = |ports: &Ports| match ports {
        Ports::Any => None,
        Ports::List(list) => Some(list.clone()),
    };
    Ok(LandlockPlan {
        abi: inputs.kernel.landlock_abi,
        grants,
        tcp_connect: ports(&profile.network.tcp_connect),
        tcp_bind: ports(&profile.network.tcp_bind),
        scope_signals: profile.processes.signals == Signals::Own,
        scope_abstract: !profile.network.unix_abstract,
    })
}

/// The terminal of the session, for each process its own (man 4 tty).
const CALLERS_TERMINAL: &str = "tty";
/// What the names of terminals in /dev begin with: serial lines and consoles.
const TERMINALS: &str = "tty";

pub(super) fn sockets(profile: &Profile) -> Sockets {
    let network = &profile.network;
    let tcp_connect = !network.tcp_connect.is_empty();
    let tcp_bind = !network.tcp_bind.is_empty();
    let unix_connect = !network.unix_connect.is_empty() || network.unix_abstract;
    let unix_bind = !network.unix_bind.is_empty() || network.unix_abstract;
    Sockets {
        tcp: tcp_connect || tcp_bind,
        tcp_connect,
        tcp_bind,
        udp: network.udp,
        icmp: network.icmp,
        icmp_raw: network.icmp && keeps(profile, "CAP_NET_RAW"),
        unix: unix_connect || unix_bind,
        unix_connect,
        unix_bind,
        netlink: network.netlink,
        served: profile.descriptors.listen,
    }
}

fn keeps(profile: &Profile, capability: &str) -> bool {
    profile.capabilities.iter().any(|kept| kept == capability)
}

fn seccomp(
    profile: &Profile,
    landlock: &LandlockPlan,
    stand_in: StandIn,
    superuser: bool,
) -> SeccompPlan {
    let granted = |kind: GrantKind| landlock.grants.iter().any(|grant| grant.kind == kind);
    let execute = granted(GrantKind::Execute);
    let writes = landlock.grants.iter().any(|grant| grant.kind.writes());
    let mut layers: Vec<_> = profile
        .syscalls
        .layers
        .iter()
        .map(|layer| (layer.allow.clone(), layer.deny.clone()))
        .collect();
    if profile.filesystem.metadata && !layers.is_empty() {
        // `default` denies them with all that is privileged. The profiles above
        // it can still do so.
        layers.insert(1, (vec!["@chown".into()], Vec::new()));
    }
    if profile.network.icmp && !layers.is_empty() {
        // Before it sends, ping(8) gives up what it has not got here.
        let gives_up = ["capset", "setuid"].map(String::from);
        layers.insert(1, (gives_up.to_vec(), Vec::new()));
    }
    if execute {
        // Landlock has no rule for files without a path: with exec left open,
        // a memory file would run whatever was written to it.
        let memory_files = ["memfd_create", "memfd_secret"].map(String::from);
        layers.push((Vec::new(), memory_files.to_vec()));
    }
    SeccompPlan {
        layers,
        on_violation: profile.syscalls.on_violation,
        sockets: sockets(profile),
        fork: profile.processes.fork,
        metadata: profile.filesystem.metadata,
        descriptor_metadata: profile.filesystem.metadata || (writes && !superuser),
        writes,
        write_execute: profile.write_execute,
        shared_execute: profile.shared_execute,
        terminal: granted(GrantKind::Terminal),
        stand_in,
        execute,
        own_pid: None,
    }
}

fn limits(profile: &Profile) -> Vec<Limit> {
    let limits = &profile.limits;
    // A compiler at run time reserves far more address space than it uses, so
    // there only what is writable counts.
    let address_space = limits.memory.filter(|_| !profile.write_execute);
    [
        (Resource::Data, limits.memory),
        (Resource::AddressSpace, address_space),
        (Resource::Processes, limits.processes),
        (Resource::OpenFiles, limits.open_files),
        (Resource::FileSize, limits.file_size),
        (Resource::CpuSeconds, limits.cpu_seconds),
        (Resource::Core, limits.core),
    ]
    .into_iter()
    .filter_map(|(resource, value)| value.map(|value| Limit { resource, value }))
    .collect()
}

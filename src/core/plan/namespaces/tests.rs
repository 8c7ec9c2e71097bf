//! Lowering to namespaces.

use super::*;
use crate::plan::{Environment, Inputs, KernelFacts, SandboxPlan, Settled, Step};
use crate::policy::Policy;
use crate::profile::{Isolation, RawProfile, builtin, resolve};

fn grant(kind: GrantKind, path: &str) -> Grant {
    Grant {
        path: path.into(),
        optional: false,
        kind,
    }
}

fn shown(grants: &[Grant]) -> Vec<String> {
    let show = |mount: Mount| {
        let covered = if mount.covered { " covered" } else { "" };
        format!("{} {}{covered}", mount.path, mount.attributes.words())
    };
    mounts(grants).into_iter().map(show).collect()
}

#[test]
fn what_is_read_can_not_be_written_and_data_can_not_be_executed() {
    let grants = [
        grant(GrantKind::Read, "/usr/lib64/"),
        grant(GrantKind::Read, "/usr/share/zoneinfo"),
        grant(GrantKind::Device, "/dev/null"),
    ];
    assert_eq!(
        shown(&grants),
        [
            "/dev/null ro,nosuid,noexec",
            "/usr/lib64 ro,nosuid,nodev",
            "/usr/share/zoneinfo ro,nosuid,nodev,noexec",
        ]
    );
}

#[test]
fn a_grant_below_another_takes_nothing_from_it() {
    let grants = [
        grant(GrantKind::Write, "/srv/out"),
        grant(GrantKind::Read, "/srv/out/settings"),
        grant(GrantKind::Execute, "/srv/out/bin"),
        grant(GrantKind::Read, "/srv"),
        grant(GrantKind::Read, "/srv-other"),
    ];
    assert_eq!(
        shown(&grants),
        [
            "/srv ro,nosuid,nodev",
            "/srv/out rw,nosuid,nodev,noexec",
            "/srv/out/bin rw,nosuid,nodev",
            "/srv/out/settings rw,nosuid,nodev,noexec covered",
            "/srv-other ro,nosuid,nodev",
        ]
    );
}

#[test]
fn what_is_apart_is_data_whatever_lies_around_it() {
    let grants = [
        grant(GrantKind::Write, "/srv"),
        grant(GrantKind::Apart, "/srv/in"),
        grant(GrantKind::Read, "/srv/in"),
        grant(GrantKind::Apart, "/srv/in/deeper"),
        grant(GrantKind::Read, "/srv/in/more"),
        grant(GrantKind::Read, "/srv/in/more/and"),
    ];
    let show = |mount: Mount| {
        let within = if mount.is_in_apart { " within" } else { "" };
        let covered = if mount.covered { " covered" } else { "" };
        format!("{} {}{within}{covered}", mount.path, mount.words())
    };
    let shown: Vec<String> = mounts(&grants).into_iter().map(show).collect();
    assert_eq!(
        shown,
        [
            "/srv rw,nosuid,nodev,noexec",
            "/srv/in ro,nosuid,nodev,noexec,overlay",
            "/srv/in/deeper ro,nosuid,nodev,noexec,overlay within",
            "/srv/in/more rw,nosuid,nodev,noexec within",
            "/srv/in/more/and rw,nosuid,nodev,noexec covered",
        ]
    );
}

#[test]
fn a_folder_is_apart_or_more_than_read_and_not_both() {
    for kind in [
        GrantKind::Write,
        GrantKind::Execute,
        GrantKind::BindSocket,
        GrantKind::OwnSocket,
        GrantKind::ConnectSocket,
    ] {
        let grants = [grant(GrantKind::Apart, "/srv"), grant(kind, "/srv/")];
        let refused = check_apart(&grants).unwrap_err();
        assert!(refused.contains(kind.name()), "{refused}");
    }
    let grants = [
        grant(GrantKind::Apart, "/srv"),
        grant(GrantKind::Read, "/srv"),
        grant(GrantKind::Write, "/srv/out"),
    ];
    assert_eq!(check_apart(&grants), Ok(()));
    for path in ["/", "/proc", "/proc/self"] {
        assert!(check_apart(&[grant(GrantKind::Apart, path)]).is_err());
    }
}

#[test]
fn shared_memory_is_the_plugins_own() {
    let shared = |yaml: &str| {
        let yaml = format!("isolation: namespaces\n{yaml}");
        let plan = plan(&yaml, Ok(Means::UserNamespace)).unwrap();
        let grants = &plan.landlock().unwrap().grants;
        let is_granted = grants
            .iter()
            .any(|grant| grant.path == SHARED_MEMORY && grant.kind == GrantKind::Write);
        let seccomp = plan.seccomp().unwrap();
        let memory = plan.namespaces().unwrap().shared_memory;
        let size = memory.map(|memory| memory.size);
        (size, is_granted, seccomp.writes)
    };
    let all = 4 << 30;
    assert_eq!(shared("name: p"), (Some(Some(all)), true, true));
    let compiles = "memory: { write_execute: true }";
    assert_eq!(shared(compiles), (Some(Some(all)), true, true));
    assert_eq!(shared("limits: { memory: null }"), (Some(None), true, true));
    for granted in [
        "filesystem: { read: [/dev/shm] }",
        "filesystem: { read: [-/dev/shm/one] }",
    ] {
        assert_eq!(shared(granted), (None, false, false), "{granted}");
    }
}

#[test]
fn without_namespaces_what_is_apart_is_read() {
    let yaml = "isolation: namespaces\nfilesystem: { apart: [/srv] }";
    let kind = |namespaces| {
        let plan = plan(yaml, namespaces).unwrap();
        let mut grants = plan.landlock().unwrap().grants.iter();
        grants.find(|grant| grant.path == "/srv").unwrap().kind
    };
    assert_eq!(kind(Ok(Means::Privilege)), GrantKind::Apart);
    assert_eq!(kind(Err(Obstacle::NoOverlay)), GrantKind::Read);
}

/// With Landlock of the tests' kernel, which can't limit UNIX sockets by path.
fn settled(yaml: &str, namespaces: Result<Means, Obstacle>) -> (Isolation, String) {
    let plan = plan(yaml, namespaces).unwrap();
    let Settled { isolation, because } = plan.settled().clone();
    (isolation, because.unwrap_or_default())
}

const BOTH: &str = "network: { unix: { bind: [/run/p] }, tcp: { connect: [443] } }";

#[test]
fn auto_takes_namespaces_where_the_profile_needs_them() {
    let made = Ok(Means::UserNamespace);
    let auto = |yaml: &str, namespaces| settled(&format!("isolation: auto\n{yaml}"), namespaces);
    let own_proc = "processes: { fork: true }\nfilesystem: { read: [/proc/self] }";
    for (yaml, isolation, because) in [
        ("name: p", Isolation::Process, "nothing that needs"),
        (BOTH, Isolation::Namespaces, "UNIX sockets by path"),
        (
            "filesystem: { apart: [/srv] }",
            Isolation::Namespaces,
            "apart",
        ),
        (
            "filesystem: { private_tmp: true }",
            Isolation::Namespaces,
            "'/tmp'",
        ),
        (own_proc, Isolation::Namespaces, "children"),
        (
            "filesystem: { metadata: true }",
            Isolation::Namespaces,
            "modes and owners",
        ),
        // Nor does it help there.
        (
            "network: { unix: { connect: [/run/x] } }\nfilesystem: { read: [/run] }",
            Isolation::Process,
            "nothing that needs",
        ),
    ] {
        let (taken, why) = auto(yaml, made);
        assert_eq!(taken, isolation, "{yaml}");
        assert!(why.contains(because), "{yaml}: {why}");
    }
    // What process isolation has in a weaker form it gives where it must.
    let (taken, why) = auto("filesystem: { private_tmp: true }", Err(Obstacle::NoRoom));
    assert_eq!(taken, Isolation::Process);
    assert!(why.contains("max_user_namespaces"), "{why}");
    let changes_user = "user: nobody\nfilesystem: { private_tmp: true }";
    assert_eq!(auto(changes_user, made).0, Isolation::Process);
    // What it does not have is missing.
    let plan = plan(&format!("isolation: auto\n{BOTH}"), Err(Obstacle::NoRoom)).unwrap();
    assert_eq!(plan.settled().isolation, Isolation::Namespaces);
    let missing: Vec<_> = plan.enforcement().missing().iter().collect();
    assert_eq!(missing.len(), 2, "{missing:?}");
    assert!(missing.contains(&&Obstacle::NoRoom.missing()));
    // Without a choice there is no reason.
    assert_eq!(settled(BOTH, made), (Isolation::Process, String::new()));
}

#[test]
fn a_root_of_granted_paths_stands_in_for_the_rule_that_landlock_lacks() {
    let missing = |yaml: &str| {
        let plan = plan(yaml, Ok(Means::Privilege)).unwrap();
        let instead = plan.taken_over().iter().map(ToString::to_string).collect();
        (plan.enforcement().missing().len(), instead)
    };
    let instead = "Landlock's right to connect to UNIX sockets by path: the plugin's own root folder \
                   shows no sockets but those in granted paths";
    let (lacks, by): (_, Vec<String>) = missing(&format!("isolation: namespaces\n{BOTH}"));
    assert_eq!((lacks, by), (0, vec![instead.to_string()]));
    let (lacks, by) = missing(BOTH);
    assert_eq!((lacks, by), (1, Vec::new()));
    for wide in [
        "/",
        "/run",
        "/run/",
        "/var",
        "/tmp",
        "/run/user/0",
        "/var/run/user/1000",
        "${HOME}",
    ] {
        let yaml = format!("isolation: namespaces\n{BOTH}\nfilesystem: {{ read: [\"{wide}\"] }}");
        assert_eq!(missing(&yaml).0, 1, "{wide}");
        // Its sockets lead nowhere.
        let yaml = yaml.replace("read", "apart");
        assert!(wide == "/" || missing(&yaml).0 == 0, "{wide}");
    }
    for narrow in ["/run/systemd/resolve", "/srv", "${HOME}/x", "{runtime_dir}"] {
        let yaml = format!("isolation: namespaces\n{BOTH}\nfilesystem: {{ read: [\"{narrow}\"] }}");
        assert_eq!(missing(&yaml).0, 0, "{narrow}");
    }
}

#[test]
fn temporary_files_of_its_own_are_in_memory_or_in_the_launchs_folder() {
    let yaml = "filesystem: { private_tmp: true }";
    let writes = |yaml: &str| {
        let plan = plan(yaml, Ok(Means::Privilege)).unwrap();
        let grants = plan.landlock().unwrap().grants.clone();
        let writes = grants
            .into_iter()
            .filter(|grant| grant.kind == GrantKind::Write);
        let memory = plan.namespaces().and_then(|plan| plan.temporary);
        let Step::Environment(names) = &plan.steps()[0] else {
            panic!("no environment");
        };
        assert!(names.contains(&"TMPDIR".into()), "{names:?}");
        assert!(plan.seccomp().unwrap().writes);
        let paths: Vec<String> = writes.map(|grant| grant.path).collect();
        (paths.join(" "), plan.temporary().map(String::from), memory)
    };
    assert_eq!(writes(yaml), ("/own".into(), Some("/own".into()), None));
    let all = Some(SharedMemory {
        size: Some(4 << 30),
    });
    let (paths, folder, memory) = writes(&format!("isolation: namespaces\n{yaml}"));
    assert_eq!(paths, "/tmp /var/tmp /dev/shm");
    assert_eq!((folder.as_deref(), memory), (Some("/tmp"), all));
}

#[test]
fn what_lies_in_a_tmp_of_its_own_is_not_granted_less_than_its_rule_admits() {
    let refused = |grants: &str| {
        let yaml = format!("isolation: namespaces\n{grants}");
        plan(&yaml, Ok(Means::Privilege)).is_err()
    };
    let bind = "network: { unix: { bind: [/tmp/run] } }\nfilesystem: { private_tmp: true";
    assert!(refused(&format!("{bind} }}")));
    assert!(!refused(&format!("{bind}, write: [/tmp/run] }}")));
    assert!(!refused(
        "filesystem: { private_tmp: true, read: [/tmp/in] }"
    ));
}

#[test]
fn proc_shows_the_system_only_where_a_grant_asks() {
    let only = |grants: &[Grant]| proc(grants).only_processes;
    assert!(only(&[]));
    assert!(only(&[grant(GrantKind::Read, "/proc/self/status")]));
    assert!(!only(&[grant(GrantKind::Read, "/proc/meminfo")]));
    assert!(!only(&[grant(GrantKind::Read, "/proc")]));
    assert!(!only(&[grant(GrantKind::Read, "/")]));
    assert!(!proc(&[grant(GrantKind::Read, "/proc")]).writable);
    assert!(proc(&[grant(GrantKind::Write, "/proc/self")]).writable);
}

fn plan(yaml: &str, namespaces: Result<Means, Obstacle>) -> Result<SandboxPlan, String> {
    let lookup = |name: &str| {
        let text = builtin::source(name)?;
        Some(RawProfile::parse(text.as_bytes(), name))
    };
    let raw = RawProfile::parse(yaml.as_bytes(), "p").unwrap();
    let profile = resolve(&raw, "p", &lookup).unwrap();
    let inputs = Inputs {
        kernel: KernelFacts {
            landlock_abi: 7,
            seccomp: true,
            withheld: Default::default(),
            namespaces,
        },
        policy: Policy::Permissive,
        environment: &Environment::default(),
        superuser: false,
        expand: &|path| {
            let known = [
                ("${HOME}", "/home/u"),
                ("{runtime_dir}", "/run/secure-exec/p"),
            ];
            let replace = |path: String, (name, value)| path.replace(name, value);
            Ok(known.into_iter().fold(path.to_string(), replace))
        },
        libraries_pinned: false,
        temporary: "/own",
    };
    crate::plan::lower(&profile, &inputs)
}

const ALL: &str =
    "isolation: namespaces\nworking_directory: /\nuser: nobody\nprocesses: { new_session: true }";

#[test]
fn namespaces_come_first_and_the_filter_last() {
    let plan = plan(ALL, Ok(Means::Privilege)).unwrap();
    let order: Vec<&str> = plan
        .steps()
        .iter()
        .map(|step| match step {
            Step::Environment(_) => "environment",
            Step::Inherited => "inherited",
            Step::Namespaces(_) => "namespaces",
            Step::WorkingDirectory(_) => "folder",
            Step::NewSession => "session",
            Step::Umask(_) => "umask",
            Step::Limits(_) => "limits",
            Step::User(_) => "user",
            Step::Capabilities(_) => "capabilities",
            Step::Descriptors => "descriptors",
            Step::NoNewPrivileges => "no_new_privs",
            Step::Landlock(_) => "landlock",
            Step::Seccomp(_) => "seccomp",
        })
        .collect();
    let expected = "environment inherited namespaces folder session umask limits user descriptors \
                    capabilities no_new_privs landlock seccomp";
    assert_eq!(order.join(" "), expected);
    assert_eq!(plan.seccomp().unwrap().own_pid, Some(PLUGIN_PID));
}

#[test]
fn what_can_not_be_made_is_missing_and_not_planned() {
    let plan = plan("isolation: namespaces", Err(Obstacle::NoRoom)).unwrap();
    assert!(plan.namespaces().is_none() && plan.landlock().is_some());
    assert_eq!(plan.seccomp().unwrap().own_pid, None);
    let missing = plan.enforcement().missing();
    assert_eq!(missing, [Obstacle::NoRoom.missing()]);
}

#[test]
fn a_network_is_shared_exactly_where_something_of_it_is_granted() {
    for (grant, own) in [
        ("{}", true),
        ("{ unix: { bind: [/run/p] } }", true),
        ("{ tcp: { connect: [443] } }", false),
        ("{ tcp: { bind: \"*\" } }", false),
        ("{ udp: true }", false),
        ("{ netlink: true }", false),
        ("{ icmp: true }", false),
        ("{ unix: { abstract: true } }", false),
    ] {
        let yaml = format!("isolation: namespaces\nnetwork: {grant}");
        let plan = plan(&yaml, Ok(Means::UserNamespace)).unwrap();
        assert_eq!(plan.namespaces().unwrap().own_network, own, "{grant}");
    }
}

#[test]
fn a_user_namespace_gives_no_power_over_the_system() {
    let refused = plan(ALL, Ok(Means::UserNamespace)).unwrap_err();
    assert!(refused.starts_with("'user' with"), "{refused}");
}

#[test]
fn every_obstacle_has_a_number_of_its_own() {
    for (number, obstacle) in Obstacle::ALL.into_iter().enumerate() {
        assert_eq!(obstacle as usize, number);
    }
}

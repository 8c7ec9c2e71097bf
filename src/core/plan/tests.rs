//! Which kernel enforces which profile, and who does it.

use super::namespaces::Obstacle;
use super::*;
use crate::policy::Policy;
use crate::profile::{RawProfile, builtin, resolve};

const ABIS: std::ops::RangeInclusive<u8> = 0..=10;

/// The plan of a profile that extends `default`, or of a shipped one.
fn plan(profile: &str, landlock_abi: u8, seccomp: bool) -> SandboxPlan {
    let lookup =
        |name: &str| builtin::source(name).map(|text| RawProfile::parse(text.as_bytes(), name));
    let raw = match lookup(profile) {
        Some(raw) => raw.unwrap(),
        None => {
            let text = format!("version: 1\nname: p\nextends: default\n{profile}\n");
            RawProfile::parse(text.as_bytes(), "p").unwrap()
        }
    };
    let profile = resolve(&raw, "p", &lookup).unwrap();
    let inputs = Inputs {
        kernel: KernelFacts {
            landlock_abi,
            seccomp,
            withheld: Default::default(),
            namespaces: Err(Obstacle::Untried),
        },
        policy: Policy::Strict,
        environment: &Environment::default(),
        superuser: false,
        expand: &|text| Ok(text.replace("{runtime_dir}", "/run/p")),
        libraries_pinned: false,
        temporary: "/own",
    };
    lower(&profile, &inputs).unwrap()
}

fn missing(profile: &str, abi: u8) -> Vec<&'static str> {
    let plan = plan(profile, abi, true);
    let missing = plan.enforcement().missing().iter();
    missing.map(|missing| missing.protection).collect()
}

fn taken_over(profile: &str, abi: u8) -> Vec<&'static str> {
    let plan = plan(profile, abi, true);
    let taken_over = plan.taken_over().iter();
    taken_over.map(|taken_over| taken_over.protection).collect()
}

const FILES: &str = "Landlock file rules";
const TRUNCATE: &str = "Landlock's truncate right";
const TCP: &str = "Landlock's TCP port rules";
const IOCTL: &str = "Landlock's device ioctl right";
const SIGNALS: &str = "Landlock's signal scope";
const ABSTRACT: &str = "Landlock's abstract UNIX socket scope";
const BY_PATH: &str = "Landlock's right to connect to UNIX sockets by path";

#[test]
fn default_is_enforced_from_landlocks_first_abi_on() {
    assert_eq!(missing("default", 0), [FILES]);
    assert_eq!(taken_over("default", 0), [SIGNALS]);
    for abi in ABIS.skip(1) {
        assert_eq!(missing("default", abi), [""; 0], "ABI {abi}");
        let expected: &[&str] = match abi {
            1..=2 => &[TRUNCATE, SIGNALS],
            3..=5 => &[SIGNALS],
            _ => &[],
        };
        assert_eq!(taken_over("default", abi), expected, "ABI {abi}");
    }
}

#[test]
fn the_filter_is_told_what_landlock_leaves_to_it() {
    for abi in ABIS {
        let stand_in = plan("default", abi, true).seccomp().unwrap().stand_in;
        assert_eq!(stand_in.truncate, (1..3).contains(&abi), "ABI {abi}");
        assert_eq!(stand_in.signals, abi < 6, "ABI {abi}");
        assert!(!stand_in.device_ioctls);
        let device = plan("filesystem: { devices: [kvm] }", abi, true);
        let stand_in = device.seccomp().unwrap().stand_in;
        assert_eq!(stand_in.device_ioctls, (1..5).contains(&abi), "ABI {abi}");
    }
    let any = plan("processes: { signals: any }", 2, true);
    assert!(!any.seccomp().unwrap().stand_in.signals);
}

#[test]
fn every_way_to_a_device_counts() {
    for grant in [
        "devices: [kvm]",
        "read: [/]",
        "read: [-/dev/dri]",
        "code: [-/dev/dri]",
        "write: [/dev/shm]",
        "execute: [/]",
    ] {
        let profile = format!("filesystem: {{ {grant} }}");
        assert!(taken_over(&profile, 4).contains(&IOCTL), "{grant}");
        assert!(!taken_over(&profile, 5).contains(&IOCTL), "{grant}");
    }
}

#[test]
fn ports_are_landlocks_alone_and_no_ports_the_filters() {
    let listed = "network: { tcp: { connect: [443] } }";
    let any = "network: { tcp: { connect: '*' } }";
    let any_and_udp = "network: { tcp: { connect: '*' }, udp: true }";
    for abi in 1..4 {
        assert_eq!(missing(listed, abi), [TCP]);
        // bind(2) is refused, so there is no port to limit.
        assert_eq!(missing(any, abi), [""; 0]);
        assert!(taken_over(any, abi).contains(&TCP));
        // UDP brings bind(2) in.
        assert_eq!(missing(any_and_udp, abi), [TCP]);
    }
    for profile in [listed, any, any_and_udp] {
        assert_eq!(missing(profile, 4), [""; 0]);
        assert!(!taken_over(profile, 4).contains(&TCP));
    }
    assert_eq!(missing("network-client", 2), [TCP]);
    assert_eq!(missing("network-service", 2), [TCP]);
}

#[test]
fn unix_sockets_that_connect_are_landlocks_alone() {
    let by_path = "network: { unix: { connect: [/run/x] } }";
    assert_eq!(missing(by_path, 5), [ABSTRACT, BY_PATH]);
    assert_eq!(missing(by_path, 6), [BY_PATH]);
    assert_eq!(missing(by_path, 9), [""; 0]);
    // A UNIX socket to bind, and connect(2) for another family.
    let mixed = "network: { unix: { bind: [/run/x] }, tcp: { connect: '*' } }";
    assert_eq!(missing(mixed, 6), [BY_PATH]);
    let everywhere = "network: { unix: { connect: [/] }, tcp: { connect: '*' } }";
    assert_eq!(missing(everywhere, 6), [""; 0]);
    assert_eq!(missing("go-plugin", 2), [""; 0]);
    let abstract_alone = "network: { unix: { abstract: true } }";
    assert_eq!(missing(abstract_alone, 8), [BY_PATH]);
}

#[test]
fn a_filter_that_only_logs_stands_in_for_no_socket_rule() {
    let logs = "syscalls: { on_violation: log }";
    assert_eq!(missing(logs, 2), [TCP, ABSTRACT]);
    assert_eq!(taken_over(logs, 2), [TRUNCATE, SIGNALS]);
    assert_eq!(missing(logs, 6), [""; 0]);
}

#[test]
fn with_children_no_signal_is_admitted_at_all() {
    let words = |profile: &str| plan(profile, 2, true).taken_over()[1].instead;
    assert_eq!(words("python"), "refuses all signals");
    assert!(words("default").contains("own process alone"));
}

#[test]
fn without_filters_the_filter_covers_nothing() {
    let plan = plan("default", 2, false);
    let missing = plan.enforcement().missing().iter();
    let missing: Vec<_> = missing.map(|missing| missing.protection).collect();
    assert_eq!(missing, ["seccomp filters", TRUNCATE, SIGNALS]);
    assert!(plan.seccomp().is_none());
    assert!(plan.taken_over().is_empty());
    assert!(plan.landlock().is_some());
}

//! Every attack of the suite (`suite/*.c`) works without a sandbox, and is
//! refused under `default` with one folder to read and one to write. What is
//! not refused stands here by name, with the paragraph of SECURITY.md that says
//! so. In namespaces, with the folder to read shown apart, every one is refused.
//! Honest work goes on.

pub(crate) mod stage;

use crate::kit::{EVERYONE, User};
use stage::{Answer, Case, Stage};

/// Attacks by group.
const GROUPS: &[(&str, usize)] = &[
    ("IPC", 16),
    ("execution", 41),
    ("files", 97),
    ("inheritance", 33),
    ("kernel surface", 66),
    ("limits", 20),
    ("mounts and namespaces", 29),
    ("network", 28),
    ("processes", 62),
    ("the product's own parts", 21),
];

/// Attacks that a kernel without the feature, or a machine without the right,
/// refuses anyway; where they work, they count.
const NOT_EVERYWHERE: &[&str] = &[
    // The kernel lacks it.
    "alg",
    "call_of_x32",
    "kexec",
    "module_delete",
    "module_init",
    "module_init_file",
    "ports_level",
    "ports_range",
    "proc_sysrq",
    "sctp",
    "smc",
    // Root's alone, as the kernel is set (kernel.unprivileged_bpf_disabled).
    "bpf_map",
    "bpf_program",
    // In a container root lacks CAP_SYS_RESOURCE, CAP_SYS_NICE and block devices.
    "device_disk",
    "inherited_class",
    "inherited_class_right",
    "inherited_nice",
    "inherited_nice_right",
    "inherited_storage",
    "limit_raise",
    "memory_layout",
];

/// What is no boundary, for whom, and where SECURITY.md says so.
const THROUGH: &[(&str, &[User], &str)] = &[
    ("stat_outside", &EVERYONE, "**Metadata.**"),
    ("readlink_outside", &EVERYONE, "**Metadata.**"),
    ("fchmod_readable", &[User::Ordinary], MODES),
    ("futimens_readable", &[User::Ordinary], MODES),
    (
        "processes_threads",
        &[User::Root],
        "**Memory and processes of root.**",
    ),
    ("code_file", &EVERYONE, MAPPED),
    ("code_shared_private", &EVERYONE, MAPPED),
    ("stream_code", &EVERYONE, MAPPED),
    ("get_capabilities", &EVERYONE, NUMBERS),
    ("get_scheduler", &EVERYONE, NUMBERS),
    ("lock", &EVERYONE, "**Locks.**"),
];
/// In namespaces, where the folder to read is not shown apart.
const THROUGH_READ: &[(&str, &[User], &str)] = &[("lock", &EVERYONE, "**Locks.**")];
const MODES: &str = "**Modes and times of files that a plugin's user owns";
const NUMBERS: &str = "**Processes by their numbers.**";
const MAPPED: &str = "**Writable files that are mapped executable.**";

#[test]
fn the_suite_has_this_many_attacks() {
    let cases = stage::cases();
    for (group, count) in GROUPS {
        let found = cases.iter().filter(|case| case.group == *group).count();
        assert_eq!(found, *count, "{group}");
    }
    let attacks = cases.iter().filter(|case| !case.is_honest()).count();
    assert_eq!(
        attacks,
        GROUPS.iter().map(|(_, count)| count).sum::<usize>()
    );
    assert!(NOT_EVERYWHERE.len() <= 21);
}

#[test]
fn files_outside_stay_closed() {
    refused("files");
}

#[test]
fn mounts_and_namespaces_stay_as_they_are() {
    refused("mounts and namespaces");
}

#[test]
fn nothing_else_is_executed() {
    refused("execution");
}

#[test]
fn other_processes_stay_alone() {
    refused("processes");
}

#[test]
fn the_kernels_surface_stays_small() {
    refused("kernel surface");
}

#[test]
fn nobody_is_reached_by_network() {
    refused("network");
}

#[test]
fn nobody_is_reached_by_shared_memory_and_queues() {
    refused("IPC");
}

#[test]
fn nothing_is_inherited() {
    refused("inheritance");
}

#[test]
fn limits_hold() {
    refused("limits");
}

#[test]
fn the_products_own_parts_stay_whole() {
    refused("the product's own parts");
}

#[test]
fn what_is_not_refused_is_named_in_the_security_page() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/SECURITY.md"));
    let page = page.unwrap();
    let (_, no_boundary) = page.split_once("## What is not a boundary").unwrap();
    let cases = stage::cases();
    for (name, _, paragraph) in THROUGH.iter().chain(THROUGH_READ) {
        assert!(no_boundary.contains(paragraph), "{name}: {paragraph}");
    }
    let names = THROUGH
        .iter()
        .map(|(name, _, _)| name)
        .chain(NOT_EVERYWHERE);
    for name in names {
        assert!(cases.iter().any(|case| case.name == *name), "{name}");
    }
}

#[test]
fn honest_work_goes_on_as_well() {
    for user in EVERYONE {
        let stage = Stage::new(user, None);
        let honest = stage::cases().into_iter().filter(Case::is_honest);
        for case in honest {
            let profile = if case.has_children() {
                "children"
            } else {
                "boxed"
            };
            let launched = [profile.to_string(), format!("{profile}-apart")];
            let launched = launched.map(|profile| stage.launched(&profile));
            for words in [stage.bare()].into_iter().chain(launched) {
                let answer = stage.attempt(&case, &words);
                assert_eq!(
                    answer,
                    Ok(Answer::Worked),
                    "{user:?} {words:?} {}",
                    case.name
                );
            }
        }
    }
}

/// Each attack of a group works bare, and is refused launched, in namespaces
/// always, else unless it stands in the list.
#[track_caller]
fn refused(group: &str) {
    let mut wrong = Vec::new();
    for user in EVERYONE {
        let stage = Stage::new(user, None);
        let cases = stage::cases().into_iter();
        for case in cases.filter(|case| case.group == group && case.is_for(user)) {
            let name = &*case.name;
            match stage.attempt(&case, &stage.bare()) {
                Ok(Answer::Worked) => {}
                Ok(_) if NOT_EVERYWHERE.contains(&name) => continue,
                other => {
                    wrong.push(format!("{user:?} bare {name} ({}): {other:?}", case.line));
                    continue;
                }
            }
            for (profile, through) in [
                ("boxed", THROUGH),
                ("boxed-apart", &[]),
                ("boxed-read", THROUGH_READ),
            ] {
                // Elsewhere it makes no difference.
                if profile == "boxed-read" && group != "files" {
                    continue;
                }
                let is_through = through
                    .iter()
                    .any(|(through, whom, _)| *through == name && whom.contains(&user));
                match stage.attempt(&case, &stage.launched(profile)) {
                    Ok(answer) if (answer == Answer::Worked) == is_through => {}
                    other => {
                        wrong.push(format!(
                            "{user:?} {profile} {name} ({}): {other:?}",
                            case.line
                        ));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

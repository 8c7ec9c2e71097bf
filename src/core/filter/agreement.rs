//! Compiled filters keep to the policy, on random profiles and on every call
//! with every telling argument; and the program does what the verdicts say.

use proptest::prelude::*;

use super::assemble::{ALLOW, Check};
use super::reference::{OWN, Reference, TICKET, Wanted};
use super::*;

fn name() -> impl Strategy<Value = String> {
    let names: Vec<String> = syscall::table(Arch::X86_64)
        .iter()
        .map(|(name, _)| (*name).to_string())
        .collect();
    let groups = [
        "@system-service",
        "@network-io",
        "@ipc",
        "@process",
        "@privileged",
        "@file-system",
    ];
    let groups: Vec<String> = groups
        .iter()
        .filter(|name| syscall::group(name).is_some())
        .map(|name| (*name).to_string())
        .collect();
    assert!(groups.len() > 3);
    prop_oneof![4 => prop::sample::select(names), 1 => prop::sample::select(groups)]
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let names = || prop::collection::vec(name(), 0..6);
    let violation = prop::sample::select(vec![
        OnViolation::Errno,
        OnViolation::Kill,
        OnViolation::Log,
    ]);
    let sockets = any::<[bool; 11]>().prop_map(|[a, b, c, d, e, f, g, h, i, j, k]| Sockets {
        tcp: a,
        tcp_connect: b,
        tcp_bind: c,
        udp: d,
        unix: e,
        unix_connect: f,
        unix_bind: g,
        netlink: h,
        icmp: i,
        icmp_raw: j,
        served: k,
    });
    let arch = prop::sample::select(vec![Arch::X86_64, Arch::Aarch64]);
    let more = prop::collection::vec((names(), names()), 0..3);
    (
        violation,
        sockets,
        any::<[bool; 10]>(),
        any::<bool>(),
        arch,
        more,
    )
        .prop_map(
            |(on_violation, sockets, switches, landlock_exec, arch, more)| {
                let base = (vec!["@system-service".to_string()], Vec::new());
                let layers = std::iter::once(base).chain(more).collect();
                Wanted {
                    layers,
                    on_violation,
                    sockets,
                    switches,
                    landlock_exec,
                    arch,
                }
            },
        )
}

/// Numbers at which a policy may turn: small ones, each bit, the plugin's own
/// process id and its neighbours, commands that have a name.
pub(super) fn telling() -> Vec<u64> {
    let own = u64::from(OWN);
    let mut values: Vec<u64> = (0..110).collect();
    values.extend((0..64).map(|bit| 1_u64 << bit));
    values.extend((0..32).map(|bit| u64::from(u32::MAX) ^ 1 << bit));
    values.extend([
        own - 1,
        own,
        own + 1,
        u64::from(u32::MAX),
        u64::MAX,
        u64::MAX - 4094,
        u64::MAX - 4095,
    ]);
    // Clocks of processes and of a descriptor.
    let clocks = [0, 1, OWN]
        .into_iter()
        .flat_map(|of| (0..8).map(move |kind| u64::from(!of << 3 | kind)));
    values.extend(clocks);
    values.extend([
        0x12, 0x21, 0x22, 0x32, 0x111, 0x802, 0x812, 0x4022, 0x2_0022, 0x4_0022, 262,
    ]);
    values.extend([
        0o644, 0o1003, 0o2755, 0o4755, 0o010_644, 0o020_600, 0o060_600, 0o104_755, 0o140_600,
    ]);
    values.extend(1022..1045);
    values.extend(0x1000..0x1005);
    values.extend([0x1011, 0x1012, 0x2001, 0x2003, 0x3001, 0x5001, 0x5004]);
    values.extend(0x5400..0x5464);
    values.extend(0x8900..0x8950);
    values.extend([
        0x3d_0f00, 0x7d_0f00, 0x5_0f00, 0x120_0011, 0x4111, 0x8011, 0x80800, 0x80801, 0x80802,
    ]);
    values.extend([
        0x4008_6602,
        0x4008_7602,
        0x4008_6604,
        0x401c_5820,
        0x4080_6685,
        0x4004_9409,
        0x8008_6601,
    ]);
    values.extend([
        0xc004_5877,
        0x8004_587d,
        0xc050_6617,
        0x5000_940e,
        0x6609,
        0x4b47,
        0x4004_54ca,
        0x1277,
    ]);
    values.extend([
        0x5356_4d41,
        0x4155_5856,
        0x5961_6d61,
        0x1200_8011,
        0x8011_1500,
        0xae01,
        0xc0ff_ff0b,
    ]);
    values.extend([TICKET.path, TICKET.argv, TICKET.envp]);
    values
}

fn argument() -> impl Strategy<Value = u64> {
    let telling = prop::sample::select(telling());
    prop_oneof![
        6 => telling.clone(),
        2 => telling.prop_map(|value| value | 0xdead_beef_0000_0000),
        1 => 0..70_u64,
        1 => any::<u64>(),
    ]
}

/// A word of the arguments, as the kernel shows it to a filter.
fn holds(check: &Check, own: &Own, args: &[u64; 6]) -> bool {
    check.alternatives.iter().any(|tests| {
        tests.iter().all(|test| {
            let at = (test.offset - 16) as usize;
            let [low, upper] = checks::halves(args[at / 8]);
            let word = if at.is_multiple_of(8) { low } else { upper } & test.mask;
            let mut one = [(0, 0)];
            let ranges = own.ranges(&test.values, &mut one);
            ranges
                .iter()
                .any(|(first, last)| (*first..=*last).contains(&word))
        })
    })
}

/// What the verdict says, without the program.
fn said(verdict: &Verdict, own: &Own, args: &[u64; 6]) -> u32 {
    match verdict {
        Verdict::Return(action) => *action,
        Verdict::Check(check) if holds(check, own, args) => ALLOW,
        Verdict::Check(check) => check.refused,
    }
}

/// Profiles of all kinds: each switch and each socket by itself, none, all.
pub(super) fn shapes() -> Vec<Wanted> {
    let layers = |names: &[&str]| {
        let named = names.iter().map(|name| (*name).to_string()).collect();
        vec![
            (
                vec!["@system-service".to_string(), "@privileged".to_string()],
                vec![],
            ),
            (named, vec![]),
        ]
    };
    let named = layers(&[
        "ioctl",
        "setns",
        "shmat",
        "shmget",
        "memfd_create",
        "mq_open",
        "seccomp",
        "kcmp",
        "io_setup",
    ]);
    let mut shapes = Vec::new();
    for arch in [Arch::X86_64, Arch::Aarch64] {
        let plain = Wanted {
            layers: layers(&[]),
            on_violation: OnViolation::Errno,
            sockets: Sockets::default(),
            switches: [false; 10],
            landlock_exec: false,
            arch,
        };
        shapes.push(plain.clone());
        shapes.push(Wanted {
            layers: named.clone(),
            ..plain.clone()
        });
        shapes.push(Wanted {
            switches: [true; 10],
            landlock_exec: true,
            ..plain.clone()
        });
        // The rules are the same; the numbers differ.
        if arch == Arch::Aarch64 {
            continue;
        }
        for switch in 0..10 {
            let mut switches = [false; 10];
            switches[switch] = true;
            shapes.push(Wanted {
                switches,
                layers: named.clone(),
                ..plain.clone()
            });
        }
        for sockets in [
            Sockets {
                tcp: true,
                tcp_connect: true,
                ..Sockets::default()
            },
            Sockets {
                tcp: true,
                tcp_bind: true,
                ..Sockets::default()
            },
            Sockets {
                udp: true,
                ..Sockets::default()
            },
            Sockets {
                unix: true,
                unix_connect: true,
                unix_bind: true,
                ..Sockets::default()
            },
            Sockets {
                icmp: true,
                ..Sockets::default()
            },
            Sockets {
                icmp: true,
                icmp_raw: true,
                ..Sockets::default()
            },
            Sockets {
                served: true,
                ..Sockets::default()
            },
            Sockets {
                netlink: true,
                ..Sockets::default()
            },
        ] {
            shapes.push(Wanted {
                sockets,
                layers: named.clone(),
                ..plain.clone()
            });
        }
        for on_violation in [OnViolation::Kill, OnViolation::Log] {
            shapes.push(Wanted {
                on_violation,
                ..plain.clone()
            });
        }
    }
    shapes
}

/// Calls whose second argument only counts beside a first, or the other way.
const TOGETHER: &[(&str, &[[u64; 4]])] = &[
    (
        "mmap",
        &[
            [0, 4096, 5, 0],
            [0, 4096, 4, 0],
            [0, 4096, 6, 0],
            [0, 4096, 3, 0],
        ],
    ),
    (
        "setsockopt",
        &[
            [0, 0, 0, 0],
            [0, 1, 0, 0],
            [0, 6, 0, 0],
            [0, 17, 0, 0],
            [0, 41, 0, 0],
            [0, 255, 0, 0],
            [0, 270, 0, 0],
        ],
    ),
    (
        "getsockopt",
        &[
            [0, 0, 0, 0],
            [0, 1, 0, 0],
            [0, 6, 0, 0],
            [0, 17, 0, 0],
            [0, 41, 0, 0],
            [0, 255, 0, 0],
            [0, 270, 0, 0],
        ],
    ),
    (
        "socket",
        &[
            [2, 1, 0, 0],
            [2, 2, 0, 0],
            [10, 1, 0, 0],
            [1, 1, 0, 0],
            [16, 3, 0, 0],
        ],
    ),
    ("socketpair", &[[1, 1, 0, 0]]),
    (
        "openat",
        &[
            [0, 0, 0o101, 0o644],
            [0, 0, 0o1000, 0],
            [0, 0, 0o20_000_001, 0o600],
        ],
    ),
    ("open", &[[0, 0o101, 0o644, 0], [0, 0o1000, 0, 0]]),
    ("mremap", &[[0, 4096, 8192, 1]]),
    ("ioprio_set", &[[1, 0, 0, 0]]),
    ("ioprio_get", &[[1, 0, 0, 0]]),
    (
        "execveat",
        &[[TICKET.fd as u64, TICKET.path, TICKET.argv, TICKET.envp]],
    ),
];

#[test]
fn every_call_with_every_telling_argument_keeps_to_the_policy() {
    let telling = telling();
    let mut judged = 0_u32;
    for wanted in shapes() {
        let request = wanted.request();
        let filter = compile(&request).unwrap();
        let reference = Reference::of(request);
        for (name, number) in syscall::table(wanted.arch) {
            let judge = |args: [u64; 6]| {
                let action = filter.evaluate(&Call::native(wanted.arch, *number, args));
                let judgement = reference.judge(name, args, action);
                assert_eq!(judgement, Ok(()), "{name} {args:x?} {action:?} {wanted:?}");
            };
            judge([0; 6]);
            if filter.constant(*number).is_some() {
                // Nor does the policy look at arguments, then.
                for value in [1, u64::from(u32::MAX), u64::MAX] {
                    judge([value; 6]);
                }
                continue;
            }
            judged += 1;
            let together = TOGETHER.iter().find(|(of, _)| of == name);
            let bases = together.map_or(&[[0; 4]][..], |(_, bases)| bases);
            for base in bases {
                let [a, b, c, d] = *base;
                for argument in 0..6 {
                    for value in &telling {
                        let mut args = [a, b, c, d, 0, 0];
                        args[argument] = *value;
                        judge(args);
                    }
                }
            }
        }
    }
    assert!(judged > 500, "{judged}");
}

#[test]
fn each_call_of_both_architectures_has_a_row_and_a_reason() {
    for arch in [Arch::X86_64, Arch::Aarch64] {
        for (name, number) in syscall::table(arch) {
            let row = table::row(arch, *number).unwrap_or_else(|| panic!("{name}"));
            assert!(row.calls.contains(name), "{name}");
            assert!(!row.why.is_empty(), "{name}");
        }
    }
    for name in table::ROWS.iter().flat_map(|row| row.calls) {
        assert!(syscall::is_known(name), "{name}");
    }
}

#[test]
fn what_a_profile_names_is_told_with_its_reason() {
    let layer = |allow: &[&str], deny: &[&str]| {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_string()).collect();
        (names(allow), names(deny))
    };
    let layers = [
        layer(&["@ipc", "memfd_create", "shmat", "ptrace", "read"], &[]),
        layer(&[], &["shmat"]),
    ];
    let told = named(Arch::X86_64, &layers).unwrap();
    let names: Vec<_> = told.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["memfd_create", "ptrace"]);
    assert!(told[0].1.contains("limits.memory"), "{told:?}");
}

#[test]
fn the_manual_names_each_call_that_a_profile_has_to_name() {
    let page = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../ci/man/secure-exec-profile.5"
    );
    let page = std::fs::read_to_string(page).unwrap();
    let (_, section) = page.split_once(".SH \"CALLS BY NAME\"").unwrap();
    let (section, _) = section.split_once(".SH ").unwrap();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut named: Vec<_> = section
        .lines()
        .filter(|line| line.starts_with(".B"))
        .flat_map(|line| line.split(|c| !is_name(c)).skip(2))
        .filter(|word| syscall::is_known(word))
        .collect();
    named.sort_unstable();
    let rows = table::ROWS.iter();
    let mut by_name: Vec<_> = rows
        .filter(|row| row.rank == Rank::OnlyByName)
        .flat_map(|row| row.calls.iter().copied())
        .collect();
    by_name.sort_unstable();
    assert_eq!(named, by_name);
}

#[test]
fn lists_of_values_are_sorted_with_gaps() {
    for wanted in shapes() {
        let request = wanted.request();
        let verdicts = rules::verdicts(
            &request,
            &Admitted::collect(request.arch, request.layers).unwrap(),
        );
        for verdict in verdicts {
            let Verdict::Check(check) = verdict else {
                continue;
            };
            for test in check.alternatives.iter().flatten() {
                let Values::In(ranges) = test.values else {
                    continue;
                };
                assert!(
                    ranges.iter().all(|(first, last)| first <= last),
                    "{ranges:x?}"
                );
                let has_gaps = ranges.windows(2).all(|pair| pair[0].1 < pair[1].0);
                assert!(has_gaps, "{ranges:x?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn a_filter_keeps_to_the_policy(
        wanted in wanted(),
        draws in prop::collection::vec(prop::array::uniform6(argument()), 24),
    ) {
        let request = wanted.request();
        let filter = compile(&request).unwrap();
        let reference = Reference::of(request);
        let verdicts = rules::verdicts(&request, &Admitted::collect(request.arch, request.layers).unwrap());
        let own = Own::new(OWN, if wanted.landlock_exec { ExecTicket::NONE } else { TICKET });
        for (name, number) in syscall::table(wanted.arch) {
            for args in &draws {
                let call = Call::native(wanted.arch, *number, *args);
                let is = filter.evaluate(&call);
                let judgement = reference.judge(name, *args, is);
                prop_assert_eq!(judgement, Ok(()), "{} {:x?} {:?} {:?}", name, args, is, wanted);
                let said = said(&verdicts[*number as usize], &own, args);
                prop_assert_eq!(is, Action::from_raw(said), "{} {:x?}", name, args);
            }
        }
    }

    #[test]
    fn no_other_number_is_a_call(wanted in wanted(), number in any::<u32>(), token in any::<u32>()) {
        let filter = compile(&wanted.request()).unwrap();
        let known = syscall::name(wanted.arch, number).is_some();
        let action = filter.evaluate(&Call::native(wanted.arch, number, [0; 6]));
        let x32 = wanted.arch == Arch::X86_64 && number >= 0x4000_0000;
        if x32 {
            prop_assert_eq!(action, Action::KillProcess);
        } else if !known {
            prop_assert_eq!(action, Action::Errno(38));
        }
        let native = Call::native(wanted.arch, 0, [0; 6]).arch_token;
        let other = Call { arch_token: token, number, args: [0; 6] };
        if token != native {
            prop_assert_eq!(filter.evaluate(&other), Action::KillProcess);
        }
    }
}

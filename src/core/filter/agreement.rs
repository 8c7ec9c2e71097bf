//! Compiled filters agree with the reference on random profiles and calls.

use proptest::prelude::*;

use super::reference::{Reference, TICKET, Wanted, action};
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
    let sockets = any::<[bool; 8]>().prop_map(|[a, b, c, d, e, f, g, h]| Sockets {
        tcp: a,
        tcp_connect: b,
        tcp_bind: c,
        udp: d,
        unix: e,
        unix_connect: f,
        unix_bind: g,
        netlink: h,
    });
    let arch = prop::sample::select(vec![Arch::X86_64, Arch::Aarch64]);
    let more = prop::collection::vec((names(), names()), 0..3);
    (
        violation,
        sockets,
        any::<[bool; 9]>(),
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

/// Arguments that checks look for, each in both halves of a register.
fn argument() -> impl Strategy<Value = u64> {
    let telling: Vec<u64> = vec![
        0,
        1,
        2,
        3,
        4,
        5,
        6,
        7,
        8,
        10,
        15,
        16,
        17,
        19,
        31,
        132,
        262,
        0o100,
        0o1000,
        0o1003,
        0x5402,
        0o644,
        0o2755,
        0o4755,
        0o010_644,
        0o020_600,
        0o060_600,
        0o100_644,
        0o104_755,
        0o140_600,
        0o20_000_000,
        0x1000,
        0x1_0000,
        0x2000,
        0x80_0000,
        0x3d_0f00,
        0x0120_0011,
        0x2000_0000,
        0x4000_0000,
        0x1000_0000,
        0x80800,
        0x80801,
        0x80802,
        0x5401,
        0x5412,
        0x541c,
        0x541d,
        0x5423,
        0x8901,
        0x8902,
        0x540e,
        0x5410,
        0x5437,
        0x8912,
        0x4008_6602,
        0x4008_6604,
        0x401c_5820,
        0x4080_6685,
        0x4004_9409,
        0xc004_5877,
        0x8008_6601,
        100,
        101,
        1024,
        1026,
        0x1200_8011,
        0x5356_4d41,
        0x4155_5856,
        0xffff_ffff,
        u64::MAX,
        4242,
        TICKET.path,
        TICKET.argv,
        TICKET.envp,
    ];
    let telling = prop::sample::select(telling);
    prop_oneof![
        6 => telling.clone(),
        2 => telling.prop_map(|value| value | 0xdead_beef_0000_0000),
        1 => 0..70_u64,
        1 => any::<u64>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn a_filter_means_what_the_reference_says(
        wanted in wanted(),
        draws in prop::collection::vec(prop::array::uniform6(argument()), 24),
    ) {
        let request = wanted.request();
        let filter = compile(&request).unwrap();
        let reference = Reference::of(request);
        for (name, number) in syscall::table(wanted.arch) {
            for args in &draws {
                let call = Call::native(wanted.arch, *number, *args);
                let (is, should) = (filter.evaluate(&call), action(&reference, name, *number, *args));
                prop_assert_eq!(is, should, "{} {:x?} {:?}", name, args, wanted);
                if filter.is_constant(*number) {
                    prop_assert_eq!(should, Action::Allow, "{}", name);
                }
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

//! Filters: what is compiled from a random request keeps to the policy on random
//! calls.

#![no_main]

use libfuzzer_sys::arbitrary::{Arbitrary, Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use secure_exec_core::arch::Arch;
use secure_exec_core::filter::reference::{Reference, TICKET, Wanted};
use secure_exec_core::filter::{self, Call, Sockets};
use secure_exec_core::profile::OnViolation;
use secure_exec_core::syscall;

fuzz_target!(|bytes: &[u8]| {
    let mut input = Unstructured::new(bytes);
    let Ok(wanted) = wanted(&mut input) else {
        return;
    };
    let request = wanted.request();
    let filter = filter::compile(&request).expect("known names compile");
    let reference = Reference::of(request);
    let table = syscall::table(wanted.arch);
    // Drawing from an empty input gives zeros, without end.
    while !input.is_empty() {
        let Ok((name, number, args)) = call(&mut input, table) else {
            return;
        };
        let is = filter.evaluate(&Call::native(wanted.arch, number, args));
        let judgement = reference.judge(name, args, is);
        assert_eq!(judgement, Ok(()), "{name} {args:x?} {is:?} {wanted:?}");
    }
});

fn wanted(input: &mut Unstructured<'_>) -> Result<Wanted> {
    let violations = [OnViolation::Errno, OnViolation::Kill, OnViolation::Log];
    let arch = *input.choose(&[Arch::X86_64, Arch::Aarch64])?;
    let mut layers = vec![(vec!["@system-service".to_string()], Vec::new())];
    for _ in 0..input.int_in_range(0..=3)? {
        layers.push((names(input)?, names(input)?));
    }
    let [
        tcp,
        tcp_connect,
        tcp_bind,
        udp,
        unix,
        unix_connect,
        unix_bind,
        netlink,
        icmp,
        icmp_raw,
        served,
    ] = <[bool; 11]>::arbitrary(input)?;
    Ok(Wanted {
        layers,
        on_violation: *input.choose(&violations)?,
        sockets: Sockets {
            tcp,
            tcp_connect,
            tcp_bind,
            udp,
            unix,
            unix_connect,
            unix_bind,
            netlink,
            icmp,
            icmp_raw,
            served,
        },
        switches: Arbitrary::arbitrary(input)?,
        landlock_exec: Arbitrary::arbitrary(input)?,
        arch,
    })
}

fn names(input: &mut Unstructured<'_>) -> Result<Vec<String>> {
    let groups = [
        "@network-io",
        "@ipc",
        "@process",
        "@privileged",
        "@file-system",
    ];
    let table = syscall::table(Arch::X86_64);
    (0..input.int_in_range(0..=6)?)
        .map(|_| {
            let name = if input.ratio(1, 5)? {
                *input.choose(&groups)?
            } else {
                input.choose(table)?.0
            };
            Ok(name.to_string())
        })
        .collect()
}

fn call(
    input: &mut Unstructured<'_>,
    table: &'static [(&'static str, u32)],
) -> Result<(&'static str, u32, [u64; 6])> {
    let (name, number) = *input.choose(table)?;
    let mut args = [0; 6];
    if input.ratio(1, 8)? {
        args = [
            TICKET.fd.into(),
            TICKET.path,
            TICKET.argv,
            TICKET.envp,
            TICKET.flags.into(),
            0,
        ];
    }
    for arg in &mut args {
        match input.int_in_range(0..=3)? {
            0 => *arg = u64::from(u8::arbitrary(input)?),
            1 => *arg = u64::from(u32::arbitrary(input)?),
            2 => *arg = u64::arbitrary(input)?,
            _ => {}
        }
    }
    Ok((name, number, args))
}

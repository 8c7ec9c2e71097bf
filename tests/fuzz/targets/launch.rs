//! From a whitelist to filters: the pure part of a launch. No panic; whatever
//! an entry's profile says, a plan ends in its filter, exec is open only where
//! the profile grants it, and calls that kill stay killed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use secure_exec_core::arch::Arch;
use secure_exec_core::decide::{Judgement, decide};
use secure_exec_core::filter::{self, Action, Call, ExecRule, ExecTicket, Request};
use secure_exec_core::plan::namespaces::{Means, Obstacle};
use secure_exec_core::plan::{self, Environment, Inputs, KernelFacts, SandboxPlan, Step};
use secure_exec_core::policy::Policy;
use secure_exec_core::profile::{Profile, RawProfile, builtin, expand, resolve};
use secure_exec_core::syscall;
use secure_exec_core::violation::Violation;
use secure_exec_core::whitelist::{Entry, Expected, ProfileRef, Whitelist};

fuzz_target!(|bytes: &[u8]| {
    let [abi, switches, text @ ..] = bytes else {
        return;
    };
    let Ok(whitelist) = Whitelist::parse(text, "whitelist") else {
        return;
    };
    for entry in &whitelist.entries {
        judged(entry);
        let Some(profile) = profile(entry) else {
            continue;
        };
        for policy in [Policy::Strict, Policy::Permissive, Policy::AuditOnly] {
            planned(&profile, policy, abi % 11, *switches);
        }
    }
});

fn judged(entry: &Entry) {
    let violations = match &entry.hash {
        Expected::Pinned(_) if entry.enabled => Vec::new(),
        Expected::Pinned(_) => vec![Violation::Disabled],
        Expected::Malformed(malformed) => vec![Violation::MalformedHash(malformed.clone())],
        Expected::Missing => vec![Violation::MissingHash],
    };
    let is_sound = violations.is_empty();
    let strict = decide(Policy::Strict, violations);
    assert_eq!(matches!(strict, Judgement::Sound), is_sound);
    assert!(!matches!(strict, Judgement::Waived { .. }));
}

fn profile(entry: &Entry) -> Option<Profile> {
    let lookup = |name: &str| {
        let source = builtin::source(name)?;
        Some(RawProfile::parse(source.as_bytes(), name))
    };
    match entry.profile.as_ref()? {
        ProfileRef::Inline(raw) => resolve(raw, "inline", &lookup).ok(),
        ProfileRef::Named(name) => {
            let raw = lookup(name)?.expect("built-in profiles have no mistake");
            Some(resolve(&raw, name, &lookup).expect("built-in profiles resolve"))
        }
    }
}

fn planned(profile: &Profile, policy: Policy, abi: u8, switches: u8) {
    let inherited = [("LD_PRELOAD", "x"), ("BASH_ENV", "x"), ("LANG", "C")];
    let inherited = inherited.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
    let environment = Environment::compose(&profile.environment, inherited.into_iter());
    assert!(
        environment.names().all(|name| name != "LD_PRELOAD")
            || profile.environment.set.contains_key("LD_PRELOAD")
    );
    let variable = |name: &str| (switches & 1 == 0).then(|| format!("/{name}"));
    let inputs = Inputs {
        kernel: KernelFacts {
            landlock_abi: abi,
            seccomp: true,
            withheld: Default::default(),
            namespaces: if switches & 8 == 0 {
                Ok(Means::Privilege)
            } else {
                Err(Obstacle::Forbidden)
            },
        },
        policy,
        environment: &environment,
        superuser: switches & 2 != 0,
        expand: &|text| expand(text, &variable, "/plugins", "/run/plugin"),
        libraries_pinned: switches & 4 != 0,
        temporary: "/run/tmp/plugin",
    };
    let Ok(plan) = plan::lower(profile, &inputs) else {
        return;
    };
    let confined = policy != Policy::AuditOnly && profile.isolation.confines();
    let last = plan.steps().last().expect("a plan has steps");
    assert_eq!(matches!(last, Step::Seccomp(_)), confined);
    if confined {
        filtered(&plan);
    }
}

fn filtered(plan: &SandboxPlan) {
    let seccomp = plan.seccomp().expect("a confined plan has a filter");
    let landlock = plan.landlock();
    let ticket = ExecTicket {
        fd: 3,
        path: 0x1000_1000,
        argv: 0x2000_2000,
        envp: 0x3000_3000,
        flags: 0x1000,
    };
    let is_open = seccomp.execute && landlock.is_some();
    for arch in [Arch::X86_64, Arch::Aarch64] {
        let compiled = filter::compile(&Request {
            arch,
            layers: &seccomp.layers,
            on_violation: seccomp.on_violation,
            sockets: seccomp.sockets,
            fork: seccomp.fork,
            metadata: seccomp.metadata,
            descriptor_metadata: seccomp.descriptor_metadata,
            writes: seccomp.writes,
            write_execute: seccomp.write_execute,
            shared_execute: seccomp.shared_execute,
            terminal: seccomp.terminal,
            stand_in: seccomp.stand_in,
            own_pid: 77,
            exec: if is_open {
                ExecRule::Landlock
            } else {
                ExecRule::Ticket(ticket)
            },
        });
        let filter = compiled.expect("what resolves compiles");
        let answer = |name: &str, args: [u64; 6]| {
            let number = syscall::number(arch, name).expect("both have it");
            filter.evaluate(&Call::native(arch, number, args))
        };
        let own = [3, ticket.path, ticket.argv, ticket.envp, 0x1000, 0];
        assert_eq!(answer("execveat", own), Action::Allow);
        let other = [3, ticket.path, ticket.argv, ticket.envp + 8, 0x1000, 0];
        assert_eq!(answer("execveat", other) == Action::Allow, is_open);
        assert_eq!(answer("execve", [0; 6]) == Action::Allow, is_open);
        for name in ["io_uring_setup", "clone3"] {
            assert_eq!(answer(name, [0; 6]), Action::Errno(38));
        }
        for (foreign, number) in [(0x4000_0003, 0), (0xc000_003e ^ 1, 1)] {
            let call = Call {
                arch_token: foreign,
                number,
                args: [0; 6],
            };
            assert_eq!(filter.evaluate(&call), Action::KillProcess);
        }
    }
}

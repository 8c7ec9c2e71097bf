//! Hostile calls against compiled filters, on both architectures.

mod stand_in;

use super::*;
use crate::arch::Arch;

const ARCHES: [Arch; 2] = [Arch::X86_64, Arch::Aarch64];
const EPERM: Action = Action::Errno(1);
const ENOENT: Action = Action::Errno(2);
const ENOSYS: Action = Action::Errno(38);
const TICKET: ExecTicket = ExecTicket {
    fd: 7,
    path: 0x1234_5678_9000,
    argv: 0x2234_5678_9010,
    envp: 0x3234_5678_9020,
    flags: 0x1000,
};

fn service() -> Vec<(Vec<String>, Vec<String>)> {
    vec![(vec!["@system-service".into()], vec![])]
}

fn request(arch: Arch, layers: &[(Vec<String>, Vec<String>)]) -> Request<'_> {
    Request {
        arch,
        layers,
        on_violation: OnViolation::Errno,
        sockets: Sockets::default(),
        fork: false,
        metadata: false,
        descriptor_metadata: false,
        writes: false,
        write_execute: false,
        shared_execute: false,
        terminal: false,
        stand_in: StandIn::default(),
        own_pid: 42,
        exec: ExecRule::Ticket(TICKET),
    }
}

struct Probe(Filter, Arch);

impl Probe {
    fn new(request: &Request<'_>) -> Self {
        Self(compile(request).unwrap(), request.arch)
    }

    fn call(&self, name: &str, args: &[u64]) -> Action {
        let number = syscall::number(self.1, name).unwrap_or_else(|| panic!("{name}"));
        let mut all = [0; 6];
        all[..args.len()].copy_from_slice(args);
        self.0.evaluate(&Call::native(self.1, number, all))
    }
}

fn each(test: impl Fn(Arch, &Request<'_>)) {
    let layers = service();
    for arch in ARCHES {
        test(arch, &request(arch, &layers));
    }
}

#[test]
fn only_the_ticket_executes() {
    each(|_, request| {
        let probe = Probe::new(request);
        let good = [7, TICKET.path, TICKET.argv, TICKET.envp, 0x1000];
        assert_eq!(probe.call("execveat", &good), Action::Allow);
        for (index, argument) in good.iter().enumerate() {
            for wrong in [argument ^ 1, argument ^ (1 << 20), 0] {
                let mut call = good;
                call[index] = wrong;
                assert_eq!(probe.call("execveat", &call), ENOENT);
            }
        }
        for index in 1..4 {
            let mut call = good;
            call[index] ^= 1 << 40;
            assert_eq!(probe.call("execveat", &call), ENOENT);
        }
        assert_eq!(
            probe.call("execve", &[TICKET.path, TICKET.argv, TICKET.envp]),
            ENOENT
        );
    });
}

#[test]
fn learning_does_not_mean_exec() {
    each(|_, request| {
        let probe = Probe::new(&Request {
            on_violation: OnViolation::Log,
            ..*request
        });
        assert_eq!(probe.call("execve", &[]), ENOENT);
        assert_eq!(probe.call("execveat", &[]), ENOENT);
        assert_eq!(probe.call("ptrace", &[]), Action::KillProcess);
        assert_eq!(probe.call("socket", &[2, 1, 0]), Action::Log);
    });
}

#[test]
fn other_abis_are_killed() {
    each(|arch, request| {
        let probe = Probe::new(request);
        for token in [0x4000_0003, 0x4000_0028, 0] {
            let call = Call {
                arch_token: token,
                number: 1,
                args: [0; 6],
            };
            assert_eq!(probe.0.evaluate(&call), Action::KillProcess);
        }
        if arch == Arch::X86_64 {
            for number in [0x4000_0000, 0x4000_0208, u32::MAX] {
                assert_eq!(
                    probe.0.evaluate(&Call::native(arch, number, [0; 6])),
                    Action::KillProcess
                );
            }
        }
    });
}

#[test]
fn unknown_and_bypassing_calls_do_not_exist() {
    each(|arch, request| {
        let probe = Probe::new(request);
        for number in [syscall::LAST_KNOWN + 1, 1000, 0x3fff_ffff] {
            assert_eq!(
                probe.0.evaluate(&Call::native(arch, number, [0; 6])),
                ENOSYS
            );
        }
        for name in [
            "clone3",
            "io_uring_setup",
            "io_uring_enter",
            "io_uring_register",
        ] {
            assert_eq!(probe.call(name, &[]), ENOSYS);
        }
        assert_eq!(probe.call("openat2", &[]), Action::Allow);
        let probe = Probe::new(&Request {
            writes: true,
            ..*request
        });
        assert_eq!(probe.call("openat2", &[]), ENOSYS);
    });
}

#[test]
fn what_no_plugin_does_by_mistake_is_killed() {
    each(|_, request| {
        let probe = Probe::new(request);
        for name in [
            "ptrace",
            "bpf",
            "kexec_load",
            "mount",
            "finit_module",
            "process_vm_readv",
        ] {
            assert_eq!(probe.call(name, &[]), Action::KillProcess, "{name}");
        }
    });
}

#[test]
fn a_group_does_not_bring_in_what_must_be_named() {
    each(|arch, request| {
        let probe = Probe::new(request);
        for name in [
            "shmget",
            "shmat",
            "mq_open",
            "userfaultfd",
            "keyctl",
            "kcmp",
        ] {
            assert_eq!(probe.call(name, &[]), EPERM, "{name}");
        }
        for write_execute in [false, true] {
            let request = Request {
                write_execute,
                ..*request
            };
            for flags in [0, 0o10_000, 0o100_000] {
                assert_eq!(Probe::new(&request).call("shmat", &[1, 0, flags]), EPERM);
            }
        }
        let layers = [
            service(),
            vec![(vec!["shmget".into(), "ptrace".into()], vec![])],
        ]
        .concat();
        let probe = Probe::new(&super::Request {
            layers: &layers,
            ..self::request(arch, &layers)
        });
        assert_eq!(probe.call("shmget", &[]), Action::Allow);
        assert_eq!(probe.call("ptrace", &[]), Action::Allow);
        let denied = [layers, vec![(vec![], vec!["@ipc".into()])]].concat();
        let probe = Probe::new(&self::request(arch, &denied));
        assert_eq!(probe.call("shmget", &[]), EPERM);
    });
}

#[test]
fn sockets_need_a_grant_and_their_own_protocol() {
    const HIGH: u64 = 0xdead_beef_0000_0000;
    const FLAGS: u64 = 0x80800;
    each(|_, request| {
        let none = Probe::new(request);
        for domain in 0..46 {
            for kind in 0..11 {
                assert_eq!(none.call("socket", &[domain, kind, 0]), EPERM);
            }
        }
        assert_eq!(none.call("socketpair", &[1, 1 | FLAGS, 0]), Action::Allow);
        assert_eq!(
            none.call("socketpair", &[1 | HIGH, 5 | HIGH, 0]),
            Action::Allow
        );
        assert_eq!(none.call("socketpair", &[1, 2, 0]), Action::Allow);
        assert_eq!(none.call("socketpair", &[1, 3, 0]), EPERM);
        assert_eq!(none.call("sendto", &[3, 1, 1, 0, 0, 0]), Action::Allow);
        assert_eq!(none.call("sendto", &[3, 1, 1, 0, HIGH, 16]), EPERM);
        for name in ["connect", "sendmsg", "sendmmsg"] {
            assert_eq!(none.call(name, &[]), EPERM, "{name}");
        }

        let tcp = Sockets {
            tcp: true,
            tcp_connect: true,
            ..Sockets::default()
        };
        let tcp = Probe::new(&Request {
            sockets: tcp,
            ..*request
        });
        assert_eq!(tcp.call("socket", &[2, 1 | FLAGS, 0]), Action::Allow);
        assert_eq!(
            tcp.call("socket", &[10 | HIGH, 1 | HIGH, 6 | HIGH]),
            Action::Allow
        );
        for (domain, kind, protocol) in [
            (2, 1, 262),
            (2, 1, 132),
            (2, 2, 0),
            (2, 3, 6),
            (1, 1, 0),
            (16, 3, 0),
            (40, 1, 0),
        ] {
            assert_eq!(tcp.call("socket", &[domain, kind, protocol]), EPERM);
        }
        assert_eq!(tcp.call("sendto", &[3, 1, 1, 0x2000_0000, 1, 16]), EPERM);
        assert_eq!(tcp.call("sendmsg", &[3, 1, 0x2000_0000 | HIGH]), EPERM);
        assert_eq!(tcp.call("socketpair", &[1, 2, 0]), EPERM);
        assert_eq!(tcp.call("listen", &[]), EPERM);
        assert_eq!(tcp.call("bind", &[]), EPERM);

        let udp = Sockets {
            udp: true,
            ..Sockets::default()
        };
        let udp = Probe::new(&Request {
            sockets: udp,
            ..*request
        });
        assert_eq!(udp.call("socket", &[2, 2, 17]), Action::Allow);
        assert_eq!(udp.call("socket", &[2, 2, 1]), EPERM, "ping socket");
        assert_eq!(udp.call("socket", &[2, 3, 17]), EPERM);
    });
}

#[test]
fn icmp_and_datagrams_of_unix_sockets_need_a_grant() {
    const SOL_RAW: u64 = 255;
    let of = |request: &Request<'_>, sockets: Sockets| {
        Probe::new(&Request {
            sockets,
            ..*request
        })
    };
    each(|_, request| {
        let icmp = Sockets {
            icmp: true,
            ..Sockets::default()
        };
        let ping = of(request, icmp);
        let raw = of(
            request,
            Sockets {
                icmp_raw: true,
                ..icmp
            },
        );
        for (family, echo, other) in [(2, 1, 58), (10, 58, 1)] {
            for probe in [&ping, &raw] {
                assert_eq!(probe.call("socket", &[family, 2, echo]), Action::Allow);
                for protocol in [0, 2, 6, 17, 255, other] {
                    assert_eq!(probe.call("socket", &[family, 2, protocol]), EPERM);
                    assert_eq!(probe.call("socket", &[family, 3, protocol]), EPERM);
                }
            }
            assert_eq!(ping.call("socket", &[family, 3, echo]), EPERM);
            assert_eq!(raw.call("socket", &[family, 3, echo]), Action::Allow);
        }
        assert_eq!(raw.call("setsockopt", &[3, SOL_RAW, 1]), Action::Allow);
        // A header of its own would carry any protocol.
        for (level, name) in [(0, 3), (41, 36), (SOL_RAW, 7)] {
            assert_eq!(raw.call("setsockopt", &[3, level, name]), EPERM);
        }

        let connects = Sockets {
            unix: true,
            unix_connect: true,
            ..Sockets::default()
        };
        let binds = Sockets {
            unix: true,
            unix_bind: true,
            ..Sockets::default()
        };
        for call in ["socket", "socketpair"] {
            assert_eq!(of(request, connects).call(call, &[1, 2, 0]), Action::Allow);
            assert_eq!(of(request, binds).call(call, &[1, 2, 0]), EPERM);
        }
        let served = Sockets {
            served: true,
            ..Sockets::default()
        };
        let served = of(request, served);
        for call in ["listen", "accept", "accept4"] {
            assert_eq!(served.call(call, &[3]), Action::Allow);
        }
        assert_eq!(served.call("bind", &[3]), EPERM);
        assert_eq!(served.call("socket", &[2, 1, 0]), EPERM);
    });
}

#[test]
fn a_terminal_without_landlocks_right_keeps_its_settings() {
    each(|_, request| {
        let stand_in = StandIn::DEVICE_IOCTLS;
        for terminal in [false, true] {
            let probe = Probe::new(&Request {
                stand_in,
                terminal,
                ..*request
            });
            for setting in [0x5402, 0x5404, 0x402c_542b] {
                let expected = if terminal { Action::Allow } else { EPERM };
                assert_eq!(probe.call("ioctl", &[0, setting]), expected);
            }
            for harm in [0x5412, 0x540e, 0x541c, 0x5423, 0x541d, 0x5410] {
                assert_eq!(probe.call("ioctl", &[0, harm]), EPERM);
            }
        }
    });
}

#[test]
fn processes_need_a_grant_threads_do_not() {
    const THREAD: u64 = 0x003d_0f00;
    each(|arch, request| {
        let probe = Probe::new(request);
        assert_eq!(probe.call("clone", &[THREAD]), Action::Allow);
        assert_eq!(probe.call("clone", &[0x0120_0011]), EPERM);
        assert_eq!(probe.call("clone", &[0x4111]), EPERM);
        if arch == Arch::X86_64 {
            assert_eq!(probe.call("fork", &[]), EPERM);
            assert_eq!(probe.call("vfork", &[]), EPERM);
        }
        let probe = Probe::new(&Request {
            fork: true,
            ..*request
        });
        assert_eq!(probe.call("clone", &[0x0120_0011]), Action::Allow);
        for namespace in [
            0x2_0000,
            0x200_0000,
            0x400_0000,
            0x800_0000,
            0x1000_0000,
            0x2000_0000,
            0x4000_0000,
        ] {
            assert_eq!(probe.call("clone", &[0x11 | namespace]), EPERM);
            assert_eq!(probe.call("unshare", &[namespace]), EPERM);
        }
        assert_eq!(probe.call("unshare", &[0x400]), Action::Allow);
        assert_eq!(probe.call("setns", &[3, 0x4000_0000]), EPERM);
    });
}

#[test]
fn setns_enters_network_namespaces_alone() {
    for arch in ARCHES {
        let layers = [service(), vec![(vec!["setns".into()], vec![])]].concat();
        let probe = Probe::new(&request(arch, &layers));
        assert_eq!(probe.call("setns", &[3, 0x4000_0000]), Action::Allow);
        for kind in [0, 0x2_0000, 0x1000_0000] {
            assert_eq!(probe.call("setns", &[3, kind]), EPERM);
        }
    }
}

#[test]
fn memory_is_writable_or_executable() {
    const HIGH: u64 = 1 << 40;
    each(|_, request| {
        let probe = Probe::new(request);
        for prot in [0, 1, 2, 3, 4, 5] {
            assert_eq!(
                probe.call("mmap", &[0, 4096, prot | HIGH, 2]),
                Action::Allow
            );
        }
        assert_eq!(probe.call("mmap", &[0, 4096, 6]), EPERM);
        assert_eq!(probe.call("mmap", &[0, 4096, 7 | HIGH]), EPERM);
        // Shared, also with flags checked; not the pages of a pool.
        for (kind, expected) in [(1, EPERM), (3, EPERM), (0x21, EPERM), (2, Action::Allow)] {
            assert_eq!(probe.call("mmap", &[0, 4096, 5, kind]), expected);
            assert_eq!(probe.call("mmap", &[0, 4096, 3, kind]), Action::Allow);
            assert_eq!(probe.call("mmap", &[0, 4096, 3, kind | 0x4_0000]), EPERM);
        }
        for length in [0, u64::MAX - 4094, u64::MAX] {
            assert_eq!(probe.call("mremap", &[0, length, 4096, 1]), EPERM);
        }
        for length in [1, 4096, 1 << 32, (1 << 32) + 1] {
            assert_eq!(probe.call("mremap", &[0, length, 4096, 1]), Action::Allow);
            assert_eq!(probe.call("mremap", &[0, length, 4096, 5]), EPERM);
        }
        let shared = Probe::new(&Request {
            shared_execute: true,
            ..*request
        });
        assert_eq!(shared.call("mmap", &[0, 4096, 5, 1]), Action::Allow);
        assert_eq!(shared.call("mmap", &[0, 4096, 7, 1]), EPERM);
        assert_eq!(probe.call("mprotect", &[0, 4096, 5]), EPERM);
        assert_eq!(probe.call("mprotect", &[0, 4096, 3]), Action::Allow);
        assert_eq!(probe.call("pkey_mprotect", &[0, 4096, 4]), EPERM);
        assert_eq!(probe.call("personality", &[0x40_0000]), EPERM);
        assert_eq!(probe.call("personality", &[0xffff_ffff]), Action::Allow);
        let probe = Probe::new(&Request {
            write_execute: true,
            ..*request
        });
        assert_eq!(probe.call("mmap", &[0, 4096, 7, 0x22]), Action::Allow);
        assert_eq!(probe.call("mremap", &[0, 0, 4096, 1]), Action::Allow);
    });
}

#[test]
fn terminal_input_is_not_forged() {
    each(|_, request| {
        let probe = Probe::new(request);
        for number in [0x540e, 0x5410, 0x5412, 0x541c, 0x5423, 0x541d, 0x5437] {
            for high in [0, 1 << 32, 0xffff_ffff << 32] {
                assert_eq!(probe.call("ioctl", &[0, number | high, 0]), EPERM);
            }
        }
        assert_eq!(probe.call("ioctl", &[0, 0x5401, 0]), Action::Allow);
        assert_eq!(probe.call("prctl", &[15]), Action::Allow);
        for option in [8, 9, 35, 33, 59, 62, 0x59616d61] {
            assert_eq!(probe.call("prctl", &[option]), EPERM, "{option}");
        }
    });
}

#[test]
fn file_systems_take_no_requests_but_harmless_ones() {
    for arch in ARCHES {
        let layers = service();
        let probe = Probe::new(&request(arch, &layers));
        // FIONREAD, FIONBIO, FICLONE, FS_IOC_GETFLAGS.
        for number in [0x541b, 0x5421, 0x4004_9409, 0x8008_6601] {
            for high in [0, 0xffff_ffff << 32] {
                assert_eq!(probe.call("ioctl", &[3, number | high]), Action::Allow);
            }
        }
        // FIFREEZE, EXT4_IOC_SHUTDOWN, FS_IOC_ADD_ENCRYPTION_KEY,
        // BTRFS_IOC_SUBVOL_CREATE, EXT4_IOC_MIGRATE, KDSKBENT, TUNSETIFF.
        for number in [
            0xc004_5877,
            0x8004_587d,
            0xc050_6617,
            0x5000_940e,
            0x6609,
            0x4b47,
            0x4004_54ca,
        ] {
            assert_eq!(probe.call("ioctl", &[3, number]), EPERM, "{number:x}");
        }
        let named = [layers, vec![(vec!["ioctl".into()], vec![])]].concat();
        let probe = Probe::new(&request(arch, &named));
        // A drawing device's, TUNSETIFF.
        for number in [0xc010_6400, 0x4004_54ca] {
            assert_eq!(probe.call("ioctl", &[3, number]), Action::Allow);
        }
        for number in [0x5412, 0x4008_6602, 0xc004_5877, 0x8946] {
            assert_eq!(probe.call("ioctl", &[3, number]), EPERM);
        }
    }
}

#[test]
fn others_feel_no_lease_no_poisoned_page_and_no_child_that_they_did_not_make() {
    each(|_, request| {
        let probe = Probe::new(&Request {
            fork: true,
            ..*request
        });
        assert_eq!(probe.call("fcntl", &[3, 1024, 0]), EPERM);
        for command in [1026, 1031, 1040, 1041] {
            assert_eq!(probe.call("fcntl", &[3, command, 0]), EPERM);
        }
        assert_eq!(probe.call("fcntl", &[3, 1025, 0]), Action::Allow);
        assert_eq!(probe.call("madvise", &[0, 4096, 4]), Action::Allow);
        for advice in [12, 100, 104] {
            assert_eq!(probe.call("madvise", &[0, 4096, advice]), EPERM);
        }
        assert_eq!(probe.call("madvise", &[0, 4096, 101 | 1 << 32]), EPERM);
        assert_eq!(probe.call("clone", &[0x8011]), EPERM);
    });
}

#[test]
fn extended_attributes_are_read_through_descriptors() {
    each(|_, request| {
        let probe = Probe::new(request);
        for name in ["getxattr", "lgetxattr", "listxattr", "llistxattr"] {
            assert_eq!(probe.call(name, &[]), Action::Errno(95), "{name}");
        }
        assert_eq!(probe.call("fgetxattr", &[]), Action::Allow);
        let probe = Probe::new(&Request {
            metadata: true,
            ..*request
        });
        assert_eq!(probe.call("getxattr", &[]), Action::Allow);
    });
}

#[test]
fn metadata_changes_where_granted_and_set_ids_never() {
    each(|arch, request| {
        let none = Probe::new(request);
        assert_eq!(none.call("fchmod", &[3, 0o600]), EPERM);
        let probe = Probe::new(&Request {
            writes: true,
            ..*request
        });
        assert_eq!(probe.call("fchmodat", &[3, 0, 0o600]), EPERM);
        assert_eq!(probe.call("setxattr", &[]), EPERM);
        for name in ["fchmod", "fchown", "utimensat", "fsetxattr"] {
            assert_eq!(probe.call(name, &[3, 0, 0, 0]), EPERM, "{name}");
        }
        for number in [
            0x4008_6602,
            0x4008_7602,
            0x4008_6604,
            0x401c_5820,
            0x4080_6685,
        ] {
            assert_eq!(probe.call("ioctl", &[3, number]), EPERM, "{number:x}");
        }
        let owner = Probe::new(&Request {
            writes: true,
            descriptor_metadata: true,
            ..*request
        });
        assert_eq!(owner.call("fchmod", &[3, 0o755]), Action::Allow);
        assert_eq!(owner.call("fchmod", &[3, 0o4755]), EPERM);
        assert_eq!(owner.call("utimensat", &[3, 0, 0, 0]), Action::Allow);
        assert_eq!(owner.call("utimensat", &[3, 1 << 40, 0, 0]), EPERM);
        assert_eq!(owner.call("fchmodat", &[3, 0, 0o600]), EPERM);
        assert_eq!(owner.call("fsetxattr", &[3, 0, 0, 0]), EPERM);
        assert_eq!(owner.call("renameat2", &[3, 0, 3, 0, 1]), Action::Allow);
        assert_eq!(owner.call("renameat2", &[3, 0, 3, 0, 4 | 1 << 40]), EPERM);
        assert_eq!(probe.call("openat", &[3, 1, 0o100, 0o4755]), EPERM);
        assert_eq!(probe.call("openat", &[3, 1, 0o20_000_000, 0o2755]), EPERM);
        assert_eq!(probe.call("openat", &[3, 1, 0, 0o4755]), Action::Allow);
        assert_eq!(probe.call("openat", &[3, 1, 0o100, 0o644]), Action::Allow);
        assert_eq!(probe.call("mknodat", &[3, 1, 0o020_600]), EPERM);
        assert_eq!(probe.call("mknodat", &[3, 1, 0o010_600]), Action::Allow);
        let number = syscall::number(arch, "openat").unwrap();
        assert!(none.0.is_constant(number));
        let probe = Probe::new(&Request {
            metadata: true,
            descriptor_metadata: true,
            writes: true,
            ..*request
        });
        assert_eq!(probe.call("fchmodat", &[3, 0, 0o600]), Action::Allow);
        assert_eq!(probe.call("fchmodat", &[3, 0, 0o4600]), EPERM);
        assert_eq!(probe.call("fchmod", &[3, 0o755]), Action::Allow);
        assert_eq!(probe.call("fchmod", &[3, 0o4755]), EPERM);
        assert_eq!(probe.call("fchmod", &[3, 0o2755 | 1 << 40]), EPERM);
        assert_eq!(probe.call("utimensat", &[3, 0, 0, 0]), Action::Allow);
        assert_eq!(probe.call("ioctl", &[3, 0x4008_6602]), Action::Allow);
        assert_eq!(probe.call("fsetxattr", &[3, 0, 0, 0]), Action::Allow);
    });
}

#[test]
fn the_common_calls_are_answered_from_the_bitmap() {
    each(|_, request| {
        let filter = compile(request).unwrap();
        for name in [
            "read",
            "write",
            "close",
            "openat",
            "futex",
            "getpid",
            "newfstatat",
            "epoll_pwait",
            "rt_sigaction",
        ] {
            let number = syscall::number(request.arch, name).unwrap();
            assert!(filter.is_constant(number), "{name}");
        }
        assert!(
            filter.always_allowed().len() > 150,
            "{}",
            filter.always_allowed().len()
        );
        assert!(
            filter.instructions().len() <= 785,
            "{}",
            filter.instructions().len()
        );
    });
}

#[test]
fn the_digest_is_the_confinement_not_the_launch() {
    each(|_, request| {
        let one = compile(request).unwrap();
        let ticket = ExecTicket {
            fd: 9,
            path: 1,
            argv: 2,
            envp: 3,
            flags: 0x1000,
        };
        let other = Request {
            exec: ExecRule::Ticket(ticket),
            own_pid: 43,
            ..*request
        };
        assert_eq!(one.digest(), compile(&other).unwrap().digest());
        let wider = Request {
            fork: true,
            ..*request
        };
        assert_ne!(one.digest(), compile(&wider).unwrap().digest());
    });
}

#[test]
fn an_unknown_name_is_an_error() {
    for name in ["@nonsense", "opnat", ""] {
        let layers = vec![(vec![name.to_string()], vec![])];
        assert_eq!(
            compile(&request(Arch::X86_64, &layers)),
            Err(FilterError::UnknownName(name.into()))
        );
    }
}

#[test]
fn files_in_memory_are_absent_unless_a_layer_names_the_call() {
    each(|_, request| {
        let names = ["memfd_create", "memfd_secret"];
        let answers = |request: &Request<'_>| {
            let probe = Probe::new(request);
            names.map(|name| probe.call(name, &[]))
        };
        assert_eq!(answers(request), [ENOSYS; 2]);
        // A plugin that learns what it needs turns to /dev/shm like any other.
        for on_violation in [OnViolation::Kill, OnViolation::Log] {
            let other = Request {
                on_violation,
                ..*request
            };
            assert_eq!(answers(&other), [ENOSYS; 2]);
        }
        let mut layers = request.layers.to_vec();
        layers.push((vec!["@file-system".into()], vec![]));
        layers.push((vec!["memfd_create".into()], vec![]));
        let named = Request {
            layers: &layers,
            ..*request
        };
        assert_eq!(answers(&named), [Action::Allow, ENOSYS]);
        layers.push((vec![], vec!["memfd_create".into()]));
        let denied = Request {
            layers: &layers,
            ..*request
        };
        assert_eq!(answers(&denied), [ENOSYS; 2]);
    });
}

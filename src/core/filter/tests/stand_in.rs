//! What the filter does in Landlock's place, on both architectures.

use super::*;

fn with<'a>(stand_in: StandIn, request: &Request<'a>) -> Request<'a> {
    Request {
        stand_in,
        ..*request
    }
}

#[test]
fn others_can_not_be_signalled() {
    each(|_, request| {
        let probe = Probe::new(request);
        assert_eq!(probe.call("kill", &[1, 9]), Action::Allow);
        let probe = Probe::new(&with(StandIn::SIGNALS, request));
        for name in ["kill", "tkill", "tgkill", "rt_sigqueueinfo"] {
            assert_eq!(probe.call(name, &[42, 9]), Action::Allow, "{name}");
            for pid in [0, 1, 43, 0xffff_ffff, u64::MAX] {
                assert_eq!(probe.call(name, &[pid, 9]), EPERM, "{name}");
            }
        }
        // F_SETOWN, F_SETSIG, F_SETOWN_EX, FIOSETOWN, SIOCSPGRP.
        for command in [8, 10, 15] {
            assert_eq!(probe.call("fcntl", &[0, command, 1]), EPERM);
        }
        for request in [0x8901, 0x8902] {
            assert_eq!(probe.call("ioctl", &[0, request]), EPERM);
        }
        assert_eq!(probe.call("pidfd_send_signal", &[3, 9]), EPERM);
        assert_eq!(probe.call("prlimit64", &[43]), EPERM);
        assert_eq!(probe.call("prlimit64", &[0]), Action::Allow);
    });
}

#[test]
fn children_signal_nobody() {
    each(|_, request| {
        let probe = Probe::new(&Request {
            fork: true,
            ..with(StandIn::SIGNALS, request)
        });
        for name in ["kill", "tkill", "tgkill", "rt_sigqueueinfo"] {
            assert_eq!(probe.call(name, &[42, 9]), EPERM, "{name}");
        }
    });
}

#[test]
fn nothing_is_truncated_without_writing() {
    const O_CREAT: u64 = 0o100;
    const O_TRUNC: u64 = 0o1000;
    for writes in [false, true] {
        each(|arch, request| {
            let free = Probe::new(request);
            assert_eq!(free.call("truncate", &[]), Action::Allow);
            assert_eq!(free.call("openat", &[3, 0, O_TRUNC]), Action::Allow);
            let probe = Probe::new(&Request {
                writes,
                ..with(StandIn::TRUNCATE, request)
            });
            assert_eq!(probe.call("truncate", &[]), EPERM);
            assert_eq!(probe.call("ftruncate", &[3]), Action::Allow);
            assert_eq!(probe.call("openat2", &[3]), ENOSYS);
            let mut opens = vec![("openat", 2)];
            if arch == Arch::X86_64 {
                opens.push(("open", 1));
            }
            for (name, at) in opens {
                let open = |flags: u64, mode: u64| {
                    let mut args = [0; 4];
                    args[at] = flags;
                    args[at + 1] = mode;
                    probe.call(name, &args)
                };
                // Reading only, and neither reading nor writing.
                for access in [0, 3] {
                    assert_eq!(open(access | O_TRUNC, 0), EPERM);
                    assert_eq!(open(access | O_TRUNC | 1 << 40, 0), EPERM);
                    assert_eq!(open(access, 0), Action::Allow);
                }
                for access in [1, 2] {
                    let flags = access | O_TRUNC | O_CREAT;
                    assert_eq!(open(flags, 0o644), Action::Allow);
                    assert_eq!(open(flags, 0o4755) == EPERM, writes);
                }
            }
        });
    }
}

#[test]
fn devices_get_no_requests() {
    each(|_, request| {
        let probe = Probe::new(&with(StandIn::DEVICE_IOCTLS, request));
        for harmless in [0x5451, 0x5421, 0x5401, 0x541b] {
            assert_eq!(probe.call("ioctl", &[3, harmless]), Action::Allow);
        }
        // BLKDISCARD, TIOCSTI, TCSETS, none.
        for request in [0x1277, 0x5412, 0x5402, 0] {
            assert_eq!(probe.call("ioctl", &[3, request]), EPERM);
        }
    });
}

#[test]
fn it_refuses_whatever_the_profile_says_of_violations() {
    let all = StandIn {
        truncate: true,
        device_ioctls: true,
        signals: true,
    };
    for on_violation in [OnViolation::Log, OnViolation::Kill] {
        each(|_, request| {
            let probe = Probe::new(&Request {
                on_violation,
                ..with(all, request)
            });
            for (name, args) in [
                ("truncate", [0, 0, 0]),
                ("openat", [3, 0, 0o1000]),
                ("ioctl", [3, 0x1277, 0]),
                ("kill", [1, 9, 0]),
                ("fcntl", [0, 8, 1]),
            ] {
                assert_eq!(probe.call(name, &args), EPERM, "{name}");
            }
        });
    }
}

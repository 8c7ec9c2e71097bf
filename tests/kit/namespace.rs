//! Private namespaces: what is made in one is gone with it, and the machine
//! never sees it.

use std::process::Command;

use nix::sched::{CloneFlags, unshare};

use super::run;

/// Calls `body` in a network namespace with nothing but a loopback device, and
/// a mount namespace with an empty `/run`. What `body` starts is in them too.
///
/// Namespaces belong to a thread, so `body` has one of its own.
pub(crate) fn private<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    let inside = || {
        unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET).unwrap();
        for words in [
            "mount --make-rprivate /",
            "mount -t tmpfs -o mode=755 none /run",
            "ip link set lo up",
        ] {
            let mut words = words.split(' ');
            let mut command = Command::new(words.next().unwrap());
            command.args(words);
            run(command, b"").succeeded();
        }
        body()
    };
    std::thread::scope(|scope| match scope.spawn(inside).join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

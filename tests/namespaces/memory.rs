//! Files in memory, which a plugin could write and then map executable, and the
//! `/dev/shm` that it has in their place.

use std::path::Path;

use super::{BOTH, install};
use crate::kit::{EVERYONE, Host, User, program};

/// Prints how memfd_create(2) and memfd_secret(2) answer.
const MEMORY_FILES: &str = r#"#include <stdio.h>
#include <errno.h>
#include <unistd.h>
#include <sys/syscall.h>
int main(void) {
    int one = syscall(SYS_memfd_create, "m", 1) < 0 ? errno : 0;
    int other = syscall(447, 0) < 0 ? errno : 0;
    printf("%d %d", one, other);
    return 0;
}"#;

#[test]
fn a_file_in_memory_can_not_be_made_unless_the_profile_names_the_call() {
    for user in EVERYONE {
        let host = install(user, program::static_c(MEMORY_FILES), "");
        let seen = BOTH.map(|plugin| host.launch(plugin).run().succeeded().stdout);
        // ENOSYS.
        assert_eq!(seen, ["38 38", "38 38"]);
        let names = "syscalls: { allow: [memfd_create] }";
        for (grants, answers) in [
            (names, "0 38"),
            ("syscalls: { allow: [\"@file-system\", \"@ipc\"] }", "38 38"),
            ("memory: { write_execute: true }", "38 38"),
            (
                &format!("filesystem: {{ execute: [/bin/true] }}\n{names}"),
                "38 38",
            ),
        ] {
            for plugin in BOTH {
                host.profile(plugin, &format!("isolation: {plugin}\n{grants}"));
                let outcome = host.launch(plugin).run().succeeded();
                assert_eq!(outcome.stdout, answers, "{grants}: {outcome:?}");
            }
        }
    }
}

/// Makes shared memory of this name. `map` writes some of it and maps it
/// executable; `fill` writes as many bytes there; `stay` leaves it.
const SHARES: &str = r#"#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/stat.h>
int main(int n, char **a) {
    static char bytes[1 << 16];
    int file = shm_open(a[1], O_RDWR | O_CREAT | O_EXCL, 0600);
    if (file < 0) return printf("%d", errno) < 0;
    if (!strcmp(a[2], "stay")) return 0;
    if (!strcmp(a[2], "map")) {
        if (ftruncate(file, 4096)) return 1;
        char *data = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (data == MAP_FAILED) return 1;
        *data = '\xc3';
        void *code = mmap(0, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, file, 0);
        printf("%d", code == MAP_FAILED ? errno : 0);
    } else {
        int answer = 0;
        for (long left = atol(a[2]); left > 0 && answer >= 0; left -= answer)
            answer = write(file, bytes, left < (long)sizeof bytes ? left : (long)sizeof bytes);
        printf("%d", answer < 0 ? errno : 0);
    }
    return shm_unlink(a[1]);
}"#;

/// A name that no other test has, and nobody after the test.
struct Shared(String);

impl Shared {
    fn of(host: &Host) -> Self {
        let folder = host.path("");
        let name = folder.file_name().unwrap().to_string_lossy();
        Self(format!("shared{name}"))
    }

    fn exists(&self) -> bool {
        Path::new("/dev/shm").join(&self.0).exists()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let _absent = std::fs::remove_file(Path::new("/dev/shm").join(&self.0));
    }
}

fn mounts(host: &Host) -> String {
    host.record("sandbox_applied")["sandbox"]["mounts"].to_string()
}

#[test]
fn shared_memory_is_the_plugins_own_and_can_not_be_executed() {
    for user in EVERYONE {
        let host = install(user, program::static_c(SHARES), "");
        let shared = Shared::of(&host);
        let answers = |plugin: &str, what: &str| {
            let launch = host.launch(plugin).args([&*shared.0, what]);
            launch.run().succeeded().stdout
        };
        // Bare it is executed.
        let bare = host.bare(host.path("plugins/process"), &[&*shared.0, "map"]);
        bare.prints("0");
        // EACCES: the plugin has none. EPERM: it is noexec.
        assert_eq!(answers("process", "map"), "13");
        assert_eq!(answers("namespaces", "map"), "1");
        // It is gone with the plugin.
        for _ in 0..2 {
            assert_eq!(answers("namespaces", "stay"), "");
            assert!(!shared.exists());
        }
        let own = "\"/dev/shm rw,nosuid,nodev,noexec,size=4294967296\"";
        assert!(mounts(&host).contains(own), "{}", mounts(&host));
    }
}

#[test]
fn shared_memory_is_as_large_as_the_profiles_limit_on_memory() {
    for user in EVERYONE {
        let host = install(user, program::static_c(SHARES), "limits: { memory: 64MiB }");
        let shared = Shared::of(&host);
        let fill = |count: u64| {
            let launch = host.launch("namespaces").arg(&shared.0);
            launch.arg(count.to_string()).run().succeeded().stdout
        };
        assert_eq!(fill(64 << 20), "0");
        // ENOSPC.
        assert_eq!(fill((64 << 20) + 1), "28");
    }
}

#[test]
fn where_the_hosts_is_granted_the_plugin_has_that() {
    let grants = "filesystem: { write: [/dev/shm] }";
    let host = install(User::Root, program::static_c(SHARES), grants);
    let shared = Shared::of(&host);
    let launch = host.launch("namespaces").args([&*shared.0, "stay"]);
    launch.run().succeeded();
    assert!(shared.exists());
    let hosts = "\"/dev/shm rw,nosuid,nodev,noexec\"";
    assert!(mounts(&host).contains(hosts), "{}", mounts(&host));
}

#[test]
fn with_all_of_the_file_system_shared_memory_is_the_plugins_own_as_well() {
    for user in EVERYONE {
        let grants = "filesystem: { read: [/] }";
        let host = install(user, program::static_c(SHARES), grants);
        let shared = Shared::of(&host);
        let launch = host.launch("namespaces").args([&*shared.0, "stay"]);
        launch.run().succeeded().prints("");
        assert!(!shared.exists());
    }
}

#[test]
fn the_dry_run_shows_it() {
    let host = install(User::Ordinary, program::static_c(SHARES), "");
    let launch = host.launch("namespaces").option("--dry-run");
    let shown = launch.run().succeeded().stdout;
    let mount = "rw,nosuid,nodev,noexec,size=4294967296 /dev/shm";
    assert!(shown.contains(mount), "{shown}");
    assert!(shown.contains("write          -/dev/shm"), "{shown}");
}

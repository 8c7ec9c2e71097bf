//! Situations that hosts put a plugin in: it finds itself in the same one as
//! without secure-exec, but for what the launcher sets back on purpose (see
//! `attacks::inherited`) and what its profile says.

use crate::kit::{EVERYONE, Host, program, run};

/// Tells what a plugin can see of its situation.
const TELLER: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>
int main(int count, char **words) {
    size_t length = 0;
    for (int i = 1; i < count; i++) length += strlen(words[i]) + 1;
    printf("%d words, %zu bytes\n", count, length);
    static const int limits[] = {RLIMIT_NOFILE, RLIMIT_AS, RLIMIT_STACK, RLIMIT_DATA, RLIMIT_FSIZE,
        RLIMIT_CORE, RLIMIT_NPROC, RLIMIT_CPU, RLIMIT_MEMLOCK, RLIMIT_SIGPENDING, RLIMIT_RTPRIO};
    for (unsigned i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct rlimit limit;
        getrlimit(limits[i], &limit);
        printf("limit %d: %lld %lld\n", limits[i], (long long)limit.rlim_cur, (long long)limit.rlim_max);
    }
    for (int i = 0; i < 3; i++) {
        int flags = fcntl(i, F_GETFL);
        if (flags < 0) printf("stream %d: closed\n", i);
        else printf("stream %d: %x%s\n", i, flags, isatty(i) ? ", a terminal" : "");
    }
    char text[5000];
    printf("folder: %s\n", getcwd(text, sizeof text) ? text : strerror(errno));
    int signal = 0;
    prctl(PR_GET_PDEATHSIG, &signal);
    cpu_set_t processors;
    sched_getaffinity(0, sizeof processors, &processors);
    printf("nice %d, policy %d, slack %d, death %d, leader %d, processors %d\n",
        getpriority(PRIO_PROCESS, 0), sched_getscheduler(0), prctl(PR_GET_TIMERSLACK), signal,
        getpgrp() == getpid(), CPU_COUNT(&processors));
    long got = read(0, text, 1);
    printf("input: %ld %s\n", got, got < 0 ? strerror(errno) : "");
    char *much = malloc(2 << 20);
    if (much) memset(much, 1, 2 << 20);
    printf("memory: %d\n", much != 0);
    return fflush(stdout) ? 4 : 3;
}
"#;

/// Shell scripts in which `$P` is the plugin.
const SITUATIONS: &[&str] = &[
    "$P a b",
    "sh -c '$P \"a b\"'",
    "(exec -a other $P)",
    "setsid --wait $P",
    "$P & wait $!",
    "$P | cat",
    "$P <&-",
    "$P < /etc/passwd",
    "$P < /dev/zero",
    "$P > /dev/full",
    "trap '' PIPE HUP INT; $P",
    "python3 -c 'import os, subprocess; print(subprocess.run([os.environ[\"P\"]], restore_signals=False))'",
    "python3 -c 'import os; [os.dup2(0, n) for n in range(100, 10100)]; os.execv(os.environ[\"P\"], [\"p\"])'",
    "python3 -c 'import os, signal; signal.pthread_sigmask(0, range(1, 32)); os.execv(os.environ[\"P\"], [\"p\"])'",
    "$P $(printf '%0100d ' $(seq 1300))",
    "$P $(head -c 131000 /dev/zero | tr '\\0' x)",
    "BIG=$(head -c 131000 /dev/zero | tr '\\0' x) $P",
    "ulimit -n 1024; $P",
    "ulimit -n 64; $P",
    "ulimit -v 65536; $P",
    "ulimit -v 16384; $P",
    "ulimit -s unlimited; $P",
    "ulimit -s 1024; $P",
    "ulimit -d 20000; $P",
    "ulimit -t 5; $P",
    "ulimit -l 0; $P",
    "mkdir gone; cd gone; rmdir ../gone; $P",
    "mkdir shut; cd shut; chmod 0 .; $P",
    "umask 777; $P",
    "umask 000; $P",
    "nice -n 5 $P",
    "taskset 1 $P",
    "chrt --batch 0 $P",
    "setpriv --pdeathsig TERM $P",
    "setpriv --no-new-privs $P",
    "env -i $SET $P",
    "cd /; exec env -i HOME=/ LOGNAME=x SHELL=/bin/sh PATH=/usr/bin:/bin $SET /bin/sh -c $P",
    "ulimit -n $(ulimit -Hn); $P",
];

#[test]
fn a_plugin_does_not_notice_by_its_situation_that_it_is_wrapped() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_copy("p", program::c(TELLER));
        // The caller's limits are the plugin's where the profile has none.
        let limits = "limits: { memory: null, processes: null, open_files: null, file_size: null, core: null }";
        host.profile("unlimited", limits);
        host.list("p", &["profile: unlimited"]);
        let plugins = [host.path("plugins/p"), host.shim("p")];
        // Environment of programs that are given none.
        let set = host
            .shim_variables()
            .map(|(name, path)| format!("{name}={}", path.display()))
            .join(" ");
        for situation in SITUATIONS {
            let [bare, confined] = ["bare", "confined"].map(|name| {
                let folder = host.path(name);
                if folder.exists() {
                    std::fs::remove_dir_all(&folder).unwrap();
                }
                host.folder(name);
                let plugin = &plugins[usize::from(name == "confined")];
                let mut shell = host.command("/bin/bash");
                shell.args(["-c", situation]).current_dir(&folder);
                shell.env("P", plugin).env("SET", &set);
                shell.envs(host.shim_variables());
                let mut outcome = run(shell, b"input");
                for (path, word) in [(plugin, "PLUGIN"), (&folder, "FOLDER")] {
                    let path = path.display().to_string();
                    outcome.stdout = outcome.stdout.replace(&path, word);
                    outcome.stderr = outcome.stderr.replace(&path, word);
                }
                (outcome.status, outcome.stdout, outcome.stderr)
            });
            assert_eq!(confined, bare, "{user:?} {situation}");
            assert!(
                bare.1.contains("memory: ") || situation.contains("full"),
                "{user:?} {situation}: {bare:?}"
            );
        }
        let launches = host.records().into_iter();
        let applied = launches.filter(|record| record["event_type"] == "sandbox_applied");
        assert_eq!(applied.count(), SITUATIONS.len());
    }
}

#[test]
fn the_file_that_is_executed_names_the_plugin_and_not_what_the_host_calls_it() {
    const NAME: &str = r#"#include <stdio.h>
int main(int count, char **words) { printf("%s %s\n", words[0], words[1]); return 0; }
"#;
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_copy("p", program::c(NAME));
        host.install_sh("other", "echo another");
        host.list("p", &[]).list("other", &[]);
        let hard = host.path("bin/hard");
        std::fs::hard_link(host.launcher(), &hard).unwrap();
        host.install_copy("hard", program::c(NAME));
        host.list("hard", &[]);
        for link in [host.shim("p"), hard] {
            // As cupsd calls a filter, and another plugin's name is none.
            for called in ["Printer_1", "other", "-p", "/opt/other"] {
                let mut command = host.command("/bin/bash");
                command.args(["-c", "exec -a \"$1\" \"$0\" 7"]).arg(&link);
                command.arg(called).envs(host.shim_variables());
                run(command, b"")
                    .succeeded()
                    .prints(&format!("{called} 7\n"));
            }
        }
        // The launcher itself goes by what it is called, and so does a link
        // that a script names as its interpreter.
        let mut command = host.command("/bin/bash");
        command
            .args(["-c", "exec -a other \"$0\""])
            .arg(host.launcher());
        command.envs(host.shim_variables());
        run(command, b"").succeeded().prints("another\n");
        let script = host.install("script", format!("#!{}\n", host.path("bin/p").display()));
        let mut command = host.command(&script);
        command.envs(host.shim_variables());
        let told = format!("{} {}\n", host.path("bin/p").display(), script.display());
        run(command, b"").succeeded().prints(&told);
    }
}

//! The scoreboard: every attack and all honest work of the suite under
//! nothing, secure-exec, bubblewrap and firejail, as root and as an ordinary
//! user. Prints Markdown. `ci/scoreboard` builds what it needs and calls it
//! with the path of the launcher.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a scoreboard that panics shows no score"
)]

#[allow(dead_code, reason = "the kit serves the tests")]
mod kit;
#[allow(dead_code, reason = "the tests tell more of a case")]
#[path = "attacks/suite/stage.rs"]
mod stage;

use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use kit::{EVERYONE, ORDINARY, User, run};
use stage::{Answer, Case, Stage};

/// What the plugin runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sandbox {
    Nothing,
    Process,
    Namespaces,
    Bubblewrap,
    Firejail,
}

const SANDBOXES: [Sandbox; 5] = [
    Sandbox::Nothing,
    Sandbox::Process,
    Sandbox::Namespaces,
    Sandbox::Bubblewrap,
    Sandbox::Firejail,
];

impl Sandbox {
    fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Process => "secure-exec",
            Self::Namespaces => "secure-exec, namespaces",
            Self::Bubblewrap => "bubblewrap",
            Self::Firejail => "firejail",
        }
    }

    fn is_other(self) -> bool {
        matches!(self, Self::Bubblewrap | Self::Firejail)
    }

    /// The words that start the plugin in it.
    fn words(self, stage: &Stage, case: Option<&Case>) -> Vec<OsString> {
        let path = |name: &str| stage.host.path(name).display().to_string();
        let (plugin, read, write) = (path("plugins/suite"), path("in"), path("out"));
        let template = match self {
            Self::Nothing => return stage.bare(),
            Self::Process | Self::Namespaces => {
                let children = case.is_some_and(Case::has_children);
                let profile = if children { "children" } else { "boxed" };
                let apart = if self == Self::Namespaces {
                    "-apart"
                } else {
                    ""
                };
                return stage.launched(&format!("{profile}{apart}"));
            }
            Self::Bubblewrap => BUBBLEWRAP,
            Self::Firejail => FIREJAIL,
        };
        let home = path("home");
        let fill = |word: &str| {
            let word = word.replace("{plugin}", &plugin).replace("{in}", &read);
            word.replace("{out}", &write)
                .replace("{home}", &home)
                .into()
        };
        template.split_whitespace().map(fill).collect()
    }
}

/// Everything that bubblewrap has against the plugin. It comes with no filter
/// for system calls and with no limits.
const BUBBLEWRAP: &str = "
    /usr/bin/bwrap --unshare-all --unshare-user --disable-userns --die-with-parent
    --new-session --cap-drop ALL --clearenv --hostname plugin --chdir /
    --ro-bind-try /lib/x86_64-linux-gnu /lib/x86_64-linux-gnu
    --ro-bind-try /lib/aarch64-linux-gnu /lib/aarch64-linux-gnu
    --ro-bind-try /usr/lib/x86_64-linux-gnu /usr/lib/x86_64-linux-gnu
    --ro-bind-try /usr/lib/aarch64-linux-gnu /usr/lib/aarch64-linux-gnu
    --ro-bind-try /lib64 /lib64 --ro-bind-try /etc/ld.so.cache /etc/ld.so.cache
    --dev /dev --ro-bind {plugin} {plugin} --ro-bind {in} {in} --bind {out} {out}
    {plugin}";

/// Everything that firejail has against the plugin, with its default list of
/// system calls and the limits of secure-exec's `default`.
const FIREJAIL: &str = "
    /usr/bin/firejail --quiet --noprofile --deterministic-exit-code --deterministic-shutdown
    --private={home} --private-cwd=/ --private-dev --private-bin=none
    --private-etc=ld.so.cache --private-opt=none --private-srv=none
    --whitelist={plugin} --whitelist={in} --whitelist={out}
    --read-only={plugin} --read-only={in} --noexec={out}
    --blacklist=/boot --blacklist=/media --blacklist=/mnt --blacklist=/root
    --blacklist=/run/user --blacklist=/sys --blacklist=/var --blacklist=/proc/sys
    --blacklist=/usr/share --blacklist=/usr/local
    --net=none --ipc-namespace --hostname=plugin --machine-id --rmenv=SECRET
    --caps.drop=all --nonewprivs --noroot --nogroups --noinput --nosound --novideo --nodvd
    --nou2f --no3d --noprinters --x11=none --nodbus
    --seccomp --seccomp.block-secondary --restrict-namespaces --memory-deny-write-execute
    --protocol=unix --rlimit-as=4294967296 --rlimit-nproc=4096 --rlimit-nofile=1024
    --rlimit-fsize=1073741824
    {plugin}";

/// A plugin that ended, or a sandbox that did not start it, before it spoke.
const NO_ANSWER: &str = "no answer";

/// What one user's attempts came to in one sandbox.
struct Score {
    user: User,
    sandbox: Sandbox,
    /// Each case with its answer; attacks that do not work without a sandbox
    /// are not among them.
    answers: Vec<(Case, Result<Answer, String>)>,
    /// Milliseconds.
    launch: f64,
}

fn main() {
    let launcher = std::env::args_os()
        .nth(1)
        .expect("usage: scoreboard LAUNCHER");
    let launcher = PathBuf::from(launcher);
    let cases = stage::cases();
    let of_user = |user| score(user, &cases, &launcher);
    // One user a processor: the sandboxes wait more than they work.
    let scores: Vec<Vec<Score>> = std::thread::scope(|scope| {
        let threads = EVERYONE.map(|user| scope.spawn(move || of_user(user)));
        threads.map(|thread| thread.join().unwrap()).into()
    });
    // Alone, so that nothing disturbs it.
    let mut scores: Vec<Score> = scores.into_iter().flatten().collect();
    for score in &mut scores {
        score.launch = launch_time(score, &launcher);
    }
    show(&format!("{}{}", table(&cases, &scores), through(&scores)));
}

fn score(user: User, cases: &[Case], launcher: &Path) -> Vec<Score> {
    let stage = Stage::new(user, Some(launcher));
    let mut cases: Vec<Case> = cases.iter().filter(|c| c.is_for(user)).cloned().collect();
    let mut scores = Vec::new();
    for sandbox in SANDBOXES {
        let attempt = |case: &Case| {
            let words = sandbox.words(&stage, Some(case));
            let answer = match stage.attempt(case, &words) {
                Err(_) if sandbox.is_other() && !case.is_honest() => {
                    Ok(Answer::Refused(NO_ANSWER.into()))
                }
                answer => answer,
            };
            (case.clone(), answer)
        };
        let mut answers: Vec<_> = cases.iter().map(attempt).collect();
        if sandbox == Sandbox::Nothing {
            answers.retain(|(case, answer)| case.is_honest() || *answer == Ok(Answer::Worked));
            cases = answers.iter().map(|(case, _)| case.clone()).collect();
        }
        scores.push(Score {
            user,
            sandbox,
            answers,
            launch: 0.0,
        });
    }
    scores
}

/// Median of 50 launches of a program that prints a word.
fn launch_time(score: &Score, launcher: &Path) -> f64 {
    let stage = Stage::new(score.user, Some(launcher));
    stage.lay_out();
    let words = score.sandbox.words(&stage, None);
    let words: Vec<String> = words
        .into_iter()
        .chain(["executed".into()])
        .map(|word| word.into_string().unwrap())
        .collect();
    let result = stage.host.write("home/times.json", "");
    // What a sandbox leaves in /run is gone with the namespace; firejail wants
    // its user to have an account.
    let script = format!(
        "set -e; mount -t tmpfs -o mode=755 none /run; cp /etc/passwd /run; \
         echo \"plugin:x:{0}:{0}::$HOME:/bin/sh\" >> /run/passwd; mount --bind /run/passwd /etc/passwd; \
         exec setpriv --reuid {0} --regid {0} --clear-groups \
         hyperfine --shell=none --style=none --warmup 5 --runs 50 --export-json \"$0\" \"$1\"",
        match score.user {
            User::Root => 0,
            User::Ordinary => ORDINARY,
        }
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &script]).arg(&result);
    command.arg(words.join(" ")).env_clear();
    command.env("PATH", "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    command.env("HOME", stage.host.path("home"));
    command.env("XDG_STATE_HOME", stage.host.path("state"));
    command.current_dir(stage.host.path("")).process_group(0);
    run(command, b"").succeeded();
    let times: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(result).unwrap()).unwrap();
    times["results"][0]["median"].as_f64().unwrap() * 1000.0
}

/// Refused of tried, by group, root's and the ordinary user's.
fn table(cases: &[Case], scores: &[Score]) -> String {
    let mut text = String::from("| root's + ordinary user's | tried |");
    for sandbox in SANDBOXES {
        write!(text, " {} |", sandbox.name()).unwrap();
    }
    writeln!(text, "\n|---|--:|{}", "--:|".repeat(SANDBOXES.len())).unwrap();
    let mut groups: Vec<&str> = cases.iter().map(|case| &*case.group).collect();
    groups.dedup();
    let (honest, attacks): (Vec<&str>, Vec<&str>) =
        groups.iter().partition(|group| group.starts_with("honest"));
    for group in &attacks {
        row(
            &mut text,
            group,
            scores,
            &|case| case.group == *group,
            false,
        );
    }
    row(
        &mut text,
        "**all attacks refused**",
        scores,
        &|c| !c.is_honest(),
        false,
    );
    write!(text, "| **refused** | |").unwrap();
    for sandbox in SANDBOXES {
        let is_attack = |case: &Case| !case.is_honest();
        let [tried, refused] = [None, Some(false)]
            .map(|wanted| -> usize { count(scores, sandbox, &is_attack, wanted).iter().sum() });
        let percent = (refused * 1000).div_euclid(tried.max(1));
        write!(text, " **{}.{} %** |", percent / 10, percent % 10).unwrap();
    }
    text.push('\n');
    for group in &honest {
        row(&mut text, group, scores, &|case| case.group == *group, true);
    }
    write!(text, "| launch, median of 50 | |").unwrap();
    for sandbox in SANDBOXES {
        let times = scores.iter().filter(|score| score.sandbox == sandbox);
        let times: Vec<String> = times.map(|score| format!("{:.1}", score.launch)).collect();
        write!(text, " {} ms |", times.join(" + ")).unwrap();
    }
    text.push_str("\n\n");
    text
}

fn row(text: &mut String, name: &str, scores: &[Score], of: &dyn Fn(&Case) -> bool, worked: bool) {
    let sum = |counts: Vec<usize>| {
        let counts: Vec<String> = counts.iter().map(usize::to_string).collect();
        counts.join(" + ")
    };
    let tried = sum(count(scores, Sandbox::Nothing, of, None));
    write!(text, "| {name} | {tried} |").unwrap();
    for sandbox in SANDBOXES {
        write!(text, " {} |", sum(count(scores, sandbox, of, Some(worked)))).unwrap();
    }
    text.push('\n');
}

/// How many of a sandbox's attempts, user by user: all, those that worked, or
/// those that were refused.
fn count(
    scores: &[Score],
    sandbox: Sandbox,
    of: &dyn Fn(&Case) -> bool,
    worked: Option<bool>,
) -> Vec<usize> {
    let of_sandbox = scores.iter().filter(|score| score.sandbox == sandbox);
    of_sandbox
        .map(|score| {
            let wanted = |(case, answer): &&(Case, Result<Answer, String>)| {
                let is = answer.as_ref().ok().map(|answer| *answer == Answer::Worked);
                of(case) && (worked.is_none() || is == worked)
            };
            score.answers.iter().filter(wanted).count()
        })
        .collect()
}

/// What got through, what honest work did not go on, and what has no answer.
fn through(scores: &[Score]) -> String {
    let mut text = String::new();
    for sandbox in SANDBOXES.into_iter().skip(1) {
        for score in scores.iter().filter(|score| score.sandbox == sandbox) {
            let user = match score.user {
                User::Root => "root",
                User::Ordinary => "an ordinary user",
            };
            let names = |wanted: &dyn Fn(&Case, &Result<Answer, String>) -> bool| {
                let found = score.answers.iter().filter(|(c, a)| wanted(c, a));
                let names: Vec<&str> = found.map(|(case, _)| &*case.name).collect();
                (names.len(), names.join(", "))
            };
            let kinds = [
                names(&|c, a| !c.is_honest() && *a == Ok(Answer::Worked)),
                names(&|c, a| c.is_honest() && matches!(a, Ok(Answer::Refused(_)))),
                names(&|_, a| *a == Ok(Answer::Refused(NO_ANSWER.into()))),
                names(&|_, a| a.is_err()),
            ];
            let kinds = kinds.iter().zip([
                "got through",
                "honest, and refused",
                "without an answer, counted as refused",
                "failed",
            ]);
            for ((count, names), kind) in kinds {
                if *count > 0 {
                    let name = sandbox.name();
                    text.push_str(&wrapped(&format!(
                        "- {name}, {user}, {count} {kind}: {names}"
                    )));
                }
            }
        }
    }
    text
}

/// An item of a list in lines of at most 118 columns.
fn wrapped(item: &str) -> String {
    let mut text = String::new();
    let mut column = 0;
    for word in item.split(' ') {
        if column + word.len() > 118 {
            text.push_str("\n ");
            column = 1;
        }
        if column > 0 {
            text.push(' ');
        }
        text.push_str(word);
        column += word.len() + 1;
    }
    text.push('\n');
    text
}

#[allow(clippy::print_stdout, reason = "the scoreboard")]
fn show(text: &str) {
    print!("{text}");
}

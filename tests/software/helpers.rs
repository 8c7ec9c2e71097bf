//! Helpers of git: a remote helper, and git-lfs as a filter.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::shims::{self, FOLDERS, Shims};
use crate::kit::namespace::private;
use crate::kit::{EVERYONE, package, run};
use crate::profiles::network::started;

const SETTINGS: &str = "[user]\nname = A\nemail = a@example.org\n[init]\ndefaultBranch = main\n\
    [safe]\ndirectory = *\n\
    [filter \"lfs\"]\nprocess = git-lfs filter-process\nrequired = true\n\
    clean = git-lfs clean -- %f\nsmudge = git-lfs smudge -- %f\n";

/// The folder's plugins are found before the system's.
const ENVIRONMENT: &str = "export PATH=\"HERE:$PATH\" GIT_CONFIG_NOSYSTEM=1 \
    GIT_AUTHOR_DATE='@0 +0000' GIT_COMMITTER_DATE='@0 +0000'; cd work; ";

fn host(user: crate::kit::User) -> Shims {
    let host = Shims::new(user);
    host.host.write("home/.gitconfig", SETTINGS);
    let home = host.host.path("home");
    for folder in FOLDERS {
        host.host.folder(format!("{folder}/work"));
    }
    let profile = format!(
        "{{ extends: git-helper, filesystem: {{ read: [{home:?}], write: [WORK/work] }}, \
         environment: {{ set: {{ HOME: {home:?} }}, pass: [GIT_CONFIG_NOSYSTEM] }} }}"
    );
    let lfs = package("git-lfs").join("usr/bin/git-lfs");
    let copy = host.host.install_copy("git-lfs", lfs);
    let remote = fs::canonicalize("/usr/lib/git-core/git-remote-http").unwrap();
    host.plugin("git-lfs", copy, &profile)
        .plugin("git-remote-plain", remote, &profile)
}

#[test]
fn git_with_a_remote_helper_and_git_lfs() {
    private(|| {
        for user in EVERYONE {
            let host = host(user);
            let served = host.host.folder("served");
            let git = |words: &str, folder: &Path| {
                let mut git = host.command("git");
                git.args(words.split(' ')).current_dir(folder);
                run(git, b"").succeeded()
            };
            git("init --quiet first", &served);
            let first = served.join("first");
            fs::write(first.join("a"), "one\n".repeat(1000)).unwrap();
            host.host.own(&first.join("a"));
            git("add a", &first);
            git("commit --quiet -m one", &first);
            git("clone --quiet --bare first bare.git", &served);
            git("update-server-info", &served.join("bare.git"));
            let mut server = Command::new("/usr/bin/python3");
            server.args(["-u", "-m", "http.server", "80", "--bind", "127.0.0.1"]);
            server.current_dir(&served);
            let _server = started(server, "Serving HTTP");

            let script = format!(
                "{ENVIRONMENT} git clone --quiet plain::http://127.0.0.1/bare.git clone &&
                 git -C clone log --format=%s && sha256sum clone/a
                 git clone --quiet plain::http://127.0.0.1/none.git none 2>/dev/null; echo $?"
            );
            let told = host.alike(&script, shims::exactly).succeeded();
            assert!(told.stdout.starts_with("one\n"), "{told:#?}");
            assert!(told.stdout.ends_with("128\n"), "{told:#?}");

            let script = format!(
                "{ENVIRONMENT} git init --quiet large && cd large &&
                 echo '*.bin filter=lfs -text' > .gitattributes &&
                 head -c 100000 /dev/zero > a.bin && git add . && git commit --quiet -m a &&
                 git cat-file -p HEAD:a.bin && rm a.bin && git checkout --quiet -- a.bin &&
                 sha256sum a.bin && git lfs ls-files && git rev-parse HEAD &&
                 find .git/lfs -type f -exec sha256sum {{}} +"
            );
            let told = host.alike(&script, shims::exactly).succeeded();
            assert!(told.stdout.contains("\nsize 100000\n"), "{told:#?}");
            assert!(told.stdout.contains(" .git/lfs/objects/"), "{told:#?}");
            host.all_ran();
        }
    });
}

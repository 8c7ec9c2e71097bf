//! The launch itself: status, streams, descriptors, identity of the bytes.

mod by_hand;
mod certificates;
mod cni;
mod command_line;
mod dry_run;
mod executes;
mod hosts;
mod images;
mod init;
mod outer;
mod passed;
mod process;
mod replaced;
mod runtimes;
mod scripts;
mod settings;
mod surroundings;
mod volumes;
mod wrapped;

use crate::kit::{EVERYONE, Host, program};

#[test]
fn a_listed_plugin_runs_and_its_status_is_passed_on() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        let program = program::c(
            r#"#include <stdio.h>
            int main(int n, char **a) { printf("%s %d\n", a[1], n); return 7; }"#,
        );
        host.install_copy("p", program);
        host.list("p", &[]);
        let outcome = host.launch("p").args(["a b", "--policy"]).run();
        assert_eq!((outcome.status, &*outcome.stdout), (7, "a b 3\n"));
        assert_eq!(outcome.stderr, "");
        assert_eq!(
            host.record("plugin_validation_success")["result"],
            "allowed"
        );
        assert_eq!(
            host.record("sandbox_applied")["sandbox"]["enforcement"],
            "full"
        );
    }
}

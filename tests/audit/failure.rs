//! Launches that end before anything is known of the plugin.

use crate::kit::{EVERYONE, Host};

#[test]
fn a_broken_whitelist_or_profile_is_recorded() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_sh("p", "exit 0");
        host.list("p", &["profile: none-such"]);
        host.launch("p").run().refused(125).says("none-such");
        let record = host.record("plugin_exited");
        assert_eq!(record["plugin_name"], "p");
        assert_eq!(record["result"], "blocked");
        let reason = record["reason"].as_str().unwrap();
        assert!(reason.contains("none-such"), "{reason}");
        host.write("plugins.whitelist", "version: \"1.0\"\nplugin: []\n");
        host.launch("p").run().refused(125);
        let reason = host.record("plugin_exited")["reason"].clone();
        assert!(
            reason.as_str().unwrap().contains("plugins.whitelist"),
            "{reason}"
        );
        std::fs::remove_file(host.whitelist()).unwrap();
        host.launch("p").run().refused(125);
        assert_eq!(host.records().len(), 3);
    }
}

#[test]
fn the_mistake_is_what_is_reported_where_the_log_fails_too() {
    let host = Host::new();
    host.write("plugins.whitelist", "nonsense");
    std::fs::create_dir(host.audit_log()).unwrap();
    let refused = host.launch("p").run().refused(125);
    refused.says("plugins.whitelist:1");
}

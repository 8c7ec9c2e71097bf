//! crowdsec and its notification plugins, which speak HashiCorp's go-plugin.

use std::fs;
use std::io::BufRead as _;
use std::os::unix::fs::chown;
use std::process::Command;

use super::shims::{FOLDERS, NOBODY, Shims};
use crate::kit::namespace::private;
use crate::kit::{package, run};
use crate::profiles::network::started;

/// What is told of each decision.
const FORMAT: &str = "\"{{range .}}{{range .Decisions}}{{.Value}} {{.Type}}{{end}}{{end}}\"";

/// crowdsec's folder below one of the two, with these notifications (name of
/// the plugin, settings).
pub(super) fn configure(host: &Shims, folder: &str, notifications: &[(&str, &str)]) -> String {
    let top = host.folder(folder).join("crowdsec");
    for name in ["conf/notifications", "data", "hub", "told"] {
        fs::create_dir_all(top.join(name)).unwrap();
    }
    chown(top.join("told"), Some(NOBODY), Some(NOBODY)).unwrap();
    let from = package("crowdsec").join("etc/crowdsec");
    let mut copy = Command::new("cp");
    copy.arg("-r")
        .args(["patterns", "simulation.yaml", "acquis.yaml"].map(|name| from.join(name)));
    copy.arg(top.join("conf"));
    run(copy, b"").succeeded();
    let index = package("crowdsec").join("usr/share/crowdsec/hub/.index.json");
    fs::copy(index, top.join("hub/.index.json")).unwrap();
    let plugins = host.work(folder);
    let top = top.display();
    let settings = format!(
        "common: {{ daemonize: false, log_media: stdout, log_level: info, working_dir: {top} }}
config_paths: {{ config_dir: {top}/conf/, data_dir: {top}/data/, simulation_path: {top}/conf/simulation.yaml,
  hub_dir: {top}/hub/, index_path: {top}/hub/.index.json, notification_dir: {top}/conf/notifications/,
  plugin_dir: {plugins}/ }}
crowdsec_service: {{ acquisition_path: {top}/conf/acquis.yaml, parser_routines: 1 }}
cscli: {{ output: json }}
db_config: {{ log_level: info, type: sqlite, db_path: {top}/data/db, use_wal: false }}
plugin_config: {{ user: nobody, group: nogroup }}
api:
  client: {{ insecure_skip_verify: false, credentials_path: {top}/conf/credentials.yaml }}
  server: {{ log_level: info, listen_uri: 127.0.0.1:8080, profiles_path: {top}/conf/profiles.yaml,
    console_path: {top}/conf/console.yaml }}
prometheus: {{ enabled: false }}
"
    );
    fs::write(format!("{top}/conf/config.yaml"), settings).unwrap();
    let names: Vec<_> = notifications.iter().map(|(name, _)| *name).collect();
    let profiles = format!(
        "name: all\nfilters: [\"Alert.GetScope() == 'Ip'\"]\n\
         decisions: [{{ type: ban, duration: 4h }}]\nnotifications: [{}]\non_success: break\n",
        names.join(", ")
    );
    fs::write(format!("{top}/conf/profiles.yaml"), profiles).unwrap();
    for (name, settings) in notifications {
        let settings = format!(
            "type: {name}\nname: {name}\nlog_level: info\ngroup_threshold: 1\nformat: {FORMAT}\n{}\n",
            settings.replace("TOP", &top.to_string())
        );
        fs::write(format!("{top}/conf/notifications/{name}.yaml"), settings).unwrap();
    }
    top.to_string()
}

/// Starts crowdsec, has it ban an address, calls `told` and stops it; what it
/// said of its plugins.
pub(super) fn ban(host: &Shims, top: &str, told: impl FnOnce()) -> String {
    let program = |name: &str| {
        // Its plugins outlive it, but not their namespace.
        let mut command = host.command("unshare");
        command.args(["--pid", "--fork", "--kill-child", "--mount-proc"]);
        command.args(["sh", "-c", "exec \"$@\" 2>&1", "sh"]);
        command.arg(package("crowdsec").join("usr/bin").join(name));
        command.arg("-c").arg(format!("{top}/conf/config.yaml"));
        command
    };
    let mut machine = program("cscli");
    machine.args(["machines", "add", "host", "-p", "secret", "--force", "-f"]);
    machine.arg(format!("{top}/conf/credentials.yaml"));
    run(machine, b"").succeeded();
    let mut daemon = program("crowdsec");
    daemon.arg("-no-cs");
    let (_daemon, mut output) = started(daemon, "Local API listening");
    let mut decide = program("cscli");
    decide.args("decisions add -i 192.0.2.1 -d 1h -t ban".split(' '));
    run(decide, b"").succeeded();
    told();
    let mut said = String::new();
    while !said.contains("received signal for") {
        assert!(output.read_line(&mut said).unwrap() > 0, "it ended: {said}");
    }
    said
}

/// The plugins by the names that crowdsec looks for.
pub(super) fn plugins(names: &[&str], profile: &str) -> Shims {
    let mut host = Shims::for_nobody();
    for name in names {
        let program = package("crowdsec")
            .join("usr/lib/crowdsec/plugins")
            .join(name);
        host = host.plugin(&format!("notification-{name}"), program, profile);
    }
    host
}

#[test]
fn crowdsec_notifies_through_its_plugin() {
    let profile = "{ extends: go-plugin, filesystem: { write: [-WORK/crowdsec/told] } }";
    private(|| {
        let host = plugins(&["dummy"], profile);
        for folder in FOLDERS {
            let file = "output_file: TOP/told/list";
            let top = configure(&host, folder, &[("dummy", file)]);
            // Reading it waits for the plugin.
            let list = format!("{top}/told/list");
            let mut make = Command::new("mkfifo");
            make.args(["-m", "666", &list]);
            run(make, b"").succeeded();
            ban(&host, &top, || {
                let told = fs::read_to_string(&list).unwrap();
                assert_eq!(told.trim(), "192.0.2.1 ban", "{folder}");
            });
        }
        host.all_ran();
        let applied = host.host.record("sandbox_applied");
        assert_eq!(applied["uid"], NOBODY);
    });
}

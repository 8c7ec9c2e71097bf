//! `audit export`: figures that Prometheus can read, and that never go back.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::counting::launches_of_every_kind;
use crate::kit::{EVERYONE, Host, Outcome, package, run};
use crate::logs::{Log, refusal, sandbox, success};
use crate::{ctl, json};

fn export(host: &Host, log: &Log) -> Outcome {
    let file = figures(host);
    let words = [
        "audit",
        "export",
        log.path().to_str().unwrap(),
        "--prometheus",
    ];
    ctl(host, words.into_iter().chain([file.to_str().unwrap()]))
}

fn figures(host: &Host) -> PathBuf {
    host.path("state/secure_exec.prom")
}

/// Samples by name and labels, as Prometheus' own library for Python reads
/// them, with the kind of each.
fn read(file: &Path) -> BTreeMap<String, (String, f64)> {
    let program = "
import json, sys
from prometheus_client.parser import text_string_to_metric_families
samples = {}
for family in text_string_to_metric_families(open(sys.argv[1], newline='').read()):
    assert family.documentation, family
    for sample in family.samples:
        assert sample.timestamp is None
        name = ','.join([sample.name] + [f'{k}={v}' for k, v in sorted(sample.labels.items())])
        assert name not in samples, name
        samples[name] = [family.type, sample.value]
print(json.dumps(samples))
";
    let mut python = std::process::Command::new("/usr/bin/python3");
    python.args(["-c", program]).arg(file);
    let said = run(python, b"").succeeded().stdout;
    let samples: BTreeMap<String, (String, f64)> = serde_json::from_str(&said).unwrap();
    samples
}

/// Prometheus' own tool finds nothing to complain of.
fn check(file: &Path) {
    let promtool = package("prometheus").join("usr/bin/promtool");
    let mut command = std::process::Command::new(promtool);
    command.args(["check", "metrics"]);
    let said = run(command, &std::fs::read(file).unwrap()).succeeded();
    assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("", ""));
}

fn value(host: &Host, name: &str) -> f64 {
    let samples = read(&figures(host));
    samples
        .get(name)
        .unwrap_or_else(|| panic!("no {name} in {samples:#?}"))
        .1
}

#[test]
fn the_figures_are_those_of_the_launches() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        launches_of_every_kind(&mut host);
        let log = Log::of(&host);
        export(&host, &log).succeeded().prints("");
        check(&figures(&host));
        let samples = read(&figures(&host));
        let stats = json(&host, ["audit", "stats", log.path().to_str().unwrap()]);
        let of = |name: &str| samples.get(name).map(|(_, value)| *value);
        let same = |name: &str, value: &Value| {
            assert_eq!(of(name), value.as_f64(), "{name}: {samples:#?}")
        };
        let launches = |plugin: &str, result: &str| {
            format!("secure_exec_launches_total,plugin={plugin},result={result}")
        };
        same(&launches("good", "allowed"), &json!(3));
        same(&launches("good", "observed"), &json!(1));
        same(&launches("bad", "blocked"), &json!(1));
        // What no whitelist lists is one series, whatever callers type.
        same(&launches("n/a", "allowed"), &json!(1));
        same(&launches("n/a", "blocked"), &json!(2));
        let total: f64 = samples
            .iter()
            .filter(|(name, _)| name.starts_with("secure_exec_launches_total"))
            .map(|(_, (kind, value))| {
                assert_eq!(kind, "counter");
                value
            })
            .sum();
        assert_eq!(Some(total), stats["launches"]["total"].as_f64());
        for violation in ["hash_mismatch", "plugin_disabled", "plugin_not_whitelisted"] {
            let name = format!("secure_exec_refusals_total,violation={violation}");
            same(&name, &stats["refusals"][violation]);
        }
        // What has not happened yet is there, so that it can be seen to happen.
        same(
            "secure_exec_refusals_total,violation=whitelist_rollback",
            &json!(0),
        );
        same("secure_exec_revocations_total", &json!(0));
        same("secure_exec_launch_failures_total", &json!(2));
        same(
            "secure_exec_sandbox_degraded_total",
            &stats["sandboxes"]["degraded"],
        );
        same(
            "secure_exec_sandboxes_total,enforcement=full",
            &stats["sandboxes"]["full"],
        );
        same("secure_exec_audit_records_total", &stats["records"]);
        same("secure_exec_audit_files", &stats["files"]);
        same("secure_exec_audit_size_bytes", &stats["bytes"]);
        assert_eq!(samples["secure_exec_audit_size_bytes"].0, "gauge");
        let last: jiff::Timestamp = stats["last_decision"].as_str().unwrap().parse().unwrap();
        let found = of("secure_exec_last_decision_timestamp_seconds").unwrap();
        assert!(
            (found - last.as_microsecond() as f64 / 1e6).abs() < 1e-5,
            "{found}"
        );
        // Whoever collects is another user.
        let mode = std::fs::metadata(figures(&host))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o7777, 0o644);
    }
}

#[test]
fn each_record_is_counted_once_whatever_becomes_of_it() {
    let host = Host::new();
    let mut log = Log::of(&host);
    let counted = |log: &Log| {
        let file = figures(&host);
        let words = [
            "audit",
            "export",
            log.path().to_str().unwrap(),
            "--prometheus",
            file.to_str().unwrap(),
        ];
        json(&host, words)["counted"].as_u64().unwrap()
    };
    let allowed = "secure_exec_launches_total,plugin=p,result=allowed";
    for round in 1..=6_u32 {
        for launch in 0..4 {
            log.write(&success("p", u128::from(round) * 10 + launch));
            log.write(&sandbox("p", u128::from(round) * 10 + launch, "full", 7));
        }
        let before = counted(&log);
        assert_eq!(before, if round == 1 { 8 } else { 9 });
        assert_eq!(counted(&log), 0);
        assert_eq!(value(&host, allowed), f64::from(round) * 4.0);
        log.rotate();
        // The log forgets what is older than two files.
        if round > 2 {
            std::fs::remove_file(log.beside(&format!(".{:06}", round - 2))).unwrap();
        }
    }
    assert_eq!(value(&host, "secure_exec_audit_rotations_total"), 5.0);
    assert_eq!(counted(&log), 1);
    assert_eq!(value(&host, "secure_exec_audit_rotations_total"), 6.0);
    // All records are gone, and the chain goes on.
    for number in 5..=6 {
        std::fs::remove_file(log.beside(&format!(".{number:06}"))).unwrap();
    }
    std::fs::write(log.path(), "").unwrap();
    assert_eq!(counted(&log), 0);
    assert_eq!(value(&host, allowed), 24.0);
    log.write(&success("p", 999));
    assert_eq!(counted(&log), 1);
    assert_eq!(value(&host, allowed), 25.0);
    assert_eq!(
        value(&host, "secure_exec_audit_records_total"),
        log.last.seq as f64
    );
}

#[test]
fn a_launch_between_two_exports_is_one_launch() {
    let host = Host::new();
    let mut log = Log::of(&host);
    log.write(&crate::logs::Said {
        result: secure_exec_core::audit::Outcome::Allowed,
        ..refusal("p", "hash_mismatch", 7)
    });
    export(&host, &log).succeeded();
    log.write(&crate::logs::Said {
        result: secure_exec_core::audit::Outcome::Allowed,
        ..refusal("p", "insecure_permissions", 7)
    });
    export(&host, &log).succeeded();
    assert_eq!(
        value(&host, "secure_exec_launches_total,plugin=p,result=allowed"),
        1.0
    );
    assert_eq!(
        value(
            &host,
            "secure_exec_violations_overlooked_total,violation=insecure_permissions"
        ),
        1.0
    );
}

#[test]
fn another_chain_is_counted_from_its_beginning() {
    let host = Host::new();
    let allowed = "secure_exec_launches_total,plugin=p,result=allowed";
    let mut log = Log::of(&host);
    (0..5).for_each(|launch| log.write(&success("p", launch)));
    export(&host, &log).succeeded();
    // Shorter than the one before, and longer.
    for count in [2, 9_u32] {
        std::fs::remove_file(log.path()).unwrap();
        log = Log::of(&host);
        log.wait(i64::from(count) * 60);
        (0..count).for_each(|launch| log.write(&success("p", launch.into())));
        export(&host, &log).succeeded();
        assert_eq!(value(&host, allowed), f64::from(count));
    }
}

#[test]
fn hostile_names_are_labels_and_nothing_else() {
    let host = Host::new();
    let mut log = Log::of(&host);
    let names = [
        "\"} 9\nsecure_exec_refusals_total{violation=\"x",
        "a\\",
        "\\n",
        "{",
        "ü",
        "\u{202e}",
    ];
    for (launch, name) in (1..).zip(names) {
        log.write(&success(name, launch));
    }
    for launch in 100..3_000 {
        log.write(&refusal(
            &format!("/tmp/{launch}"),
            "plugin_not_whitelisted",
            launch,
        ));
    }
    let unknown = "\"} 1\n";
    log.write(&refusal("p", unknown, 9_999));
    for _ in 0..2 {
        export(&host, &log).succeeded();
        check(&figures(&host));
        let samples = read(&figures(&host));
        for name in [
            "\"} 9\\u{a}secure_exec_refusals_total{violation=\"x",
            "a\\",
            "\\n",
            "{",
            "ü",
            "\\u{202e}",
        ] {
            let series = format!("secure_exec_launches_total,plugin={name},result=allowed");
            assert_eq!(samples[&series].1, 1.0, "{series}");
        }
        assert_eq!(
            samples["secure_exec_launches_total,plugin=n/a,result=blocked"].1,
            2_900.0
        );
        assert_eq!(
            samples["secure_exec_refusals_total,violation=\"} 1\\u{a}"].1,
            1.0
        );
    }
}

#[test]
fn plugins_have_series_up_to_a_limit() {
    let host = Host::new();
    let mut log = Log::of(&host);
    let mut lines = Vec::new();
    for launch in 0..5_000_u128 {
        lines.extend(log.line(&success(&format!("p{launch}"), launch)));
    }
    log.append(&lines);
    export(&host, &log).succeeded();
    let samples = read(&figures(&host));
    let launches = samples
        .iter()
        .filter(|(name, _)| name.starts_with("secure_exec_launches_total"));
    let (series, sum) = launches.fold((0, 0.0), |(series, sum), (_, (_, value))| {
        (series + 1, sum + value)
    });
    assert_eq!((series, sum), (3_001, 5_000.0));
}

#[test]
fn no_other_file_is_replaced() {
    let host = Host::new();
    let mut log = Log::of(&host);
    log.write(&success("p", 1));
    let file = figures(&host);
    for other in ["# TYPE up gauge\nup 1\n", "words", ""] {
        std::fs::write(&file, other).unwrap();
        export(&host, &log)
            .refused(125)
            .says("it is not what 'secure-execctl audit export' writes");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), other);
    }
    std::fs::remove_file(&file).unwrap();
    let secret = host.write("secret", "keep");
    std::os::unix::fs::symlink(&secret, &file).unwrap();
    export(&host, &log).refused(125).says("symbolic link");
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "keep");
    std::fs::remove_file(&file).unwrap();
    export(&host, &log).succeeded();
    // A log that can't be read leaves the figures as they are.
    let before = std::fs::read(&file).unwrap();
    std::fs::remove_file(log.path()).unwrap();
    export(&host, &log).refused(125).says("there is none");
    assert_eq!(std::fs::read(&file).unwrap(), before);
    let left = std::fs::read_dir(host.path("state")).unwrap().count();
    assert_eq!(left, 1);
}

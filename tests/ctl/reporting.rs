//! `audit report`: the page, as a browser shows it.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::browser::{Browser, Look};
use crate::kit::{Host, User};
use crate::logs::{Log, good_and_bad, refusal, sandbox, success};
use crate::{ctl, json};

pub(crate) const LOOKS: [Look; 4] = [
    Look {
        width: 1280,
        dark: false,
    },
    Look {
        width: 1280,
        dark: true,
    },
    Look {
        width: 390,
        dark: false,
    },
    Look {
        width: 390,
        dark: true,
    },
];

/// Names as an attacker chooses them; all but the last could be in a whitelist.
const HOSTILE: [&str; 5] = [
    "<script>window.hit=1<\u{2215}script>",
    "\"><img src=x onerror=window.hit=1>",
    "'&amp;<b>&",
    "gpj.\u{202e}exe",
    "</style><script>window.hit=1</script>",
];

pub(crate) fn report(host: &Host, log: &Log, more: &[&str]) -> PathBuf {
    let page = host.path("report.html");
    let words = [
        "audit",
        "report",
        log.path().to_str().unwrap(),
        "--html",
        page.to_str().unwrap(),
    ];
    ctl(host, words.iter().chain(more)).succeeded();
    page
}

/// Two weeks of launches of some plugins, with everything that there is.
pub(crate) fn two_weeks(host: &Host) -> Log {
    let mut log = Log::of(host);
    let mut launch = 0;
    for day in 0..14 {
        for plugin in ["auth-service", "report.py", "sorter"]
            .into_iter()
            .chain(HOSTILE)
        {
            launch += 1;
            if day % 5 == 3 {
                log.write(&refusal(plugin, "hash_mismatch", launch));
            } else {
                log.write(&success(plugin, launch));
                let enforcement = if day % 4 == 1 { "partial" } else { "full" };
                log.write(&sandbox(
                    plugin,
                    launch,
                    enforcement,
                    if day % 4 == 1 { 2 } else { 7 },
                ));
            }
            log.wait(7_000);
        }
        launch += 1;
        log.write(&refusal("/tmp/<i>x</i>", "plugin_not_whitelisted", launch));
        if day == 7 {
            log.rotate();
        }
        log.wait(20_000);
    }
    log
}

fn text(browser: &mut Browser, selector: &str) -> String {
    let found = browser.value(&format!("document.querySelector('{selector}').innerText"));
    found.as_str().unwrap().to_string()
}

#[test]
fn the_page_says_what_the_log_says() {
    let host = Host::new();
    let log = two_weeks(&host);
    let page = report(&host, &log, &[]);
    let stats = json(&host, ["audit", "stats", log.path().to_str().unwrap()]);
    let mut browser = Browser::start();
    browser.open(&page, LOOKS[0]);
    let tiles = browser.value(
        "Object.fromEntries([...document.querySelectorAll('.tiles > div')].map(tile => [tile.querySelector('dt').innerText, parseInt(tile.querySelector('dd').innerText)]))",
    );
    let launches = &stats["launches"];
    assert_eq!(launches["total"], 126);
    assert_eq!(
        tiles,
        json!({
            "Launches": launches["total"],
            "Allowed": launches["allowed"],
            "Observed": launches["observed"],
            "Refused": launches["refused"],
            "Not started": launches["not_started"],
            "Weaker sandbox": stats["sandboxes"]["degraded"],
        })
    );
    // The bars' titles, and the table of the same, add up.
    let titles = browser.value(
        "[...document.querySelectorAll('svg.chart g > title')].map(title => title.textContent)",
    );
    let sum = |word: &str| -> u64 {
        let of = |title: &Value| -> u64 {
            let numbers = title.as_str().unwrap().rsplit_once(": ").unwrap().1;
            let mut parts = numbers.split(", ");
            let found = parts.find_map(|part| part.strip_suffix(word)?.trim().parse().ok());
            found.unwrap_or(0)
        };
        titles.as_array().unwrap().iter().map(of).sum()
    };
    assert_eq!(launches["allowed"], sum("allowed"));
    assert_eq!(launches["refused"], sum("refused"));
    let bars = titles.as_array().unwrap().len();
    assert!((10..=60).contains(&bars), "{bars}");
    let table = browser.value(
        "[...document.querySelectorAll('section[aria-labelledby=over-time] tbody tr')].reduce((sum, row) => sum + parseInt(row.cells[3].textContent), 0)",
    );
    assert_eq!(table, launches["refused"]);
    // Violations, sandboxes, plugins.
    let rows = |section: &str| {
        format!(
            "[...document.querySelector('section[aria-labelledby={section}] table').tBodies[0].rows].map(row => [...row.cells].map(cell => cell.innerText.trim()))"
        )
    };
    let violations = browser.value(&rows("violations"));
    assert_eq!(
        violations,
        json!([
            [
                "hash_mismatch",
                stats["refusals"]["hash_mismatch"].to_string(),
                "",
                "0"
            ],
            ["plugin_not_whitelisted", "14", "", "0"],
        ])
    );
    let sandboxes = browser.value(&rows("sandboxes"));
    let of = &stats["sandboxes"];
    for (row, name, sign) in [(0, "full", '✓'), (1, "partial", '!'), (2, "none", '✕')] {
        assert_eq!(sandboxes[row][0], format!("{sign} {name}"));
        assert_eq!(sandboxes[row][1], of[name].to_string());
    }
    let plugins = browser.value(&rows("plugins"));
    let listed = stats["plugins"].as_array().unwrap();
    assert_eq!(plugins.as_array().unwrap().len(), listed.len());
    for row in plugins.as_array().unwrap() {
        let found = listed.iter().find(|plugin| plugin["name"] == row[0]);
        let plugin = found.unwrap_or_else(|| panic!("no {} in {listed:#?}", row[0]));
        assert_eq!(row[1], plugin["launches"]["total"].to_string());
        assert_eq!(row[4], plugin["launches"]["refused"].to_string());
        assert_eq!(row[6], plugin["degraded"].to_string());
    }
    let all = text(&mut browser, "body");
    assert!(all.contains("✓ chain: whole"), "{all}");
    assert!(all.contains("2026-11-01 00:00:00"), "{all}");
}

#[test]
fn a_chain_that_was_broken_is_shown_first() {
    let mut host = Host::new();
    host.install_sh("p", "exit 0");
    host.list("p", &[]);
    host.launch("p").run().succeeded();
    host.launch("p").run().succeeded();
    let log = host.audit_log();
    let text = std::fs::read_to_string(&log).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    std::fs::write(&log, [lines[0], lines[2], lines[3]].concat()).unwrap();
    let page = host.path("report.html");
    let (log, page) = (log.to_str().unwrap(), page.to_str().unwrap());
    ctl(&host, ["audit", "report", log, "--html", page]).succeeded();
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("chain: broken"), "{page}");
    assert!(!page.contains("chain: whole"), "{page}");
    let file = host.path("figures.prom");
    let words = ["audit", "export", log, "--prometheus"];
    ctl(&host, words.into_iter().chain([file.to_str().unwrap()])).succeeded();
    let figures = std::fs::read_to_string(file).unwrap();
    assert!(
        figures.contains("secure_exec_audit_chain_ok 0\n"),
        "{figures}"
    );
}

#[test]
fn a_file_of_the_past_is_reported_on_alone_and_its_chain_not_judged() {
    let mut host = Host::new();
    host.install_sh("p", "exit 0");
    host.list("p", &[]);
    host.launch("p").run().succeeded();
    let log = host.audit_log();
    ctl(&host, ["audit", "rotate", log.to_str().unwrap()]).succeeded();
    let past = log.with_file_name("audit.log.000001");
    let (past, page) = (past.to_str().unwrap(), host.path("report.html"));
    ctl(
        &host,
        ["audit", "report", past, "--html", page.to_str().unwrap()],
    )
    .succeeded();
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("chain: not verified"), "{page}");
    let file = host.path("figures.prom");
    let words = ["audit", "export", past, "--prometheus"];
    ctl(&host, words.into_iter().chain([file.to_str().unwrap()])).succeeded();
    let figures = std::fs::read_to_string(file).unwrap();
    assert!(!figures.contains("audit_chain_ok "), "{figures}");
}

#[test]
fn a_launch_shows_how_strong_its_sandbox_was() {
    let host = good_and_bad(User::Root);
    host.launch("good").run().succeeded();
    host.launch("bad").run().refused(126);
    host.launch("good").policy("audit-only").run().succeeded();
    let page = report(&host, &Log::of(&host), &[]);
    let mut browser = Browser::start();
    browser.open(&page, LOOKS[0]);
    browser.value("document.querySelectorAll('details').forEach(one => one.open = true)");
    let of = |browser: &mut Browser, name: &str| {
        let rows = browser.value(&format!(
            "[...document.querySelectorAll('.history')].filter(one => one.querySelector('.name').textContent === '{name}').flatMap(one => [...one.querySelectorAll('tbody tr')]).map(row => [...row.cells].map(cell => cell.innerText.replace(/\\s+/g, ' ').trim()))"
        ));
        rows.as_array().unwrap().clone()
    };
    let good = of(&mut browser, "good");
    assert_eq!(good.len(), 2, "{good:#?}");
    // The newest first: one that only was observed, and one that was confined.
    assert_eq!(good[0][1], "– observed");
    assert!(good[0][3].as_str().unwrap().starts_with("✕ none"));
    assert_eq!(good[1][1], "✓ allowed");
    let abi = &host
        .records()
        .into_iter()
        .find(|r| r["event_type"] == "sandbox_applied")
        .unwrap()["sandbox"]["landlock"]["abi"];
    assert_eq!(good[1][3], format!("✓ full Landlock ABI {abi}"));
    for control in ["capabilities", "exec", "files", "network", "signals"] {
        let proven = format!("✓ {control} proven");
        assert!(good[1][4].as_str().unwrap().contains(&proven), "{good:#?}");
    }
    let bad = of(&mut browser, "bad");
    assert_eq!(bad[0][1], "✕ refused");
    let why = bad[0][2].as_str().unwrap();
    assert!(
        why.contains("hash_mismatch: the plugin's bytes are not the whitelisted ones"),
        "{why}"
    );
    assert!(why.contains("severity: high"), "{why}");
}

#[test]
fn a_hostile_name_is_text_and_the_page_asks_nobody_for_anything() {
    let host = Host::new();
    let log = two_weeks(&host);
    let page = report(&host, &log, &[]);
    let raw = std::fs::read_to_string(&page).unwrap();
    assert!(!raw.contains('\u{202e}'));
    assert!(raw.contains("http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';"));
    let mut browser = Browser::start();
    for look in [LOOKS[0], LOOKS[3]] {
        browser.open(&page, look);
        assert_eq!(browser.value("typeof window.hit"), "undefined");
        assert_eq!(
            browser.value(
                "document.scripts.length + document.images.length + document.styleSheets.length"
            ),
            1
        );
        assert_eq!(browser.value("document.querySelectorAll('b, i, iframe, object, embed, form, [onerror], [style]').length"), 0);
        let all = text(&mut browser, "body");
        for name in HOSTILE {
            let shown = name.replace('\u{202e}', "\\u{202e}");
            assert!(all.contains(&shown), "{name}: {all}");
        }
        assert!(all.contains("/tmp/<i>x</i>"));
        let requests = browser.requests();
        let own = format!("file://{}", page.display());
        let others = requests
            .iter()
            .filter(|url| **url != own && *url != "data:,");
        assert_eq!(others.count(), 0, "{requests:?}");
        assert!(requests.contains(&own));
        // The policy holds: what a name might smuggle in would not run.
        browser.value("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=window.hit=1><style>body{display:none}</style>')");
        assert_eq!(browser.value("typeof window.hit"), "undefined");
        assert_eq!(
            browser.value("getComputedStyle(document.body).display"),
            "block"
        );
    }
}

#[test]
fn the_page_stays_small_and_says_what_it_leaves_out() {
    let host = Host::new();
    let mut log = Log::of(&host);
    let mut lines = Vec::new();
    for launch in 0..30_000_u128 {
        let name = format!("plugin-{:04}", launch % 1_500);
        lines.extend(log.line(&success(&name, launch)));
        let long = format!("/tmp/{launch}/{}", "<".repeat(2_000));
        if launch % 20 == 0 {
            lines.extend(log.line(&refusal(
                &long,
                "plugin_not_whitelisted",
                launch + 1_000_000,
            )));
            log.wait(3_600);
        }
    }
    log.append(&lines);
    let page = report(&host, &log, &[]);
    let size = std::fs::metadata(&page).unwrap().len();
    assert!(size < 3_000_000, "{size}");
    let mut browser = Browser::start();
    browser.open(&page, LOOKS[2]);
    browser.value("document.querySelectorAll('details').forEach(one => one.open = true)");
    let all = text(&mut browser, "body");
    for said in [
        "31,500",
        "900 more are left out here",
        "There were too many names to count each for itself; of the rest there were 10,000 launches",
        "1,400 launches, 1,400 of them refused",
        "10 other launches are left out",
    ] {
        assert!(all.contains(said), "{said}: {all}");
    }
    let width = browser.value("document.documentElement.scrollWidth");
    assert_eq!(width, 390);
    assert!(
        browser
            .value("document.querySelectorAll('svg.chart g').length")
            .as_u64()
            .unwrap()
            <= 60
    );
}

#[test]
fn a_time_may_be_chosen() {
    let host = Host::new();
    let log = two_weeks(&host);
    let page = report(
        &host,
        &log,
        &["--since", "2026-11-05", "--until", "2026-11-06"],
    );
    let mut browser = Browser::start();
    browser.open(&page, LOOKS[0]);
    let range = ["--since", "2026-11-05", "--until", "2026-11-06"];
    let words = ["audit", "stats", log.path().to_str().unwrap()];
    let stats = json(&host, words.iter().chain(&range));
    assert!(stats["launches"]["total"].as_u64().unwrap() < 20);
    let first = text(&mut browser, ".tiles dd");
    assert!(
        first.starts_with(&stats["launches"]["total"].to_string()),
        "{first}"
    );
    let lead = text(&mut browser, "header");
    assert!(
        lead.contains("Records from 2026-11-05 00:00:00 to 2026-11-06 00:00:00 UTC"),
        "{lead}"
    );
    // Nothing at all is a page, too.
    let page = report(&host, &log, &["--since", "2027-01-01"]);
    browser.open(&page, LOOKS[0]);
    assert!(text(&mut browser, "body").contains("No launch was decided on in this time."));
    assert_eq!(browser.complaints(), Vec::<&Value>::new());
}

#[test]
fn the_page_takes_its_place_as_a_whole_or_not_at_all() {
    let host = Host::new();
    let log = two_weeks(&host);
    let try_at = |path: &Path| {
        let words = [
            "audit",
            "report",
            log.path().to_str().unwrap(),
            "--html",
            path.to_str().unwrap(),
        ];
        ctl(&host, words)
    };
    let page = host.write("page.html", "old");
    let before = std::fs::metadata(&page).unwrap().ino();
    try_at(&page).succeeded();
    let after = std::fs::metadata(&page).unwrap();
    assert_ne!(after.ino(), before);
    assert_eq!(after.permissions().mode() & 0o7777, 0o600);
    // A link is not followed, nor replaced.
    let secret = host.write("secret", "keep");
    let link = host.path("link.html");
    std::os::unix::fs::symlink(&secret, &link).unwrap();
    try_at(&link).refused(125).says("symbolic link");
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "keep");
    assert!(link.is_symlink());
    try_at(&host.path("plugins"))
        .refused(125)
        .says("no plain file");
    try_at(&host.path("nowhere/page.html"))
        .refused(125)
        .says("can't be written");
    // A log that can't be read leaves the page as it was.
    let old = std::fs::read(&page).unwrap();
    let nothing = host.path("state/nothing.log");
    let words = [
        "audit",
        "report",
        nothing.to_str().unwrap(),
        "--html",
        page.to_str().unwrap(),
    ];
    ctl(&host, words).refused(125);
    assert_eq!(std::fs::read(&page).unwrap(), old);
    let files = std::fs::read_dir(host.path("")).unwrap().flatten();
    let names: Vec<_> = files
        .map(|file| file.file_name().into_string().unwrap())
        .collect();
    assert!(
        names
            .iter()
            .all(|name| !name.starts_with(".page") && !name.starts_with(".link")),
        "{names:?}"
    );
    ctl(&host, ["audit", "report", log.path().to_str().unwrap()])
        .refused(125)
        .says("--html");
}

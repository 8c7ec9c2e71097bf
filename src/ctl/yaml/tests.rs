//! Edits of texts: what changes, and that nothing else does.

use proptest::prelude::*;
use secure_exec_core::whitelist::{Entry, Whitelist};

use super::sheet::{Place, Sheet};
use super::write::{Value, double_quoted, quoted};

const DIGEST: &str = "sha256:98ea6e4f216f2fb4b69fff9b3a44842c38686ca685f3f55dc48c5d3fb1107be4";
const OTHER: &str = "sha256:1121cfccd5913f0a63fec40a6ffd44ea64f9dc135c66634ba001d10bcf4302a2";

fn fields(name: &str) -> Vec<(String, Value)> {
    [("name", name), ("path", "./p"), ("hash", DIGEST)]
        .map(|(key, value)| (key.to_string(), Value::Text(value.to_string())))
        .into()
}

fn added(text: &str, name: &str) -> Result<String, String> {
    let mut sheet = Sheet::read(text)?;
    sheet.add(&[fields(name)])?;
    sheet.finish()
}

fn removed(text: &str, name: &str) -> Result<String, String> {
    let mut sheet = Sheet::read(text)?;
    sheet.remove(name)?;
    sheet.finish()
}

fn names(text: &str) -> Vec<String> {
    let whitelist = Whitelist::parse(text.as_bytes(), "w");
    let whitelist = whitelist.unwrap_or_else(|error| panic!("{error}\n{text}"));
    whitelist
        .entries
        .iter()
        .map(|e| e.name.to_string())
        .collect()
}

/// Layouts with the names that are in them.
const LAYOUTS: &[(&str, &[&str])] = &[
    ("version: \"1.0\"\n", &[]),
    ("version: \"1.0\"", &[]),
    ("---\nversion: 1\n...\n", &[]),
    ("version: 1\nplugins:\n", &[]),
    ("version: 1\nplugins: # none yet\nupdated_at:\n", &[]),
    ("version: 1\nplugins: null # none\n", &[]),
    ("version: 1\nplugins: ~", &[]),
    ("version: 1\nplugins: []", &[]),
    ("version: 1\nplugins:\n  []\n", &[]),
    ("version: 1\nplugins: [] # none\n# end\n", &[]),
    ("version: 1\r\nplugins: []\r\n# end\r\n", &[]),
    ("version: 1\nplugins: [\n  # none\n]\n", &[]),
    ("{version: 1}", &[]),
    ("{version: 1, plugins: }\n", &[]),
    ("{version: 1, plugins: []}\n", &[]),
    (
        "{\"version\": \"1.0\", \"plugins\": [{\"name\": \"a\", \"path\": \"b\"}]}\n",
        &["a"],
    ),
    ("version: 1\nplugins: [{name: a, path: b}, ]\n", &["a"]),
    (
        "version: 1\nplugins: [ # x\n {name: a, path: b} # y\n , {name: c, path: d} ]\n",
        &["a", "c"],
    ),
    ("version: 1\nplugins:\n  - name: a\n    path: b\n", &["a"]),
    (
        "version: 1\nplugins:\n- name: a\n  path: b\nsettings: {}\n",
        &["a"],
    ),
    (
        "version: 1\nplugins:\n      -   name: a\n          path: b",
        &["a"],
    ),
    (
        "version: 1\nplugins:\n  -\n    name: a\n    path: b\n",
        &["a"],
    ),
    (
        "version: 1\nplugins:\n  - # first\n    name: a\n    path: b\n",
        &["a"],
    ),
    ("version: 1\nplugins:\n  - {name: a, path: b} # a\n", &["a"]),
    (
        "version: 1\nplugins:\n  # A\n  - name: a # n\n    path: b # p\n    # hash: later\n\n    # more\n  # end\n# end\nsettings: {}\n",
        &["a"],
    ),
    (
        "version: 1\nplugins:\n  - name: a\n    path: b\n    signature: |\n      x\n      # y\n\n  # end\n",
        &["a"],
    ),
    (
        "version: 1\nplugins:\n  - name: a\n    path: b\n    signature:\n...\n# end\n",
        &["a"],
    ),
    (
        "version: 1\nplugins:\n  - name: a\n    path: >-\n      b\n      c\n",
        &["a"],
    ),
    (
        "  version: 1\n  plugins:\n    - name: a\n      path: b\n",
        &["a"],
    ),
    ("  version: 1\n", &[]),
    (
        "\u{feff}plugins:\n  - name: a\n    path: b\nversion: 1\n",
        &["a"],
    ),
    ("\u{feff}plugins: []\nversion: 1\n", &[]),
    (
        "version: 1\r\nplugins:\r\n  - name: a\r\n    path: b\r\n    # c\r\n",
        &["a"],
    ),
    (
        "version: 1\nplugins:\n  - name: a\n    path: b\n  - {name: \"c\", path: 'd'}\n",
        &["a", "c"],
    ),
    (
        "version: 1\n\"plugins\":\n  - \"name\": \"\\x61\"\n    path: b\n",
        &["a"],
    ),
    (
        "version: 1\nplugins:\n  - name: a\n    path: b\nsettings:\n  policy: strict\n  # forbidden_paths: []\n# end\n",
        &["a"],
    ),
];

#[test]
fn every_layout_takes_one_more_plugin_and_gives_it_back() {
    for (text, before) in LAYOUTS {
        assert_eq!(names(text), *before, "{text}");
        let more = added(text, "new").unwrap_or_else(|why| panic!("{why}\n{text}"));
        assert_eq!(names(&more), [*before, &["new"]].concat(), "{more}");
        let less = removed(&more, "new").unwrap_or_else(|why| panic!("{why}\n{more}"));
        assert_eq!(names(&less), *before, "{less}");
        if !before.is_empty() {
            assert_eq!(less, *text);
        }
        for name in *before {
            let less = removed(text, name).unwrap_or_else(|why| panic!("{why}\n{text}"));
            assert!(!names(&less).contains(&name.to_string()), "{less}");
        }
    }
}

#[test]
fn what_is_added_looks_like_what_is_there() {
    let cases = [
        (
            "version: 1\nplugins: [] # none\n# end\n",
            "version: 1\nplugins: # none\n  - name: new\n    path: ./p\n    hash: D\n# end\n",
        ),
        (
            "version: 1\r\nplugins:\r\n-   name: a\r\n    path: b\r\n    # of a\r\n# end",
            "version: 1\r\nplugins:\r\n-   name: a\r\n    path: b\r\n    # of a\r\n-   name: new\r\n    path: ./p\r\n    hash: D\r\n# end",
        ),
        (
            "version: \"1.0\"",
            "version: \"1.0\"\nplugins:\n  - name: new\n    path: ./p\n    hash: D",
        ),
        (
            "{version: 1, plugins: [{name: a, path: b}]}\n",
            "{version: 1, plugins: [{name: a, path: b}, { name: new, path: ./p, hash: \"D\" }]}\n",
        ),
    ];
    for (before, after) in cases {
        assert_eq!(added(before, "new").unwrap(), after.replace('D', DIGEST));
    }
}

#[test]
fn values_change_in_place() {
    let set = |text: &str, key: &str, value: Value| {
        let mut sheet = Sheet::read(text).unwrap();
        sheet.set("a", Place::Key(key), &value)?;
        sheet.finish()
    };
    let other = || Value::Text(OTHER.into());
    for quote in ["", "'", "\""] {
        let of = |digest: &str| {
            format!(
                "version: 1\nplugins:\n  - hash:   {quote}{digest}{quote}  # c\n    name: a\n    path: b\n"
            )
        };
        assert_eq!(set(&of(DIGEST), "hash", other()).unwrap(), of(OTHER));
    }
    assert_eq!(
        set(
            "version: 1\nplugins:\n- path: b # c\n  name: a",
            "enabled",
            Value::Flag(false)
        )
        .unwrap(),
        "version: 1\nplugins:\n- path: b # c\n  enabled: false\n  name: a"
    );
    assert_eq!(
        set("version: 1\nplugins: [{name: a, path: b}]", "hash", other()).unwrap(),
        format!("version: 1\nplugins: [{{name: a, path: b, hash: \"{OTHER}\"}}]")
    );
    let block = format!("version: 1\nplugins:\n- name: a\n  path: b\n  hash: >-\n    {DIGEST}\n");
    assert!(set(&block, "hash", other()).is_err());
}

#[test]
fn the_time_changes_where_there_is_one() {
    let touched = |text: &str| {
        let mut sheet = Sheet::read(text).unwrap();
        sheet.touch("updated_at", "T").unwrap();
        sheet.finish().unwrap()
    };
    assert_eq!(
        touched("version: 1\nupdated_at: \"x\" # c\n"),
        "version: 1\nupdated_at: \"T\" # c\n"
    );
    assert_eq!(
        touched("version: 1\nupdated_at: # c\n"),
        "version: 1\nupdated_at: T # c\n"
    );
    assert_eq!(touched("version: 1\n"), "version: 1\n");
}

#[test]
fn a_strange_layout_is_refused_or_understood_and_never_damaged() {
    for text in [
        "version: 1\n? plugins\n: - name: a\n    path: b\n",
        "version: 1\nplugins:\n  - !!map\n    name: a\n    path: b\n",
        "? version\n: 1\n",
    ] {
        assert_eq!(
            Whitelist::parse(text.as_bytes(), "w").map(drop),
            Ok(()),
            "{text}"
        );
        let result = added(text, "new");
        let harmless = result
            .as_ref()
            .map_or(true, |text| names(text).last().unwrap() == "new");
        assert!(harmless, "{result:?}");
    }
}

/// Text of all sorts, hostile ones among it.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9._/-]{1,12}",
        "[ :#'\"\\\\,{}\\[\\]&*!|>%@`~?\t-]{0,8}",
        any::<String>(),
        Just("true".to_string()),
        Just("null".to_string()),
        Just("1.0".to_string()),
        Just("0x1f".to_string()),
        Just("\u{feff}\u{202e}\u{85}\u{2028}\u{7f}\u{1b}[2J".to_string()),
    ]
}

fn name() -> impl Strategy<Value = String> {
    let good = |name: &String| secure_exec_core::name::PluginName::new(name).is_ok();
    any_text().prop_filter("a name", good)
}

fn path() -> impl Strategy<Value = String> {
    let good = |path: &String| !path.is_empty() && !path.contains('\0');
    any_text().prop_filter("a path", good)
}

#[derive(Clone, Debug)]
struct Layout {
    flow_list: bool,
    flow_entries: bool,
    returns: bool,
    margin: usize,
    gap: usize,
    comments: bool,
    settings_last: bool,
    end: &'static str,
}

fn layout() -> impl Strategy<Value = Layout> {
    (
        any::<[bool; 5]>(),
        0..4_usize,
        1..4_usize,
        prop::sample::select(&["", "\n", "\n\n# end\n", "\n...\n"]),
    )
        .prop_map(
            |([flow_list, flow_entries, returns, comments, settings_last], margin, gap, end)| {
                Layout {
                    flow_list,
                    flow_entries,
                    returns,
                    margin,
                    gap,
                    comments,
                    settings_last,
                    end,
                }
            },
        )
}

/// A whitelist of these plugins, laid out so.
fn written(layout: &Layout, plugins: &[(String, String, String)]) -> String {
    let mut lines = vec!["version: \"1.0\" # v".to_string()];
    let settings = "settings: { policy: strict }";
    if !layout.settings_last {
        lines.push(settings.into());
    }
    let comment = |text: &str| {
        if layout.comments {
            format!(" # {text}")
        } else {
            String::new()
        }
    };
    let in_braces = |(name, path, note): &(String, String, String)| {
        let [name, path, note] = [name, path, note].map(|text| quoted(text));
        format!("{{name: {name}, path: {path}, metadata: {{ note: {note} }}}}")
    };
    if layout.flow_list {
        let entries: Vec<String> = plugins.iter().map(in_braces).collect();
        lines.push(format!("plugins: [{}]", entries.join(" , ")));
    } else {
        lines.push(format!("plugins:{}", comment("all")));
        let margin = " ".repeat(layout.margin);
        let gap = " ".repeat(layout.gap);
        for plugin in plugins {
            if layout.flow_entries {
                lines.push(format!(
                    "{margin}-{gap}{}{}",
                    in_braces(plugin),
                    comment("one")
                ));
                continue;
            }
            let (name, path, note) = plugin;
            if layout.comments {
                lines.push(format!("{margin}# above"));
            }
            lines.push(format!(
                "{margin}-{gap}name: {}{}",
                double_quoted(name),
                comment("n")
            ));
            lines.push(format!("{margin} {gap}path: {}", quoted(path)));
            lines.push(format!(
                "{margin} {gap}metadata: {{ note: {} }}",
                quoted(note)
            ));
            if layout.comments {
                lines.push(format!("{margin} {gap}# within"));
            }
        }
    }
    if layout.settings_last {
        lines.push(settings.into());
    }
    let mut text = lines.join("\n");
    text.push_str(layout.end);
    if layout.returns {
        text = text.replace('\n', "\r\n");
    }
    text
}

fn entries(text: &str) -> Vec<Entry> {
    let whitelist = Whitelist::parse(text.as_bytes(), "w");
    let mut entries = whitelist
        .unwrap_or_else(|error| panic!("{error}\n{text}"))
        .entries;
    entries
        .iter_mut()
        .for_each(|entry| (entry.line, entry.column) = (0, 0));
    entries
}

proptest! {
    #[test]
    fn adding_keeps_the_old_entries_and_removing_brings_them_back(
        layout in layout(),
        plugins in prop::collection::vec((name(), path(), any_text()), 0..4),
        new in (name(), path(), any_text(), prop::collection::vec(any_text(), 0..3)),
    ) {
        let mut plugins = plugins;
        plugins.sort();
        plugins.dedup_by(|a, b| a.0 == b.0);
        let (name, path, note, args) = new;
        plugins.retain(|(known, ..)| *known != name);
        let text = written(&layout, &plugins);
        let old = entries(&text);
        prop_assert_eq!(old.len(), plugins.len());

        let mut fields = fields(&name);
        fields[1].1 = Value::Text(path.clone());
        fields.push(("args".into(), Value::List(args.iter().cloned().map(Value::Text).collect())));
        let pairs = vec![(note.clone(), Value::Text(path.clone())), ("k".into(), Value::Text(note.clone()))];
        prop_assume!(note != "k");
        fields.push(("metadata".into(), Value::Map(pairs)));
        let mut sheet = Sheet::read(&text).unwrap();
        sheet.add(&[fields]).unwrap();
        let more = sheet.finish().unwrap();
        let mut found = entries(&more);
        let last = found.pop().unwrap();
        prop_assert_eq!(&found, &old);
        prop_assert_eq!(last.name.as_str(), &name);
        prop_assert_eq!(&last.path, &path);
        prop_assert_eq!(&last.args, &args);
        prop_assert_eq!(last.metadata.get(&note), Some(&path));
        prop_assert_eq!(last.metadata.get("k"), Some(&note));

        let less = removed(&more, &name).unwrap();
        prop_assert_eq!(entries(&less), old.clone());
        if !old.is_empty() {
            prop_assert_eq!(less, text.clone());
        }
        for (at, (name, ..)) in plugins.iter().enumerate() {
            let mut rest = old.clone();
            rest.remove(at);
            prop_assert_eq!(entries(&removed(&text, name).unwrap()), rest);
        }
    }
}

//! Values as YAML text that reads back as the same values.

use secure_exec_core::escape::is_unsafe;

/// A value that is written.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// Text.
    Text(String),
    /// `true` or `false`.
    Flag(bool),
    /// A list.
    List(Vec<Self>),
    /// Keys with values, in this order.
    Map(Vec<(String, Self)>),
}

/// A value on one line, as it stands within brackets.
pub(crate) fn flow(value: &Value) -> String {
    match value {
        Value::Text(text) => quoted(text),
        Value::Flag(flag) => flag.to_string(),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(flow).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Map(pairs) if pairs.is_empty() => "{}".into(),
        Value::Map(pairs) => {
            let pairs: Vec<String> = pairs
                .iter()
                .map(|(key, value)| format!("{}: {}", quoted(key), flow(value)))
                .collect();
            format!("{{ {} }}", pairs.join(", "))
        }
    }
}

/// Keys with values as lines, without indentation: a list of maps gets a line
/// for each, all else is on the line of its key.
pub(crate) fn lines(pairs: &[(String, Value)]) -> Vec<String> {
    let mut lines = Vec::new();
    for (key, value) in pairs {
        let key = quoted(key);
        match value {
            Value::Text(text) => lines.push(format!("{key}: {}", plain_digest(text))),
            Value::List(items) if items.iter().any(|item| matches!(item, Value::Map(_))) => {
                lines.push(format!("{key}:"));
                lines.extend(items.iter().map(|item| format!("  - {}", flow(item))));
            }
            other => lines.push(format!("{key}: {}", flow(other))),
        }
    }
    lines
}

/// Text in quotes, where it needs them.
pub(crate) fn quoted(text: &str) -> String {
    if is_plain(text) {
        text.to_string()
    } else {
        double_quoted(text)
    }
}

/// Text in double quotes. Whatever could change how a line is shown or where
/// it ends is escaped.
pub(crate) fn double_quoted(text: &str) -> String {
    let mut written = String::with_capacity(text.len().saturating_add(2));
    written.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => written.extend(['\\', c]),
            '\n' => written.push_str("\\n"),
            '\t' => written.push_str("\\t"),
            c if is_unsafe(c) || is_unprintable(c) => match u32::from(c) {
                code @ ..=0xff => written.push_str(&format!("\\x{code:02x}")),
                code @ ..=0xffff => written.push_str(&format!("\\u{code:04x}")),
                code => written.push_str(&format!("\\U{code:08x}")),
            },
            c => written.push(c),
        }
    }
    written.push('"');
    written
}

/// Text in single quotes, where that can hold it.
pub(crate) fn single_quoted(text: &str) -> Option<String> {
    let fits = !text.chars().any(|c| is_unsafe(c) || is_unprintable(c));
    fits.then(|| format!("'{}'", text.replace('\'', "''")))
}

/// A digest needs no quotes on a line of its own.
pub(crate) fn plain_digest(text: &str) -> String {
    match text.split_once(':') {
        Some((algorithm, digits))
            if is_plain(algorithm)
                && !digits.is_empty()
                && digits.chars().all(|c| c.is_ascii_hexdigit()) =>
        {
            text.to_string()
        }
        _ => quoted(text),
    }
}

/// Not among YAML's printable characters, though Unicode has no complaint.
fn is_unprintable(c: char) -> bool {
    matches!(c, '\u{fffe}' | '\u{ffff}' | '\u{e000}'..='\u{f8ff}')
}

/// Whether text can stand without quotes everywhere: letters, digits and a few
/// marks, and nothing that a reader could take for another value.
fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 12] = [
        "true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf", "infinity",
    ];
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic())
        || text.starts_with('/')
        || text.starts_with("./");
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./@+-".contains(c);
    starts && text.chars().all(plain) && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}

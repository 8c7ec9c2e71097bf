//! Records as `key=value` pairs. Objects within a record become keys with
//! dots, lists JSON in quotes.

use serde_json::{Map, Value};

use crate::escape;

/// What a reader looks for stands first, the rest in alphabetical order.
const FIRST: &[&str] = &[
    "timestamp",
    "event_type",
    "result",
    "violation_type",
    "plugin_name",
    "reason",
];

/// The pairs without a line feed.
#[must_use]
pub fn from_fields(fields: &Map<String, Value>) -> String {
    let mut pairs = Vec::new();
    for name in FIRST {
        if let Some(value) = fields.get(*name) {
            pair("", name, value, &mut pairs);
        }
    }
    for (name, value) in fields {
        if !FIRST.contains(&name.as_str()) {
            pair("", name, value, &mut pairs);
        }
    }
    pairs.join(" ")
}

fn pair(prefix: &str, name: &str, value: &Value, pairs: &mut Vec<String>) {
    let key = format!("{prefix}{name}");
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                pair(&format!("{key}."), name, value, pairs);
            }
        }
        Value::Null => {}
        Value::String(text) => pairs.push(format!("{key}={}", quoted(text))),
        Value::Array(_) | Value::Object(_) => {
            pairs.push(format!("{key}={}", quoted(&value.to_string())));
        }
        Value::Bool(_) | Value::Number(_) => pairs.push(format!("{key}={value}")),
    }
}

/// Bare where no reader can misunderstand it, else as a JSON string. A text
/// that looks like a number or a truth value is quoted, so that it stays text.
fn quoted(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:+@,".contains(&byte);
    let is_bare = !text.is_empty() && text.bytes().all(is_plain) && scalar(text).is_string();
    if is_bare {
        return text.to_string();
    }
    escape::json(&Value::from(text).to_string())
}

/// A bare value: number, truth value or text.
fn scalar(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(value @ (Value::Number(_) | Value::Bool(_))) => value,
        _ => Value::from(text),
    }
}

/// Reads what [`from_fields`] writes, back into objects; lists stay text.
/// `None` where the line is something else.
#[must_use]
pub fn to_fields(line: &str) -> Option<Map<String, Value>> {
    let mut rest = line.trim_end_matches('\n');
    let mut fields = Map::new();
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=')?;
        if key.is_empty() || key.contains(['"', ' ']) {
            return None;
        }
        let value;
        (value, rest) = match after.strip_prefix('"') {
            Some(_) => {
                let mut stream = serde_json::Deserializer::from_str(after).into_iter::<String>();
                let text = stream.next()?.ok()?;
                (Value::from(text), after.get(stream.byte_offset()..)?)
            }
            None => {
                let end = after.find(' ').unwrap_or(after.len());
                let (text, rest) = after.split_at(end);
                (scalar(text), rest)
            }
        };
        insert(&mut fields, key, value)?;
        rest = match rest.strip_prefix(' ') {
            Some(rest) if !rest.is_empty() => rest,
            None if rest.is_empty() => rest,
            _ => return None,
        };
    }
    (!fields.is_empty()).then_some(fields)
}

fn insert(fields: &mut Map<String, Value>, key: &str, value: Value) -> Option<()> {
    match key.split_once('.') {
        None => {
            fields.insert(key.to_string(), value);
            Some(())
        }
        Some((first, rest)) => {
            let inner = fields
                .entry(first)
                .or_insert_with(|| Value::Object(Map::new()));
            insert(inner.as_object_mut()?, rest, value)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let record = json!({
            "plugin_name": "a b\n\"c\"=d",
            "path": "/usr/bin/x",
            "host": "42",
            "empty": "",
            "truth": "true",
            "pid": 42,
            "sandbox": { "landlock": { "abi": 7 }, "proven": true },
        });
        let Value::Object(fields) = record else {
            unreachable!()
        };
        let line = from_fields(&fields);
        assert!(!line.contains('\n'), "{line}");
        assert!(line.starts_with("plugin_name="), "{line}");
        assert!(line.contains("host=\"42\" path=/usr/bin/x"), "{line}");
        assert!(line.contains("sandbox.landlock.abi=7"), "{line}");
        assert_eq!(to_fields(&line), Some(fields));
    }

    #[test]
    fn lists_are_text_and_nothing_is_left_out() {
        let Value::Object(fields) = json!({ "proven": ["files", "exec"], "none": null }) else {
            unreachable!()
        };
        let line = from_fields(&fields);
        assert_eq!(line, r#"proven="[\"files\",\"exec\"]""#);
    }

    #[test]
    fn other_lines_are_no_pairs() {
        for line in [
            "", "words", "a=\"open", "=x", "a=1 b", "a=\"x\"y", "a=1  b=2",
        ] {
            assert_eq!(to_fields(line), None, "{line}");
        }
    }
}

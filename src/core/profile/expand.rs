//! Variables in paths, globs in names.

use crate::escape::Escaped;

/// Expands `${VAR}`, `{plugin_dir}` and `{runtime_dir}`.
///
/// # Errors
/// A sentence that names the variable that is unset, or an open brace.
pub fn expand(
    text: &str,
    variables: &dyn Fn(&str) -> Option<String>,
    plugin_dir: &str,
    runtime_dir: &str,
) -> Result<String, String> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['$', '{']) {
        let (before, after) = rest.split_at(at);
        expanded.push_str(before);
        if let Some(tail) = after.strip_prefix("${") {
            let Some((name, tail)) = tail.split_once('}') else {
                return Err(format!("'{}' has an open '${{'", Escaped(text)));
            };
            let value = variables(name).filter(|value| !value.is_empty());
            let value = value.ok_or_else(|| {
                format!(
                    "'{}' names the variable '{}', which is not set",
                    Escaped(text),
                    Escaped(name)
                )
            })?;
            expanded.push_str(&value);
            rest = tail;
        } else if let Some(tail) = after.strip_prefix("{plugin_dir}") {
            expanded.push_str(plugin_dir);
            rest = tail;
        } else if let Some(tail) = after.strip_prefix("{runtime_dir}") {
            expanded.push_str(runtime_dir);
            rest = tail;
        } else {
            let mut characters = after.chars();
            expanded.extend(characters.next());
            rest = characters.as_str();
        }
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// Whether a path has a `..` component.
#[must_use]
pub fn has_dotdot(path: &str) -> bool {
    path.split('/').any(|part| part == "..")
}

/// Whether a name matches a pattern in which `*` stands for any text.
#[must_use]
pub fn glob_matches(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut left) = name.strip_prefix(first) else {
        return false;
    };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return left.ends_with(part);
        }
        match left.split_once(part) {
            Some((_, after)) => left = after,
            None => return false,
        }
    }
    true
}

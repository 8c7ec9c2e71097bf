//! Edits of a list of maps in an entry: members come and go, the others keep
//! their bytes and comments.

use super::outline::{Kind, Node};
use super::sheet::Sheet;
use super::write::{self, Value};

/// A new member, and the old one that it comes before; `None` is behind all.
pub(crate) type Insertion = (Option<usize>, Value);

impl Sheet<'_> {
    /// Takes members out of a list of an entry and puts others in. The list is
    /// made where it is missing.
    ///
    /// # Errors
    /// There is no such entry, or the layout is not understood.
    pub(crate) fn relist(
        &mut self,
        name: &str,
        list: &str,
        removed: &[usize],
        inserted: &[Insertion],
    ) -> Result<(), String> {
        let entry = self.entry(name)?;
        let in_flow = matches!(entry.kind, Kind::Map { flow: true, .. });
        let (before, _) = entry.pair("path").ok_or("the entry has no 'path'")?;
        let edits = match entry.pair(list) {
            None if in_flow => {
                let (_, path) = entry.pair("path").ok_or("the entry has no 'path'")?;
                let text = format!(", {list}: {}", flow(inserted));
                vec![(path.bytes.end..path.bytes.end, text)]
            }
            None => {
                let behind = entry.pair("hash").or(entry.pair("path"));
                let (_, behind) = behind.ok_or("the entry has no 'path'")?;
                let start = self.lines().line_start(before.bytes.start);
                let column = before.bytes.start.saturating_sub(start);
                let at = self.lines().line_ending(behind.bytes.end)?;
                let head = format!("{}{}{list}:", self.line_end(), " ".repeat(column));
                let block = self.members(inserted, column.saturating_add(2));
                vec![(at..at, format!("{head}{block}"))]
            }
            Some((key, found)) => match &found.kind {
                Kind::List { flow: true, items } => {
                    let kept = items.iter().enumerate();
                    let kept = kept.filter(|(at, _)| !removed.contains(at));
                    let kept: Vec<(usize, &str)> = kept
                        .map(|(at, item)| (at, self.lines().slice(item.bytes.clone())))
                        .collect();
                    if self.lines().slice(found.bytes.clone()).contains('#') {
                        return Err("a list in brackets has comments".into());
                    }
                    vec![(found.bytes.clone(), merged(&kept, inserted))]
                }
                Kind::List { flow: false, items } => {
                    self.of_block(key, items, removed, inserted)?
                }
                Kind::Scalar { .. } => {
                    let from = self.lines().colon(key)?;
                    let to = found.bytes.end.max(from);
                    vec![(from..to, format!(" {}", flow(inserted)))]
                }
                Kind::Map { .. } => return Err(format!("'{list}' is no list")),
            },
        };
        for (bytes, with) in edits {
            self.edit(bytes, with);
        }
        Ok(())
    }

    fn of_block(
        &self,
        key: &Node,
        items: &[Node],
        removed: &[usize],
        inserted: &[Insertion],
    ) -> Result<Vec<(std::ops::Range<usize>, String)>, String> {
        let lines = self.lines();
        let mut edits = Vec::new();
        let mut column = 0;
        let mut ends = Vec::with_capacity(items.len());
        for (at, item) in items.iter().enumerate() {
            let dash = lines.dash(item)?;
            let start = lines.line_start(dash);
            column = dash.saturating_sub(start);
            let end = lines.end_with_comments(item.bytes.end, column)?;
            if removed.contains(&at) {
                edits.push((lines.before_line_end(start)..end, String::new()));
            }
            ends.push(end);
        }
        if removed.len() == items.len() && inserted.is_empty() {
            let at = lines.colon(key)?;
            edits.push((at..at, " []".into()));
        }
        for (place, value) in inserted {
            let place = place.unwrap_or(items.len());
            let behind = place.checked_sub(1).and_then(|before| ends.get(before));
            let at = match behind {
                Some(end) => *end,
                None => lines.line_ending(lines.colon(key)?)?,
            };
            let member = (None, value.clone());
            edits.push((at..at, self.members(std::slice::from_ref(&member), column)));
        }
        Ok(edits)
    }

    fn members(&self, inserted: &[Insertion], column: usize) -> String {
        let margin = " ".repeat(column);
        let lines = inserted.iter();
        let lines = lines.map(|(_, value)| {
            let value = write::flow(value);
            format!("{}{margin}- {value}", self.line_end())
        });
        lines.collect()
    }
}

fn flow(inserted: &[Insertion]) -> String {
    let values = inserted.iter().map(|(_, value)| value.clone());
    write::flow(&Value::List(values.collect()))
}

/// Old and new members of a list in brackets.
fn merged(kept: &[(usize, &str)], inserted: &[Insertion]) -> String {
    let mut members: Vec<(usize, bool, String)> = Vec::new();
    let kept = kept.iter();
    members.extend(kept.map(|(at, text)| (*at, true, (*text).to_string())));
    let new = inserted.iter();
    members.extend(new.map(|(at, value)| (at.unwrap_or(usize::MAX), false, write::flow(value))));
    // New ones come before the old one that they name.
    members.sort_by_key(|(at, is_old, _)| (*at, *is_old));
    let members: Vec<String> = members.into_iter().map(|(_, _, text)| text).collect();
    format!("[{}]", members.join(", "))
}

#[cfg(test)]
mod tests {
    use secure_exec_core::whitelist::Whitelist;

    use super::super::write::Value;
    use super::*;

    const DIGEST: &str = "sha256:98ea6e4f216f2fb4b69fff9b3a44842c38686ca685f3f55dc48c5d3fb1107be4";

    fn pin(path: &str) -> Value {
        let text = |text: &str| Value::Text(text.to_string());
        Value::Map(vec![
            ("path".into(), text(path)),
            ("hash".into(), text(DIGEST)),
        ])
    }

    fn relisted(text: &str, removed: &[usize], inserted: &[(Option<usize>, &str)]) -> String {
        let mut sheet = Sheet::read(text).unwrap();
        let inserted: Vec<Insertion> = inserted
            .iter()
            .map(|(place, path)| (*place, pin(path)))
            .collect();
        sheet.relist("a", "libraries", removed, &inserted).unwrap();
        sheet.finish().unwrap()
    }

    fn paths(text: &str) -> Vec<String> {
        let whitelist = Whitelist::parse(text.as_bytes(), "w");
        let whitelist = whitelist.unwrap_or_else(|error| panic!("{error}\n{text}"));
        let pins = whitelist.find("a").unwrap().libraries.iter();
        pins.map(|pin| pin.path.clone()).collect()
    }

    #[test]
    fn a_list_is_made_where_there_is_none() {
        for text in [
            "version: 1\nplugins:\n- name: a\n  path: p # c\n  hash: x # d\n- name: b\n  path: q\n",
            "version: 1\nplugins:\n- path: p\n  name: a",
            "version: 1\r\nplugins:\r\n  - name: a\r\n    path: p\r\n",
            "version: 1\nplugins: [{name: a, path: p}, {name: b, path: q}]\n",
            "version: 1\nplugins:\n- name: a\n  path: p\n  libraries: []\n",
            "version: 1\nplugins:\n- name: a\n  path: p\n  libraries: [] # none\n  enabled: true\n",
        ] {
            let new = relisted(text, &[], &[(None, "/x"), (None, "/y")]);
            assert_eq!(paths(&new), ["/x", "/y"], "{new}");
            let kept = text.lines().filter(|line| line.contains('#'));
            for comment in kept.filter_map(|line| line.split('#').nth(1)) {
                assert!(new.contains(comment), "{new}");
            }
        }
    }

    #[test]
    fn members_come_and_go_and_the_others_keep_their_comments() {
        let pins = ["/b", "/d", "/f"].map(|path| format!("{{path: {path}, hash: {DIGEST:?}}}"));
        let [b, d, f] = &pins;
        let block = format!(
            "version: 1\nplugins:\n- name: a\n  path: p\n  libraries: # all\n  # of b\n  - {b} # b\n  \
             # of d\n  - path: /d\n    hash: {DIGEST}\n      # more of d\n  - {f}\n  enabled: true\n"
        );
        let flow =
            format!("version: 1\nplugins:\n- {{name: a, path: p, libraries: [{b}, {d}, {f}]}}\n");
        for text in [&block, &flow] {
            for (removed, inserted, expected) in [
                (&[][..], &[(Some(0), "/a")][..], "/a /b /d /f"),
                (
                    &[],
                    &[(Some(1), "/c1"), (Some(1), "/c2")],
                    "/b /c1 /c2 /d /f",
                ),
                (&[], &[(None, "/g")], "/b /d /f /g"),
                (&[0], &[(Some(1), "/c")], "/c /d /f"),
                (&[0, 2], &[(None, "/g")], "/d /g"),
                (&[1], &[], "/b /f"),
                (&[0, 1, 2], &[(None, "/x"), (None, "/y")], "/x /y"),
                (&[0, 1, 2], &[], ""),
            ] {
                let new = relisted(text, removed, inserted);
                assert_eq!(paths(&new).join(" "), expected, "{new}");
                let rest: Vec<usize> = (0..3).filter(|at| !removed.contains(at)).collect();
                if *text == block {
                    assert_eq!(new.contains("# b\n"), rest.contains(&0), "{new}");
                    assert_eq!(new.contains("# more of d"), rest.contains(&1), "{new}");
                    assert!(new.contains("# all\n") && new.contains("# of d\n"), "{new}");
                }
            }
        }
    }
}

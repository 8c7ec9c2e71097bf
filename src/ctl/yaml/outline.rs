//! Where things stand in a YAML text: its nodes, each with its bytes. Owns no
//! meaning; what a whitelist may say is decided elsewhere.

use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle};

/// A node of the text.
#[derive(Debug)]
pub(crate) struct Node {
    /// Its bytes, without white space and comments around it.
    pub(crate) bytes: Range<usize>,
    /// What it is.
    pub(crate) kind: Kind,
}

/// What a node is.
#[derive(Debug)]
pub(crate) enum Kind {
    /// Text, a number, nothing.
    Scalar {
        /// The value.
        text: String,
        /// Quotes or none.
        style: ScalarStyle,
    },
    /// A list.
    List {
        /// In brackets, not by indentation.
        flow: bool,
        /// Its members.
        items: Vec<Node>,
    },
    /// Keys with values.
    Map {
        /// In braces, not by indentation.
        flow: bool,
        /// In the order of the text.
        pairs: Vec<(Node, Node)>,
    },
}

impl Node {
    /// The value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.pair(key).map(|(_, value)| value)
    }

    /// A key with its value.
    pub(crate) fn pair(&self, key: &str) -> Option<&(Self, Self)> {
        let Kind::Map { pairs, .. } = &self.kind else {
            return None;
        };
        pairs.iter().find(|(found, _)| found.text() == Some(key))
    }

    /// The members of a list.
    pub(crate) fn items(&self) -> &[Self] {
        match &self.kind {
            Kind::List { items, .. } => items,
            Kind::Scalar { .. } | Kind::Map { .. } => &[],
        }
    }

    /// The text of a scalar.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, .. } => Some(text),
            Kind::List { .. } | Kind::Map { .. } => None,
        }
    }

    /// Nothing was written where a value could be.
    pub(crate) fn is_absent(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// Finds the nodes of the one document in a text.
///
/// # Errors
/// A sentence.
pub(crate) fn read(text: &str) -> Result<Node, String> {
    let mut events = Events {
        text,
        parser: Parser::new_from_str(text),
    };
    loop {
        match events.next()? {
            (Event::StreamStart | Event::DocumentStart(..), _) => {}
            (Event::StreamEnd, _) => return Err("the text is empty".into()),
            (event, span) => return events.node(event, &span, 0),
        }
    }
}

struct Events<'a> {
    text: &'a str,
    parser: Parser<'a, granit_parser::StrInput<'a>>,
}

/// As deep as a whitelist may be (the reader's own limit is the same).
const DEEPEST: usize = 16;

impl<'a> Events<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), String> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(error.to_string()),
            None => Err("the text ends too early".into()),
        }
    }

    fn node(&mut self, event: Event<'a>, span: &Span, depth: usize) -> Result<Node, String> {
        if depth > DEEPEST {
            return Err("the text is nested too deep".into());
        }
        let bytes = span.byte_range().ok_or("a place is unknown")?;
        match event {
            Event::Scalar(text, style, ..) => Ok(Node {
                bytes: self.trimmed(bytes),
                kind: Kind::Scalar {
                    text: text.into_owned(),
                    style,
                },
            }),
            Event::SequenceStart(style, ..) => {
                let mut items = Vec::new();
                let end = loop {
                    match self.next()? {
                        (Event::SequenceEnd, span) => break span,
                        (event, span) => items.push(self.node(event, &span, depth + 1)?),
                    }
                };
                let flow = style == StructureStyle::Flow;
                let last = items.last().map(|item| item.bytes.end);
                Ok(Node {
                    bytes: bytes.start..closed(flow, &end, last.unwrap_or(bytes.start))?,
                    kind: Kind::List { flow, items },
                })
            }
            Event::MappingStart(style, ..) => {
                let mut pairs = Vec::new();
                let end = loop {
                    let key = match self.next()? {
                        (Event::MappingEnd, span) => break span,
                        (event, span) => self.node(event, &span, depth + 1)?,
                    };
                    let (event, span) = self.next()?;
                    let mut value = self.node(event, &span, depth + 1)?;
                    if value.is_absent() {
                        let at = self.after_colon(key.bytes.end);
                        value.bytes = at..at;
                    }
                    pairs.push((key, value));
                };
                let flow = style == StructureStyle::Flow;
                let last = pairs.last().map(|(_, value)| value.bytes.end);
                Ok(Node {
                    bytes: bytes.start..closed(flow, &end, last.unwrap_or(bytes.start))?,
                    kind: Kind::Map { flow, pairs },
                })
            }
            other => Err(format!("aliases are not for whitelists ({other:?})")),
        }
    }

    /// A block scalar's bytes go on to the next thing in the text.
    fn trimmed(&self, bytes: Range<usize>) -> Range<usize> {
        let written = self.text.get(bytes.clone()).unwrap_or_default();
        bytes.start..bytes.start.saturating_add(written.trim_end().len())
    }

    /// Behind the colon of a key without a value.
    fn after_colon(&self, key_end: usize) -> usize {
        let rest = self.text.get(key_end..).unwrap_or_default();
        let blank = rest.len().saturating_sub(rest.trim_start().len());
        match rest.trim_start().strip_prefix(':') {
            Some(_) => key_end.saturating_add(blank).saturating_add(1),
            None => key_end,
        }
    }
}

/// A bracket closes a flow collection; a block one ends with its last member.
fn closed(flow: bool, end: &Span, last: usize) -> Result<usize, String> {
    if !flow {
        return Ok(last);
    }
    let bytes = end.byte_range().ok_or("a place is unknown")?;
    Ok(bytes.end)
}

//! The profiles that the program carries with it.

const SOURCES: &[(&str, &str)] = &[
    ("cni", include_str!("../../../profiles/cni.yaml")),
    ("default", include_str!("../../../profiles/default.yaml")),
    (
        "go-plugin",
        include_str!("../../../profiles/go-plugin.yaml"),
    ),
    ("jvm", include_str!("../../../profiles/jvm.yaml")),
    (
        "mcp-stdio",
        include_str!("../../../profiles/mcp-stdio.yaml"),
    ),
    (
        "network-client",
        include_str!("../../../profiles/network-client.yaml"),
    ),
    (
        "network-service",
        include_str!("../../../profiles/network-service.yaml"),
    ),
    ("node", include_str!("../../../profiles/node.yaml")),
    ("python", include_str!("../../../profiles/python.yaml")),
    (
        "unconfined",
        include_str!("../../../profiles/unconfined.yaml"),
    ),
];

/// The YAML text of a profile.
#[must_use]
pub fn source(name: &str) -> Option<&'static str> {
    SOURCES
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, text)| *text)
}

/// The names, sorted.
pub fn names() -> impl Iterator<Item = &'static str> {
    SOURCES.iter().map(|(name, _)| *name)
}

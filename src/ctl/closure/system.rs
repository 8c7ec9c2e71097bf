//! What the system configures its dynamic loaders with, and what they know of
//! the processor.

use std::path::Path;

use elf::abi;

use super::cache::Cache;

const CACHE: &str = "/etc/ld.so.cache";

/// How a glibc is configured.
pub(super) struct Glibc {
    pub(super) cache: Cache,
    /// What `$LIB` stands for.
    pub(super) lib: String,
    /// The folders that every search ends with.
    pub(super) defaults: Vec<String>,
}

/// The cache, what `$LIB` stands for, and the default folders, by where the
/// loader lies: distributions configure all of them alike.
pub(super) fn glibc(real: &Path) -> Result<Glibc, String> {
    let folder = real.parent().unwrap_or(real).to_string_lossy().into_owned();
    let inside = folder.strip_prefix("/usr").unwrap_or(&folder);
    let lib = inside.trim_start_matches('/').to_string();
    let is_system = ["/lib", "/lib32", "/lib64"].contains(&inside) || inside.starts_with("/lib/");
    let mut cache = Cache::default();
    let mut defaults = vec![folder.clone()];
    if is_system {
        defaults = vec![format!("/{lib}"), format!("/usr/{lib}")];
        if lib.contains('/') {
            defaults.extend(["/lib".into(), "/usr/lib".into()]);
        }
        cache = match std::fs::read(CACHE) {
            Ok(bytes) => Cache::parse(&bytes).map_err(|why| format!("'{CACHE}': {why}"))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => cache,
            Err(error) => return Err(format!("'{CACHE}': {error}")),
        };
    }
    Ok(Glibc {
        cache,
        lib,
        defaults,
    })
}

/// Names that the loader has for the processor: the kernel's, and those that
/// older versions of glibc put in its place.
pub(super) fn platforms(machine: u16) -> &'static [&'static str] {
    match machine {
        abi::EM_X86_64 => &["x86_64", "haswell", "xeon_phi"],
        _ => &["aarch64"],
    }
}

/// The subfolders of `glibc-hwcaps` that this processor is good for, best
/// first (the levels of the x86-64 ABI).
pub(super) fn levels() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected as has;
        let second = has!("sse3")
            && has!("ssse3")
            && has!("sse4.1")
            && has!("sse4.2")
            && has!("popcnt")
            && has!("cmpxchg16b");
        let third = second
            && has!("avx")
            && has!("avx2")
            && has!("bmi1")
            && has!("bmi2")
            && has!("f16c")
            && has!("fma")
            && has!("lzcnt")
            && has!("movbe");
        let fourth = third
            && has!("avx512f")
            && has!("avx512bw")
            && has!("avx512cd")
            && has!("avx512dq")
            && has!("avx512vl");
        let levels = [
            (fourth, "x86-64-v4"),
            (third, "x86-64-v3"),
            (second, "x86-64-v2"),
        ];
        levels
            .into_iter()
            .filter_map(|(good, name)| good.then_some(name))
            .collect()
    }
    #[cfg(not(target_arch = "x86_64"))]
    Vec::new()
}

/// The parts of musl that are asked for by name.
const MUSL: &[&str] = &["c", "pthread", "rt", "m", "dl", "util", "xnet"];

/// Whether a library is one of musl's parts.
pub(super) fn is_of_musl(name: &str) -> bool {
    MUSL.iter().any(|part| is_part(name, part))
}

fn is_part(name: &str, part: &str) -> bool {
    let rest = name
        .strip_prefix("lib")
        .and_then(|rest| rest.strip_prefix(part));
    rest.is_some_and(|rest| rest.starts_with('.'))
}

/// The folders of `/etc/ld-musl-ARCH.path`, beside the folder that the loader
/// is in; musl's own ones where there is no such file.
pub(super) fn musl_folders(loader: &Path, name: &str) -> Result<Vec<String>, String> {
    let prefix = loader.parent().and_then(Path::parent);
    let prefix = prefix.unwrap_or(Path::new("/"));
    let stem = name.split(".so").next().unwrap_or(name);
    let file = prefix.join("etc").join(format!("{stem}.path"));
    match std::fs::read_to_string(&file) {
        Ok(text) => {
            let folders = text.split([':', '\n']).map(str::trim);
            Ok(folders
                .filter(|folder| !folder.is_empty())
                .map(String::from)
                .collect())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Ok(["/lib", "/usr/local/lib", "/usr/lib"]
                .map(String::from)
                .to_vec())
        }
        Err(error) => Err(format!("'{}': {error}", file.display())),
    }
}

//! Which environment variables a profile may pass, and by what.
//!
//! A full name says what is meant. A pattern takes what its author does not
//! know, so it has to say what kind of thing that is: a family by its whole
//! first word (`LC_*`, `APP_*`), or a handshake by its ending (`*_COOKIE`).
//! Families of programs that take code or options from their variables are
//! for full names, one by one; so is every variable whose name says so itself.

use crate::escape::Escaped;

/// Why a name or pattern may not stand in `environment.pass`, as a sentence.
pub(super) fn flaw(pattern: &str) -> Option<String> {
    let shown = Escaped(pattern);
    let Some((family, ending)) = pattern.split_once('*') else {
        return is_dynamic_loader_variable(pattern).then(|| {
            format!(
                "'{shown}' is never passed: it changes what the dynamic loader loads; leave it out, or give it a value in 'environment.set'"
            )
        });
    };
    if family.is_empty() && ending.ends_with(HANDSHAKE) {
        return None;
    }
    let is_family = ending.is_empty()
        && family.ends_with('_')
        && family.trim_matches('_').len() >= SHORTEST
        && !family.starts_with('_');
    if !is_family {
        return Some(format!(
            "the pattern '{shown}' could take variables from which programs load code; write names in full, \
             the first word of a family as in 'APP_*', or an ending in *{HANDSHAKE}"
        ));
    }
    is_loader_variable(family).then(|| {
        format!(
            "variables like '{shown}' change what code a program loads; write each name that the plugin needs in full"
        )
    })
}

/// Letters of a family's first word: `LC_*`.
const SHORTEST: usize = 2;

/// The ending by which hosts and plugins know each other.
const HANDSHAKE: &str = "_COOKIE";

/// Whether a name or pattern passes a variable, if nothing is wrong with it.
#[must_use]
pub fn passes(pattern: &str, name: &str) -> bool {
    if pattern == name {
        return !is_dynamic_loader_variable(name);
    }
    let is_taken = match (pattern.strip_suffix('*'), pattern.strip_prefix('*')) {
        (Some(family), _) => name.starts_with(family),
        (None, Some(ending)) => name.ends_with(ending),
        (None, None) => false,
    };
    is_taken && !is_loader_variable(name)
}

/// Whether a variable, or a family of them, changes what code a program loads
/// or runs: what glibc drops for set-user-ID programs (man 8 ld.so), and what
/// is read by shells, interpreters, and libraries with plugins of their own.
fn is_loader_variable(name: &str) -> bool {
    is_dynamic_loader_variable(name)
        || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || NAMES.contains(&name)
        || says_so(name)
}

/// Whether a name itself says that its value leads to code, whoever reads it:
/// a place to search, a module, options.
fn says_so(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    // That of a host's plugins (`TF_PLUGIN_MAGIC_COOKIE`) is no plugin.
    let is_plugin = name.contains("PLUGIN") && !name.ends_with(HANDSHAKE);
    is_plugin
        || name.ends_with("_API")
        || PARTS.iter().any(|part| name.contains(part))
        || name.split('_').any(|word| WORDS.contains(&word))
}

/// Anywhere in a name.
const PARTS: &[&str] = &[
    "PATH", "DRIVER", "MODULE", "PRELOAD", "LIBRAR", "EXEC", "OPTION", "FLAGS", "RUN_AS",
];

/// Words between underscores.
const WORDS: &[&str] = &["DIR", "DIRS", "LIB", "LIBS", "OPTS"];

fn is_dynamic_loader_variable(name: &str) -> bool {
    name.starts_with("LD_") || name.starts_with("GLIBC_")
}

const PREFIXES: &[&str] = &[
    // The C library.
    "MALLOC_",
    "RES_",
    "NIS_",
    "NSS_", // Shells.
    "BASH_",
    "ZSH_",
    "FISH_",
    "KSH_", // Interpreters and their package managers.
    "PYTHON",
    "PIP_",
    "VIRTUAL_",
    "CONDA_",
    "PERL",
    "RUBY",
    "GEM_",
    "BUNDLE_",
    "NODE_",
    "NPM_",
    "npm_",
    "DENO_",
    "BUN_",
    "LUA_",
    "TCL",
    "TK_",
    "PHP_",
    "ERL_",
    "ELIXIR_",
    "MIX_",
    "JAVA_",
    "JDK_",
    "_JAVA_",
    "JVM_",
    "CLASS",
    "MAVEN_",
    "GRADLE_",
    "SCALA_",
    "KOTLIN_",
    "DOTNET_",
    "COMPlus_",
    "CORECLR_",
    "MONO_",
    "OCAML",
    "CAML_",
    "GHC_",
    "GUILE_",
    "SCHEME_",
    "JULIA_",
    "R_",
    "OCTAVE_",
    "AWK",
    "GAWK_", // Compilers and build tools.
    "CARGO_",
    "RUST",
    "GCC_",
    "MAKE",
    "CMAKE_",
    "CCACHE_", // Programs that others call.
    "GIT_",
    "SSH_",
    "SUDO_",
    "MAN_",
    "LESS", // Libraries that load modules.
    "OPENSSL_",
    "GTK_",
    "GDK_",
    "GIO_",
    "GI_",
    "GST_",
    "QT_",
    "QML",
    "KDE_",
    "XDG_",
    "DBUS_",
    "VK_",
    "LIBGL_",
    "MESA_",
    "EGL_",
    "OCL_",
    "CUDA_",
    "ODBC",
    "SASL_",
    "KRB5_",
    "GSS_",
    "PKCS11_",
    "MAGICK_",
    "GEGL_",
    "LV2_",
    "LADSPA_",
    "TERMINFO_",
    "HDF5_",
    "GDAL_",
    "NIX_",
    "SPA_",
    "PIPEWIRE_",
    "LIBVA_",
    "VDPAU_",
    "UCX_",
    "NCCL_",
    "OMPI_",
    "PMIX_",
    "ELECTRON_",
    "SDL_",
];

const NAMES: &[&str] = &[
    "GCONV_PATH",
    "GETCONF_DIR",
    "HOSTALIASES",
    "LOCALDOMAIN",
    "LOCPATH",
    "NLSPATH",
    "RESOLV_HOST_CONF",
    "TZDIR",
    "ENV",
    "SHELLOPTS",
    "BASHOPTS",
    "PS4",
    "PROMPT_COMMAND",
    "IFS",
    "CDPATH",
    "GLOBIGNORE",
    "PHPRC",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_says_what_it_takes() {
        for pattern in [
            "LC_*",
            "APP_*",
            "MY_APP_*",
            "*_COOKIE",
            "*_MAGIC_COOKIE",
            "*_PLUGIN_COOKIE",
        ] {
            assert_eq!(flaw(pattern), None, "{pattern}");
        }
        for pattern in [
            "*",
            "**",
            "*_*",
            "_*",
            "*_",
            "__*",
            "G*",
            "GE*",
            "TCL*",
            "APP*",
            "A_*",
            "*H",
            "*PATH",
            "*_PATH",
            "*_FLAGS",
            "*_PLUGIN",
            "PLUGIN_*",
            "LIB_*",
            "*_MODULES",
            "*COOKIE",
            "APP_*_PATH",
            "APP_*_COOKIE",
            "_APP_*",
            "*APP_*",
        ] {
            let why = flaw(pattern);
            assert!(why.is_some_and(|why| why.contains("in full")), "{pattern}");
        }
    }

    #[test]
    fn a_family_whose_variables_load_code_is_for_full_names() {
        for (pattern, name) in [
            ("PYTHON_*", "PYTHON_GIL"),
            ("GIT_*", "GIT_EXEC_PATH"),
            ("GEM_*", "GEM_PATH"),
            ("ERL_*", "ERL_FLAGS"),
            ("GTK_*", "GTK_MODULES"),
            ("NODE_*", "NODE_OPTIONS"),
            ("XDG_*", "XDG_DATA_DIRS"),
        ] {
            assert!(flaw(pattern).is_some_and(|why| why.contains("in full")));
            assert!(!passes(pattern, name) && !passes("*", name), "{name}");
            assert_eq!(flaw(name), None, "{name}");
            assert!(passes(name, name), "{name}");
        }
    }

    #[test]
    fn what_is_never_passed_is_not_asked_for() {
        for name in ["LD_PRELOAD", "LD_*", "GLIBC_TUNABLES", "GLIBC_*"] {
            assert!(flaw(name).is_some(), "{name}");
            assert!(!passes(name, "LD_PRELOAD") && !passes(name, "GLIBC_TUNABLES"));
        }
    }

    #[test]
    fn an_ending_takes_nothing_that_loads_code() {
        assert!(passes("*_COOKIE", "TF_PLUGIN_MAGIC_COOKIE"));
        for name in ["GIT_COOKIE", "PYTHON_COOKIE", "MY_MODULE_COOKIE"] {
            assert!(!passes("*_COOKIE", name), "{name}");
        }
    }

    #[test]
    fn a_family_takes_none_whose_name_says_that_it_leads_to_code() {
        for name in [
            "APP_PLUGIN",
            "APP_PLUGINS",
            "APP_SEARCH_PATH",
            "APP_DIR",
            "APP_DIR_DATA",
            "APP_DATA_DIRS",
            "APP_DRIVER_NAME",
            "APP_MODULES",
            "APP_PRELOAD",
            "APP_LIB",
            "APP_LIBRARY",
            "APP_EXECUTABLE",
            "APP_OPTIONS",
            "APP_OPTS",
            "APP_CFLAGS",
            "APP_API",
            "APP_RUN_AS_NODE",
            "APP_plugin_path",
        ] {
            assert!(!passes("APP_*", name), "{name}");
            assert_eq!(flaw(name), None, "{name}");
            assert!(passes(name, name), "{name}");
        }
        for name in [
            "APP_COOKIE",
            "APP_API_KEY",
            "APP_DIRECTION",
            "APP_LIBERAL",
            "APP_COMMAND",
        ] {
            assert!(passes("APP_*", name), "{name}");
        }
    }

    #[test]
    fn families_of_libraries_that_load_modules_are_no_patterns() {
        for family in [
            "HDF5_",
            "GDAL_",
            "NIX_",
            "SPA_",
            "LIBVA_",
            "UCX_",
            "NCCL_",
            "ELECTRON_",
            "SDL_",
        ] {
            assert!(flaw(&format!("{family}*")).is_some(), "{family}");
        }
    }
}

//! The interpreters that are known, and their options: one row a family.

/// Whether a list, with blanks between its members, has a word. (Lists of
/// pointers would be relocated in each launch.)
pub(super) fn has(list: &str, word: &str) -> bool {
    !word.is_empty() && list.split(' ').any(|member| member == word)
}

/// Interpreters that read their words alike.
pub(super) struct Family {
    /// Their names, without a version's digits.
    pub(super) names: &'static str,
    /// The first word that is no option is the program.
    pub(super) operand: bool,
    /// Letters of options whose value is the program's text.
    pub(super) text: &'static str,
    /// That text may stand right behind the letter.
    pub(super) text_attached: bool,
    /// The same as words.
    pub(super) long_text: &'static str,
    /// Letter of the option whose value is a module's name.
    pub(super) module: &'static str,
    /// Letters of options that have another value.
    pub(super) values: &'static str,
    /// Letters of options whose value is another word, whatever stands behind
    /// them.
    pub(super) apart: &'static str,
    /// Letter of the option whose value is a list of long options.
    pub(super) long: &'static str,
    /// Letters of options whose value, if they have one, is the rest of the
    /// word.
    pub(super) attached: &'static str,
    /// Options whose value is another word.
    pub(super) long_values: &'static str,
    /// Options whose value is a file that is run.
    pub(super) files: &'static str,
    /// Such a value without a slash is a module's name.
    pub(super) file_names_modules: bool,
    /// Those of them whose value may be a program's text (`data:`).
    pub(super) urls: &'static str,
    /// Options whose value is the folder that it goes to before it looks for
    /// its program.
    pub(super) folders: &'static str,
    /// Where no option names a program, it takes one that lies there.
    pub(super) in_folder: bool,
    /// Settings (`-d NAME=FILE`) that name a file that is run.
    pub(super) settings: &'static str,
    /// Options with which the first word that is no option is a program.
    pub(super) makes_operand: &'static str,
    /// Long options may be cut short.
    pub(super) abbreviates: bool,
    /// Words before the program.
    pub(super) verbs: &'static str,
    /// Its words hold another command, with so many words before that which
    /// are neither options nor assignments.
    pub(super) command: Option<usize>,
    /// Letters and names of options whose value is a command's words.
    pub(super) split: &'static str,
}

const NONE: Family = Family {
    names: "",
    operand: false,
    text: "",
    text_attached: false,
    long_text: "",
    module: "",
    values: "",
    apart: "",
    long: "",
    attached: "",
    long_values: "",
    files: "",
    file_names_modules: false,
    urls: "",
    folders: "",
    in_folder: false,
    settings: "",
    makes_operand: "",
    abbreviates: false,
    verbs: "",
    command: None,
    split: "",
};

const FAMILIES: &[Family] = &[
    Family {
        names: "python pypy",
        operand: true,
        text: "c",
        text_attached: true,
        module: "m",
        values: "WX",
        long_values: "--check-hash-based-pycs",
        ..NONE
    },
    Family {
        names: "node nodejs",
        operand: true,
        text: "ep",
        long_text: "--eval --print",
        values: "C",
        long_values: NODE_VALUES,
        files: "-r --require --import --loader --experimental-loader --snapshot-blob",
        file_names_modules: true,
        urls: "--import --loader --experimental-loader",
        ..NONE
    },
    Family {
        names: "deno bun",
        operand: true,
        long_text: "eval --eval -e",
        long_values: "-c --config --cert --ext --import-map --lock --location --seed --env-file",
        files: "-r --preload --require --import",
        file_names_modules: true,
        folders: "--cwd",
        verbs: "run serve test bench",
        ..NONE
    },
    Family {
        names: "perl",
        operand: true,
        text: "eE",
        text_attached: true,
        values: "I",
        attached: "CDFMVimx",
        ..NONE
    },
    Family {
        names: "ruby jruby truffleruby",
        operand: true,
        text: "e",
        text_attached: true,
        values: "CEIX",
        attached: "FKTWix",
        long_values: "--encoding --external-encoding --internal-encoding",
        files: "-r",
        file_names_modules: true,
        folders: "-C -X -x",
        ..NONE
    },
    Family {
        names: "php php-cgi",
        operand: true,
        text: "BERr",
        text_attached: true,
        long_text: "--run --process-begin --process-code --process-end",
        values: "Scdt",
        long_values: "--define --php-ini --docroot --server",
        files: "-F -f -z --file --process-file --zend-extension",
        settings: "auto_prepend_file auto_append_file opcache.preload",
        ..NONE
    },
    Family {
        names: "lua luajit texlua",
        operand: true,
        text: "e",
        text_attached: true,
        values: "jl",
        ..NONE
    },
    Family {
        names: "bash rbash dash ash hush",
        operand: true,
        text: "c",
        apart: "Oo",
        files: "--rcfile --init-file",
        ..NONE
    },
    // What `sh` is differs; these take an option's name behind the letter too.
    Family {
        names: "sh ksh mksh lksh zsh yash fish posh",
        operand: true,
        text: "c",
        values: "Oo",
        files: "--rcfile --init-file",
        ..NONE
    },
    Family {
        names: "tclsh wish expect",
        operand: true,
        text: "c",
        text_attached: true,
        long_values: "-encoding",
        files: "-f",
        ..NONE
    },
    Family {
        names: "Rscript",
        operand: true,
        text: "e",
        ..NONE
    },
    Family {
        names: "awk gawk mawk nawk original-awk",
        values: "Fv",
        long: "W",
        files: "-E --exec -f --file -i --include -l --load",
        abbreviates: true,
        ..NONE
    },
    Family {
        names: "sed gsed",
        text: "e",
        text_attached: true,
        values: "l",
        attached: "i",
        files: "-f --file",
        abbreviates: true,
        ..NONE
    },
    Family {
        names: "make gmake",
        values: "CI",
        files: "-f --file --makefile",
        folders: "-C --directory",
        in_folder: true,
        abbreviates: true,
        ..NONE
    },
    Family {
        names: "java",
        long_values: "-cp -classpath --class-path -p --module-path --upgrade-module-path --add-modules --add-reads --add-exports --add-opens --enable-native-access --limit-modules --source",
        files: "-jar",
        makes_operand: "--source",
        ..NONE
    },
    Family {
        names: MANY,
        command: Some(0),
        ..NONE
    },
    Family {
        names: "env",
        values: "uCa",
        long_values: "--unset --chdir --argv0",
        split: "-S --split-string",
        command: Some(0),
        ..NONE
    },
    Family {
        names: "nohup setsid catchsegv setarch linux32 linux64 i386 x86_64",
        command: Some(0),
        ..NONE
    },
    Family {
        names: "nice",
        values: "n",
        long_values: "--adjustment",
        command: Some(0),
        ..NONE
    },
    Family {
        names: "ionice",
        values: "cn",
        long_values: "--class --classdata",
        command: Some(0),
        ..NONE
    },
    Family {
        names: "stdbuf",
        values: "ioe",
        long_values: "--input --output --error",
        command: Some(0),
        ..NONE
    },
    Family {
        names: "time",
        values: "fo",
        long_values: "--format --output",
        command: Some(0),
        ..NONE
    },
    Family {
        names: "timeout",
        values: "ks",
        long_values: "--kill-after --signal",
        command: Some(1),
        ..NONE
    },
    Family {
        names: "chrt taskset",
        values: "TPD",
        long_values: "--sched-runtime --sched-period --sched-deadline",
        command: Some(1),
        ..NONE
    },
    Family {
        names: "flock",
        values: "wE",
        long_values: "--timeout --wait --conflict-exit-code",
        command: Some(1),
        ..NONE
    },
    Family {
        names: "xargs",
        values: "adEILnPs",
        long_values: "--arg-file --delimiter --max-args --max-lines --max-procs --max-chars --replace --process-slot-var",
        command: Some(0),
        ..NONE
    },
    Family {
        names: "chroot",
        long_values: "--userspec --groups",
        command: Some(1),
        ..NONE
    },
    Family {
        names: "setpriv",
        long_values: "--ambient-caps --inh-caps --bounding-set --ruid --euid --rgid --egid --reuid --regid --groups --securebits --pdeathsig --selinux-label --apparmor-profile",
        command: Some(0),
        ..NONE
    },
    Family {
        names: "ld.so ld-linux.so ld-linux-x86-64.so ld-linux-aarch64.so ld-musl-x86_64.so ld-musl-aarch64.so",
        long_values: "--library-path --preload --audit --argv0 --inhibit-rpath --glibc-hwcaps-prepend --glibc-hwcaps-mask",
        command: Some(0),
        ..NONE
    },
];

/// Programs whose first word says which of many they are, where they are called
/// by their own name.
const MANY: &str = "busybox busybox.static busybox-static toybox";

/// Whether a program of this name is one of many by its own name or its first
/// word.
#[must_use]
pub fn is_many(name: &str) -> bool {
    has(MANY, name.rsplit('/').next().unwrap_or(name))
}

/// Node's options with a value that may be another word and is no program
/// (`node --help`).
const NODE_VALUES: &str = "--conditions --cpu-prof-dir --cpu-prof-interval --cpu-prof-name --debug-port --diagnostic-dir --disable-proto --disable-warning --dns-result-order --env-file --env-file-if-exists --experimental-default-type --heap-prof-dir --heap-prof-interval --heap-prof-name --heapsnapshot-near-heap-limit --heapsnapshot-signal --icu-data-dir --input-type --inspect-port --inspect-publish-uid --localstorage-file --max-http-header-size --openssl-config --redirect-warnings --report-dir --report-directory --report-filename --report-signal --secure-heap --secure-heap-min --test-concurrency --test-name-pattern --test-reporter --test-reporter-destination --test-timeout --title --tls-cipher-list --tls-keylog --trace-event-categories --trace-event-file-pattern --unhandled-rejections --use-largepages --v8-pool-size --watch-path";

impl Family {
    /// The option that a word stands for: where it may be cut short, one that
    /// begins so. A program that finds the word ambiguous refuses it.
    pub(super) fn option<'a>(&self, name: &'a str) -> &'a str {
        if !self.abbreviates || !name.starts_with("--") || name.len() < 3 {
            return name;
        }
        let known = || {
            [self.files, self.folders]
                .into_iter()
                .flat_map(|list| list.split(' '))
        };
        known()
            .find(|known| known.starts_with(name))
            .unwrap_or(name)
    }
}

/// The family of a program of this name.
pub(super) fn family(name: &str) -> Option<&'static Family> {
    let name = name.rsplit('/').next().unwrap_or(name);
    let plain = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    FAMILIES
        .iter()
        .find(|family| has(family.names, name) || has(family.names, plain))
}

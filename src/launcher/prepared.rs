//! Fifth stage: everything that confinement needs is made while it still can
//! be: paths are opened, rules and filter built, arguments laid out.

use std::ffi::{CString, OsStr, OsString};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use secure_exec_core::arch::Arch;
use secure_exec_core::config::Sync;
use secure_exec_core::escape::Escaped;
use secure_exec_core::filter::{self, Action, ExecRule, ExecTicket, Filter, Request};
use secure_exec_core::plan::{Environment, LandlockPlan, SeccompPlan, Step};
use secure_exec_core::policy::Policy;
use secure_exec_core::syscall;
use secure_exec_sys::landlock::{Domain, Rule};
use secure_exec_sys::process::{self, Account};
use secure_exec_sys::{Errno, capabilities, exec, open, seccomp};

use crate::audit::AuditReceipt;
use crate::authorized::Authorized;
use crate::confined::ADMIT_LANDLOCK;
use crate::confined::canary::Canaries;
use crate::examined::Examined;
use crate::failure::Failure;
use crate::keeping::keep_modes;
use crate::listed::Listed;
use crate::mutation::leaves_out;
use crate::namespaces;
use crate::owner::Finding;
use crate::passed;
use crate::rules;
use crate::script as given;
use crate::temporary;
use crate::trust;

/// A launch with nothing left to make.
#[derive(Debug)]
pub struct Prepared {
    /// The stage before.
    pub(crate) examined: Examined,
    /// The exec.
    pub(crate) call: exec::Call,
    /// The Landlock domain.
    pub(crate) domain: Option<secure_exec_sys::landlock::Ready>,
    /// The filter, and the same for the kernel.
    pub(crate) filter: Option<(Filter, seccomp::Ready)>,
    /// What is tried once confined.
    pub(crate) canaries: Canaries,
    /// The user to become.
    pub(crate) account: Option<Account>,
    /// The capabilities to keep.
    pub(crate) keep: Option<capabilities::Set>,
    /// The script's descriptor, which lives through exec.
    pub(crate) script: Option<OwnedFd>,
    /// The descriptor of the script that an argument names, which does too.
    pub(crate) given: Option<OwnedFd>,
    /// What entering namespaces needs, until they are entered.
    pub(crate) namespaces: Option<namespaces::Ready>,
    /// What entering them made.
    pub(crate) entered: Option<namespaces::Entered>,
    /// How many files are pinned.
    pub(crate) pinned: usize,
    /// Paths that were granted and do not exist.
    pub(crate) absent: Vec<String>,
    /// The plugin can read the key that signs the audit log.
    pub(crate) exposes_key: bool,
}

/// The words that the host called the plugin with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Words<'a> {
    /// The whole of `argv[0]`, where the host called the launcher by the
    /// plugin's name.
    pub name: Option<&'a OsStr>,
    /// What followed.
    pub arguments: &'a [OsString],
}

/// Prepares an authorized plugin whose decision stands in the audit log.
///
/// # Errors
/// A path of the profile does not exist, a user is unknown, a capability is
/// not held; the kernel refuses rules or addresses.
pub fn prepare(
    authorized: Authorized,
    _decided: AuditReceipt,
    words: Words<'_>,
    warn: &dyn Fn(&str),
) -> Result<Prepared, Failure> {
    let mut examined = authorized.into_examined();
    tell_of_first_line(&examined, warn);
    let script = script_descriptor(&examined)?;
    let (call, given) = call(&examined, script.as_ref(), words, warn)?;
    let account = account(&examined)?;
    let keep = kept(&examined)?;
    make_runtime_folder(&examined, account.as_ref())?;
    temporary::make(&examined.plan, account.as_ref(), warn)?;
    let mut absent = Vec::new();
    let user = account
        .as_ref()
        .map_or_else(process::effective_user, Account::uid);
    keep_modes(&examined, user, warn)?;
    let mut exposes_key = false;
    let rules = match examined.plan.landlock() {
        None => {
            exposes_key = tell_of_key(&examined, user, warn);
            Vec::new()
        }
        Some(plan) => rules::open(plan, &examined, user, &mut absent, &mut exposes_key, warn)?,
    };
    let streams = &examined.streams;
    let isolation = examined.plan.settled().isolation;
    streams.check_rules(&rules, isolation, &examined.listed, warn)?;
    passed::tell(&examined.listed, &streams.absent, words.arguments, warn)?;
    let filter = match examined.plan.seccomp() {
        None => None,
        Some(plan) => {
            let filter =
                compile(plan, examined.plan.landlock(), call.ticket()).map_err(Failure::own)?;
            check_launch(&filter, &examined.listed)?;
            let ready = seccomp::Ready::new(filter.instructions());
            Some((filter, ready))
        }
    };
    let landlock = examined.plan.landlock();
    let canaries = Canaries::choose(
        landlock.is_some().then_some(&rules),
        filter.as_ref().map(|(filter, _)| filter),
        // In a PID namespace there is nobody outside to try it on.
        examined.plan.namespaces().is_none() && landlock.is_some_and(LandlockPlan::keeps_signals),
        account.as_ref().map(Account::uid),
    )?;
    let domain =
        landlock.map(|plan| domain(plan, rules, examined.listed.kernel_denials).map_err(no_rules));
    let domain = domain.transpose()?;
    let namespaces = namespaces::prepare(&examined, user, &absent)?;
    // The kernel has their rules. They may be more than the plugin may open.
    let pinned = std::mem::take(&mut examined.libraries).len();
    Ok(Prepared {
        namespaces,
        entered: None,
        canaries,
        examined,
        call,
        domain,
        filter,
        account,
        keep,
        script,
        given,
        pinned,
        absent,
        exposes_key,
    })
}

/// The entry's interpreter runs the script, without what its first line says.
fn tell_of_first_line(examined: &Examined, warn: &dyn Fn(&str)) {
    let interpreter = examined.interpreter.as_ref();
    let left_out = interpreter.and_then(|found| found.left_out.as_deref());
    if let Some(words) = left_out.filter(|_| examined.listed.policy != Policy::AuditOnly) {
        warn(&format!(
            "the entry's interpreter runs the script, and 'env {}' of its first line is left out",
            Escaped(words)
        ));
    }
}

/// Without a sandbox nothing but its mode keeps the key of signed heads from
/// the plugin. Returns whether the plugin can read it; audit-only is silent.
fn tell_of_key(examined: &Examined, user: u32, warn: &dyn Fn(&str)) -> bool {
    let listed = &examined.listed;
    let Some(key) = listed.signing_key.as_deref() else {
        return false;
    };
    if user != process::effective_user() && user != 0 {
        return false;
    }
    if listed.policy != Policy::AuditOnly {
        warn(&format!(
            "profile '{}' has no sandbox, so the plugin can read '{}', which signs the audit log",
            Escaped(&listed.profile.name),
            Escaped(&key.to_string_lossy())
        ));
    }
    true
}

/// The user that the plan changes to.
pub(crate) fn account(examined: &Examined) -> Result<Option<Account>, Failure> {
    let user = examined.plan.steps().iter().find_map(|step| match step {
        Step::User(name) => Some(name),
        _ => None,
    });
    user.map(|name| process::find_user(name).map_err(not_user(name)))
        .transpose()
}

pub(crate) fn not_user(name: &str) -> impl Fn(secure_exec_sys::Error) -> Failure {
    let name = Escaped(name).to_string();
    move |error| Failure::own(format!("user '{name}' of the profile: {error}"))
}

/// The capabilities that the plan keeps.
pub(crate) fn kept(examined: &Examined) -> Result<Option<capabilities::Set>, Failure> {
    let names = examined.plan.steps().iter().find_map(|step| match step {
        Step::Capabilities(names) => Some(names),
        _ => None,
    });
    names
        .map(|names| capabilities::parse(names).map_err(Failure::own))
        .transpose()
}

pub(crate) fn not_kept(error: secure_exec_sys::Error) -> Failure {
    Failure::own(format!("the capabilities of the profile: {error}"))
}

/// What the launch itself does between filter and exec: record what was
/// applied (and cut off what did not fit), look at the lease, restore signals.
const LAUNCH_CALLS: &[&str] = &[
    "flock",
    "nanosleep",
    "lseek",
    "pread64",
    "write",
    "pwrite64",
    "ftruncate",
    "fcntl",
    "rt_sigaction",
];

/// Where that record is brought to the disk as well.
const SYNC_CALL: &str = "fdatasync";

/// A filter that refused one of them would refuse the launch, without saying
/// why.
pub(crate) fn check_launch(filter: &Filter, listed: &Listed) -> Result<(), Failure> {
    let admitted = |name: &str| {
        let number = syscall::number(Arch::NATIVE, name)?;
        let action = filter.evaluate(&filter::Call::native(Arch::NATIVE, number, [0; 6]));
        matches!(action, Action::Allow | Action::Log).then_some(())
    };
    let sync_call = (listed.sync == Sync::Always).then_some(SYNC_CALL);
    let mut calls = LAUNCH_CALLS.iter().copied().chain(sync_call);
    let profile = &listed.profile.name;
    match calls.find(|name| admitted(name).is_none()) {
        None => Ok(()),
        Some(name) => Err(Failure::own(format!(
            "profile '{profile}' does not admit '{name}', which the launch needs after the filter is in force\n\
             Admit it, and deny the rest of its group by name."
        ))),
    }
}

/// Compiles the filter of a plan.
///
/// # Errors
/// As [`filter::compile`].
pub fn compile(
    plan: &SeccompPlan,
    landlock: Option<&LandlockPlan>,
    ticket: ExecTicket,
) -> Result<Filter, filter::FilterError> {
    filter::compile(&Request {
        arch: Arch::NATIVE,
        layers: &plan.layers,
        on_violation: plan.on_violation,
        sockets: plan.sockets,
        fork: plan.fork,
        metadata: plan.metadata,
        descriptor_metadata: plan.descriptor_metadata,
        writes: plan.writes,
        write_execute: plan.write_execute,
        shared_execute: plan.shared_execute || leaves_out("shared_execute"),
        terminal: plan.terminal,
        stand_in: plan.stand_in,
        own_pid: plan.own_pid.unwrap_or_else(process::id),
        // Without Landlock nothing would narrow an open exec.
        exec: if (plan.execute && landlock.is_some()) || leaves_out("exec") {
            ExecRule::Landlock
        } else {
            ExecRule::Ticket(ticket)
        },
    })
}

/// A script's copy goes to its interpreter as a descriptor of its own, so that
/// the image keeps the one that stays close-on-exec.
fn script_descriptor(examined: &Examined) -> Result<Option<OwnedFd>, Failure> {
    match (&examined.interpreter, examined.image.place()) {
        (Some(_), None) => {
            let copy = passed::duplicate(examined.image.file(), &examined.streams.absent);
            copy.map(Some).map_err(Failure::own)
        }
        _ => Ok(None),
    }
}

/// The exec call: the plugin with the entry's arguments and the caller's, or
/// the interpreter with the script before them.
fn call(
    examined: &Examined,
    script: Option<&OwnedFd>,
    called: Words<'_>,
    warn: &dyn Fn(&str),
) -> Result<(exec::Call, Option<OwnedFd>), Failure> {
    let mut words: Vec<Vec<u8>> = Vec::new();
    let file = match &examined.interpreter {
        Some(interpreter) => {
            words.push(interpreter.path.as_os_str().as_bytes().to_vec());
            if script.is_some() {
                words.extend(for_copies(interpreter.path.file_name()));
            }
            let arguments = interpreter.arguments.iter();
            words.extend(arguments.map(|word| word.clone().into_bytes()));
            words.push(script_name(examined, script)?);
            interpreter.file.file()
        }
        None => {
            words.push(own_name(examined, called.name)?);
            examined.image.file()
        }
    };
    let arguments = given::arguments(examined, called.arguments)?;
    if arguments.file.is_some() {
        let names = given::names(examined).into_iter();
        let mut names = names.filter_map(|name| Path::new(name).file_name());
        let known = names.find(|name| for_copies(Some(name)).next().is_some());
        words.extend(for_copies(known));
    }
    words.extend(arguments.words);
    let mut environment = examined.environment.clone();
    add_secrets(&mut environment, examined, warn)?;
    expand_environment(&mut environment, examined);
    let variables = environment
        .iter()
        .map(|(name, value)| [name.as_bytes(), b"=", value].concat());
    let file = open::duplicate(file).map_err(Failure::own)?;
    let call = exec::Call::prepare(file, strings(words.into_iter())?, strings(variables)?)
        .map_err(Failure::own)?;
    Ok((call, arguments.file))
}

/// Options without which an interpreter does not run a script that it reads
/// through a descriptor: Node.js looks for the real path of its main module.
fn for_copies(interpreter: Option<&OsStr>) -> impl Iterator<Item = Vec<u8>> {
    let options: &[&str] = match interpreter.and_then(OsStr::to_str) {
        Some("node" | "nodejs") => &["--preserve-symlinks", "--preserve-symlinks-main"],
        _ => &[],
    };
    options.iter().map(|option| option.as_bytes().to_vec())
}

/// What the interpreter opens: a guarded script by its path, a copy through its
/// descriptor.
fn script_name(examined: &Examined, script: Option<&OwnedFd>) -> Result<Vec<u8>, Failure> {
    match (examined.image.place(), script) {
        (Some(place), _) => Ok(place.as_os_str().as_bytes().to_vec()),
        (None, Some(script)) => {
            Ok(format!("/proc/self/fd/{}", process::number(script)).into_bytes())
        }
        (None, None) => Err(Failure::own("the script was not prepared; nothing was run")),
    }
}

/// The name that the plugin is told, by which programs of many names know what
/// to do: the one that the host used.
fn own_name(examined: &Examined, called: Option<&OsStr>) -> Result<Vec<u8>, Failure> {
    let listed = &examined.listed;
    let of_entry = listed.entry.as_ref().and_then(|entry| entry.argv0.as_ref());
    let name = match (called, of_entry) {
        (Some(name), _) => name.to_os_string(),
        (None, Some(name)) => name.into(),
        // An unlisted plugin is called by a path from where the caller is.
        (None, None) if listed.entry.is_none() => listed.place().into(),
        (None, None) => std::path::absolute(listed.place())
            .map_err(|error| Failure::own(format!("the plugin's path: {error}")))?
            .into(),
    };
    Ok(name.into_vec())
}

fn strings(words: impl Iterator<Item = Vec<u8>>) -> Result<Vec<CString>, Failure> {
    words
        .map(|word| {
            CString::new(word).map_err(|_| Failure::own("an argument or a variable contains NUL"))
        })
        .collect()
}

/// `{runtime_dir}` and `{plugin_dir}` stand in values as they do in paths.
fn expand_environment(environment: &mut Environment, examined: &Examined) {
    let runtime = examined.runtime_folder.to_string_lossy();
    let folder = examined
        .path
        .parent()
        .unwrap_or(&examined.path)
        .to_string_lossy();
    for (name, value) in &examined.listed.profile.environment.set {
        let expanded = value
            .replace("{runtime_dir}", &runtime)
            .replace("{plugin_dir}", &folder);
        environment.insert(name.clone(), expanded.into_bytes());
    }
}

/// Secrets go from their source into the plugin's environment and nowhere
/// else.
pub(crate) fn add_secrets(
    environment: &mut Environment,
    examined: &Examined,
    warn: &dyn Fn(&str),
) -> Result<(), Failure> {
    if examined.listed.policy == Policy::AuditOnly {
        return Ok(());
    }
    for (name, source) in &examined.listed.profile.environment.secrets {
        let value = match source.split_once(':') {
            Some(("env", variable)) => std::env::var_os(variable)
                .map(OsString::into_vec)
                .ok_or_else(|| {
                    Failure::own(format!(
                        "secret '{name}': the variable '{}' is not set",
                        Escaped(variable)
                    ))
                })?,
            Some(("file", path)) => {
                let loaded = trust::read(Path::new(path), &examined.listed.trail)
                    .map_err(|error| Failure::own(format!("secret '{name}': {error}")))?;
                if let Some(finding) = &loaded.finding {
                    untrusted_secret(name, finding, examined.listed.policy, warn)?;
                }
                let bytes = loaded.bytes;
                bytes
                    .strip_suffix(b"\n")
                    .map(<[u8]>::to_vec)
                    .unwrap_or(bytes)
            }
            _ => return Err(Failure::own(format!("secret '{name}' has no known source"))),
        };
        environment.insert(name.clone(), value);
    }
    Ok(())
}

/// Others could have written a secret's file, as with a profile's.
fn untrusted_secret(
    name: &str,
    finding: &Finding,
    policy: Policy,
    warn: &dyn Fn(&str),
) -> Result<(), Failure> {
    let what = format!("secret '{name}': {finding}");
    if policy == Policy::Strict {
        return Err(Failure::own(format!(
            "{what}\nCorrect owner and mode with chown and chmod."
        )));
    }
    warn(&what);
    Ok(())
}

/// Makes `{runtime_dir}` where the profile uses it, for the user that the
/// plugin will be.
fn make_runtime_folder(examined: &Examined, account: Option<&Account>) -> Result<(), Failure> {
    let folder = &examined.runtime_folder;
    let is_used = examined.plan.landlock().is_some_and(|plan| {
        plan.grants
            .iter()
            .any(|grant| Path::new(&grant.path).starts_with(folder))
    });
    if !is_used {
        return Ok(());
    }
    make_private(folder, account).map(drop)
}

/// Makes a folder for the user that the plugin will be, and opens the one that
/// it lies in.
pub(crate) fn make_private(folder: &Path, account: Option<&Account>) -> Result<OwnedFd, Failure> {
    let failed = |error: secure_exec_sys::Error| runtime_failure(folder, &error);
    // Somebody else may have been there first, at the folder or above it.
    // Nothing is made through a link of his, and what is looked at is what is
    // given away, through its descriptor.
    let (Some(place), Some(name)) = (folder.parent(), folder.file_name()) else {
        return Err(runtime_failure(folder, &"it has no folder above it"));
    };
    let own = process::effective_user();
    let above = make_folder(place).map_err(failed)?;
    let stat = open::stat(above.as_fd()).map_err(failed)?;
    if stat.mode & 0o022 != 0 || stat.uid != own {
        let why = "others can write the folder above it";
        return Err(runtime_failure(folder, &why));
    }
    let private = open::make_dir_in(above.as_fd(), Path::new(name)).map_err(failed)?;
    let stat = open::stat(private.as_fd()).map_err(failed)?;
    let owner = account.map_or(own, Account::uid);
    if stat.mode & 0o077 != 0 || (stat.uid != owner && stat.uid != own) {
        let why = "it is not a private folder of this user";
        return Err(runtime_failure(folder, &why));
    }
    if let Some(account) = account {
        // Whoever may write in the folder above could have put another one of
        // this user's in its place. Only what was just made is given away, or
        // was given before.
        let named = open::stat_in(above.as_fd(), Path::new(name)).map_err(failed)?;
        let is_it = (named.dev, named.ino) == (stat.dev, stat.ino);
        let is_given = stat.uid == owner;
        if !is_it || !(is_given || open::is_empty_dir(private.as_fd()).map_err(failed)?) {
            let why = "it is another folder than the one that was made, or not empty and not yet the plugin's user's: remove it";
            return Err(runtime_failure(folder, &why));
        }
        process::give_folder(&private, &above, account).map_err(failed)?;
    }
    Ok(above)
}

/// Opens a private folder, and makes it if it is missing. Where it belongs is
/// the system's or the caller's choice, links and all; below that are none.
fn make_folder(path: &Path) -> Result<OwnedFd, secure_exec_sys::Error> {
    let (Some(place), Some(name)) = (path.parent(), path.file_name()) else {
        return open::open_path(path);
    };
    let above = match open::open_path(place) {
        Err(error) if error.is_not_found() => make_folder(place)?,
        opened => opened?,
    };
    open::make_dir_in(above.as_fd(), Path::new(name))
}

fn runtime_failure(folder: &Path, why: &dyn std::fmt::Display) -> Failure {
    Failure::own(format!(
        "the runtime folder '{}': {why}",
        Escaped(&folder.to_string_lossy())
    ))
}

fn no_rules(error: secure_exec_sys::Error) -> Failure {
    match error.errno() {
        // The kernel has told its version by then.
        Some(Errno::ENOSYS | Errno::EPERM) => Failure::own(format!(
            "a filter around the launcher refuses Landlock's calls: {error}\n{ADMIT_LANDLOCK}"
        )),
        _ => Failure::own(error),
    }
}

fn domain(
    plan: &LandlockPlan,
    rules: Vec<Rule>,
    logs_denials: bool,
) -> Result<secure_exec_sys::landlock::Ready, secure_exec_sys::Error> {
    let domain = Domain {
        abi: plan.abi,
        rules,
        tcp_connect: plan.tcp_connect.clone().filter(|_| !leaves_out("tcp")),
        tcp_bind: plan.tcp_bind.clone().filter(|_| !leaves_out("tcp")),
        scope_signals: plan.scope_signals && !leaves_out("signals"),
        scope_abstract: plan.scope_abstract && !leaves_out("abstract"),
        logs_denials,
    };
    domain.build()
}

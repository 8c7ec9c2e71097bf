//! Landlock: an allow-list of files, TCP ports and peers for the rest of the
//! process's life (man 7 landlock).

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, Scope,
};
use nix::errno::Errno;
use secure_exec_core::plan::GrantKind;

use crate::Error;
use crate::open::{self, Kind, Stat};

/// A folder or file and what is admitted there.
#[derive(Debug)]
pub struct Rule {
    /// The folder or file, opened at least with `O_PATH`.
    pub file: OwnedFd,
    /// What it is.
    pub stat: Stat,
    /// What is admitted beneath it.
    pub kind: GrantKind,
}

impl Rule {
    /// A rule for an open folder or file.
    ///
    /// # Errors
    /// As fstat(2).
    pub fn new(file: OwnedFd, kind: GrantKind) -> Result<Self, Error> {
        let stat = open::stat(file.as_fd())?;
        Ok(Self { file, stat, kind })
    }
}

/// What a domain admits.
#[derive(Debug)]
pub struct Domain {
    /// The kernel's ABI; rights that are newer than this program are unknown
    /// to it and stay unhandled.
    pub abi: u8,
    /// Files.
    pub rules: Vec<Rule>,
    /// Ports for connect(2); `None`: every port.
    pub tcp_connect: Option<Vec<u16>>,
    /// Ports for bind(2); `None`: every port.
    pub tcp_bind: Option<Vec<u16>>,
    /// No signals to processes outside of the domain.
    pub scope_signals: bool,
    /// No connections to abstract UNIX sockets from outside of the domain.
    pub scope_abstract: bool,
    /// What the plugin is refused goes to the kernel's audit, from ABI 7 on.
    pub logs_denials: bool,
}

/// A ruleset that only waits to be entered.
#[derive(Debug)]
pub struct Ready {
    abi: u8,
    ruleset: OwnedFd,
    flags: u32,
    rights: Vec<String>,
}

/// `LANDLOCK_RESTRICT_SELF_LOG_SAME_EXEC_OFF`: the launcher's own canaries are
/// no news.
const LOG_SAME_EXEC_OFF: u32 = 1;
/// `LANDLOCK_RESTRICT_SELF_LOG_NEW_EXEC_ON`: what the plugin is refused is.
const LOG_NEW_EXEC_ON: u32 = 2;
/// `LANDLOCK_RESTRICT_SELF_LOG_SUBDOMAINS_OFF`: nor what a domain refuses that
/// the plugin enters by itself, which logs unless told otherwise.
const LOG_SUBDOMAINS_OFF: u32 = 4;

impl Domain {
    /// Creates the ruleset. Every right of the ABI is handled, whether or not
    /// a rule grants it; a right that the kernel refuses is an error.
    ///
    /// # Errors
    /// The kernel refused the ruleset or a rule.
    pub fn build(self) -> Result<Ready, Error> {
        let abi = ABI::from(i32::from(self.abi));
        let mut ruleset = Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(AccessFs::from_all(abi))
            .map_err(failed)?;
        let mut rights: Vec<String> = AccessFs::from_all(abi)
            .iter()
            .map(|right| format!("{right:?}"))
            .collect();
        let mut net = BitFlags::<AccessNet>::EMPTY;
        if abi >= ABI::V4 {
            if self.tcp_bind.is_some() {
                net |= AccessNet::BindTcp;
            }
            if self.tcp_connect.is_some() {
                net |= AccessNet::ConnectTcp;
            }
        }
        if !net.is_empty() {
            rights.extend(net.iter().map(|right| format!("{right:?}")));
            ruleset = ruleset.handle_access(net).map_err(failed)?;
        }
        let mut scope = BitFlags::<Scope>::EMPTY;
        if abi >= ABI::V6 {
            if self.scope_signals {
                scope |= Scope::Signal;
            }
            if self.scope_abstract {
                scope |= Scope::AbstractUnixSocket;
            }
        }
        if !scope.is_empty() {
            rights.extend(scope.iter().map(|right| format!("Scope{right:?}")));
            ruleset = ruleset.scope(scope).map_err(failed)?;
        }
        let mut created = ruleset.create().map_err(failed)?;
        created = ports(created, net, AccessNet::ConnectTcp, self.tcp_connect)?;
        created = ports(created, net, AccessNet::BindTcp, self.tcp_bind)?;
        let flags = match self.abi >= 7 {
            false => 0,
            true if self.logs_denials => LOG_SAME_EXEC_OFF | LOG_NEW_EXEC_ON,
            true => LOG_SAME_EXEC_OFF | LOG_SUBDOMAINS_OFF,
        };
        let ruleset = Option::<OwnedFd>::from(created).ok_or_else(|| {
            Error::unexpected("create the Landlock ruleset", "the kernel has none")
        })?;
        let ready = Ready {
            abi: self.abi,
            ruleset,
            flags,
            rights,
        };
        for rule in &self.rules {
            ready.admit(rule)?;
        }
        Ok(ready)
    }
}

impl Ready {
    /// Adds a rule to the ruleset. By the system call: what the file is, which
    /// the crate would ask the kernel for once more, the rule knows.
    ///
    /// # Errors
    /// As landlock_add_rule(2).
    pub fn admit(&self, rule: &Rule) -> Result<(), Error> {
        let abi = ABI::from(i32::from(self.abi));
        let access = allowed(rule, abi);
        if access.is_empty() {
            return Ok(());
        }
        let attributes = PathBeneathAttributes {
            access: access.bits(),
            file: rule.file.as_raw_fd(),
        };
        // SAFETY: the kernel reads one `PathBeneathAttributes`, which lives
        // through the call.
        let answer = unsafe {
            libc::syscall(
                libc::SYS_landlock_add_rule,
                self.ruleset.as_raw_fd(),
                RULE_PATH_BENEATH,
                &raw const attributes,
                0,
            )
        };
        Errno::result(answer)
            .map(drop)
            .map_err(Error::call("add a Landlock rule"))
    }

    /// The names of the rights that are handled.
    #[must_use]
    pub fn rights(&self) -> &[String] {
        &self.rights
    }

    /// Enters the domain; there is no way out. Allocates nothing. Needs
    /// `no_new_privs`.
    ///
    /// # Errors
    /// As landlock_restrict_self(2).
    pub fn enter(&self) -> Result<(), Errno> {
        // SAFETY: the call takes two plain integers and touches no memory.
        let answer = unsafe {
            libc::syscall(
                libc::SYS_landlock_restrict_self,
                self.ruleset.as_raw_fd(),
                self.flags,
            )
        };
        Errno::result(answer).map(drop)
    }
}

fn ports(
    mut created: RulesetCreated,
    handled: BitFlags<AccessNet>,
    right: AccessNet,
    list: Option<Vec<u16>>,
) -> Result<RulesetCreated, Error> {
    if handled.contains(right) {
        for port in list.unwrap_or_default() {
            created = created
                .add_rule(NetPort::new(port, right))
                .map_err(failed)?;
        }
    }
    Ok(created)
}

/// `LANDLOCK_RULE_PATH_BENEATH`.
const RULE_PATH_BENEATH: libc::c_int = 1;

/// `struct landlock_path_beneath_attr`.
#[repr(C, packed)]
struct PathBeneathAttributes {
    access: u64,
    file: i32,
}

fn allowed(rule: &Rule, abi: ABI) -> BitFlags<AccessFs> {
    let all = access(rule.kind, abi) & AccessFs::from_all(abi);
    if rule.stat.kind == Kind::Directory {
        all
    } else {
        all & AccessFs::from_file(abi)
    }
}

fn access(kind: GrantKind, abi: ABI) -> BitFlags<AccessFs> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    match kind {
        GrantKind::List => BitFlags::from_flag(AccessFs::ReadDir),
        GrantKind::Read | GrantKind::Apart => read,
        GrantKind::Write => {
            read | (AccessFs::from_write(abi)
                & !(AccessFs::MakeChar
                    | AccessFs::MakeBlock
                    | AccessFs::MakeSock
                    | AccessFs::IoctlDev
                    | AccessFs::ResolveUnix))
        }
        GrantKind::Execute => read | AccessFs::Execute,
        GrantKind::Device => AccessFs::ReadFile | AccessFs::WriteFile,
        GrantKind::Terminal => AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev,
        GrantKind::BindSocket => BitFlags::from_flag(AccessFs::MakeSock),
        GrantKind::OwnSocket => AccessFs::MakeSock | AccessFs::RemoveFile,
        GrantKind::ConnectSocket => BitFlags::from_flag(AccessFs::ResolveUnix),
    }
}

fn failed(error: landlock::RulesetError) -> Error {
    let operation = "create the Landlock ruleset";
    let mut cause: &dyn std::error::Error = &error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    let answer = cause.downcast_ref::<std::io::Error>();
    match answer.and_then(std::io::Error::raw_os_error) {
        Some(number) => Error::call(operation)(Errno::from_raw(number)),
        None => Error::unexpected(operation, error),
    }
}

//! What a launch would fail of after the decision, found without doing any of
//! it, for those who ask before they launch.

use std::os::fd::AsFd as _;
use std::path::Path;

use secure_exec_core::escape::Escaped;
use secure_exec_core::filter::ExecTicket;
use secure_exec_core::plan::{LandlockPlan, SeccompPlan, Step};
use secure_exec_sys::landlock::Rule;
use secure_exec_sys::open::{self, Kind};
use secure_exec_sys::{capabilities, process};

use crate::examined::Examined;
use crate::failure::Failure;
use crate::keeping::keep_modes;
use crate::prepared::{self, account, kept};
use crate::rules::unopened;
use crate::streams::Handed;

/// Rehearses any number of launches. Of many plugins most have the same
/// filter, which costs more than all the rest: it is compiled once.
#[derive(Debug, Default)]
pub struct Rehearsal {
    admitted: Vec<SeccompPlan>,
    streams: Handed,
}

impl Rehearsal {
    /// Of a launch by this process's caller, with this process's streams.
    #[must_use]
    pub fn of_own_launch() -> Self {
        Self {
            streams: Handed::Own,
            ..Self::default()
        }
    }

    /// Whose streams the plugin is to have.
    #[must_use]
    pub const fn streams(&self) -> Handed {
        self.streams
    }

    /// Looks for what [`prepared::prepare`] and the steps of the plan need. Not
    /// for secrets: the launch's caller has them, who may be somebody else.
    ///
    /// # Errors
    /// As the launch.
    pub fn of(&mut self, examined: &Examined) -> Result<(), Failure> {
        let account = account(examined)?;
        let user = account.map_or_else(process::effective_user, |account| account.uid());
        keep_modes(examined, user, &|_| {})?;
        if let Some(keep) = kept(examined)? {
            capabilities::check_held(&keep).map_err(prepared::not_kept)?;
        }
        for step in examined.plan.steps() {
            match step {
                Step::User(name) => {
                    let needed = ["CAP_SETUID", "CAP_SETGID"].map(String::from);
                    let held = capabilities::parse(&needed)
                        .and_then(|needed| capabilities::check_held(&needed));
                    held.map_err(prepared::not_user(name))?;
                }
                Step::WorkingDirectory(path) => working_directory(path)?,
                Step::Landlock(plan) => {
                    grants(plan, examined)?;
                    streams(plan, examined)?;
                }
                Step::Seccomp(plan) => self.filter(plan, examined)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn filter(&mut self, plan: &SeccompPlan, examined: &Examined) -> Result<(), Failure> {
        if self.admitted.contains(plan) {
            return Ok(());
        }
        let landlock = examined.plan.landlock();
        let filter = prepared::compile(plan, landlock, ExecTicket::NONE).map_err(Failure::own)?;
        prepared::check_launch(&filter, &examined.listed)?;
        self.admitted.push(plan.clone());
        Ok(())
    }
}

fn working_directory(path: &str) -> Result<(), Failure> {
    let failed = |why: &dyn std::fmt::Display| {
        let path = Escaped(path);
        Failure::own(format!(
            "the working directory '{path}' of the profile: {why}"
        ))
    };
    let found = open::open_path(Path::new(path)).map_err(|error| failed(&error))?;
    let stat = open::stat(found.as_fd()).map_err(|error| failed(&error))?;
    if stat.kind != Kind::Directory {
        return Err(failed(&format!("it is {}", stat.kind)));
    }
    match open::is_executable(found.as_fd()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(failed(&format!(
            "user {} may not enter it (mode {:04o})",
            process::effective_user(),
            stat.mode
        ))),
        Err(error) => Err(failed(&error)),
    }
}

fn streams(plan: &LandlockPlan, examined: &Examined) -> Result<(), Failure> {
    let (streams, listed) = (&examined.streams, &examined.listed);
    let isolation = examined.plan.settled().isolation;
    if streams.is_harmless(isolation) {
        return Ok(());
    }
    let opened = plan.grants.iter().filter_map(|grant| {
        let file = open::open_path(Path::new(&grant.path)).ok()?;
        Rule::new(file, grant.kind).ok()
    });
    let rules: Vec<Rule> = opened.collect();
    streams.check_rules(&rules, isolation, listed, &|_| {})
}

fn grants(plan: &LandlockPlan, examined: &Examined) -> Result<(), Failure> {
    let must_exist = plan.grants.iter().filter(|grant| {
        // The launch makes that folder.
        !grant.optional && Path::new(&grant.path) != examined.runtime_folder
    });
    for grant in must_exist {
        if let Err(error) = open::open_path(Path::new(&grant.path)) {
            unopened(grant, &error, examined.listed.policy, &|_| {})?;
        }
    }
    Ok(())
}

//! What a profile comes to on this kernel, without a plugin.

use std::path::Path;

use secure_exec::{examined, namespaces, prepared};
use secure_exec_core::filter::{ExecTicket, Filter};
use secure_exec_core::plan::{self, Environment, Inputs, LandlockPlan, SandboxPlan};
use secure_exec_core::policy::Policy;
use secure_exec_core::profile::{Profile, expand};

/// Lowers a profile. A folder or variable that is not known yet stands in
/// paths as `/{plugin_dir}`, `/{runtime_dir}` and `/${NAME}`.
pub(crate) fn lower(
    profile: &Profile,
    libraries_pinned: bool,
    policy: Policy,
) -> Result<SandboxPlan, String> {
    let variable = |name: &str| {
        let value = std::env::var(name).ok().filter(|value| !value.is_empty());
        Some(value.unwrap_or_else(|| format!("/${{{name}}}")))
    };
    let environment = Environment::compose(&profile.environment, examined::inherited());
    plan::lower(
        profile,
        &Inputs {
            kernel: namespaces::kernel(profile),
            policy,
            environment: &environment,
            superuser: examined::runs_as_superuser(profile),
            expand: &|text| expand(text, &variable, "/{plugin_dir}", "/{runtime_dir}"),
            libraries_pinned,
            temporary: "/{private_tmp}",
        },
    )
}

/// Compiles the filter of a plan.
pub(crate) fn filter(plan: &SandboxPlan) -> Option<Result<Filter, String>> {
    let seccomp = plan.seccomp()?;
    let compiled = prepared::compile(seccomp, plan.landlock(), ExecTicket::NONE);
    Some(compiled.map_err(|error| error.to_string()))
}

/// The paths that must exist, and do not. A plugin's runtime folder is made
/// when it is launched; what is not known yet is not looked for.
pub(crate) fn absent<'a>(
    plan: &'a LandlockPlan,
    runtime: Option<&'a Path>,
) -> impl Iterator<Item = &'a str> {
    plan.grants
        .iter()
        .filter(|grant| !grant.optional)
        .map(|grant| grant.path.as_str())
        .filter(|path| !path.contains("/{plugin_dir}") && !path.contains("/{runtime_dir}"))
        .filter(|path| !path.contains("/${"))
        .filter(move |path| runtime != Some(Path::new(path)))
        .filter(|path| std::fs::metadata(path).is_err())
}

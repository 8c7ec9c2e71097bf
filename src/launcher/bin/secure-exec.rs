//! Verify and launch one plugin.

#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> std::process::ExitCode {
    secure_exec::guard::as_caller(secure_exec::run::main)
}

//! Print and check the digests of plugins.

fn main() -> std::process::ExitCode {
    secure_exec::guard::as_caller(secure_exec::hash_command::main)
}

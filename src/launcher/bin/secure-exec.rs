//! Verify and launch one plugin.

fn main() -> std::process::ExitCode {
    secure_exec::run::main()
}

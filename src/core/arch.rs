//! The architectures that the launcher is built for.

/// A processor architecture with its system call ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arch {
    /// `x86_64` with the 64-bit ABI; the 32-bit and x32 ABIs are refused.
    X86_64,
    /// `aarch64`, little endian; the 32-bit ABI is refused.
    Aarch64,
}

impl Arch {
    /// The architecture this code was compiled for.
    pub const NATIVE: Self = if cfg!(target_arch = "aarch64") {
        Self::Aarch64
    } else {
        Self::X86_64
    };

    /// The architecture's name, as `uname -m` prints it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }
}

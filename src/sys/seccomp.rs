//! Installing a seccomp filter (man 2 seccomp).

use nix::errno::Errno;
use secure_exec_core::filter::Instruction;

/// A filter in the kernel's layout, ready to be installed.
#[derive(Debug)]
pub struct Ready(Vec<libc::sock_filter>);

impl Ready {
    /// Lays a program out for the kernel.
    #[must_use]
    pub fn new(program: &[Instruction]) -> Self {
        Self(
            program
                .iter()
                .map(|instruction| libc::sock_filter {
                    code: instruction.code,
                    jt: instruction.jt,
                    jf: instruction.jf,
                    k: instruction.k,
                })
                .collect(),
        )
    }

    /// Installs the filter; it stays for good. Allocates nothing. Needs
    /// `no_new_privs`.
    ///
    /// # Errors
    /// As seccomp(2); an empty filter is `EINVAL`.
    pub fn install(&self) -> Result<(), Errno> {
        let length = u16::try_from(self.0.len()).map_err(|_| Errno::E2BIG)?;
        if length == 0 {
            return Err(Errno::EINVAL);
        }
        let program = libc::sock_fprog {
            len: length,
            // The kernel only reads.
            filter: self.0.as_ptr().cast_mut(),
        };
        // SAFETY: `program` names `length` instructions that live through the
        // call; the kernel copies them.
        let answer = unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                0,
                &raw const program,
            )
        };
        Errno::result(answer).map(drop)
    }
}

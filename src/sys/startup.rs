//! What was so before the program began. Rust's runtime opens `/dev/null` in
//! the place of a standard stream that is closed, so this looks before it does.

use std::sync::atomic::{AtomicU8, Ordering};

/// A bit for each standard stream that was closed.
static CLOSED: AtomicU8 = AtomicU8::new(0);

/// The C library calls what stands in this section before it calls `main`, in
/// which the runtime begins.
#[used]
// SAFETY: the section holds pointers to functions of this type, which the C
// library calls once, in the only thread there is.
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;

extern "C" fn look() {
    let mut streams = [0, 1, 2].map(|fd| libc::pollfd {
        fd,
        events: 0,
        revents: 0,
    });
    // SAFETY: the kernel reads and fills in three entries, which live through
    // the call.
    if unsafe { libc::poll(streams.as_mut_ptr(), 3, 0) } < 0 {
        return;
    }
    for stream in streams {
        if stream.revents & libc::POLLNVAL != 0 {
            CLOSED.fetch_or(1 << stream.fd, Ordering::Relaxed);
        }
    }
}

/// The standard streams that were closed when the program began.
pub fn closed_streams() -> impl Iterator<Item = u32> {
    let closed = CLOSED.load(Ordering::Relaxed);
    (0..3).filter(move |number| closed & (1 << number) != 0)
}

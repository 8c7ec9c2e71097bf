//! Requests of ioctl(2): which are admitted. Landlock asks about those to
//! devices alone.

use seccompiler::SeccompCmpOp;

use super::Request;
use super::arguments::{Narrowed, equals, int, none_of};

/// Terminal requests that act on others: TIOCSCTTY, TIOCSTI, TIOCLINUX,
/// TIOCCONS, TIOCSETD, TIOCVHANGUP; TIOCSPGRP, which gets the plugin what is
/// typed to its host.
const TERMINAL_REQUESTS: &[u64] = &[0x540e, 0x5410, 0x5412, 0x541c, 0x541d, 0x5423, 0x5437];
/// FIOSETOWN and SIOCSPGRP: signals by way of descriptors.
const OWNER_REQUESTS: &[u64] = &[0x8901, 0x8902];
/// FS_IOC_SETFLAGS, FS_IOC_SETVERSION, EXT4_IOC_SETVERSION, FS_IOC_FSSETXATTR,
/// FS_IOC_ENABLE_VERITY.
const ATTRIBUTE_REQUESTS: &[u64] = &[
    0x4008_6602,
    0x4008_7602,
    0x4008_6604,
    0x401c_5820,
    0x4080_6685,
];
/// Kinds of requests (their second byte, the first below 0x80) that concern
/// the descriptor alone: terminals with FIONREAD and its like, sockets.
const DESCRIPTOR_KINDS: &[u64] = &[0x5400, 0x8900];
/// Requests to files that read, or that write what is open for writing.
/// Others freeze, resize, encrypt or defragment file systems, make subvolumes,
/// and none of them asks Landlock: FIGETBSZ, FICLONE, FICLONERANGE,
/// FIDEDUPERANGE, FS_IOC_FIEMAP, FS_IOC_GETFLAGS, FS_IOC_GETVERSION,
/// FS_IOC_FSGETXATTR, FS_IOC_GETFSLABEL, FS_IOC_GETFSUUID,
/// FS_IOC_MEASURE_VERITY.
const FILE_REQUESTS: &[u64] = &[
    0x2,
    0x4004_9409,
    0x4020_940d,
    0xc018_9436,
    0xc020_660b,
    0x8008_6601,
    0x8008_7601,
    0x801c_581f,
    0x8100_9431,
    0x8011_1500,
    0xc004_6686,
];

/// Requests that change nothing of a device: FIOCLEX, FIONCLEX, FIONBIO,
/// FIOASYNC, FIONREAD, FIOQSIZE, FIGETBSZ, TCGETS, TIOCGWINSZ.
const HARMLESS_TO_DEVICES: &[u64] = &[
    0x5451, 0x5450, 0x5421, 0x5452, 0x541b, 0x5460, 2, 0x5401, 0x5413,
];

/// The requests that are known to be harmless; where the profile names the
/// call itself, all but those that are known to do harm.
pub(super) fn admitted(request: &Request<'_>, by_name: bool) -> Narrowed {
    if request.stand_in.device_ioctls {
        let rules = HARMLESS_TO_DEVICES.iter();
        return Narrowed::When(rules.map(|number| vec![equals(1, *number)]).collect());
    }
    let mut refused = TERMINAL_REQUESTS.to_vec();
    if request.stand_in.signals {
        refused.extend(OWNER_REQUESTS);
    }
    if by_name {
        if !request.metadata {
            refused.extend(ATTRIBUTE_REQUESTS);
        }
        return Narrowed::When(vec![none_of(1, &refused)]);
    }
    let of_kind = |kind: &u64| {
        let mut rule = vec![int(1, SeccompCmpOp::MaskedEq(0xff80), *kind)];
        rule.extend(none_of(1, &refused));
        rule
    };
    let mut rules: Vec<_> = DESCRIPTOR_KINDS.iter().map(of_kind).collect();
    rules.extend(FILE_REQUESTS.iter().map(|number| vec![equals(1, *number)]));
    if request.metadata {
        let attributes = ATTRIBUTE_REQUESTS.iter();
        rules.extend(attributes.map(|number| vec![equals(1, *number)]));
    }
    Narrowed::When(rules)
}

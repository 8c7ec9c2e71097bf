//! Requests of ioctl(2): which are admitted. Landlock asks about those to
//! devices alone, and about none to what was open before it.

use super::Request;
use super::checks::{Admits, Ranges, Values, any, int, masked};

/// Requests that concern the descriptor, or that read.
const ADMITTED: Ranges = &[
    (0x2, 0x2),                 // FIGETBSZ
    (0x5401, 0x5404),           // TCGETS, TCSETS, TCSETSW, TCSETSF
    (0x5409, 0x5409),           // TCSBRK
    (0x540b, 0x540b),           // TCFLSH
    (0x540f, 0x540f),           // TIOCGPGRP
    (0x5411, 0x5411),           // TIOCOUTQ
    (0x5413, 0x5414),           // TIOCGWINSZ, TIOCSWINSZ
    (0x541b, 0x541b),           // FIONREAD
    (0x5421, 0x5421),           // FIONBIO
    (0x5429, 0x5429),           // TIOCGSID
    (0x5441, 0x5441),           // TIOCGPTPEER
    (0x5450, 0x5452),           // FIONCLEX, FIOCLEX, FIOASYNC
    (0x5460, 0x5460),           // FIOQSIZE
    (0x8905, 0x8905),           // SIOCATMARK
    (0x4004_5431, 0x4004_5431), // TIOCSPTLCK
    (0x4004_9409, 0x4004_9409), // FICLONE
    (0x4020_940d, 0x4020_940d), // FICLONERANGE
    (0x402c_542b, 0x402c_542d), // TCSETS2, TCSETSW2, TCSETSF2
    (0x8004_5430, 0x8004_5430), // TIOCGPTN
    (0x8008_6601, 0x8008_6601), // FS_IOC_GETFLAGS
    (0x8008_7601, 0x8008_7601), // FS_IOC_GETVERSION
    (0x8011_1500, 0x8011_1500), // FS_IOC_GETFSUUID
    (0x801c_581f, 0x801c_581f), // FS_IOC_FSGETXATTR
    (0x802c_542a, 0x802c_542a), // TCGETS2
    (0x8100_9431, 0x8100_9431), // FS_IOC_GETFSLABEL
    (0xc004_6686, 0xc004_6686), // FS_IOC_MEASURE_VERITY
    (0xc018_9436, 0xc018_9436), // FIDEDUPERANGE
    (0xc020_660b, 0xc020_660b), // FS_IOC_FIEMAP
];

/// Reads of the network's interfaces (`linux/sockios.h`): NAME, CONF, FLAGS,
/// ADDR, DSTADDR, BRDADDR, NETMASK, METRIC, MTU, HWADDR, INDEX, TXQLEN.
const INTERFACES: Ranges = &[
    (0x8910, 0x8910),
    (0x8912, 0x8913),
    (0x8915, 0x8915),
    (0x8917, 0x8917),
    (0x8919, 0x8919),
    (0x891b, 0x891b),
    (0x891d, 0x891d),
    (0x8921, 0x8921),
    (0x8927, 0x8927),
    (0x8933, 0x8933),
    (0x8942, 0x8942),
];

/// FS_IOC_FSSETXATTR, FS_IOC_SETFLAGS, EXT4_IOC_SETVERSION, FS_IOC_SETVERSION,
/// FS_IOC_ENABLE_VERITY.
const ATTRIBUTES: Ranges = &[
    (0x4008_6602, 0x4008_6602),
    (0x4008_6604, 0x4008_6604),
    (0x4008_7602, 0x4008_7602),
    (0x401c_5820, 0x401c_5820),
    (0x4080_6685, 0x4080_6685),
];

/// Requests that change nothing of a device: FIGETBSZ, TCGETS, TIOCGWINSZ,
/// FIONREAD, FIONBIO, FIONCLEX, FIOCLEX, FIOASYNC, FIOQSIZE.
const HARMLESS_TO_DEVICES: Ranges = &[
    (0x2, 0x2),
    (0x5401, 0x5401),
    (0x5413, 0x5413),
    (0x541b, 0x541b),
    (0x5421, 0x5421),
    (0x5450, 0x5452),
    (0x5460, 0x5460),
];

/// What a terminal's settings take: TCSETS, TCSETSW, TCSETSF, TCSBRK, TCFLSH and
/// TCGETS2 to TCSETSF2, which no other device has. Where some terminal is granted
/// and Landlock has no right for requests.
const SETTINGS: Ranges = &[
    (0x5402, 0x5404),
    (0x5409, 0x5409),
    (0x540b, 0x540b),
    (0x402c_542b, 0x402c_542d),
    (0x802c_542a, 0x802c_542a),
];

/// Requests by their lower two bytes where the profile names the call: all that
/// devices have. Of terminals (0x54: modem lines, breaks, RS485, pseudo
/// terminals, counters, and TUN above them), file systems (0x58, 0x66, 0x76,
/// 0x94) and sockets (0x89) still only those of the lists are admitted: others
/// type, freeze, resize and rename for everybody.
const OF_DEVICES: Ranges = &[
    (0x0000, 0x53ff),
    (0x5415, 0x541b),
    (0x5424, 0x5428),
    (0x542e, 0x5432),
    (0x5438, 0x5441),
    (0x545c, 0x545d),
    (0x54c8, 0x57ff),
    (0x5900, 0x65ff),
    (0x6700, 0x75ff),
    (0x7700, 0x88ff),
    (0x8a00, 0x93ff),
    (0x9500, 0xffff),
];
/// What changes interfaces, which netlink does as well.
const INTERFACE_CHANGES: Ranges = &[(0x8910, 0x89ff)];

pub(super) fn admitted(request: &Request<'_>) -> Admits {
    any(lists(request).map(|requests| int(1, Values::In(requests))))
}

/// Where the profile names the call itself.
pub(super) fn named(request: &Request<'_>) -> Admits {
    let lists = lists(request).map(|requests| int(1, Values::In(requests)));
    if request.stand_in.device_ioctls {
        return any(lists);
    }
    let interfaces = request.sockets.netlink.then_some(INTERFACE_CHANGES);
    let more = interfaces.map(|requests| int(1, Values::In(requests)));
    let of_devices = masked(1, 0xffff, Values::In(OF_DEVICES));
    any(lists.chain(more).chain([of_devices]))
}

fn lists(request: &Request<'_>) -> impl Iterator<Item = Ranges> {
    let sockets = &request.sockets;
    let has_network = sockets.has_network();
    let lists = if request.stand_in.device_ioctls {
        let settings = request.terminal.then_some(SETTINGS);
        [Some(HARMLESS_TO_DEVICES), settings, None]
    } else {
        [
            Some(ADMITTED),
            has_network.then_some(INTERFACES),
            request.metadata.then_some(ATTRIBUTES),
        ]
    };
    lists.into_iter().flatten()
}

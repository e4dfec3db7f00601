//! Which addresses the network between a cluster's machines has: those that its folder's name stands for, or the next
//! ones that this machine does not use.

use crate::run::sh;
use anyhow::{Context, Result};
use nix::fcntl::{Flock, FlockArg};
use std::fs::File;
use std::net::Ipv4Addr;

/// The two leading bytes of the /24s to choose from: a private range, and the one for tests between networks (RFC 2544)
/// where a VPN or a cloud has all of the first.
const RANGES: [[u8; 2]; 2] = [[172, 31], [198, 18]];

/// The /24 that a folder's hash stands for, by its first address.
pub fn preferred(hash: u8) -> Ipv4Addr {
    let [a, b] = RANGES[0];
    Ipv4Addr::new(a, b, hash, 0)
}

/// The right to choose, held until the choice can be seen among the routes. It is the lock of a folder that every
/// machine has: no file of ours stays behind.
pub fn lock() -> Result<Flock<File>> {
    let folder = File::open("/run").context("cannot open /run")?;
    Flock::lock(folder, FlockArg::LockExclusive).map_err(|(_, error)| error).context("cannot lock /run")
}

/// `preferred`, or the next /24 that no route of the machine leads to.
pub fn choose(preferred: Ipv4Addr) -> Result<Ipv4Addr> {
    let routes = sh("ip -4 route show")?;
    free(preferred, &routes).with_context(|| {
        format!(
            "no /24 of 172.31.0.0/16 and 198.18.0.0/16 is free for the cluster's network; these routes take them:\n{}",
            routes.trim_end()
        )
    })
}

/// The first /24 from `preferred` on, around its range and then the others, that shares no address with `routes`.
fn free(preferred: Ipv4Addr, routes: &str) -> Option<Ipv4Addr> {
    let used: Vec<(u32, u32)> = routes.lines().filter_map(destination).collect();
    let is_free = |first: Ipv4Addr| {
        let (begin, end) = (u32::from(first), u32::from(first) | 0xff);
        used.iter().all(|(from, to)| *to < begin || end < *from)
    };
    let [.., third, _] = preferred.octets();
    let all = RANGES
        .iter()
        .flat_map(|[a, b]| (0..=u8::MAX).map(move |step| Ipv4Addr::new(*a, *b, third.wrapping_add(step), 0)));
    all.into_iter().find(|first| is_free(*first))
}

/// The first and the last address that a line of `ip route` is about; a default route is about none.
fn destination(line: &str) -> Option<(u32, u32)> {
    // A kind may come first: `blackhole 10.0.0.0/8`.
    line.split_whitespace().take(2).find_map(|word| {
        let (address, length) = word.split_once('/').unwrap_or((word, "32"));
        let (address, length) = (address.parse::<Ipv4Addr>().ok()?, length.parse::<u32>().ok()?);
        let hosts = u32::MAX.checked_shr(length).unwrap_or(0);
        Some((u32::from(address) & !hosts, u32::from(address) | hosts))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_that_is_free() {
        let check = |third: u8, routes: &str, want: Option<[u8; 3]>| {
            let want = want.map(|[a, b, c]| Ipv4Addr::new(a, b, c, 0));
            assert_eq!(free(preferred(third), routes), want, "{routes}");
        };
        check(7, "", Some([172, 31, 7]));
        check(7, "default via 172.31.7.1 dev eth0\n10.0.0.0/8 dev tun0", Some([172, 31, 7]));
        // What a killed run has left stays out of the way, also when its bridge has no cables.
        check(
            7,
            "172.31.7.0/24 dev kl9954 proto kernel scope link src 172.31.7.1 linkdown",
            Some([172, 31, 8]),
        );
        check(7, "172.31.7.0/24 dev a\n172.31.8.9 dev b\n172.31.9.0/25 dev c", Some([172, 31, 10]));
        check(255, "172.31.255.0/24 dev a", Some([172, 31, 0]));
        check(20, "172.31.16.0/20 dev eth0", Some([172, 31, 32]));
        check(20, "blackhole 172.31.20.0/24", Some([172, 31, 21]));
        check(20, "172.16.0.0/12 dev tun0", Some([198, 18, 20]));
        check(20, "172.16.0.0/12 dev tun0\n198.18.0.0/15 dev lab", None);
        check(20, "0.0.0.0/1 dev tun0\n128.0.0.0/1 dev tun0", None);
    }
}

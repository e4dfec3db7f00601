//! What is known of one name.

use crate::wire::name::Name;
use std::collections::HashSet;

/// A service location (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Srv {
    pub port: u16,
    pub target: Name,
    /// The target's addresses, for the additional section.
    pub a: Vec<[u8; 4]>,
    pub aaaa: Vec<[u8; 16]>,
}

/// All records of a name. A name without any exists all the same: it is not NXDOMAIN.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    pub a: Vec<[u8; 4]>,
    pub aaaa: Vec<[u8; 16]>,
    pub srv: Vec<Srv>,
    pub ptr: Vec<Name>,
    pub cname: Option<Name>,
    pub txt: Option<&'static str>,
    /// The start of authority: the zone's name itself.
    pub is_apex: bool,
}

impl Records {
    /// Adds an address of either family.
    pub fn add_address(&mut self, address: std::net::IpAddr) {
        match address {
            std::net::IpAddr::V4(v4) if !self.a.contains(&v4.octets()) => self.a.push(v4.octets()),
            std::net::IpAddr::V6(v6) if !self.aaaa.contains(&v6.octets()) => self.aaaa.push(v6.octets()),
            _ => {}
        }
    }

    /// Takes in what another source says of the same name.
    pub fn merge(&mut self, other: &Records) {
        other.a.iter().for_each(|a| self.add_address((*a).into()));
        other.aaaa.iter().for_each(|a| self.add_address((*a).into()));
        // A service with thousands of endpoints has as many of these: not each with each.
        let known: HashSet<&Srv> = self.srv.iter().collect();
        let new: Vec<Srv> = other.srv.iter().filter(|srv| !known.contains(srv)).cloned().collect();
        self.srv.extend(new);
        for name in &other.ptr {
            if !self.ptr.contains(name) {
                self.ptr.push(name.clone());
            }
        }
        self.cname = self.cname.take().or_else(|| other.cname.clone());
        self.txt = self.txt.or(other.txt);
        self.is_apex |= other.is_apex;
    }
}

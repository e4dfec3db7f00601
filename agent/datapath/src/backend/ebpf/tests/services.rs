//! What services owe their clients over time, which no row can tell: changes, ages and limits.

use super::rig::{self, Rig};
use crate::model::rows::{Frame, Judge};
use crate::model::{Arrival, Outcome, Verdict};
use crate::tables::tests::address;
use keelson_ebpf_abi::{Backend, Be16, Flow, Hook, Reason};
use std::sync::Arc;
use std::time::Instant;

fn send(rig: &mut Rig, hook: Hook, ifindex: u32, text: &str) -> Outcome {
    let packet = Frame::parse(text, None).bytes();
    rig.judge(Arrival { hook, ifindex, packet: &packet })
}

fn from_a(rig: &mut Rig, text: &str) -> Verdict {
    let ifindex = rig.interfaces.a;
    send(rig, Hook::FromPod, ifindex, text).verdict
}

fn from_b(rig: &mut Rig, text: &str) -> Verdict {
    let ifindex = rig.interfaces.b;
    send(rig, Hook::FromPod, ifindex, text).verdict
}

/// Gives every port of a service one backend on the other node.
fn move_away(rig: &mut Rig, service: &str) {
    let there = Backend { address: address("10.244.2.5"), port: Be16::new(8080), ..Backend::default() };
    for port in rig.tables.services.values_mut() {
        if port.name.starts_with(&format!("default/{service}:")) {
            Arc::make_mut(port).backends = vec![there];
        }
    }
    rig.apply();
}

#[test]
fn flows_end_with_their_backend() {
    rig::namespace().run(|| {
        let mut rig = Rig::new();
        let (here, there) = (Verdict::Pod(rig.interfaces.b), Verdict::Tunnel(address("192.168.7.2")));
        let segment = |flags: &str| format!("tcp 10.244.1.2:1000 > 10.96.1.1:80 {flags}");
        assert_eq!(from_a(&mut rig, &segment("S")), here);
        from_b(&mut rig, "tcp 10.244.1.3:8080 > 10.244.1.2:1000 SA");
        let datagram = "udp 10.244.1.2:1000 > 10.96.1.1:80";
        assert_eq!(from_a(&mut rig, datagram), here);
        // Other services keep the same backend.
        let other = "udp 10.244.1.2:1001 > 10.96.1.8:80";
        assert_eq!(from_a(&mut rig, other), here);
        move_away(&mut rig, "near");
        assert_eq!(from_a(&mut rig, datagram), there, "datagrams at once");
        assert_eq!(from_a(&mut rig, other), here);
        assert_eq!(from_a(&mut rig, &segment("A")), here, "a connection goes on");
        rig.ebpf.sweeper().sweep().unwrap();
        assert_eq!(from_a(&mut rig, &segment("A")), here, "and on");
        assert_eq!(
            from_b(&mut rig, "tcp 10.244.1.3:8080 > 10.244.1.2:1000 A"),
            Verdict::Pod(rig.interfaces.a)
        );
        assert_eq!(from_a(&mut rig, &segment("S")), there, "the next one over its port does not");
        assert_eq!(from_a(&mut rig, &segment("A")), there);
        assert_eq!(from_a(&mut rig, other), here);
    });
}

#[test]
fn a_backend_that_comes_back_keeps_its_connections() {
    rig::namespace().run(|| {
        let mut rig = Rig::new();
        let segment = |flags: &str| format!("tcp 10.244.1.2:1000 > 10.96.1.1:80 {flags}");
        let here = Verdict::Pod(rig.interfaces.b);
        let before = rig.tables.clone();
        assert_eq!(from_a(&mut rig, &segment("S")), here);
        let has_left = |rig: &Rig| {
            let flows = rig.ebpf.maps.flows.entries().unwrap();
            flows.iter().any(|(_, flow)| flow.flags & Flow::LEFT != 0)
        };
        move_away(&mut rig, "near");
        rig.tables = before;
        rig.apply();
        rig.ebpf.sweeper().sweep().unwrap();
        assert!(!has_left(&rig), "it was away between two sweeps only");
        assert_eq!(from_a(&mut rig, &segment("S")), here);
        move_away(&mut rig, "near");
        rig.ebpf.sweeper().sweep().unwrap();
        assert!(has_left(&rig));
    });
}

/// Where the connections of forty clients go.
fn clients(rig: &mut Rig, port: u16) -> Vec<Verdict> {
    let ask = |client: u16| {
        let ifindex = rig.interfaces.outer;
        let text = format!("tcp 192.168.7.{}:{port} > 192.168.7.1:30091 S", 10 + client);
        send(rig, Hook::FromOuter, ifindex, &text).verdict
    };
    (0..40).map(ask).collect()
}

#[test]
fn a_client_stays_with_its_backend_for_its_time() {
    rig::namespace().run(|| {
        let mut rig = Rig::new();
        let first = clients(&mut rig, 1000);
        let there = Verdict::Tunnel(address("192.168.7.2"));
        let far = first.iter().filter(|verdict| **verdict == there).count();
        assert!((1..40).contains(&far), "clients are spread: {far} of 40");
        for port in 1001..1004 {
            assert_eq!(clients(&mut rig, port), first);
        }
        // Almost as long ago as it may be, then longer.
        for (seconds, stays) in [(6, true), (11, false)] {
            for (key, entry) in rig.ebpf.maps.affinity.entries().unwrap() {
                let seen_ns = crate::backend::ebpf::flows::now_ns() - seconds * 1_000_000_000;
                rig.ebpf.maps.affinity.set(&key, &keelson_ebpf_abi::Affinity { seen_ns, ..entry }).unwrap();
            }
            assert_eq!(clients(&mut rig, 2000 + u16::from(stays)) == first, stays, "after {seconds} s");
        }
        move_away(&mut rig, "sticky");
        assert_eq!(clients(&mut rig, 3000), vec![there; 40], "nobody stays with a backend that has left");
    });
}

#[test]
fn the_time_of_a_client_begins_anew_with_each_connection() {
    rig::namespace().run(|| {
        let mut rig = Rig::new();
        clients(&mut rig, 1000);
        let ages = |rig: &Rig| -> u64 {
            rig.ebpf.maps.affinity.entries().unwrap().iter().map(|(_, entry)| entry.seen_ns).min().unwrap()
        };
        let before = ages(&rig);
        std::thread::sleep(std::time::Duration::from_millis(20));
        clients(&mut rig, 1001);
        assert!(ages(&rig) > before);
    });
}

#[test]
fn a_flood_is_not_answered_with_a_flood() {
    rig::namespace().run(|| {
        let mut rig = Rig::new();
        rig.ebpf.maps.errors.set(&0, &0).unwrap();
        rig.unlimited = false;
        let begun = Instant::now();
        let mut asked = |text: &str| from_a(&mut rig, text);
        let refused = Verdict::Drop(Reason::NoBackend);
        let answered = (0..2_000).filter(|_| asked("udp 10.244.1.2:1 > 10.96.1.3:80") != refused).count();
        // One per millisecond and a burst of 50; the kernel's coarse clock is up to ten milliseconds behind.
        let allowed = 61 + usize::try_from(begun.elapsed().as_millis()).unwrap();
        assert!((50..=allowed).contains(&answered), "{answered} answers, {allowed} allowed");
        // A reset is no larger than what it answers.
        let resets = (0..100).filter(|_| asked("tcp 10.244.1.2:1 > 10.96.1.3:80 S") != refused).count();
        assert_eq!(resets, 100);
    });
}

/// A switch may hand out frames of others; answering them would answer twice.
#[test]
fn what_is_for_another_host_is_left_alone() {
    rig::namespace().run(|| {
        let mut rig = Rig::new();
        for (text, own) in [
            ("tcp 192.168.7.9:1 > 198.51.100.7:80 S", Verdict::Pod(rig.interfaces.b)),
            ("tcp 192.168.7.9:1 > 192.168.7.1:30082 S", Verdict::Outer),
        ] {
            let (hook, ifindex) = (Hook::FromOuter, rig.interfaces.outer);
            let mut packet = Frame::parse(text, None).bytes();
            packet[5] ^= 0x40;
            assert_eq!(
                rig.judge(Arrival { hook, ifindex, packet: &packet }).verdict,
                Verdict::Pass,
                "{text}"
            );
            assert_eq!(send(&mut rig, hook, ifindex, text).verdict, own, "{text}");
        }
    });
}

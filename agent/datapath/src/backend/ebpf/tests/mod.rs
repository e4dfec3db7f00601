//! The programs against the rows and against the model, through BPF_PROG_TEST_RUN.

mod policy;
mod random;
mod rig;
mod services;

use crate::model::rows::{POLICY_ROWS, ROWS, play};
use rig::Rig;

#[test]
fn the_programs_meet_every_row() {
    let namespace = rig::namespace();
    namespace.run(|| {
        let mut rig = Rig::new();
        for (name, lines) in ROWS.iter().chain(POLICY_ROWS) {
            rig.forget_flows();
            let interfaces = rig.interfaces;
            play(&mut rig, interfaces, name, lines);
        }
    });
}

#[test]
fn programs_load_within_the_verifier_budget() {
    let begun = std::time::Instant::now();
    let (programs, _maps) = super::object::load(None, rig::SIZES).unwrap_or_else(|error| panic!("{error}"));
    println!("loaded in {:?}", begun.elapsed());
    let counts = programs.verified_instructions();
    for (name, count) in &counts {
        println!("{name}: {count} instructions verified");
        assert!(*count <= 50_000, "{name} costs the verifier {count} instructions");
    }
    assert_eq!(counts.len(), super::object::PROGRAMS.len());
}

#[test]
fn a_full_table_refuses_new_flows_and_keeps_the_old() {
    use crate::model::{
        Verdict,
        rows::{Frame, Judge},
    };
    use keelson_ebpf_abi::{Hook, Reason};
    let namespace = rig::namespace();
    namespace.run(|| {
        let mut rig = Rig::with(super::Sizes { flows: 64, backends: 64 });
        let mut send = |port: u16| {
            let frame = Frame::parse(&format!("udp 10.244.1.2:{port} > 10.244.1.3:80"), None);
            let ifindex = rig.interfaces.a;
            let packet = frame.bytes();
            rig.judge(crate::model::Arrival { hook: Hook::FromPod, ifindex, packet: &packet }).verdict
        };
        let opened = (1..=64).take_while(|port| matches!(send(*port), Verdict::Pod(_))).count() as u16;
        assert!((20..=40).contains(&opened), "two entries per flow: {opened}");
        assert_eq!(send(1_000), Verdict::Drop(Reason::FlowsFull));
        for port in 1..=opened {
            assert!(matches!(send(port), Verdict::Pod(_)), "flow {port} lives");
        }
    });
}

#[test]
fn idle_flows_are_swept_by_what_they_are() {
    use crate::model::{
        Arrival,
        rows::{Frame, Judge},
    };
    use keelson_ebpf_abi::Hook;
    let namespace = rig::namespace();
    namespace.run(|| {
        let mut rig = Rig::new();
        let interfaces = rig.interfaces;
        let send = |rig: &mut Rig, ifindex, text: &str| {
            let packet = Frame::parse(text, None).bytes();
            rig.judge(Arrival { hook: Hook::FromPod, ifindex, packet: &packet });
        };
        send(&mut rig, interfaces.a, "ping 10.244.1.2 > 10.244.1.3 7");
        send(&mut rig, interfaces.a, "udp 10.244.1.2:1 > 10.244.1.3:2");
        send(&mut rig, interfaces.a, "tcp 10.244.1.2:1 > 10.244.1.3:2 S");
        send(&mut rig, interfaces.b, "tcp 10.244.1.3:2 > 10.244.1.2:1 SA");
        assert_eq!(rig.sweep_after(1), 6);
        assert_eq!(rig.sweep_after(45), 4, "the ping is gone");
        assert_eq!(rig.sweep_after(90), 2, "the datagram without an answer is gone");
        assert_eq!(rig.sweep_after(7_300), 2, "a connection outlives the time to keep-alive probes");
        assert_eq!(rig.sweep_after(9_000), 0);
        // A connection that both sides have ended goes at once, one that a single side has ended stays.
        for (port, ends) in [(1, "FA"), (2, "A"), (3, "R")] {
            send(&mut rig, interfaces.a, &format!("tcp 10.244.1.2:{port} > 10.244.1.3:2 S"));
            send(&mut rig, interfaces.b, &format!("tcp 10.244.1.3:2 > 10.244.1.2:{port} {ends}"));
        }
        send(&mut rig, interfaces.a, "tcp 10.244.1.2:1 > 10.244.1.3:2 FA");
        send(&mut rig, interfaces.a, "tcp 10.244.1.2:2 > 10.244.1.3:2 FA");
        assert_eq!(rig.sweep_after(0), 6);
        assert_eq!(rig.sweep_after(10), 2);
        assert_eq!(rig.sweep_after(3_700), 0);
    });
}

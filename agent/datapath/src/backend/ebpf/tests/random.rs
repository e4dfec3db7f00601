//! Random packets: model and programs must agree on every one.

use super::rig::{self, Rig};
use crate::model::rows::{Frame, Judge};
use crate::model::{Arrival, Chance, Model, Outcome, Part, Verdict, blanked, normalised, read};
use crate::tables::tests::address;
use keelson_ebpf_abi::{Address, Backend, Hook, Tuple};
use std::time::{Duration, Instant};

/// Packets per seed.
const PACKETS: usize = 2_500;
/// The model keeps no time, so a seed ends before the first flow can expire in the kernel.
const TIME_MAX: Duration = Duration::from_secs(4);
/// Packets between changes of the policy, on average.
const POLICY_CHANGES: usize = 100;
/// How many seeds are tried; seeds of failures are kept beside them.
const SEEDS: u64 = 12;
/// Tries more seeds, for a long run.
const MORE_SEEDS: &str = "KEELSON_RANDOM_SEEDS";
const FAILED_BEFORE: &[u64] = &[];

/// xorshift64*: the same packets on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 33) as usize % bound
    }

    fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }
}

/// What the programs chose, read from the packet that they let out.
struct Seen {
    destination: (Address, u16),
    source_port: u16,
    /// Where a dropped packet shows no choice, the one to try.
    blind: usize,
}

impl Chance for Seen {
    fn backend(&mut self, of: &[Backend]) -> usize {
        let chosen = of.iter().position(|b| (b.address, b.port.get()) == self.destination);
        chosen.unwrap_or(self.blind % of.len())
    }

    fn port(&mut self) -> u16 {
        self.source_port
    }
}

const ADDRESSES: &[&str] = &[
    "10.244.1.2",
    "10.244.1.3",
    "10.244.1.77",
    "10.244.2.5",
    "10.244.2.6",
    "10.244.9.1",
    "10.96.0.10",
    "10.96.1.1",
    "10.96.1.2",
    "10.96.1.3",
    "10.96.1.4",
    "10.96.1.5",
    "10.96.1.6",
    "10.96.1.7",
    "10.96.1.8",
    "10.96.1.9",
    "10.96.1.10",
    "10.96.1.11",
    "10.96.9.9",
    "198.51.100.7",
    "198.51.100.8",
    "192.168.7.1",
    "192.168.7.2",
    "192.168.7.9",
    "203.0.113.9",
    "169.254.1.1",
];
const PORTS: &[u16] = &[
    0, 53, 80, 80, 443, 1000, 1001, 1002, 8080, 8081, 8099, 9090, 30_080, 30_081, 30_082, 30_083, 30_086,
    30_088, 30_089, 30_090, 30_091,
];

fn frame(random: &mut Random, hook: Hook) -> Frame {
    let protocol = random.pick(&[6, 6, 6, 17, 17, 17, 1, 1, 132, 47]);
    let usual = match hook {
        Hook::FromPod => "10.244.1.2",
        Hook::FromVxlan => "10.244.2.5",
        Hook::FromOuter => "192.168.7.9",
        _ => "192.168.7.1",
    };
    let source = if random.one_in(6) { random.pick(ADDRESSES) } else { usual };
    let destination =
        if hook == Hook::FromOuter && !random.one_in(3) { "192.168.7.1" } else { random.pick(ADDRESSES) };
    let ports = if protocol == 47 { (0, 0) } else { (random.pick(PORTS), random.pick(PORTS)) };
    let mut frame = Frame::new(protocol, (address(source), ports.0), (address(destination), ports.1));
    frame.control = match protocol {
        6 => random.pick(&[0x02, 0x12, 0x10, 0x10, 0x18, 0x11, 0x04]),
        1 => random.pick(&[8, 8, 0, 3, 11]),
        _ => 0,
    };
    if random.one_in(12) {
        frame.fragment = random.pick(&[0x2000, 0x2010, 0x0020, 0x4000]);
    }
    frame.options = if random.one_in(12) { random.pick(&[1, 10]) } else { 0 };
    frame.no_checksum = random.one_in(8);
    frame.payload = vec![0x5a; random.below(40)];
    frame
}

/// The answer to a packet that has left, at the place where it would come in.
fn answer(random: &mut Random, left: &Outcome, rig: &Rig) -> Option<(Hook, u32, Vec<u8>)> {
    let headers = read(&left.packet)?;
    let back = headers.tuple.reversed();
    let (hook, ifindex) = match left.verdict {
        Verdict::Pod(ifindex) => (Hook::FromPod, ifindex),
        Verdict::Tunnel(_) => (Hook::FromVxlan, rig.interfaces.tunnel),
        Verdict::Outer => (Hook::FromOuter, rig.interfaces.outer),
        Verdict::Pass | Verdict::Drop(_) => return None,
    };
    if random.one_in(4) {
        return Some((hook, ifindex, error(random, hook, &headers.tuple, &left.packet)));
    }
    let mut frame = Frame::new(
        back.protocol,
        (back.source, back.source_port.get()),
        (back.destination, back.destination_port.get()),
    );
    frame.control = match back.protocol {
        6 => random.pick(&[0x12, 0x10, 0x11]),
        1 if headers.control == 8 => 0,
        1 => headers.control,
        _ => 0,
    };
    if random.one_in(6) {
        frame.fragment = 0x2000;
    }
    Some((hook, ifindex, frame.bytes()))
}

/// An ICMP error about a packet that has left, from its receiver or from a router on its way.
fn error(random: &mut Random, hook: Hook, about: &Tuple, packet: &[u8]) -> Vec<u8> {
    let router = hook != Hook::FromPod && random.one_in(3);
    let sender = if router { address("203.0.113.77") } else { about.destination };
    let frame = Frame::new(1, (sender, 0), (about.source, 0));
    let (kind, code) = random.pick(&[(3, 3), (3, 4), (11, 0), (12, 0), (5, 1)]);
    let mut bytes = frame.about(kind, code, packet).bytes();
    if random.one_in(10) {
        // Less is quoted than there must be, or something else.
        bytes.truncate(bytes.len() - 1 - random.below(20));
    } else if random.one_in(10) {
        let at = 42 + random.below(bytes.len() - 42);
        bytes[at] ^= 1 << random.below(8);
    }
    bytes
}

/// A later fragment of the datagram of which this is the first.
fn rest(first: &[u8]) -> Option<Vec<u8>> {
    let headers = read(first).filter(|headers| headers.part == Part::First)?;
    let tuple = headers.tuple;
    // What stands where ports would is content.
    let mut frame = Frame::new(tuple.protocol, (tuple.source, 7), (tuple.destination, 7));
    frame.fragment = 0x0010;
    Some(frame.bytes())
}

fn arrival(random: &mut Random, rig: &Rig) -> (Hook, u32, Vec<u8>) {
    let interfaces = rig.interfaces;
    let hooks =
        [Hook::FromPod, Hook::FromPod, Hook::FromVxlan, Hook::FromOuter, Hook::ToOuter, Hook::ToVxlan];
    let hook = random.pick(&hooks);
    let ifindex = match hook {
        Hook::FromPod => {
            if random.one_in(8) {
                interfaces.b
            } else {
                interfaces.a
            }
        }
        Hook::FromVxlan | Hook::ToVxlan => interfaces.tunnel,
        _ => interfaces.outer,
    };
    let mut bytes = frame(random, hook).bytes();
    if random.one_in(25) {
        // The kernel runs no test on less than an IPv4 header.
        bytes.truncate(34 + random.below(bytes.len() - 33));
    }
    if random.one_in(25) {
        let at = 12 + random.below(12);
        bytes[at] ^= 1 << random.below(8);
    }
    (hook, ifindex, bytes)
}

/// Whether the model agrees, for some choice that the programs were free to make.
fn agrees(model: &mut Model, arrival: Arrival<'_>, seen: &Outcome) -> Result<(), String> {
    let headers = read(&seen.packet);
    let mut said = Vec::new();
    for blind in 0..3 {
        let mut chance = Seen {
            destination: headers
                .map_or((Address::UNSPECIFIED, 0), |h| (h.tuple.destination, h.tuple.destination_port.get())),
            source_port: headers.map_or(0, |h| h.tuple.source_port.get()),
            blind,
        };
        let dropped = matches!(seen.verdict, Verdict::Drop(_));
        let mut trial = if dropped { Some(model.clone()) } else { None };
        let judged = trial.as_mut().unwrap_or(model).judge(arrival, &mut chance);
        // A packet that came with a wrong checksum leaves with one.
        let valid = normalised(arrival.packet).is_ok();
        let same_packet = || {
            blanked(&judged.packet) == blanked(&seen.packet) && (!valid || normalised(&seen.packet).is_ok())
        };
        let same_way = || judged.asked == seen.asked && same_packet();
        if judged.verdict == seen.verdict && (dropped || same_way()) {
            if let Some(trial) = trial {
                *model = trial;
            }
            return Ok(());
        }
        said.push(format!("{judged:?}"));
        if !dropped {
            break;
        }
    }
    Err(format!("the model says {}", said.join(" or ")))
}

fn compare(seed: u64) {
    let mut rig = Rig::new();
    let mut model = Model::new(rig.tables.clone());
    let mut random = Random(seed);
    let mut next = None;
    let begun = Instant::now();
    for number in (0..PACKETS).take_while(|_| begun.elapsed() < TIME_MAX) {
        if random.one_in(POLICY_CHANGES) {
            change_policy(&mut random, &mut rig);
            model.set_tables(rig.tables.clone());
        }
        let (hook, ifindex, packet) = next.take().unwrap_or_else(|| arrival(&mut random, &rig));
        let arrival = Arrival { hook, ifindex, packet: &packet };
        let seen = rig.judge(arrival);
        if let Err(says) = agrees(&mut model, arrival, &seen) {
            panic!(
                "seed {seed}, packet {number} at {hook:?} on {ifindex}: {packet:02x?}\nprograms: {seen:?}\n{says}"
            );
        }
        if let Some(rest) = rest(&packet).filter(|_| random.one_in(2)) {
            next = Some((hook, ifindex, rest));
        } else if random.one_in(2) {
            next = answer(&mut random, &seen, &rig);
        }
    }
    assert_eq!(rig.ebpf.marks(), model.marks(), "seed {seed}: flows and what they say of their judgement");
}

/// Another set for a pod, mostly with an epoch to it.
fn change_policy(random: &mut Random, rig: &mut Rig) {
    let pod = random.pick(&["10.244.1.2", "10.244.1.3"]);
    let set = random.below(3) as u32;
    let advance = u32::from(!random.one_in(4));
    rig.change(&|tables| {
        tables.endpoints.get_mut(&address(pod)).unwrap().policy_set = set;
        tables.config.policy_epoch += advance;
    });
}

#[test]
fn programs_and_model_agree_on_random_packets() {
    let seeds = std::env::var(MORE_SEEDS).ok().and_then(|text| text.parse().ok()).unwrap_or(SEEDS);
    for seed in (1..=seeds).chain(FAILED_BEFORE.iter().copied()) {
        rig::namespace().run(move || compare(seed));
    }
}

use super::*;
use std::net::IpAddr;

fn address(text: &str) -> Address {
    Address::from(text.parse::<IpAddr>().unwrap())
}

#[test]
fn addresses_keep_their_family() {
    for (text, family) in [("10.1.2.3", Family::V4), ("2001:db8::1", Family::V6), ("::", Family::V6)] {
        let address = address(text);
        assert_eq!(address.family(), family, "{text}");
        assert_eq!(address.to_string(), text);
        assert_eq!(Address::from_bytes(address.bytes()), address);
    }
    assert_eq!(address("10.1.2.3").v4_word(), u32::from_ne_bytes([10, 1, 2, 3]));
    assert_eq!(Address::from_v4_word(u32::from_ne_bytes([10, 1, 2, 3])), address("10.1.2.3"));
}

#[test]
fn masking_counts_bits_of_the_128() {
    assert_eq!(address("10.244.3.7").masked(96 + 24), address("10.244.3.0"));
    assert_eq!(address("10.244.3.7").masked(96 + 13), address("10.240.0.0"));
    assert_eq!(address("10.244.3.7").masked(128), address("10.244.3.7"));
    assert_eq!(address("2001:db8:1::1").masked(32), address("2001:db8::"));
}

#[test]
fn addresses_sort_as_they_read() {
    assert!(address("10.0.0.2") < address("10.0.1.0"));
    assert!(Be16::new(255) < Be16::new(256));
}

#[test]
fn a_reply_of_a_reply_is_the_original() {
    let tuple = Tuple {
        source: address("10.0.0.1"),
        destination: address("10.0.0.2"),
        source_port: Be16::new(1),
        destination_port: Be16::new(2),
        protocol: 6,
        family: 4,
        reserved: 0,
    };
    assert_ne!(tuple.reversed(), tuple);
    assert_eq!(tuple.reversed().reversed(), tuple);
}

#[test]
fn names_and_indexes_are_unique() {
    for (index, hook) in HOOKS.iter().enumerate() {
        assert_eq!(hook.index() as usize, index);
    }
    // Programs make a reason of its number again.
    for (index, reason) in REASONS.iter().enumerate() {
        assert_eq!(reason.index() as usize, index);
    }
    let mut names: Vec<_> = REASONS.iter().map(|reason| reason.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), REASONS.len());
}

#[test]
fn a_closing_flow_goes_first() {
    let flow = |flags| Flow {
        translated: Tuple::default(),
        seen_ns: 0,
        policy_epoch: 0,
        policy_set: 0,
        service: 0,
        flags,
        reserved: [0; 2],
    };
    let minute = 61_000_000_000;
    assert!(flow(Flow::CLOSED | Flow::ANSWERED).expired(6, minute));
    assert!(!flow(Flow::OWN_FIN | Flow::ANSWERED).expired(6, minute), "half closed");
    assert!(flow(0).expired(6, minute));
    assert_eq!(Flow::seen_by_peer(Flow::OWN_FIN | Flow::REPLY), Flow::PEER_FIN);
    assert!(!flow(Flow::ANSWERED).expired(6, minute));
    assert!(!flow(Flow::ANSWERED).expired(17, minute));
}

//! What no row can tell of the policy's epoch: when it comes into the map.

use super::rig::{self, Rig};
use crate::model::rows::{Frame, Judge};
use crate::model::{Arrival, Mark, read};
use crate::tables::tests::address;
use keelson_ebpf_abi::{Address, Endpoint, Hook};

/// A flow that is judged in an epoch must find all of it. Here the pods' table is too small for what it brings.
#[test]
fn an_epoch_that_is_not_whole_does_not_begin() {
    rig::namespace().run(|| {
        let mut rig = Rig::new();
        let packet = Frame::parse("udp 10.244.1.2:1000 > 10.244.1.3:80", None).bytes();
        let tuple = read(&packet).unwrap().tuple;
        let (hook, ifindex) = (Hook::FromPod, rig.interfaces.a);
        let whole = rig.tables.clone();
        assert_eq!(rig.ebpf.policy_epoch().unwrap(), 1);

        let mut bytes = address("10.244.9.0").bytes();
        for number in 0..5_000_u16 {
            bytes[14..].copy_from_slice(&number.to_be_bytes());
            bytes[13] = 245;
            rig.tables.endpoints.insert(Address::from_bytes(bytes), Endpoint::default());
        }
        rig.tables.endpoints.get_mut(&address("10.244.1.2")).unwrap().policy_set = 7;
        rig.tables.config.policy_epoch = 2;
        assert!(rig.ebpf.apply(&rig.tables, 10_000).is_err());
        assert_eq!(rig.ebpf.policy_epoch().unwrap(), 1);
        rig.judge(Arrival { hook, ifindex, packet: &packet });
        assert_eq!(rig.mark(&tuple).map(|mark| mark.epoch), Some(1));

        rig.tables = whole;
        rig.change(&|tables| {
            tables.endpoints.get_mut(&address("10.244.1.2")).unwrap().policy_set = 7;
            tables.config.policy_epoch = 2;
        });
        assert_eq!(rig.ebpf.policy_epoch().unwrap(), 2);
        assert!(rig.judge(Arrival { hook, ifindex, packet: &packet }).asked);
        assert_eq!(rig.mark(&tuple), Some(Mark { set: 7, epoch: 2 }));
    });
}

use super::*;
use crate::tables::tests::address;
use keelson_ebpf_abi::{Address, Be16};
use std::sync::Arc;

fn key(port: u16) -> ServiceKey {
    ServiceKey {
        address: address("10.96.0.1"),
        port: Be16::new(port),
        protocol: 6,
        scope: ServiceKey::INSIDE,
    }
}

fn backends(hosts: &[u8]) -> Vec<Backend> {
    let backend = |host: &u8| Backend {
        address: address(&format!("10.244.0.{host}")),
        port: Be16::new(80),
        reserved: 0,
        flags: 0,
    };
    hosts.iter().map(backend).collect()
}

fn services(content: &[(u16, &[u8])]) -> Services {
    let port = |(port, hosts): &(u16, &[u8])| {
        (
            key(*port),
            Arc::new(ServicePort {
                name: port.to_string(),
                backends: backends(hosts),
                ..ServicePort::default()
            }),
        )
    };
    content.iter().map(port).collect()
}

/// Applies writes to a plain array, as the kernel's maps would hold them.
#[derive(Default)]
struct Maps {
    services: BTreeMap<ServiceKey, Service>,
    backends: BTreeMap<u32, Backend>,
}

impl Maps {
    fn apply(&mut self, writes: &[ServiceWrite]) {
        for write in writes {
            match write {
                ServiceWrite::Backends { base, backends } => {
                    for (index, backend) in backends.iter().enumerate() {
                        let slot = base + index as u32;
                        let in_use =
                            self.services.values().any(|s| (s.base..s.base + s.count).contains(&slot));
                        assert!(!in_use, "slot {slot} is written while a service uses it");
                        self.backends.insert(slot, *backend);
                    }
                }
                ServiceWrite::Put(key, service) => drop(self.services.insert(*key, *service)),
                ServiceWrite::Remove(key) => drop(self.services.remove(key)),
            }
        }
    }

    fn shows(&self, desired: &Services) {
        assert_eq!(self.services.len(), desired.len());
        for (key, port) in desired {
            let service = self.services[key];
            let range = service.base..service.base + service.count;
            let found: Vec<_> = range.map(|slot| self.backends[&slot]).collect();
            assert_eq!(found, port.backends);
        }
    }
}

#[test]
fn maps_follow_the_tables_without_touching_what_is_in_use() {
    let mut placement = Placement::new(16);
    let mut maps = Maps::default();
    let steps: &[&[(u16, &[u8])]] = &[
        &[(80, &[1, 2, 3]), (81, &[4])],
        &[(80, &[1, 2, 3]), (81, &[4, 5]), (82, &[])],
        &[(80, &[2, 3])],
        &[],
        &[(80, &[1, 2, 3, 4, 5, 6, 7, 8]), (81, &[9, 10, 11, 12, 13, 14, 15, 16])],
    ];
    for (step, content) in steps.iter().enumerate() {
        let desired = services(content);
        maps.apply(&placement.plan(&desired, step as u64 * 2_000).unwrap().writes);
        maps.shows(&desired);
        assert_eq!(
            placement.plan(&desired, step as u64 * 2_000).unwrap().writes,
            [],
            "a second plan has nothing to do"
        );
    }
}

#[test]
fn a_table_without_room_keeps_its_state() {
    let mut placement = Placement::new(4);
    let mut maps = Maps::default();
    let small = services(&[(80, &[1, 2])]);
    maps.apply(&placement.plan(&small, 0).unwrap().writes);
    let large = services(&[(80, &[1, 2]), (81, &[1, 2, 3])]);
    let full = placement.plan(&large, 5_000).unwrap_err();
    assert_eq!((full.name.as_str(), full.wanted, full.room), ("81", 3, 2));
    maps.shows(&small);
    maps.apply(&placement.plan(&services(&[(80, &[1, 2]), (81, &[1])]), 5_000).unwrap().writes);
}

#[test]
fn a_released_range_rests() {
    let mut placement = Placement::new(2);
    placement.plan(&services(&[(80, &[1, 2])]), 0).unwrap();
    placement.plan(&services(&[]), 10).unwrap();
    assert!(placement.plan(&services(&[(80, &[1])]), 500).is_err());
    assert!(placement.plan(&services(&[(80, &[1])]), 1_010).is_ok());
}

#[test]
fn a_new_agent_goes_on_where_the_old_one_stopped() {
    let mut placement = Placement::new(16);
    let mut maps = Maps::default();
    let desired = services(&[(80, &[1, 2, 3]), (81, &[4]), (82, &[])]);
    maps.apply(&placement.plan(&desired, 0).unwrap().writes);
    let found: Vec<_> = maps
        .services
        .iter()
        .map(|(key, service)| {
            let range = service.base..service.base + service.count;
            (*key, *service, range.map(|slot| maps.backends[&slot]).collect())
        })
        .collect();
    let mut recovered = Placement::recover(16, &found);
    assert_eq!(recovered.plan(&desired, 0).unwrap().writes, []);
    let changed = services(&[(80, &[1, 2]), (83, &[7])]);
    let ids: BTreeSet<_> = maps.services.values().map(|service| service.id).collect();
    maps.apply(&recovered.plan(&changed, 0).unwrap().writes);
    maps.shows(&changed);
    assert!(!ids.contains(&maps.services[&key(83)].id), "ids are not used twice");
}

#[test]
fn lost_backends_are_named_with_the_service_that_has_lost_them() {
    let mut placement = Placement::new(16);
    let lost = |planned: Planned| -> Vec<_> {
        planned.lost.into_iter().map(|lost| (lost.service, lost.protocol, lost.backend)).collect()
    };
    assert_eq!(lost(placement.plan(&services(&[(80, &[1, 2]), (81, &[2, 3])]), 0).unwrap()), []);
    let ids = [80, 81].map(|port| placement.placed[&key(port)].id);
    let [first, second, third] = [1, 2, 3].map(|host| backends(&[host])[0]);
    // Another service still has it, which helps no flow of this one.
    let planned = placement.plan(&services(&[(80, &[1]), (81, &[2])]), 0).unwrap();
    assert_eq!(lost(planned), [(ids[0], 6, second), (ids[1], 6, third)]);
    let planned = placement.plan(&Services::new(), 0).unwrap();
    assert_eq!(lost(planned), [(ids[0], 6, first), (ids[1], 6, second)]);
}

#[test]
fn members_of_services_with_affinity_come_and_go() {
    let mut placement = Placement::new(16);
    let sticky = |hosts: &[u8], flags: u32| {
        let mut desired = services(&[(80, hosts), (81, &[7])]);
        Arc::make_mut(desired.get_mut(&key(80)).unwrap()).flags = flags;
        desired
    };
    let mut step = |hosts: &[u8], flags: u32| {
        let planned = placement.plan(&sticky(hosts, flags), 0).unwrap();
        let id = placement.placed[&key(80)].id;
        let show = |members: Vec<Member>| -> Vec<Address> {
            assert!(members.iter().all(|member| member.service == id));
            members.into_iter().map(|member| member.address).collect()
        };
        (show(planned.joined), show(planned.left))
    };
    let hosts = |hosts: &[u8]| -> Vec<_> { backends(hosts).into_iter().map(|b| b.address).collect() };
    let affinity = Service::AFFINITY;
    assert_eq!(step(&[1, 2], affinity), (hosts(&[1, 2]), hosts(&[])));
    assert_eq!(step(&[2, 3], affinity), (hosts(&[3]), hosts(&[1])));
    assert_eq!(step(&[2, 3], 0), (hosts(&[]), hosts(&[2, 3])));
    assert_eq!(step(&[2], 0), (hosts(&[]), hosts(&[])));
    assert_eq!(step(&[2], affinity), (hosts(&[2]), hosts(&[])));
}

#[test]
fn equal_backends_share_a_range() {
    let mut placement = Placement::new(4);
    let mut maps = Maps::default();
    let all = services(&[(80, &[1, 2, 3]), (81, &[1, 2, 3]), (82, &[1, 2, 3])]);
    maps.apply(&placement.plan(&all, 0).unwrap().writes);
    maps.shows(&all);
    // It is in use as long as one of them has it.
    let fewer = services(&[(80, &[1]), (82, &[1, 2, 3])]);
    maps.apply(&placement.plan(&fewer, 5_000).unwrap().writes);
    maps.shows(&fewer);
    assert!(placement.plan(&services(&[(82, &[1, 2, 3]), (83, &[4, 5])]), 10_000).is_err());
    maps.apply(&placement.plan(&services(&[]), 20_000).unwrap().writes);
    let other = services(&[(84, &[4, 5, 6, 7])]);
    maps.apply(&placement.plan(&other, 30_000).unwrap().writes);
    maps.shows(&other);
}

#[test]
fn a_part_is_planned_like_the_whole() {
    let (mut part, mut maps) = (Placement::new(64), Maps::default());
    let steps: &[&[(u16, &[u8])]] = &[
        &[(80, &[1, 2]), (81, &[3])],
        &[(80, &[1, 2]), (81, &[3, 4]), (82, &[])],
        &[(81, &[3, 4]), (82, &[5])],
        &[(81, &[3, 4])],
    ];
    let mut before = Services::new();
    for (step, content) in steps.iter().enumerate() {
        let desired = services(content);
        let differs = |key: &&ServiceKey| before.get(key) != desired.get(key);
        let keys: BTreeSet<ServiceKey> =
            before.keys().chain(desired.keys()).filter(differs).copied().collect();
        maps.apply(&part.plan_keys(&desired, keys.iter(), step as u64 * 2_000).unwrap().writes);
        maps.shows(&desired);
        before = desired;
    }
}

#[test]
fn a_policy_or_affinity_that_changes_is_written() {
    let mut placement = Placement::new(16);
    let mut desired = services(&[(80, &[1, 2])]);
    let before = placement.plan(&desired, 0).unwrap().writes;
    let mut port = (*desired[&key(80)]).clone();
    (port.flags, port.affinity_seconds) = (Service::AFFINITY, 30);
    desired.insert(key(80), Arc::new(port));
    let put = |writes: &[ServiceWrite]| {
        writes.iter().find_map(|write| match write {
            ServiceWrite::Put(_, service) => Some((service.id, service.flags, service.affinity_seconds)),
            _ => None,
        })
    };
    let (id, flags, seconds) = put(&before).unwrap();
    assert_eq!((flags, seconds), (0, 0));
    assert_eq!(put(&placement.plan(&desired, 0).unwrap().writes), Some((id, Service::AFFINITY, 30)));
    assert_eq!(placement.plan(&desired, 0).unwrap().writes, []);
}

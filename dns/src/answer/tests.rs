//! Questions against a small zone, replies read by another implementation (hickory).

use super::*;
use crate::zone::Source;
use hickory_proto::op::{Edns, Message, OpCode, Query as Question, ResponseCode};
use hickory_proto::rr::{DNSClass, Name as DnsName, RecordType};
use keelson_client::views::{EndpointSlice, Service};
use proptest::prelude::*;
use serde_json::json;

fn zone() -> Zone {
    let zone = Zone::new("cluster.local", "10.96.0.10".parse().unwrap()).unwrap();
    zone.set(Source::Namespace("ns".to_owned()), crate::compile::namespace("ns", &zone.apex));
    let services = [
        json!({ "metadata": { "name": "web", "namespace": "ns" },
            "spec": { "clusterIP": "10.96.0.5", "ports": [{ "name": "http", "protocol": "TCP", "port": 80 }] } }),
        json!({ "metadata": { "name": "db", "namespace": "ns" }, "spec": { "clusterIP": "None" } }),
        json!({ "metadata": { "name": "ext", "namespace": "ns" },
            "spec": { "type": "ExternalName", "externalName": "example.org" } }),
        json!({ "metadata": { "name": "alias", "namespace": "ns" },
            "spec": { "type": "ExternalName", "externalName": "web.ns.svc.cluster.local" } }),
        json!({ "metadata": { "name": "far", "namespace": "ns" },
            "spec": { "type": "ExternalName", "externalName": "ext.ns.svc.cluster.local" } }),
        json!({ "metadata": { "name": "dangling", "namespace": "ns" },
            "spec": { "type": "ExternalName", "externalName": "none.ns.svc.cluster.local" } }),
        json!({ "metadata": { "name": "circle", "namespace": "ns" },
            "spec": { "type": "ExternalName", "externalName": "circle.ns.svc.cluster.local" } }),
    ];
    let endpoints: Vec<_> = (1..=200).map(|i| json!({ "addresses": [format!("10.244.0.{i}")] })).collect();
    let slice: EndpointSlice =
        serde_json::from_value(json!({ "addressType": "IPv4", "endpoints": endpoints })).unwrap();
    for service in services {
        let service: Service = serde_json::from_value(service).unwrap();
        let slices = service.is_headless().then_some(&slice);
        let source = Source::Service { namespace: "ns".to_owned(), name: service.metadata.name.clone() };
        zone.set(source, crate::compile::service(&service, slices.into_iter(), &zone.apex));
    }
    zone.set_synced(true);
    zone
}

fn question(name: &str, rtype: RecordType) -> Message {
    let mut message = Message::query();
    message.metadata.id = 7;
    message.metadata.op_code = OpCode::Query;
    message.metadata.recursion_desired = true;
    let mut query = Question::query(DnsName::from_ascii(name).unwrap(), rtype);
    query.set_query_class(DNSClass::IN);
    message.add_query(query);
    message
}

fn ask_raw(zone: &Zone, message: &Message, via: Transport) -> (Outcome, Vec<u8>) {
    let mut buffer = Vec::new();
    let outcome = answer(zone, &message.to_vec().unwrap(), via, 0, &mut buffer);
    (outcome, buffer)
}

fn ask(name: &str, rtype: RecordType) -> Message {
    let (outcome, bytes) = ask_raw(&zone(), &question(name, rtype), Transport::Udp);
    assert_eq!(outcome, Outcome::Reply, "{name}");
    Message::from_vec(&bytes).unwrap()
}

fn check(name: &str, rtype: RecordType, rcode: ResponseCode, answers: &[&str]) {
    let reply = ask(name, rtype);
    assert_eq!(reply.metadata.response_code, rcode, "{name} {rtype}");
    assert!(reply.metadata.authoritative && reply.metadata.recursion_available);
    let found: Vec<_> = reply.answers.iter().map(|record| record.data.to_string()).collect();
    assert_eq!(found, answers, "{name} {rtype}");
    let soas = reply.authorities.iter().filter(|r| r.record_type() == RecordType::SOA).count();
    assert_eq!(soas, usize::from(answers.is_empty()), "an empty answer carries the SOA: {name}");
}

#[test]
fn names_of_the_cluster() {
    use ResponseCode::{NXDomain, NoError};
    check("web.ns.svc.cluster.local.", RecordType::A, NoError, &["10.96.0.5"]);
    check("WEB.ns.SVC.cluster.local.", RecordType::A, NoError, &["10.96.0.5"]);
    check("web.ns.svc.cluster.local.", RecordType::AAAA, NoError, &[]);
    check("web.ns.svc.cluster.local.", RecordType::MX, NoError, &[]);
    check(
        "_http._tcp.web.ns.svc.cluster.local.",
        RecordType::SRV,
        NoError,
        &["0 100 80 web.ns.svc.cluster.local."],
    );
    check("_tcp.web.ns.svc.cluster.local.", RecordType::A, NoError, &[]);
    check("_x._tcp.web.ns.svc.cluster.local.", RecordType::SRV, NXDomain, &[]);
    check("5.0.96.10.in-addr.arpa.", RecordType::PTR, NoError, &["web.ns.svc.cluster.local."]);
    check("ext.ns.svc.cluster.local.", RecordType::CNAME, NoError, &["example.org."]);
    check("10-1-2-3.ns.pod.cluster.local.", RecordType::A, NoError, &["10.1.2.3"]);
    check("dns-version.cluster.local.", RecordType::TXT, NoError, &["1.1.0"]);
    check("cluster.local.", RecordType::NS, NoError, &["ns.dns.cluster.local."]);
    check("ns.dns.cluster.local.", RecordType::A, NoError, &["10.96.0.10"]);
    check("cluster.local.", RecordType::A, NoError, &[]);
    check("svc.cluster.local.", RecordType::A, NoError, &[]);
    check("ns.svc.cluster.local.", RecordType::A, NoError, &[]);
    check("other.svc.cluster.local.", RecordType::A, NXDomain, &[]);
    check("*.ns.svc.cluster.local.", RecordType::A, NXDomain, &[]);
    check("example.org.ns.svc.cluster.local.", RecordType::A, NXDomain, &[]);
}

#[test]
fn srv_brings_its_targets_addresses() {
    let reply = ask("_http._tcp.web.ns.svc.cluster.local.", RecordType::SRV);
    let added: Vec<_> = reply.additionals.iter().map(|r| format!("{} {}", r.name, r.data)).collect();
    assert_eq!(added, ["web.ns.svc.cluster.local. 10.96.0.5"]);
}

#[test]
fn the_clients_case_comes_back() {
    let reply = ask("WeB.Ns.svc.cluster.local.", RecordType::A);
    assert_eq!(reply.queries[0].name().to_string(), "WeB.Ns.svc.cluster.local.");
}

#[test]
fn what_is_not_ours_goes_upstream() {
    let zone = zone();
    let forward = |name, behind: &[&str]| {
        let (outcome, _) = ask_raw(&zone, &question(name, RecordType::A), Transport::Udp);
        let behind = behind.iter().map(|b| Name::parse(b).unwrap()).collect();
        assert_eq!(outcome, Outcome::Forward { behind }, "{name}");
    };
    forward("example.org.", &[]);
    forward("1.2.0.192.in-addr.arpa.", &[]);
    forward("ext.ns.svc.cluster.local.", &["example.org"]);
    forward("far.ns.svc.cluster.local.", &["ext.ns.svc.cluster.local", "example.org"]);
}

/// A name of ours that stands for another one of ours is answered here.
#[test]
fn aliases_within_the_cluster() {
    let answers = |name| {
        let reply = ask(name, RecordType::A);
        let records = reply.answers.iter().map(|r| format!("{} {}", r.name, r.data)).collect::<Vec<_>>();
        (reply.metadata.response_code, records)
    };
    let (rcode, records) = answers("alias.ns.svc.cluster.local.");
    assert_eq!(rcode, ResponseCode::NoError);
    assert_eq!(
        records,
        ["alias.ns.svc.cluster.local. web.ns.svc.cluster.local.", "web.ns.svc.cluster.local. 10.96.0.5"]
    );
    let (rcode, records) = answers("dangling.ns.svc.cluster.local.");
    assert_eq!((rcode, records.len()), (ResponseCode::NXDomain, 1));
    assert_eq!(answers("circle.ns.svc.cluster.local.").0, ResponseCode::ServFail);
}

#[test]
fn a_large_answer_is_truncated_on_udp_and_whole_on_tcp() {
    let zone = zone();
    let mut message = question("db.ns.svc.cluster.local.", RecordType::A);
    let (_, small) = ask_raw(&zone, &message, Transport::Udp);
    assert!(small.len() <= 512, "{} bytes without EDNS", small.len());
    let mut edns = Edns::new();
    edns.set_max_payload(4096);
    message.set_edns(edns);
    let (_, large) = ask_raw(&zone, &message, Transport::Udp);
    assert!(large.len() > 1000 && large.len() <= 1232, "{} bytes with EDNS", large.len());
    for bytes in [&small, &large] {
        assert!(Message::from_vec(bytes).unwrap().metadata.truncation);
    }
    let (_, whole) = ask_raw(&zone, &message, Transport::Tcp);
    let whole = Message::from_vec(&whole).unwrap();
    assert_eq!((whole.answers.len(), whole.metadata.truncation), (200, false));
}

#[test]
fn edns_is_answered() {
    let mut message = question("web.ns.svc.cluster.local.", RecordType::A);
    let mut edns = Edns::new();
    edns.set_dnssec_ok(true);
    message.set_edns(edns.clone());
    let (_, bytes) = ask_raw(&zone(), &message, Transport::Udp);
    let reply = Message::from_vec(&bytes).unwrap();
    assert!(reply.edns.unwrap().flags().dnssec_ok, "DO is copied");
    edns.set_version(1);
    message.set_edns(edns);
    let (_, bytes) = ask_raw(&zone(), &message, Transport::Udp);
    let reply = Message::from_vec(&bytes).unwrap();
    // 16 is BADVERS here; hickory reads it as BADSIG, which shares the number.
    assert_eq!(u16::from(reply.metadata.response_code), Rcode::BadVers as u16);
}

#[test]
fn transfers_and_other_classes_are_refused() {
    let (_, bytes) = ask_raw(&zone(), &question("cluster.local.", RecordType::AXFR), Transport::Tcp);
    assert_eq!(Message::from_vec(&bytes).unwrap().metadata.response_code, ResponseCode::Refused);
}

#[test]
fn addresses_are_rotated() {
    let zone = zone();
    let bytes = question("db.ns.svc.cluster.local.", RecordType::A).to_vec().unwrap();
    let first = |rotation| {
        let mut buffer = Vec::new();
        answer(&zone, &bytes, Transport::Tcp, rotation, &mut buffer);
        Message::from_vec(&buffer).unwrap().answers[0].data.to_string()
    };
    assert_eq!([first(0), first(1), first(200)], ["10.244.0.1", "10.244.0.2", "10.244.0.1"]);
}

#[test]
fn out_of_sync_is_a_failure_and_not_a_denial() {
    let zone = zone();
    zone.set_synced(false);
    let (_, bytes) = ask_raw(&zone, &question("new.ns.svc.cluster.local.", RecordType::A), Transport::Udp);
    assert_eq!(Message::from_vec(&bytes).unwrap().metadata.response_code, ResponseCode::ServFail);
    let (_, bytes) = ask_raw(&zone, &question("web.ns.svc.cluster.local.", RecordType::A), Transport::Udp);
    assert_eq!(Message::from_vec(&bytes).unwrap().answers.len(), 1, "what is known is answered");
}

proptest! {
    /// Whatever comes in: no panic, and what goes out is a message that parses, with the same id.
    #[test]
    fn any_message_gets_a_sound_reply(mut bytes in proptest::collection::vec(any::<u8>(), 12..120), tame in any::<bool>()) {
        if tame {
            bytes[2] &= 0x01;
            bytes[4..12].copy_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0]);
        }
        let zone = Zone::new("cluster.local", "10.96.0.10".parse().unwrap()).unwrap();
        let mut buffer = Vec::new();
        if answer(&zone, &bytes, Transport::Udp, 3, &mut buffer) == Outcome::Reply {
            prop_assert_eq!(&buffer[..2], &bytes[..2]);
            prop_assert!(buffer[2] & 0x80 != 0);
            prop_assert!(buffer.len() <= 1232);
        }
    }
}

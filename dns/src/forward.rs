//! Names outside of the cluster: asked for upstream through hickory's resolver and its cache.

use crate::answer::TTL;
use crate::wire::name::Name as WireName;
use hickory_proto::op::{Edns, Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::CNAME;
use hickory_proto::rr::{Name, RData, Record};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::system_conf::parse_resolv_conf;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

/// How many answers are kept.
const CACHE_ENTRIES: u64 = 10_000;
/// How long one server is waited for.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Asks upstream servers; without any, everything foreign fails.
pub struct Forwarder {
    resolver: Option<TokioResolver>,
}

impl Forwarder {
    /// The servers of a resolver configuration, except `own`: asking ourselves would be a loop.
    pub fn from_resolv_conf(path: &Path, own: IpAddr) -> Self {
        let text = std::fs::read(path).unwrap_or_default();
        let servers: Vec<NameServerConfig> = parse_resolv_conf(&text)
            .map(|(config, _)| config.name_servers().to_vec())
            .unwrap_or_default()
            .into_iter()
            .filter(|server| server.ip != own)
            .collect();
        if servers.is_empty() {
            tracing::warn!(path = %path.display(), "no upstream DNS server: only cluster names resolve");
            return Self { resolver: None };
        }
        let config = ResolverConfig::from_parts(None, Vec::new(), servers);
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        tune(builder.options_mut());
        match builder.build() {
            Ok(resolver) => Self { resolver: Some(resolver) },
            Err(error) => {
                tracing::warn!(%error, "no upstream DNS: only cluster names resolve");
                Self { resolver: None }
            }
        }
    }

    /// Answers the first question of `request`, behind CNAMEs of ours.
    pub async fn answer(&self, request: &[u8], behind: &[WireName]) -> Option<Message> {
        let request = Message::from_vec(request).ok()?;
        let question = request.queries.first()?.clone();
        let mut reply = Message::response(request.metadata.id, request.metadata.op_code);
        reply.metadata.message_type = MessageType::Response;
        reply.metadata.recursion_desired = request.metadata.recursion_desired;
        reply.metadata.recursion_available = true;
        reply.add_query(question.clone());
        if request.edns.is_some() {
            reply.set_edns(Edns::new());
        }
        let mut name = question.name().clone();
        for behind in behind {
            let target = Name::read(&mut BinDecoder::new(behind.as_wire())).ok()?;
            reply.add_answer(Record::from_rdata(name, TTL, RData::CNAME(CNAME(target.clone()))));
            name = target;
        }
        // A final dot: no search list of ours.
        name.set_fqdn(true);
        self.fill(&mut reply, name, question.query_type()).await;
        Some(reply)
    }

    async fn fill(&self, reply: &mut Message, name: Name, rtype: hickory_proto::rr::RecordType) {
        let Some(resolver) = &self.resolver else {
            reply.metadata.response_code = ResponseCode::ServFail;
            return;
        };
        match resolver.lookup(name, rtype).await {
            Ok(lookup) => {
                reply.add_answers(lookup.answers().iter().cloned());
            }
            Err(NetError::Dns(DnsError::NoRecordsFound(none))) => {
                reply.metadata.response_code = none.response_code;
                if let Some(soa) = none.soa {
                    reply.add_authority(soa.into_record_of_rdata());
                }
            }
            Err(NetError::Dns(DnsError::ResponseCode(code))) => reply.metadata.response_code = code,
            Err(_) => reply.metadata.response_code = ResponseCode::ServFail,
        }
    }
}

fn tune(options: &mut ResolverOpts) {
    options.cache_size = CACHE_ENTRIES;
    options.timeout = TIMEOUT;
    options.attempts = 2;
    options.use_hosts_file = ResolveHosts::Never;
    options.ndots = 0;
}
